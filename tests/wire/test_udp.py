from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.packet import Raw

from vswitch.wire import udp
from vswitch.wire.malformed import Malformed
from vswitch.wire.udp import Udp
from vswitch.wire.values import IpAddress

INSIDE = IpAddress.parse("10.0.0.2")
OUTSIDE = IpAddress.parse("198.51.100.1")
INSIDE6 = IpAddress.parse("fd00::2")
OUTSIDE6 = IpAddress.parse("2001:db8::1")

U16 = st.integers(0, 0xFFFF)
DATA = st.binary(max_size=40)


@given(ports=st.tuples(U16, U16), data=DATA)
def test_udp_datagram(ports: tuple[int, int], data: bytes) -> None:
    for version in (
        IP(src=str(INSIDE), dst=str(OUTSIDE)),
        IPv6(src=str(INSIDE6), dst=str(OUTSIDE6)),
    ):
        packet = bytes(version / UDP(sport=ports[0], dport=ports[1]) / Raw(data))
        start = len(version)
        addresses = (INSIDE, OUTSIDE) if version.version == 4 else (INSIDE6, OUTSIDE6)
        assert udp.build(*addresses, *ports, data) == packet[start:]
        view = Udp.parse(packet + b"surplus", start, len(packet) + 7)
        assert isinstance(view, Udp)
        assert (view.source_port, view.destination_port) == ports
        assert (view.length, view.end) == (8 + len(data), len(packet))
        assert packet[view.payload : view.end] == data
        assert view.checksum == int.from_bytes(packet[start + 6 : start + 8], "big")


def test_computed_udp_checksum_of_zero_is_sent_as_all_ones() -> None:
    blank = udp.build(INSIDE, OUTSIDE, 1, 2, b"\0\0")
    built = udp.build(INSIDE, OUTSIDE, 1, 2, blank[udp.CHECKSUM :][:2])
    assert built[udp.CHECKSUM :][:2] == b"\xff\xff"


def test_lies_of_a_udp_header() -> None:
    for length, accepted in ((7, False), (8, True), (12, True), (13, False)):
        datagram = bytes(UDP(len=length)) + b"data"
        view = Udp.parse(datagram, 0, 12)
        assert isinstance(view, Udp) == accepted
        assert accepted or view is Malformed.UDP_BAD_LENGTH
    assert Udp.parse(bytes(UDP()), 0, 7) is Malformed.TRUNCATED_UDP
