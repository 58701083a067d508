"""IPv4 fragments as the tests send and read them: cut and put together by scapy, not by us."""

from __future__ import annotations

from itertools import permutations

from scapy.layers.inet import ICMP, IP, TCP, UDP, defragment, fragment
from scapy.packet import Packet

from tests.harness import Host, Lab

ORDERS = tuple(permutations(range(3)))
"""The six orders in which three fragments can arrive."""


def cut(packet: Packet, size: int) -> list[Packet]:
    """The fragments of a packet, each with at most `size` bytes of payload."""
    whole = packet.copy()
    whole.flags = 0
    return [IP(bytes(piece)) for piece in fragment(IP(bytes(whole)), fragsize=size)]


def send_all(made: Lab, host: Host, pieces: list[Packet]) -> dict[str, list[Packet]]:
    """Let a host send packets one after the other; all that came out, by host."""
    seen: dict[str, list[Packet]] = {name: [] for name in made.hosts}
    for piece in pieces:
        for name, frames in made.exchange(host, piece).items():
            seen[name].extend(frames)
    return seen


def whole(frames: list[Packet]) -> Packet:
    """The one datagram that frames are the fragments of, which must be in order of offset."""
    packets = [IP(bytes(frame[IP])) for frame in frames]
    offsets = [packet.frag for packet in packets]
    assert offsets == sorted(offsets)
    assert len({packet.id for packet in packets}) == 1
    for packet in packets:
        assert_header_checksum_right(packet)
    (made,) = defragment(packets)
    return IP(bytes(made))


def assert_header_checksum_right(packet: Packet) -> None:
    again = packet.copy()
    del again.chksum
    assert IP(bytes(again)).chksum == packet.chksum


def assert_is(datagram: Packet, expected: bytes) -> None:
    """A datagram is what it should be but for its identification, which is made fresh."""
    made, wanted = datagram.copy(), IP(expected)
    made.id, made.flags = wanted.id, wanted.flags
    del made.chksum
    assert bytes(made) == expected, f"{made.show(dump=True)}\n{wanted.show(dump=True)}"


def protocol_payload(protocol: str) -> Packet:
    """1200 bytes and a transport header, to be cut into three fragments."""
    payload = bytes(range(240)) * 5
    match protocol:
        case "UDP":
            return UDP(sport=5000, dport=7000) / payload
        case "TCP":
            return TCP(sport=5000, dport=80, flags="S", seq=1000) / payload
        case _:
            return ICMP(type=8, id=7, seq=1) / payload
