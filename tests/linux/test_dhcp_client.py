"""The DHCP client against a real server: dnsmasq, on the other end of a veth pair.

The client's clock can be set forward (`skip_to`), so that nobody waits for a lease to grow old; the
server's goes on as ever.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from vswitch.dataplane.dhcp.client.client import DhcpClient
from vswitch.dataplane.dhcp.client.lease import Lease
from vswitch.dataplane.dhcp.client.outcome import Bound, Ignored, Lost, News, Reason, Step
from vswitch.dataplane.dhcp.client.states import State
from vswitch.devices.afpacket import PacketDevice
from vswitch.devices.base import Sent
from vswitch.units import SECOND, Nanoseconds
from vswitch.wire import arp, ethernet
from vswitch.wire.arp import Arp, Operation
from vswitch.wire.buffer import Buffer
from vswitch.wire.ethernet import Ethernet
from vswitch.wire.offload import FINISHED, HEADER_LENGTH
from vswitch.wire.values import EtherType, IpAddress, IpInterface, MacAddress

if TYPE_CHECKING:
    from tests.linux.conftest import Namespaces

pytestmark = pytest.mark.linux

OURS = MacAddress.parse("02:00:00:00:00:50")
SERVER_STATION = MacAddress.parse("02:00:00:00:00:01")
SERVER = IpAddress.parse("192.0.2.1")
FIRST = IpInterface.parse("192.0.2.50/24")
"""What the server keeps for us."""
PATIENCE = 15.0
"""Seconds for one thing to happen: dnsmasq answers within milliseconds."""


class Server:
    """dnsmasq, with one address kept for us and some more for when that is taken."""

    def __init__(self, namespaces: Namespaces, name: str, directory: Path) -> None:
        self._log = directory / "log"
        self._leases = directory / "leases"
        namespaces.start(
            name,
            *("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0"),
            *("--user=root", "--group=root", "--interface=eth0", "--bind-interfaces"),
            *("--dhcp-authoritative", "--no-ping", "--pid-file="),
            *("--dhcp-range=192.0.2.100,192.0.2.110,255.255.255.0,1h",),
            f"--dhcp-host={OURS},{FIRST.address}",
            *("--dhcp-option=option:router,192.0.2.254", "--dhcp-option=option:mtu,1400"),
            *("--dhcp-option=option:dns-server,192.0.2.53,192.0.2.54", "--domain=example.org"),
            f"--dhcp-leasefile={self._leases}",
            f"--log-facility={self._log}",
        )
        self.wait_until(lambda: self.said("sockets bound exclusively") > 0)

    def said(self, words: str) -> int:
        """How many lines of the log have `words`."""
        lines = self._log.read_text().splitlines() if self._log.exists() else []
        return sum(words in line for line in lines)

    def has_leased(self, what: str) -> bool:
        """Is there a line in the file of leases that has `what`?"""
        return what in self._leases.read_text()

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """For what the server does in its own time."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, "the server has never come so far"
            time.sleep(0.02)


