"""What the conformance tests send, and what they expect to see: scapy is the oracle for each byte.

Packets are IPv4 without a frame; the lab puts them into one. They are sent with DF, so that the
identification has to be kept (RFC 6864). `assert_arrived` says what a packet must have become on
the other side, to the last byte: addresses, ports and checksums changed, one hop less, and nothing
else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.packet import Packet, Raw
from scapy.utils import checksum

from tests.harness import UPLINK_ADDRESS, Host, Lab, only

A, B, C, D = "10.0.0.2", "10.0.0.3", "10.1.0.2", "10.0.0.4"
"""Inside: a, b and d on one network, c on another."""
X = UPLINK_ADDRESS
S1, S2, S3 = "198.51.100.1", "198.51.100.2", "198.51.100.3"
"""Hosts outside."""
R = "198.51.100.99"
"""A router outside."""
GATEWAY = "10.0.0.1"

Seen = dict[str, list[Packet]]
"""What came out, by host."""


def lab(**settings: object) -> Lab:
    """A lab whose hosts know each other, and nothing of which waits to be received."""
    made = Lab(**settings)
    made.add_host("d", "front", D)
    made.meet_everyone()
    made.answering = True
    forget_received(made)
    return made


def forget_received(made: Lab) -> None:
    for host in made.hosts.values():
        host.device.take()


# What is sent


def ip(source: str, destination: str, **fields: object) -> Packet:
    return IP(**{"src": source, "dst": destination, "id": 0x1234, "flags": "DF", **fields})


def udp(
    source: str,
    sport: int,
    destination: str,
    dport: int,
    payload: bytes = b"question",
    **fields: object,
) -> Packet:
    return ip(source, destination, **fields) / UDP(sport=sport, dport=dport) / Raw(payload)


def syn(source: str, sport: int, destination: str, dport: int, **fields: object) -> Packet:
    segment = TCP(**{"sport": sport, "dport": dport, "flags": "S", "seq": 1000, **fields})
    return ip(source, destination) / segment


def ping(source: str, destination: str, identifier: int = 7, **fields: object) -> Packet:
    message = ICMP(**{"type": 8, "id": identifier, "seq": 1, **fields})
    return ip(source, destination) / message / Raw(b"are you there")


def pong(source: str, destination: str, identifier: int = 7, **fields: object) -> Packet:
    return ping(source, destination, identifier, **{"type": 0, **fields})


def error(
    quoted: Packet | bytes,
    kind: int = 3,
    code: int = 3,
    *,
    source: str = R,
    to: str = X,
    **fields: object,
) -> Packet:
    """An ICMP error of a router about a packet, of which it quotes all that it is given."""
    return ip(source, to) / ICMP(type=kind, code=code, **fields) / Raw(bytes(quoted))


# What is seen


def out(made: Lab, host: Host, packet: Packet) -> Packet:
    """The one packet that a packet of an inside host becomes on the uplink."""
    return only(made.exchange(host, packet)["outside"])


def into(made: Lab, packet: Packet) -> Seen:
    """What comes out where for a packet from the outside."""
    return made.exchange(made.outside, packet)


def is_let_in(made: Lab, packet: Packet, to: str = "a") -> bool:
    """Whether a packet from the outside gets to an inside host, and to no other."""
    seen = into(made, packet)
    assert not any(frames for name, frames in seen.items() if name not in (to, "outside"))
    return len(seen[to]) == 1


def nothing(seen: Seen) -> bool:
    return not any(seen.values())


def rewritten(
    packet: Packet,
    *,
    src: str | None = None,
    dst: str | None = None,
    sport: int | None = None,
    dport: int | None = None,
    identifier: int | None = None,
    hops: int = 1,
) -> bytes:
    """A packet with other addresses and ports and right checksums, `hops` routers further on."""
    made = IP(bytes(packet))
    made.ttl -= hops
    made.src, made.dst = src or made.src, dst or made.dst
    if sport is not None:
        made.payload.sport = sport
    if dport is not None:
        made.payload.dport = dport
    if identifier is not None:
        made[ICMP].id = identifier
    for layer in (IP, TCP, UDP, ICMP):
        if layer in made and not (layer is UDP and made[UDP].chksum == 0):
            del made[layer].chksum
    return bytes(made)


def assert_arrived(frame: Packet, packet: Packet, **changes: object) -> None:
    """A frame carries what `rewritten` makes of a packet, to the last byte."""
    expected = rewritten(packet, **changes)
    assert bytes(frame[IP]) == expected, f"{frame.show(dump=True)}\n{IP(expected).show(dump=True)}"


def error_as_seen(
    message: Packet, quote: bytes, *, src: str | None = None, dst: str | None = None
) -> bytes:
    """An ICMP error one router further on, with other outer addresses and another quote."""
    made = IP(bytes(message))
    header = bytes(made.payload)[:8]
    unsummed = header[:2] + b"\0\0" + header[4:] + quote
    body = unsummed[:2] + checksum(unsummed).to_bytes(2, "big") + unsummed[4:]
    made.remove_payload()
    made.ttl -= 1
    made.src, made.dst = src or made.src, dst or made.dst
    del made.chksum, made.len
    return bytes(made / Raw(body))


def assert_error_arrived(
    frame: Packet, message: Packet, quote: bytes, **changes: str | None
) -> None:
    """A frame carries what `error_as_seen` makes of an ICMP error, to the last byte."""
    expected = error_as_seen(message, quote, **changes)
    assert bytes(frame[IP]) == expected, f"{frame.show(dump=True)}\n{IP(expected).show(dump=True)}"


def assert_answered(
    seen: Packet, kind: int, code: int, *, about: Packet, source: str = GATEWAY
) -> None:
    """An error in the switch's own name, that quotes a packet as it was sent."""
    assert (seen[IP].src, seen[IP].dst) == (source, about.src)
    assert (seen[ICMP].type, seen[ICMP].code) == (kind, code)
    message = seen[IP].payload.original
    quoted = message[8:]
    assert bytes(about).startswith(quoted)
    assert len(quoted) == min(548, len(about))
    assert checksum(message) == 0


