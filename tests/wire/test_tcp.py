from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.packet import Raw

from vswitch.wire import tcp
from vswitch.wire.malformed import Malformed
from vswitch.wire.tcp import Tcp
from vswitch.wire.values import IpAddress

INSIDE = IpAddress.parse("10.0.0.2")
OUTSIDE = IpAddress.parse("198.51.100.1")
INSIDE6 = IpAddress.parse("fd00::2")
OUTSIDE6 = IpAddress.parse("2001:db8::1")

U8 = st.integers(0, 0xFF)
U16 = st.integers(0, 0xFFFF)
U32 = st.integers(0, 0xFFFFFFFF)
DATA = st.binary(max_size=40)


@given(
    ports=st.tuples(U16, U16), numbers=st.tuples(U32, U32), flags=U8, window=U16, data=DATA,
    options=st.binary(max_size=10).map(lambda octets: octets * 4),
)  # fmt: skip
def test_tcp_segment(
    ports: tuple[int, int],
    numbers: tuple[int, int],
    flags: int,
    window: int,
    data: bytes,
    options: bytes,
) -> None:
    built = tcp.build(
        INSIDE, OUTSIDE, *ports, sequence=numbers[0], acknowledgment=numbers[1],
        flags=flags, window=window, options=options, payload=data,
    )  # fmt: skip
    theirs = TCP(
        sport=ports[0], dport=ports[1], seq=numbers[0], ack=numbers[1], flags=flags,
        window=window, dataofs=5 + len(options) // 4,
    )  # fmt: skip
    packet = bytes(IP(src=str(INSIDE), dst=str(OUTSIDE), proto=6) / theirs / Raw(options + data))
    assert built == packet[20:]
    view = Tcp.parse(packet, 20, len(packet))
    assert isinstance(view, Tcp)
    assert (view.source_port, view.destination_port) == ports
    assert (view.sequence, view.acknowledgment) == numbers
    assert (view.flags, view.window) == (flags, window)
    octets = len(data) + bool(flags & tcp.SYN) + bool(flags & tcp.FIN)
    assert view.next_sequence == (numbers[0] + octets) % 2**32
    assert view.checksum == int.from_bytes(packet[36:38], "big")
    assert (view.header_length, view.options) == (20 + len(options), options)
    assert packet[view.payload : view.end] == data


def test_tcp_over_ipv6_sums_the_long_addresses() -> None:
    packet = bytes(IPv6(src=str(INSIDE6), dst=str(OUTSIDE6)) / TCP(sport=1, dport=2, flags="S"))
    assert tcp.build(INSIDE6, OUTSIDE6, 1, 2, flags=tcp.SYN, window=8192) == packet[40:]


def test_tcp_options_are_padded_to_whole_words() -> None:
    built = tcp.build(INSIDE, OUTSIDE, 1, 2, options=b"\x03\x03\x07", payload=b"data")
    view = Tcp.parse(built, 0, len(built))
    assert isinstance(view, Tcp)
    assert (view.options, built[view.payload :]) == (b"\x03\x03\x07\x00", b"data")


def test_lies_of_a_tcp_header() -> None:
    good = bytearray(bytes(TCP(dataofs=6)) + b"\x01\x01\x01\x01")
    assert isinstance(Tcp.parse(good, 0, 24), Tcp)
    assert Tcp.parse(good, 0, 19) is Malformed.TRUNCATED_TCP
    assert Tcp.parse(good, 0, 23) is Malformed.TCP_BAD_DATA_OFFSET
    good[tcp.DATA_OFFSET] = 4 << 4
    assert Tcp.parse(good, 0, 24) is Malformed.TCP_BAD_DATA_OFFSET