class Uplink:
    """A client on a packet socket, and as much of a switch as it takes to answer ARP."""

    def __init__(self, device: PacketDevice) -> None:
        self.device = device
        self.client = DhcpClient(OURS, Random(1), hostname="uplink")
        self.news: list[News] = []
        self.ignored: list[Ignored] = []
        self._skipped: Nanoseconds = 0

    def now(self) -> Nanoseconds:
        return time.monotonic_ns() + self._skipped

    def skip_to(self, moment: Nanoseconds | None) -> None:
        """Set the client's clock forward to its `moment`."""
        assert moment is not None
        self._skipped += moment - self.now()

    def start(self, remembered: IpAddress | None = None) -> None:
        self._send(self.client.start(self.now(), remembered))

    def release(self) -> None:
        self._send(self.client.release())

    def tick(self) -> None:
        self._note(self.client.tick(self.now()))

    def run_to_news(self) -> News:
        """Until there is news that was not there before."""
        before = len(self.news)
        self._run(lambda: len(self.news) > before)
        return self.news[-1]

    def run_to(self, state: State) -> None:
        self._run(lambda: self.client.state is state)

    def run_to_ignored(self) -> Ignored:
        self._run(lambda: bool(self.ignored))
        return self.ignored[-1]

    @property
    def lease(self) -> Lease:
        assert self.client.lease is not None
        return self.client.lease

    def _run(self, done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not done():
            assert time.monotonic() < deadline, f"it still {self.client.state.value}"
            self.tick()
            select.select([self.device.fileno()], [], [], 0.02)
            for frame in self.device.receive(64):
                self._hear(frame)

    def _hear(self, frame: Buffer) -> None:
        if self.client.is_for_client(frame):
            self._note(self.client.hear(frame, self.now()))
            return
        header = Ethernet.parse(frame)
        if not isinstance(header, Ethernet) or header.ethertype != EtherType.ARP:
            return
        message = Arp.parse(frame, header.payload)
        if isinstance(message, Arp):
            self._note(self.client.hear_arp(message.sender_ip, message.sender_mac, self.now()))
            self._answer(message)

    def _answer(self, asked: Arp) -> None:
        lease = self.client.lease
        if lease is None or asked.target_ip != lease.address.address:
            return
        parties = (OURS, lease.address.address, asked.sender_mac, asked.sender_ip)
        message = arp.build(Operation.REPLY, *parties)
        self._send((ethernet.build(asked.sender_mac, OURS, EtherType.ARP, message),))

    def _note(self, step: Step) -> None:
        self._send(step.frames)
        if step.news is not None:
            self.news.append(step.news)
        if step.ignored is not None:
            self.ignored.append(step.ignored)

    def _send(self, frames: tuple[bytearray, ...]) -> None:
        for frame in frames:
            assert self.device.send(frame) is Sent.SENT


class World:
    """The uplink in one namespace, the server in another."""

    def __init__(self, namespaces: Namespaces, directory: Path) -> None:
        self._namespaces = namespaces
        self.ours, self.theirs = namespaces.create(), namespaces.create()
        namespaces.join(self.ours, "up0", self.theirs, "eth0")
        self.run("ip", "link", "set", "eth0", "address", str(SERVER_STATION))
        self.run("ip", "address", "add", f"{SERVER}/24", "dev", "eth0")
        self.server = Server(namespaces, self.theirs, directory)
        self.uplink = Uplink(namespaces.call(self.ours, lambda: PacketDevice.open("up0")))

    def run(self, *command: str) -> None:
        self._namespaces.run(self.theirs, *command)

    def say(self, packet: Ether) -> None:
        """Let somebody else on the wire say something."""
        with closing(
            self._namespaces.call(self.theirs, lambda: PacketDevice.open("eth0"))
        ) as rogue:
            assert rogue.send(FINISHED + bytes(packet)) is Sent.SENT

    def close(self) -> None:
        self.uplink.device.close()


@pytest.fixture
def world(namespaces: Namespaces, tmp_path: Path) -> Iterator[World]:
    with closing(World(namespaces, tmp_path)) as made:
        yield made


def test_lease_is_what_the_server_is_configured_to_give(world: World) -> None:
    world.uplink.start()
    news = world.uplink.run_to_news()
    lease = world.uplink.lease
    assert news == Bound(lease)
    assert (lease.address, lease.gateway) == (FIRST, IpAddress.parse("192.0.2.254"))
    assert (lease.mtu, lease.domain) == (1400, "example.org")
    assert [str(server) for server in lease.name_servers] == ["192.0.2.53", "192.0.2.54"]
    assert (lease.server, lease.server_station) == (SERVER, SERVER_STATION)
    assert lease.expires_at == lease.obtained_at + 3600 * SECOND
    assert world.server.has_leased(f"{OURS} {FIRST.address} uplink")


def test_lease_is_renewed_by_its_server(world: World) -> None:
    uplink = world.uplink
    uplink.start()
    uplink.run_to_news()
    first = uplink.lease
    uplink.skip_to(first.renew_at)
    uplink.tick()
    assert uplink.client.state is State.RENEWING
    uplink.run_to(State.BOUND)
    assert uplink.lease.obtained_at >= (first.renew_at or 0)
    assert uplink.lease.address == first.address
    assert world.server.said(f"DHCPACK(eth0) {FIRST.address}") == 2
    assert len(uplink.news) == 1


def test_lease_that_its_server_did_not_renew_is_renewed_by_whoever_answers(world: World) -> None:
    uplink = world.uplink
    uplink.start()
    uplink.run_to_news()
    first = uplink.lease
    uplink.skip_to(first.rebind_at)
    uplink.tick()
    assert uplink.client.state is State.REBINDING
    uplink.run_to(State.BOUND)
    assert uplink.lease.obtained_at >= (first.rebind_at or 0)
    assert len(uplink.news) == 1


def test_lease_that_ends_unnoticed_is_lost_and_had_again(world: World) -> None:
    uplink = world.uplink
    uplink.start()
    uplink.run_to_news()
    first = uplink.lease
    uplink.skip_to(first.expires_at)
    assert uplink.run_to_news() == Lost(first, Reason.EXPIRED)
    assert uplink.run_to_news() == Bound(uplink.lease)


def test_lease_is_given_back(world: World) -> None:
    world.uplink.start()
    world.uplink.run_to_news()
    world.uplink.release()
    world.server.wait_until(lambda: not world.server.has_leased(str(FIRST.address)))
    assert world.server.said(f"DHCPRELEASE(eth0) {FIRST.address} {OURS}") == 1


def test_address_that_somebody_has_is_declined_and_another_one_taken(world: World) -> None:
    world.run("ip", "address", "add", f"{FIRST.address}/32", "dev", "lo")
    uplink = world.uplink
    uplink.start()
    uplink.run_to(State.INIT)
    declined = f"DHCPDECLINE(eth0) {FIRST.address} {OURS}"
    world.server.wait_until(lambda: world.server.said(declined) == 1)
    uplink.skip_to(uplink.client.next_deadline())
    uplink.run_to_news()
    assert uplink.lease.address != FIRST
    assert uplink.lease.address.network == FIRST.network


def test_remembered_address_is_had_again_without_an_offer(world: World) -> None:
    world.uplink.start(FIRST.address)
    world.uplink.run_to_news()
    assert world.uplink.lease.address == FIRST
    assert world.server.said("DHCPOFFER") == 0


def test_remembered_address_of_another_link_is_refused_and_a_fitting_one_taken(
    world: World,
) -> None:
    uplink = world.uplink
    uplink.start(IpAddress.parse("10.9.9.9"))
    uplink.run_to(State.INIT)
    assert world.server.said("DHCPNAK(eth0) 10.9.9.9") == 1
    uplink.skip_to(uplink.client.next_deadline())
    uplink.run_to_news()
    assert uplink.lease.address == FIRST


@pytest.mark.parametrize("kind", ["ack", "nak"])
def test_server_that_was_not_asked_is_not_believed(world: World, kind: str) -> None:
    uplink = world.uplink
    uplink.start()
    uplink.run_to_news()
    uplink.skip_to(uplink.lease.renew_at)
    (request,) = uplink.client.tick(uplink.now()).frames  # held back, so that the rogue is first
    xid = Ether(bytes(request[HEADER_LENGTH:]))[BOOTP].xid
    world.say(rogue_answer(kind, xid))
    assert uplink.run_to_ignored() is Ignored.OTHER_SERVER
    assert uplink.client.state is State.RENEWING
    assert uplink.device.send(request) is Sent.SENT
    uplink.run_to(State.BOUND)
    assert uplink.lease.gateway == IpAddress.parse("192.0.2.254")


def rogue_answer(kind: str, xid: int) -> Ether:
    address = str(FIRST.address)
    options = [
        ("message-type", kind),
        ("server_id", "192.0.2.66"),
        ("lease_time", 3600),
        ("subnet_mask", "255.255.255.0"),
        ("router", "192.0.2.66"),
        "end",
    ]
    header = BOOTP(op=2, xid=xid, yiaddr=address, chaddr=OURS)
    datagram = IP(src="192.0.2.66", dst=address) / UDP(sport=67, dport=68)
    return Ether(src="02:00:00:00:00:66", dst=str(OURS)) / datagram / header / DHCP(options=options)