# TCP conversations


@dataclass(frozen=True)
class End:
    """One end of a TCP connection: who it is, and who it sees as its peer."""

    host: Host
    own: tuple[str, int]
    peer: tuple[str, int]


class Talk:
    """A TCP connection through the switch, whose ends number their segments as TCPs do.

    `says` sends one segment of an end and asserts that it is all that the other end gets, with
    just what translation changes changed.
    """

    def __init__(self, made: Lab, client: End, server: End, *, first: int = 1000) -> None:
        self.made = made
        self.ends = (client, server)
        self.next = [first, (first + 5_000_000) % 2**32]
        """The sequence number that each end sends next."""

    @classmethod
    def outwards(cls, made: Lab, sport: int = 5000, server: str = S1, **kind: int) -> Talk:
        """a's connection to port 80 of a host outside; its port is preserved."""
        client = End(made.a, (A, sport), (server, 80))
        return cls(made, client, End(made.outside, (server, 80), (X, sport)), **kind)

    @classmethod
    def inwards(cls, made: Lab, **kind: int) -> Talk:
        """The connection of S1 to b's port 80, which is published as 8080."""
        made.publish(8080, made.b, 80)
        client = End(made.outside, (S1, 4000), (X, 8080))
        return cls(made, client, End(made.b, (B, 80), (S1, 4000)), **kind)

    @classmethod
    def hairpinned(cls, made: Lab, **kind: int) -> Talk:
        """a's connection to b's port 80, which is published as 8080."""
        made.publish(8080, made.b, 80)
        client = End(made.a, (A, 5000), (X, 8080))
        return cls(made, client, End(made.b, (B, 80), (X, 5000)), **kind)

    def segment(self, end: int, flags: str, payload: bytes = b"", **fields: object) -> Packet:
        """The segment that an end (0: client, 1: server) sends next; `fields` change it."""
        speaker = self.ends[end]
        acknowledged = self.next[1 - end] if "A" in flags else 0
        (source, sport), (destination, dport) = speaker.own, speaker.peer
        header = {
            "sport": sport,
            "dport": dport,
            "flags": flags,
            "seq": self.next[end],
            "ack": acknowledged,
            **fields,
        }
        return ip(source, destination) / TCP(**header) / Raw(payload)

    def says(self, end: int, flags: str, payload: bytes = b"", **fields: object) -> Packet:
        """Let an end send, and return what the other end gets."""
        packet = self.segment(end, flags, payload, **fields)
        frame = self.repeats(end, packet)
        if "seq" not in fields:
            self.next[end] = (self.next[end] + len(payload) + _counts(flags)) % 2**32
        return frame

    def repeats(self, end: int, packet: Packet) -> Packet:
        """Let an end send just this segment, and return what the other end gets."""
        speaker, hearer = self.ends[end], self.ends[1 - end]
        seen = self.made.exchange(speaker.host, packet)
        frame = only(seen[hearer.host.name])
        assert nothing({name: frames for name, frames in seen.items() if name != hearer.host.name})
        (source, sport), (destination, dport) = hearer.peer, hearer.own
        assert_arrived(frame, packet, src=source, dst=destination, sport=sport, dport=dport)
        return frame

    def passes(self, end: int, flags: str = "A", **fields: object) -> bool:
        """Whether a segment of an end gets to the other one; it numbers nothing."""
        packet = self.segment(end, flags, **fields)
        seen = self.made.exchange(self.ends[end].host, packet)
        return len(seen[self.ends[1 - end].host.name]) == 1

    def opens(self) -> Talk:
        """The three-way handshake."""
        self.says(0, "S")
        self.says(1, "SA")
        self.says(0, "A")
        return self

    def closes(self, first: int = 0) -> Talk:
        """Both FINs, each acknowledged."""
        self.says(first, "FA")
        self.says(1 - first, "A")
        self.says(1 - first, "FA")
        self.says(first, "A")
        return self


WAYS: dict[str, Callable[..., Talk]] = {
    "outwards": Talk.outwards,
    "inwards": Talk.inwards,
    "hairpinned": Talk.hairpinned,
}
"""Every way that a connection can take through the switch."""


def _counts(flags: str) -> int:
    return ("S" in flags) + ("F" in flags)
