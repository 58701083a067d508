"""TCP conversations through a lab, whose ends number their segments as TCPs do.

A segment outside its window changes no state, so a test that wants one to count can not make up
its numbers. A `Conversation` keeps them: what an end sends next, and acknowledges, follows from
what both have sent before. The ends are a client, who opens, and a server.
"""

from __future__ import annotations

from dataclasses import dataclass

from scapy.layers.inet import IP, TCP
from scapy.packet import Packet, Raw

from tests.harness import UPLINK_ADDRESS, Host, Lab
from vswitch.wire.values import IpAddress

S1, S2, S3 = "198.51.100.1", "198.51.100.2", "198.51.100.3"
"""Hosts outside, behind the router."""

CLIENT_FIRST, SERVER_FIRST = 1000, 0xFFFF_FF00
"""Initial sequence numbers; the server's turn over soon."""

_SPACE = 2**32


@dataclass(frozen=True)
class End:
    """One end: from where it sends, and where it sees its peer."""

    host: Host
    own: tuple[str, int]
    peer: tuple[str, int]


class Conversation:
    """One connection. `client` and `server` let an end speak and return what the other one gets."""

    def __init__(self, lab: Lab, client: End, server: End) -> None:
        self._lab = lab
        self._ends = (client, server)
        self.next = [CLIENT_FIRST, SERVER_FIRST]
        """The sequence number that the client, and the server, sends next."""

    @classmethod
    def outwards(
        cls,
        lab: Lab,
        host: Host | None = None,
        *,
        sport: int = 5000,
        server: str = S1,
        external: int | None = None,
    ) -> Conversation:
        """From an inside host, or a, to port 80 of a host outside."""
        host = host or lab.a
        seen = (UPLINK_ADDRESS, sport if external is None else external)
        client = End(host, (host.ip, sport), (server, 80))
        return cls(lab, client, End(lab.outside, (server, 80), seen))

    @classmethod
    def inwards(cls, lab: Lab, host_port: int = 8080, *, client: str = S1) -> Conversation:
        """From a host outside to b's port 80, which is published as `host_port`."""
        outside = End(lab.outside, (client, 4000), (UPLINK_ADDRESS, host_port))
        return cls(lab, outside, End(lab.b, (lab.b.ip, 80), (client, 4000)))

    @classmethod
    def hairpinned(cls, lab: Lab, host: Host | None = None) -> Conversation:
        """From an inside host, or a, to b's port 80, which is published as 8080."""
        host = host or lab.a
        client = End(host, (host.ip, 5000), (UPLINK_ADDRESS, 8080))
        return cls(lab, client, End(lab.b, (lab.b.ip, 80), (UPLINK_ADDRESS, 5000)))

    def client(self, flags: str, payload: bytes = b"", **fields: object) -> list[Packet]:
        """Let the client send a segment; `fields` change it, and then it numbers nothing."""
        return self._says(0, flags, payload, fields)

    def server(self, flags: str, payload: bytes = b"", **fields: object) -> list[Packet]:
        """Let the server send one."""
        return self._says(1, flags, payload, fields)

    def opens(self) -> Conversation:
        """The three-way handshake."""
        for heard in (self.client("S"), self.server("SA"), self.client("A")):
            assert len(heard) == 1
        return self

    def talks(self) -> Conversation:
        """Open, and data each way, acknowledged: both directions are known to the fast path."""
        self.opens()
        question, answer = self.client("PA", b"question"), self.server("PA", b"answer")
        for heard in (question, answer, self.client("A")):
            assert len(heard) == 1
        return self

    def segment(self, end: int, flags: str, payload: bytes = b"", **fields: object) -> Packet:
        """The IPv4 packet that the client (0) or the server (1) would send next."""
        speaker = self._ends[end]
        header = {
            "sport": speaker.own[1],
            "dport": speaker.peer[1],
            "flags": flags,
            "seq": self.next[end],
            "ack": self.next[1 - end] if "A" in flags else 0,
        }
        segment = TCP(**{**header, **fields})
        return IP(src=speaker.own[0], dst=speaker.peer[0]) / segment / Raw(payload)

    def _says(
        self, end: int, flags: str, payload: bytes, fields: dict[str, object]
    ) -> list[Packet]:
        packet = self.segment(end, flags, payload, **fields)
        if not {"seq", "ack"} & fields.keys():
            length = len(payload) + ("S" in flags) + ("F" in flags)
            self.next[end] = (self.next[end] + length) % _SPACE
        heard = self._lab.exchange(self._ends[end].host, packet)
        return heard[self._ends[1 - end].host.name]


def quiet_lab(**settings: object) -> Lab:
    """A lab whose hosts know each other and answer ARP, and nothing of which waits to be read."""
    lab = Lab(**settings).meet_everyone()
    lab.answering = True
    forget_received(lab)
    return lab


def forget_received(lab: Lab) -> None:
    """Let nobody have received anything."""
    for host in lab.hosts.values():
        host.device.take()


def ip(address: str) -> IpAddress:
    """The value of an address as the switch knows it."""
    return IpAddress.parse(address)
