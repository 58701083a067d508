"""Cutting IPv4 packets, with scapy as the oracle."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import (
    IP,
    UDP,
    IPOption,
    IPOption_NOP,
    IPOption_RR,
    IPOption_Security,
    defragment,
    fragment,
)
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Packet, Raw
from scapy.plist import PacketList

from vswitch.wire.buffer import Buffer
from vswitch.wire.ethernet import Ethernet
from vswitch.wire.fragment import SMALLEST_LIMIT, UNIT, cut, identify
from vswitch.wire.ipv4 import Ipv4
from vswitch.wire.malformed import Malformed
from vswitch.wire.offload import DATA_VALID, FINISHED, NEEDS_CSUM, OffloadHeader

LINK = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
TAGGED = LINK / Dot1Q(vlan=5, prio=3)
V4 = IP(src="10.0.0.2", dst="198.51.100.1", id=77, tos=0x2E, ttl=9)
ROUTER_ALERT = b"\x94\x04\x00\x00"
RECORD_ROUTE = b"\x07\x07\x04\x00\x00\x00\x00"


def frame_of(packet: Packet) -> bytes:
    return FINISHED + bytes(packet)


def ip(frame: Buffer) -> Ipv4:
    link = Ethernet.parse(frame)
    assert isinstance(link, Ethernet)
    packet = Ipv4.parse(frame, link.payload)
    assert isinstance(packet, Ipv4)
    return packet


def pieces(frame: Buffer, limit: int) -> list[bytearray]:
    answer = cut(frame, limit)
    assert isinstance(answer, list)
    return answer


def payload(frame: Buffer) -> bytes:
    packet = ip(frame)
    return bytes(frame[packet.payload : packet.end])


def with_options(options: bytes, data: bytes) -> bytes:
    """A frame with these options as they are, even where they lie."""
    assert len(options) % 4 == 0
    packet = bytearray(bytes(V4 / Raw(options + data)))
    packet[0] = 0x45 + len(options) // 4
    return FINISHED + bytes(LINK / V4)[:14] + bytes(packet)


@given(
    data=st.binary(min_size=200, max_size=3000),
    limit=st.integers(SMALLEST_LIMIT, 400),
    tagged=st.booleans(),
    df=st.booleans(),
)
def test_fragments_are_scapy_s(data: bytes, limit: int, tagged: bool, df: bool) -> None:
    whole = V4 / UDP(sport=1, dport=2) / Raw(data)
    whole[IP].flags = "DF" if df else 0
    link = TAGGED if tagged else LINK
    size = (limit - 20) // UNIT * UNIT
    theirs = fragment(link / whole, size) if len(whole) > limit else [link / whole]
    assert pieces(frame_of(link / whole), limit) == [frame_of(piece) for piece in theirs]


@given(data=st.binary(min_size=100, max_size=3000), limit=st.integers(SMALLEST_LIMIT, 1500))
def test_scapy_puts_our_fragments_together_again(data: bytes, limit: int) -> None:
    whole = LINK / V4 / UDP(sport=1, dport=2) / Raw(data)
    ours = [Ether(bytes(piece[10:])) for piece in pieces(frame_of(whole), limit)]
    (again,) = defragment(PacketList(ours))
    assert bytes(again[IP]) == bytes(whole[IP])


@given(
    data=st.binary(min_size=300, max_size=2000),
    limit=st.integers(SMALLEST_LIMIT, 350),
    words=st.integers(0, 10),
    offset=st.integers(0, 0x1FFF),
    more=st.booleans(),
)
def test_every_fragment_keeps_the_rules(
    data: bytes, limit: int, words: int, offset: int, more: bool
) -> None:
    whole = LINK / IP(
        src="10.0.0.2", dst="10.0.0.3", id=5, frag=offset, flags="MF" if more else 0, proto=17,
        options=[IPOption_NOP()] * 4 * words,
    ) / Raw(data)  # fmt: skip
    answer = cut(frame_of(whole), limit)
    if answer is Malformed.IPV4_BAD_TOTAL_LENGTH:
        assert offset * 8 + len(data) > 0x1FFF * 8
        return
    assert isinstance(answer, list)
    position = offset * 8
    for piece in answer:
        packet = ip(piece)
        assert packet.total_length <= limit
        assert packet.end == len(piece)
        assert packet.has_valid_checksum()
        assert packet.identification == 5
        assert packet.fragment_offset == position
        assert packet.more_fragments == (more or piece is not answer[-1])
        assert piece is answer[-1] or len(payload(piece)) % UNIT == 0
        position += len(payload(piece))
    assert b"".join(map(payload, answer)) == data


def test_packet_that_fits_comes_back_as_it_is_padding_included() -> None:
    frame = frame_of(LINK / V4 / Raw(bytes(48))) + b"padding"
    assert pieces(frame, 68) == [frame]
    assert isinstance(pieces(frame, 68)[0], bytearray)
    assert len(pieces(frame, 67)) == 2


def test_fragment_behind_the_last_offset_there_is_is_refused() -> None:
    at_the_end = IP(src="10.0.0.2", dst="10.0.0.3", frag=0x1FFF) / Raw(bytes(49))
    before_it = IP(src="10.0.0.2", dst="10.0.0.3", frag=0x1FFF - 6) / Raw(bytes(49))
    assert cut(frame_of(LINK / at_the_end), 68) is Malformed.IPV4_BAD_TOTAL_LENGTH
    assert ip(pieces(frame_of(LINK / before_it), 68)[1]).fragment_offset == 0x1FFF * 8


def test_padding_is_in_no_fragment() -> None:
    frame = frame_of(LINK / V4 / Raw(bytes(100)))
    assert pieces(frame + b"padding", 68) == pieces(frame, 68)


def test_only_copied_options_are_in_later_fragments() -> None:
    options = b"\x01" + RECORD_ROUTE + ROUTER_ALERT
    frame = with_options(options, bytes(range(200)))
    first, second, third = pieces(frame, 108)
    assert ip(first).options == options
    assert ip(second).options == ip(third).options == ROUTER_ALERT
    assert [len(payload(piece)) for piece in (first, second, third)] == [72, 80, 48]
    assert all(ip(piece).has_valid_checksum() for piece in (first, second, third))
    assert b"".join(map(payload, (first, second, third))) == bytes(range(200))


def test_scapy_reads_the_options_that_are_left() -> None:
    options = [IPOption_RR(length=7, routers=["0.0.0.0"]), IPOption_Security(), IPOption(b"\0")]
    whole = LINK / IP(src="10.0.0.2", dst="10.0.0.3", options=options) / Raw(bytes(300))
    later = IP(bytes(pieces(frame_of(whole), 200)[1][24:]))
    assert [type(option) for option in later.options][:1] == [IPOption_Security]
    assert not any(isinstance(option, IPOption_RR) for option in later.options)


def test_copied_options_are_padded_to_whole_words() -> None:
    three = b"\x83\x03\x04"
    frame = with_options(b"\x01" + three, bytes(100))
    assert ip(pieces(frame, 68)[1]).options == three + b"\0"


@pytest.mark.parametrize("lie", [b"\x94\x01", b"\x94\x00", b"\x94\x09", b"\x07\x01"])
def test_nothing_behind_an_option_that_lies_is_copied(lie: bytes) -> None:
    frame = with_options(ROUTER_ALERT + lie + ROUTER_ALERT + b"\0\0", bytes(100))
    first, second, *_ = pieces(frame, 68)
    assert ip(first).options == ROUTER_ALERT + lie + ROUTER_ALERT + b"\0\0"
    assert ip(second).options == ROUTER_ALERT


def test_option_that_is_cut_off_after_its_type_is_not_copied() -> None:
    frame = with_options(b"\x01\x01\x01\x94", bytes(100))
    assert ip(pieces(frame, 68)[1]).options == b""


def test_list_of_options_ends_where_it_says() -> None:
    frame = with_options(b"\x01\x01\x00\x02" + ROUTER_ALERT, bytes(100))
    assert ip(pieces(frame, 68)[1]).options == b""


def test_longest_header_and_the_smallest_link_make_pieces_of_eight_bytes() -> None:
    frame = with_options(ROUTER_ALERT * 10, bytes(range(40)))
    assert [len(payload(piece)) for piece in pieces(frame, SMALLEST_LIMIT)] == [8] * 5


def test_datagram_leaves_in_pieces_of_eight_bytes_where_that_is_asked_for() -> None:
    frame = frame_of(LINK / V4 / Raw(bytes(129 * 8)))
    fragments = pieces(frame, 28)
    assert [ip(fragment).more_fragments for fragment in fragments] == [True] * 128 + [False]


def test_limit_without_room_for_a_unit_is_the_caller_s_error() -> None:
    with pytest.raises(ValueError, match="27 bytes"):
        cut(frame_of(LINK / V4 / Raw(bytes(100))), 27)


def test_what_is_not_a_finished_ipv4_frame_is_not_cut() -> None:
    whole = bytes(LINK / V4 / UDP() / Raw(bytes(100)))
    unfinished = OffloadHeader(NEEDS_CSUM, checksum_start=34, checksum_offset=6).pack()
    assert cut(unfinished + whole, 68) is Malformed.BAD_OFFLOAD_HEADER
    assert cut(OffloadHeader(DATA_VALID).pack() + whole, 68) is Malformed.BAD_OFFLOAD_HEADER
    other_type = Ether(src=LINK.src, dst=LINK.dst, type=0x88B5)
    assert cut(FINISHED + bytes(other_type) + whole[14:], 68) is Malformed.IPV4_BAD_VERSION
    assert cut(FINISHED + whole[:13], 68) is Malformed.TRUNCATED_ETHERNET
    assert cut(FINISHED + whole[:33], 68) is Malformed.TRUNCATED_IPV4
    assert cut(FINISHED + whole[:-1], 68) is Malformed.IPV4_BAD_TOTAL_LENGTH


@given(
    options=st.binary(max_size=40).map(lambda some: some[: len(some) // 4 * 4]),
    data=st.binary(max_size=300),
    offload=st.sampled_from([FINISHED, FINISHED, b"\x01" + bytes(9)]),
    cut_off=st.integers(0, 400),
)
def test_any_bytes_are_cut_or_refused(
    options: bytes, data: bytes, offload: bytes, cut_off: int
) -> None:
    frame = offload + with_options(options, data)[10:]
    frame = frame[: max(10, len(frame) - cut_off)] if cut_off < 50 else frame
    answer = cut(frame, SMALLEST_LIMIT)
    if isinstance(answer, list):
        assert b"".join(map(payload, answer)) == data
    else:
        assert answer in Malformed


@given(old=st.integers(0, 0xFFFF), new=st.integers(0, 0xFFFF), tagged=st.booleans())
def test_another_identification_and_the_checksum_is_right(old: int, new: int, tagged: bool) -> None:
    link = TAGGED if tagged else LINK
    frame = bytearray(frame_of(link / IP(src="10.0.0.2", dst="10.0.0.3", id=old) / Raw(b"data")))
    identify(frame, ip(frame), new)
    assert frame == frame_of(link / IP(src="10.0.0.2", dst="10.0.0.3", id=new) / Raw(b"data"))


def test_wrong_header_checksum_stays_wrong_by_as_much() -> None:
    right = bytearray(frame_of(LINK / V4 / Raw(b"data")))
    wrong = bytearray(frame_of(LINK / V4 / Raw(b"data")))
    wrong[35] ^= 0x01
    identify(right, ip(right), 4711)
    identify(wrong, ip(wrong), 4711)
    assert not ip(wrong).has_valid_checksum()
    assert abs(ip(wrong).checksum - ip(right).checksum) == 1
