"""A DHCP client on a clock of its own, with scapy as the server that answers and as the reader."""

from __future__ import annotations

from random import Random
from typing import Any

from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from vswitch.dataplane.dhcp.client.client import DhcpClient
from vswitch.dataplane.dhcp.client.lease import Lease
from vswitch.dataplane.dhcp.client.outcome import News, Step
from vswitch.dataplane.dhcp.client.states import State
from vswitch.units import SECOND, Nanoseconds
from vswitch.wire import offload
from vswitch.wire.offload import FINISHED
from vswitch.wire.values import IpAddress, MacAddress

OURS = MacAddress.parse("02:00:00:00:00:50")
STATION = MacAddress.parse("02:00:00:00:00:01")
STRANGER = MacAddress.parse("02:00:00:00:00:66")
ADDRESS = IpAddress.parse("192.0.2.50")
SERVER = IpAddress.parse("192.0.2.1")
OTHER_SERVER = IpAddress.parse("192.0.2.2")
LEASE_SECONDS = 1000
START: Nanoseconds = 10_000 * SECOND
EVERYBODY = "255.255.255.255"
NOBODY = "0.0.0.0"


def reply(xid: int, kind: str, **said: Any) -> bytes:
    """A server's frame. What is `said` replaces a part of it, or with None leaves it out."""
    options = {
        "server_id": str(SERVER),
        "lease_time": LEASE_SECONDS,
        "subnet_mask": "255.255.255.0",
        "router": "192.0.2.254",
    }
    parts = {"yiaddr": str(ADDRESS), "chaddr": OURS, "dst": str(OURS), "station": str(STATION)}
    for name, value in said.items():
        (parts if name in parts else options)[name] = value
    listed = [(name, value) for name, value in options.items() if value is not None]
    ethernet = Ether(src=parts["station"], dst=parts["dst"])
    header = BOOTP(op=2, xid=xid, yiaddr=parts["yiaddr"], chaddr=parts["chaddr"])
    datagram = IP(src=str(SERVER), dst=parts["yiaddr"]) / UDP(sport=67, dport=68) / header
    return FINISHED + bytes(
        ethernet / datagram / DHCP(options=[("message-type", kind), *listed, "end"])
    )


class Line:
    """A client, its clock, and what it says and tells."""

    def __init__(self, seed: int = 1, hostname: str | None = None) -> None:
        self.client = DhcpClient(OURS, Random(seed), hostname=hostname)
        self.now = START
        self.sent: list[Ether] = []
        self.sent_at: list[Nanoseconds] = []
        self.news: list[News] = []
        self.xid = 0
        """The transaction of the client's last DHCP message."""

    def start(self, remembered: IpAddress | None = None) -> None:
        self._note(Step(self.client.start(self.now, remembered)))

    def hear(self, kind: str, **said: Any) -> Step:
        return self.hear_frame(reply(said.pop("xid", self.xid), kind, **said))

    def hear_frame(self, frame: bytes) -> Step:
        return self._note(self.client.hear(frame, self.now))

    def hear_arp(self, sender: IpAddress, station: MacAddress = STRANGER) -> Step:
        return self._note(self.client.hear_arp(sender, station, self.now))

    def wait(self) -> Step:
        """Until the next deadline."""
        deadline = self.client.next_deadline()
        assert deadline is not None
        self.now = max(self.now, deadline)
        return self._note(self.client.tick(self.now))

    def wait_until(self, moment: Nanoseconds | None) -> None:
        """Through all deadlines up to `moment`, as a running switch meets them."""
        assert moment is not None
        while (deadline := self.client.next_deadline()) is not None and deadline <= moment:
            self.wait()
        self.now = moment

    def sleep_until(self, moment: Nanoseconds | None) -> None:
        """Past all deadlines up to `moment` at once, as a host that was suspended."""
        assert moment is not None
        self.now = moment
        self._note(self.client.tick(self.now))

    def release(self) -> None:
        self._note(Step(self.client.release()))

    @property
    def lease(self) -> Lease:
        assert self.client.lease is not None
        return self.client.lease

    @property
    def last(self) -> Ether:
        return self.sent[-1]

    def _note(self, step: Step) -> Step:
        for frame in step.frames:
            assert frame.startswith(FINISHED)
            packet = Ether(bytes(frame[offload.HEADER_LENGTH :]))
            self.sent.append(packet)
            self.sent_at.append(self.now)
            if BOOTP in packet:
                self.xid = packet[BOOTP].xid
        if step.news is not None:
            self.news.append(step.news)
        return step


def option(packet: Ether, name: str) -> Any:
    """The value of a DHCP option, or None where it is not there."""
    for entry in packet[DHCP].options:
        if entry[0] == name:
            return entry[1]
    return None


def kind(packet: Ether) -> str:
    kinds = {1: "discover", 3: "request", 4: "decline", 7: "release"}
    return kinds[option(packet, "message-type")]


def line_in(state: State, **said: Any) -> Line:
    """A line whose client has come to `state` by the usual way."""
    line = Line()
    if state is State.STOPPED:
        return line
    if state is State.REBOOTING:
        line.start(ADDRESS)
        return line
    line.start()
    if state is State.SELECTING:
        return line
    line.hear("offer", **said)
    if state is State.INIT:
        line.hear("nak")
    if state in (State.INIT, State.REQUESTING):
        return line
    line.hear("ack", **said)
    if state is State.PROBING:
        return line
    while line.client.state is not State.BOUND:
        line.wait()
    if state in (State.RENEWING, State.REBINDING):
        line.wait_until(line.lease.renew_at)
    if state is State.REBINDING:
        line.wait_until(line.lease.rebind_at)
    return line
