from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, UDP, IPOption_NOP
from scapy.packet import Raw

from vswitch.wire import ipv4
from vswitch.wire.buffer import Buffer
from vswitch.wire.ipv4 import Ipv4
from vswitch.wire.malformed import Malformed
from vswitch.wire.values import IpAddress

INSIDE = IpAddress.parse("10.0.0.2")
OUTSIDE = IpAddress.parse("198.51.100.1")

U8 = st.integers(0, 0xFF)
U16 = st.integers(0, 0xFFFF)
DATA = st.binary(max_size=40)


def ip(data: Buffer) -> Ipv4:
    packet = Ipv4.parse(data, 0)
    assert isinstance(packet, Ipv4)
    return packet


@given(ttl=U8, tos=U8, ident=U16, protocol=U8, data=DATA, df=st.booleans())
def test_built_ipv4_packet_is_scapy_s(
    ttl: int, tos: int, ident: int, protocol: int, data: bytes, df: bool
) -> None:
    built = ipv4.build(
        INSIDE, OUTSIDE, protocol, data, ttl=ttl, identification=ident, dont_fragment=df, tos=tos
    )
    theirs = IP(
        src=str(INSIDE), dst=str(OUTSIDE), proto=protocol, ttl=ttl, tos=tos, id=ident,
        flags="DF" if df else 0,
    ) / Raw(data)  # fmt: skip
    assert built == bytes(theirs)


def test_ipv4_header_with_options_in_a_padded_frame() -> None:
    packet = IP(
        src=str(INSIDE), dst=str(OUTSIDE), ttl=9, tos=0x2E, id=77, proto=6, flags="MF", frag=3,
        options=[IPOption_NOP()] * 4,
    ) / Raw(b"carried")  # fmt: skip
    view = Ipv4.parse(b"front" + bytes(packet) + b"padding", 5)
    assert isinstance(view, Ipv4)
    assert (view.offset, view.header_length, view.total_length) == (5, 24, 31)
    assert (view.payload, view.end) == (29, 36)
    assert (view.ttl, view.tos, view.identification, view.protocol) == (9, 0x2E, 77, 6)
    assert (view.source, view.destination) == (INSIDE, OUTSIDE)
    assert view.options == b"\x01\x01\x01\x01"
    assert (view.more_fragments, view.fragment_offset, view.is_fragment) == (True, 24, True)
    assert not view.dont_fragment
    assert view.checksum == IP(bytes(packet)).chksum


def test_fragments_are_known_by_either_mark() -> None:
    assert not ip(bytes(IP(flags="DF"))).is_fragment
    assert ip(bytes(IP(flags="DF"))).dont_fragment
    assert ip(bytes(IP(flags="MF"))).is_fragment
    assert ip(bytes(IP(frag=1))).is_fragment


def test_flipped_bit_anywhere_in_an_ipv4_header_shows_in_its_checksum() -> None:
    good = bytes(IP(options=[IPOption_NOP()] * 4))
    assert ip(good).has_valid_checksum()
    for at in range(4, len(good)):
        bad = bytearray(good)
        bad[at] ^= 0x10
        view = Ipv4.parse_quoted(bad, 0, len(bad))
        assert isinstance(view, Ipv4)
        assert not view.has_valid_checksum()


def test_lies_of_an_ipv4_header() -> None:
    good = bytes(IP(options=[IPOption_NOP()] * 4) / Raw(b"1234"))
    assert Ipv4.parse(good[:19], 0) is Malformed.TRUNCATED_IPV4
    assert Ipv4.parse(good[:23], 0) is Malformed.TRUNCATED_IPV4
    assert Ipv4.parse(good[:27], 0) is Malformed.IPV4_BAD_TOTAL_LENGTH
    assert Ipv4.parse(b"\x66" + good[1:], 0) is Malformed.IPV4_BAD_VERSION
    assert Ipv4.parse(b"\x44" + good[1:], 0) is Malformed.IPV4_BAD_HEADER_LENGTH
    for length, accepted in ((0, False), (23, False), (24, True), (28, True), (29, False)):
        view = Ipv4.parse(good[:2] + length.to_bytes(2, "big") + good[4:], 0)
        assert isinstance(view, Ipv4) == accepted
        assert accepted or view is Malformed.IPV4_BAD_TOTAL_LENGTH


def test_quoted_packet_ends_where_the_quote_ends() -> None:
    whole = bytes(IP(src=str(INSIDE), dst=str(OUTSIDE)) / UDP() / Raw(bytes(100)))
    quote = whole[:28] + b"extension"
    view = Ipv4.parse_quoted(quote, 0, 28)
    assert isinstance(view, Ipv4)
    assert (view.total_length, view.payload, view.end) == (128, 20, 28)
    assert Ipv4.parse_quoted(quote, 0, 19) is Malformed.TRUNCATED_IPV4
    lying = Ipv4.parse_quoted(quote[:2] + b"\0\0" + quote[4:], 0, 28)
    assert isinstance(lying, Ipv4)
    assert lying.end == lying.payload
    roomy = Ipv4.parse_quoted(whole + b"more", 0, len(whole) + 4)
    assert isinstance(roomy, Ipv4)
    assert roomy.end == len(whole)
