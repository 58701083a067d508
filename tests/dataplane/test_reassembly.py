"""Reassembly by itself: order, duplicates, contradictions, limits, time. No switch around it."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from copy import deepcopy
from dataclasses import dataclass
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, UDP, fragment
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Raw

from vswitch.dataplane.reassembly import (
    DATAGRAM_COST,
    MOST_DATAGRAMS,
    MOST_PIECES,
    PIECE_COST,
    Expired,
    Lost,
    Reassembly,
    Refused,
    Waiting,
    Whole,
)
from vswitch.units import MEBIBYTE, SECOND
from vswitch.wire import ethernet, ipv4
from vswitch.wire.buffer import Buffer
from vswitch.wire.checksum import checksum
from vswitch.wire.ethernet import Ethernet
from vswitch.wire.fragment import cut
from vswitch.wire.ipv4 import Ipv4
from vswitch.wire.offload import DATA_VALID, FINISHED, NEEDS_CSUM, OffloadHeader
from vswitch.wire.values import EtherType, IpAddress, MacAddress

TIMEOUT = 30 * SECOND
PORT, OTHER_PORT = 1, 2
ALICE, BOB, CAROL, SERVER = "10.0.0.2", "10.0.0.3", "10.0.0.4", "198.51.100.1"
SERVER_ADDRESS = IpAddress.parse(SERVER)
STATION = MacAddress.parse("02:00:00:00:00:01")
OUR_STATION = MacAddress.parse("02:00:00:00:00:02")
LINK = Ether(src=str(STATION), dst=str(OUR_STATION))
ORDERS = ([0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0])


def table(memory: int = 4 * MEBIBYTE) -> Reassembly:
    return Reassembly(memory=memory, timeout=TIMEOUT)


def ip(frame: Buffer) -> Ipv4:
    link = Ethernet.parse(frame)
    assert isinstance(link, Ethernet)
    packet = Ipv4.parse(frame, link.payload)
    assert isinstance(packet, Ipv4)
    return packet


def add(
    reassembly: Reassembly, frame: Buffer, *, port: int = PORT, now: int = 0
) -> Whole | Waiting | Refused:
    return reassembly.add(port, frame, ip(frame), now)


def piece(
    start: int,
    data: bytes,
    *,
    more: bool = True,
    source: str = ALICE,
    ident: int = 7,
    tos: int = 0,
    df: bool = False,
    protocol: int = 17,
    station: MacAddress = STATION,
) -> bytes:
    """A frame with `data` at `start` bytes into the payload of a datagram."""
    packet = bytearray(
        ipv4.build(
            IpAddress.parse(source), SERVER_ADDRESS, protocol, data, identification=ident, tos=tos
        )
    )
    flags = (ipv4.MORE_FRAGMENTS if more else 0) | (ipv4.DONT_FRAGMENT if df else 0)
    packet[6:8] = (flags | start // 8).to_bytes(2, "big")
    packet[10:12] = b"\0\0"
    packet[10:12] = checksum(packet[:20]).to_bytes(2, "big")
    return bytes(ethernet.build(OUR_STATION, station, EtherType.IPV4, packet))


def thirds(**different: str | int) -> list[bytes]:
    """A datagram of 40 bytes in three fragments, the last of which is short."""
    return [
        piece(0, b"a" * 16, **different),  # type: ignore[arg-type]
        piece(16, b"b" * 16, **different),  # type: ignore[arg-type]
        piece(32, b"c" * 8, more=False, **different),  # type: ignore[arg-type]
    ]


def payload(answer: Whole | Waiting | Refused) -> bytes:
    assert isinstance(answer, Whole)
    packet = ip(answer.frame)
    assert packet.end == len(answer.frame)
    assert packet.has_valid_checksum()
    return bytes(answer.frame[packet.payload :])


@pytest.mark.parametrize("order", ORDERS)
def test_three_fragments_make_their_datagram_in_any_order(order: list[int]) -> None:
    reassembly, fragments = table(), thirds()
    first, second, third = (add(reassembly, fragments[index]) for index in order)
    assert (first, second) == (Waiting(), Waiting())
    assert payload(third) == b"a" * 16 + b"b" * 16 + b"c" * 8
    assert len(reassembly) == reassembly.memory == 0
    assert reassembly.next_deadline() is None


@settings(max_examples=50)
@given(data=st.data(), content=st.binary(min_size=200, max_size=3000), tagged=st.booleans())
def test_what_was_cut_is_whole_again_in_any_order_and_with_duplicates(
    data: st.DataObject, content: bytes, tagged: bool
) -> None:
    link = LINK / Dot1Q(vlan=9) if tagged else LINK
    whole = FINISHED + bytes(
        link / IP(src=ALICE, dst=SERVER, id=3, flags="DF") / UDP() / Raw(content)
    )
    fragments = cut(whole, data.draw(st.integers(68, 400)))
    assert isinstance(fragments, list)
    most = max(ip(fragment).total_length for fragment in fragments)
    doubles = data.draw(st.lists(st.sampled_from(fragments), max_size=5))
    last = data.draw(st.sampled_from(fragments))
    others = [fragment for fragment in fragments if fragment is not last]
    doubles = [double for double in doubles if double is not last]
    reassembly = table()
    for frame in data.draw(st.permutations(others + doubles)):
        assert add(reassembly, frame) == Waiting()
    assert add(reassembly, last) == Whole(bytearray(whole), most)


@given(content=st.binary(min_size=100, max_size=3000), size=st.integers(8, 1000))
def test_scapy_s_fragments_make_scapy_s_datagram(content: bytes, size: int) -> None:
    whole = LINK / IP(src=ALICE, dst=SERVER, id=3) / ICMP() / Raw(content)
    reassembly = table()
    *others, last = fragment(whole, size)
    for other in others:
        assert add(reassembly, FINISHED + bytes(other)) == Waiting()
    answer = add(reassembly, FINISHED + bytes(last))
    assert isinstance(answer, Whole)
    assert answer.frame == FINISHED + bytes(whole)


class Part(NamedTuple):
    """A fragment of the model below."""

    start: int
    data: bytes
    last: bool


PARTS = st.builds(
    lambda start, units, odd, letter, last: Part(
        start * 8, bytes((letter,)) * (units * 8 + (odd if last else 0)), last
    ),
    start=st.integers(0, 4),
    units=st.integers(1, 3),
    odd=st.integers(0, 7),
    letter=st.sampled_from(b"ab"),
    last=st.booleans(),
)


def agree(one: Part, other: Part) -> bool:
    """By RFC 791 and RFC 5722: no byte in common, and nothing behind the end."""
    if one == other:
        return True
    (front, back) = sorted((one, other))
    apart = front.start + len(front.data) <= back.start
    return apart and not front.last


@settings(max_examples=300)
@given(parts=st.lists(PARTS, max_size=8))
def test_only_fragments_that_agree_with_each_other_ever_make_a_datagram(parts: list[Part]) -> None:
    reassembly = table()
    kept: list[Part] = []
    refused = False
    for part in parts:
        answer = add(reassembly, piece(part.start, part.data, more=not part.last))
        if refused or not all(agree(part, other) for other in kept):
            refused = True
            assert isinstance(answer, Refused)
            continue
        kept = sorted({*kept, part})
        joined = b"".join(other.data for other in kept)
        if kept[-1].last and len(joined) == kept[-1].start + len(kept[-1].data):
            assert payload(answer) == joined
            kept = []
        else:
            assert answer == Waiting()


def test_datagram_has_the_headers_of_its_first_fragment() -> None:
    reassembly = table()
    elsewhere = MacAddress.parse("02:00:00:00:00:09")
    first = bytearray(piece(0, b"\x01" * 4 + b"a" * 8))
    first[24], first[32] = 0x46, 44
    add(reassembly, piece(8, b"b" * 3, more=False, station=elsewhere))
    answer = add(reassembly, first)
    assert payload(answer) == b"a" * 8 + b"b" * 3
    assert isinstance(answer, Whole)
    packet = ip(answer.frame)
    assert (packet.ttl, packet.options, packet.identification) == (44, b"\x01" * 4, 7)
    assert answer.frame[:24] == FINISHED + bytes(LINK)[:12] + b"\x08\0"
    assert answer.largest == 32


def test_dont_fragment_stays_where_any_fragment_had_it() -> None:
    for with_it in range(3):
        reassembly = table()
        frames = [
            piece(at * 8, b"x" * 8, more=at < 2, df=at == with_it) for at in range(3)
        ]  # fmt: skip
        answers = [add(reassembly, frame) for frame in frames]
        assert isinstance(answers[2], Whole)
        assert ip(answers[2].frame).dont_fragment
    plain = [add(reassembly, frame) for frame in thirds()]
    assert isinstance(plain[2], Whole)
    assert not ip(plain[2].frame).dont_fragment


def test_padding_behind_a_short_fragment_is_not_part_of_the_datagram() -> None:
    reassembly, (first, second, third) = table(), thirds()
    for frame in (first + b"pad", second + b"pad"):
        add(reassembly, frame)
    assert payload(add(reassembly, third + b"padding")) == b"a" * 16 + b"b" * 16 + b"c" * 8


def test_first_fragment_may_be_too_short_for_its_transport_header() -> None:
    reassembly = table()
    assert add(reassembly, piece(0, b"\0" * 8, protocol=6)) == Waiting()
    answer = add(reassembly, piece(8, b"\1" * 32, more=False, protocol=6))
    assert payload(answer) == b"\0" * 8 + b"\1" * 32


def test_frame_can_be_overwritten_once_it_is_added() -> None:
    reassembly, (first, second, third) = table(), thirds()
    for frame in (first, second):
        buffer = bytearray(frame)
        add(reassembly, memoryview(buffer))
        buffer[:] = bytes(len(buffer))
    assert payload(add(reassembly, third)) == b"a" * 16 + b"b" * 16 + b"c" * 8


def test_fragments_that_differ_in_any_part_of_the_key_never_mix() -> None:
    reassembly = table()
    sets = [
        (PORT, thirds()),
        (OTHER_PORT, thirds()),
        (PORT, thirds(source=BOB)),
        (PORT, thirds(ident=8)),
        (PORT, thirds(protocol=6)),
    ]
    for index in range(2):
        for port, frames in sets:
            assert add(reassembly, frames[index], port=port) == Waiting()
    assert len(reassembly) == len(sets)
    for port, frames in sets:
        assert payload(add(reassembly, frames[2], port=port)).endswith(b"c" * 8)
    elsewhere = bytearray(thirds()[0])
    elsewhere[40:44] = b"\x01\x02\x03\x04"
    add(reassembly, thirds()[1])
    add(reassembly, elsewhere)
    assert len(reassembly) == 2


def test_verified_checksum_is_no_offload_left_to_do() -> None:
    reassembly, (first, second, third) = table(), thirds()
    verified = OffloadHeader(DATA_VALID).pack()
    for frame in (first, second):
        add(reassembly, verified + frame[10:])
    answer = add(reassembly, verified + third[10:])
    assert isinstance(answer, Whole)
    assert answer.frame[:10] == FINISHED


# What lies by itself is refused by itself

UNFINISHED = OffloadHeader(NEEDS_CSUM).pack() + thirds()[1][10:]


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        pytest.param(piece(8, b"", more=False), Refused.BAD_LENGTH, id="empty last"),
        pytest.param(piece(0, b""), Refused.BAD_LENGTH, id="empty first"),
        pytest.param(piece(8, b"x" * 12), Refused.BAD_LENGTH, id="no multiple of 8"),
        pytest.param(piece(65504, b"x" * 12, more=False), Refused.TOO_BIG, id="65536 bytes"),
        pytest.param(piece(65528, b"x" * 8), Refused.TOO_BIG, id="last offset"),
        pytest.param(UNFINISHED, Refused.UNFINISHED, id="unfinished checksum"),
    ],
)
def test_fragment_that_lies_is_refused_and_its_datagram_is_not(
    frame: bytes, reason: Refused
) -> None:
    reassembly, (first, second, third) = table(), thirds()
    add(reassembly, first)
    assert add(reassembly, frame) is reason
    assert add(reassembly, second) == Waiting()
    assert isinstance(add(reassembly, third), Whole)
    assert not reassembly.take_dropped()


def test_longest_datagram_passes_and_one_byte_more_does_not() -> None:
    for extra, passes in ((0, True), (1, False)):
        reassembly = table()
        for at in range(0, 65512, 5208):
            size = min(5208, 65512 - at)
            assert add(reassembly, piece(at, bytes(size))) == Waiting()
        answer = add(reassembly, piece(65512, bytes(3 + extra), more=False))
        assert isinstance(answer, Whole) == passes
        assert passes or answer is Refused.TOO_BIG


def test_options_of_the_first_fragment_count_towards_the_longest_datagram() -> None:
    reassembly = table()
    for at in range(8, 65512, 8 * 1000):
        add(reassembly, piece(at, bytes(min(8000, 65512 - at))))
    assert add(reassembly, piece(65512, b"end", more=False)) == Waiting()
    first = bytearray(piece(0, b"\x01" * 12))
    first[24] = 0x46
    first[34:36] = b"\0\0"
    assert add(reassembly, first) is Refused.TOO_BIG
    assert reassembly.take_dropped() == Counter({Lost(PORT, Refused.TOO_BIG): 10})


# Contradictions end the datagram


@pytest.mark.parametrize(
    "contradiction",
    [
        pytest.param(piece(8, b"b" * 16), id="across the first piece's end"),
        pytest.param(piece(0, b"a" * 24), id="around the first piece"),
        pytest.param(piece(8, b"a" * 8), id="within the first piece"),
        pytest.param(piece(24, b"b" * 16), id="across the next piece's start"),
        pytest.param(piece(0, b"A" * 16), id="same place, other bytes"),
    ],
)
def test_overlap_ends_the_datagram_and_what_is_left_of_it(contradiction: bytes) -> None:
    reassembly = table()
    add(reassembly, piece(0, b"a" * 16))
    add(reassembly, piece(32, b"c" * 16))
    assert add(reassembly, contradiction) is Refused.OVERLAP
    assert reassembly.take_dropped() == Counter({Lost(PORT, Refused.OVERLAP): 2})
    for frame in thirds():
        assert add(reassembly, frame, now=TIMEOUT - 1) is Refused.OVERLAP
    assert not reassembly.take_dropped()


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        pytest.param(piece(16, b"x" * 8, more=False), piece(24, b"y" * 8), id="behind the end"),
        pytest.param(
            piece(16, b"x" * 8, more=False), piece(16, b"x" * 8), id="end that is none after all"
        ),
        pytest.param(piece(16, b"x" * 8), piece(16, b"x" * 8, more=False), id="end after all"),
        pytest.param(piece(24, b"x" * 8), piece(8, b"y" * 8, more=False), id="end before a piece"),
        pytest.param(
            piece(16, b"x" * 8, more=False), piece(32, b"y" * 8, more=False), id="a later end"
        ),
        pytest.param(
            piece(16, b"x" * 8, more=False), piece(8, b"y" * 3, more=False), id="an earlier end"
        ),
    ],
)
def test_datagram_with_two_ends_is_refused(earlier: bytes, later: bytes) -> None:
    reassembly = table()
    assert add(reassembly, earlier) == Waiting()
    assert add(reassembly, later) is Refused.TWO_ENDS
    assert reassembly.take_dropped() == Counter({Lost(PORT, Refused.TWO_ENDS): 1})
    assert add(reassembly, earlier) is Refused.TWO_ENDS


def test_refused_key_is_forgotten_at_its_datagram_s_timeout() -> None:
    reassembly, fragments = table(), thirds()
    add(reassembly, fragments[0], now=5)
    add(reassembly, piece(0, b"A" * 16), now=6)
    assert reassembly.next_deadline() == 5 + TIMEOUT
    assert reassembly.memory == DATAGRAM_COST
    assert reassembly.expire(5 + TIMEOUT) == []
    assert len(reassembly) == reassembly.memory == 0
    answers = [add(reassembly, frame, now=5 + TIMEOUT) for frame in fragments]
    assert isinstance(answers[2], Whole)


NOT_ECT, ECT_1, ECT_0, CE = range(4)


@pytest.mark.parametrize(
    ("marks", "whole"),
    [
        ((ECT_0, CE, ECT_0), CE),
        ((ECT_1, ECT_1, CE), CE),
        ((CE, CE, CE), CE),
        ((ECT_0, ECT_0, ECT_0), ECT_0),
        ((ECT_1, ECT_0, ECT_0), ECT_1),
        ((NOT_ECT, NOT_ECT, NOT_ECT), NOT_ECT),
        ((NOT_ECT, ECT_0, ECT_0), NOT_ECT),
    ],
)
def test_no_mark_of_congestion_is_lost(marks: tuple[int, ...], whole: int) -> None:
    reassembly = table()
    answers = [
        add(reassembly, piece(at * 8, b"x" * 8, more=at < 2, tos=0xB8 | mark))
        for at, mark in enumerate(marks)
    ]
    assert payload(answers[2]) == b"x" * 24
    assert isinstance(answers[2], Whole)
    assert ip(answers[2].frame).tos == 0xB8 | whole


@pytest.mark.parametrize("marks", [(NOT_ECT, CE, ECT_0), (CE, ECT_1, NOT_ECT)])
def test_mark_that_the_datagram_can_not_carry_ends_it(marks: tuple[int, ...]) -> None:
    reassembly = table()
    answers = [
        add(reassembly, piece(at * 8, b"x" * 8, more=at < 2, tos=mark))
        for at, mark in enumerate(marks)
    ]
    assert answers[2] is Refused.MARK_LOST
    assert reassembly.take_dropped() == Counter({Lost(PORT, Refused.MARK_LOST): 2})


# Limits


def test_datagram_in_129_pieces_of_8_bytes_passes() -> None:
    reassembly = table()
    for at in range(128):
        assert add(reassembly, piece(at * 8, bytes(8))) == Waiting()
    answer = add(reassembly, piece(128 * 8, bytes(8), more=False))
    assert isinstance(answer, Whole)
    assert answer.largest == 28


def test_datagram_in_too_many_pieces_is_refused_whatever_the_order() -> None:
    pieces = [piece(at * 8, bytes(8)) for at in range(MOST_PIECES + 1)]
    for frames in (pieces, pieces[::-1]):
        reassembly = table()
        for frame in frames[:-1]:
            assert add(reassembly, frame) == Waiting()
        assert add(reassembly, frames[-1]) is Refused.TOO_MANY_PIECES
        assert reassembly.take_dropped() == Counter({Lost(PORT, Refused.TOO_MANY_PIECES): 1024})
        assert reassembly.memory == DATAGRAM_COST


def test_source_s_oldest_datagram_makes_room_for_its_newest() -> None:
    reassembly = table()
    add(reassembly, piece(0, b"b" * 16, source=BOB))
    for ident in range(MOST_DATAGRAMS + 3):
        assert add(reassembly, piece(0, b"a" * 16, ident=ident)) == Waiting()
    assert len(reassembly) == 1 + MOST_DATAGRAMS
    assert reassembly.take_dropped() == Counter({Lost(PORT, Refused.TOO_MANY_DATAGRAMS): 3})
    assert isinstance(add(reassembly, piece(16, b"b", source=BOB, more=False)), Whole)
    assert isinstance(add(reassembly, piece(16, b"a", ident=3, more=False)), Whole)
    assert add(reassembly, piece(16, b"a", ident=2, more=False)) == Waiting()


def test_source_on_another_port_is_another_source() -> None:
    reassembly = table()
    add(reassembly, thirds()[0], port=OTHER_PORT)
    for ident in range(2 * MOST_DATAGRAMS):
        add(reassembly, piece(0, b"a" * 16, ident=ident))
    assert add(reassembly, thirds()[1], port=OTHER_PORT) == Waiting()
    assert isinstance(add(reassembly, thirds()[2], port=OTHER_PORT), Whole)


def test_memory_counts_payload_pieces_and_datagrams() -> None:
    reassembly = table()
    add(reassembly, thirds()[0])
    assert reassembly.memory == DATAGRAM_COST + PIECE_COST + 16
    add(reassembly, thirds()[0])
    assert reassembly.memory == DATAGRAM_COST + PIECE_COST + 16
    add(reassembly, thirds()[1])
    assert reassembly.memory == DATAGRAM_COST + 2 * (PIECE_COST + 16)


def test_memory_that_is_counted_is_no_less_than_what_is_taken() -> None:
    tiny = [piece(0, b"x" * 8, source=f"10.1.{n >> 8}.{n & 255}", ident=n) for n in range(1000)]
    many = [piece(at * 8, b"x" * 8) for at in range(MOST_PIECES)]
    refused = [
        piece(0, letter * 8000, source=f"10.1.0.{n}") for n in range(100) for letter in (b"x", b"y")
    ]
    for frames in (tiny, many, refused):
        reassembly = table(memory=64 * MEBIBYTE)
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            for frame in frames:
                add(reassembly, frame)
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert after - before <= reassembly.memory


@dataclass(frozen=True)
class Flood:
    """Who sends first fragments, and how many bytes each."""

    port: int
    sources: int
    size: int


FLOODS = [
    Flood(PORT, sources=1, size=1400),
    Flood(PORT, sources=20, size=1400),
    Flood(OTHER_PORT, sources=3000, size=1400),
    Flood(OTHER_PORT, sources=3000, size=8),
    Flood(OTHER_PORT, sources=1, size=60_000),
]


@pytest.mark.parametrize("flood", FLOODS, ids=str)
def test_flood_takes_no_datagram_of_others(flood: Flood) -> None:
    reassembly = table(memory=4 * MEBIBYTE)
    long = [piece(at * 1400, b"l" * 1400, source=BOB, ident=1) for at in range(20)]
    for frame in long:
        assert add(reassembly, frame) == Waiting()
    frame = bytearray(piece(0, bytes(flood.size)))
    for number in range(3000):
        source = number % flood.sources
        frame[28:30] = number.to_bytes(2, "big")
        frame[36:40] = bytes((10, 9, source >> 8, source & 255))
        assert add(reassembly, frame, port=flood.port) == Waiting()
        assert reassembly.memory <= 4 * MEBIBYTE
    lost = reassembly.take_dropped()
    assert {port for port, _ in lost} == {flood.port}
    assert sum(lost.values()) == 3000 - (len(reassembly) - 1)
    *_, last = [add(reassembly, frame, port=PORT) for frame in thirds(source=BOB)]
    assert isinstance(last, Whole)
    assert isinstance(
        add(reassembly, piece(28_000, b"end", source=BOB, ident=1, more=False)), Whole
    )


def test_invented_sources_take_the_longest_waiting_datagram_of_their_port_first() -> None:
    reassembly = table(memory=100 * (DATAGRAM_COST + PIECE_COST + 16))
    for number in range(200):
        add(reassembly, piece(0, b"x" * 16, source=f"10.9.0.{number}"))
    for at in range(0, 14_000, 1400):
        assert add(reassembly, piece(at, bytes(1400))) == Waiting()
    for number in range(80):
        add(reassembly, piece(0, b"x" * 16, source=f"10.9.1.{number}"))
    assert isinstance(add(reassembly, piece(14_000, b"end", more=False)), Whole)


def test_each_source_gives_up_its_oldest_datagram_before_one_gives_up_two() -> None:
    reassembly = table(memory=9 * (DATAGRAM_COST + PIECE_COST + 16))
    for source in (ALICE, BOB, CAROL):
        for ident in range(3):
            add(reassembly, piece(0, b"x" * 16, source=source, ident=ident))
    for ident in range(3):
        add(reassembly, piece(0, b"x" * 16, source="10.9.0.1", ident=ident))
    left = [ip(gone.first or b"") for gone in reassembly.expire(TIMEOUT)]
    assert [(str(packet.source), packet.identification) for packet in left[:6]] == [
        (source, ident) for source in (ALICE, BOB, CAROL) for ident in (1, 2)
    ]


def test_sources_that_hold_much_take_turns_in_giving_up() -> None:
    reassembly = table(memory=2 * MEBIBYTE)
    for number in range(120):
        add(reassembly, piece(0, bytes(50_000), source=f"10.9.0.{number % 4}", ident=number))
    left = Counter(
        expired.first[36:40].hex() for expired in reassembly.expire(TIMEOUT) if expired.first
    )
    assert len(left) == 4
    assert max(left.values()) - min(left.values()) <= 1


def test_fragment_that_there_is_no_room_for_is_refused_itself() -> None:
    reassembly = table(memory=DATAGRAM_COST + 2 * (PIECE_COST + 16))
    add(reassembly, thirds()[0])
    add(reassembly, thirds()[1])
    assert add(reassembly, piece(40, b"d" * 8)) is Refused.MEMORY_FULL
    assert reassembly.take_dropped() == Counter({Lost(PORT, Refused.MEMORY_FULL): 2})
    assert len(reassembly) == reassembly.memory == 0


def test_fragment_that_completes_its_datagram_needs_no_room() -> None:
    reassembly = table(memory=DATAGRAM_COST + 2 * (PIECE_COST + 16))
    answers = [add(reassembly, frame) for frame in thirds()]
    assert isinstance(answers[2], Whole)
    assert not reassembly.take_dropped()


def test_refused_keys_are_bounded_like_everything() -> None:
    reassembly = table(memory=10 * DATAGRAM_COST)
    for number in range(100):
        source = f"10.9.0.{number}"
        add(reassembly, piece(0, b"x" * 16, source=source))
        assert add(reassembly, piece(0, b"y" * 16, source=source)) is Refused.OVERLAP
        assert reassembly.memory <= 10 * DATAGRAM_COST
    assert reassembly.take_dropped() == Counter({Lost(PORT, Refused.OVERLAP): 100})


@given(data=st.data(), memory=st.integers(0, 20_000))
def test_every_fragment_is_accounted_for_once(data: st.DataObject, memory: int) -> None:
    reassembly = table(memory=memory)
    frames = st.builds(
        lambda part, source, ident: piece(
            part.start, part.data, more=not part.last, source=source, ident=ident
        ),
        part=PARTS,
        source=st.sampled_from([ALICE, BOB]),
        ident=st.integers(0, 2),
    )
    waited = 0
    for frame in data.draw(st.lists(frames, max_size=30)):
        answer = add(reassembly, frame, port=data.draw(st.sampled_from([PORT, OTHER_PORT])))
        lost = sum(reassembly.take_dropped().values())
        waits = sum(expired.frames for expired in deepcopy(reassembly).expire(TIMEOUT))
        assert reassembly.memory <= memory
        if isinstance(answer, Whole):
            assert waits + lost <= waited
        else:
            assert waits + lost == waited + isinstance(answer, Waiting)
        waited = waits


# Time and ports


def test_incomplete_datagram_ends_with_its_first_fragment_to_tell_the_sender() -> None:
    reassembly, (first, second, _) = table(), thirds()
    add(reassembly, second, now=3)
    add(reassembly, first + b"padding", now=9 * SECOND)
    add(reassembly, first, now=10 * SECOND)
    assert reassembly.next_deadline() == 3 + TIMEOUT
    assert reassembly.expire(2 + TIMEOUT) == []
    assert reassembly.expire(3 + TIMEOUT) == [Expired(PORT, bytearray(first), 3)]
    assert len(reassembly) == reassembly.memory == 0
    assert not reassembly.take_dropped()


def test_nobody_can_be_told_where_the_first_fragment_is_missing() -> None:
    reassembly, (_, second, third) = table(), thirds()
    add(reassembly, second)
    add(reassembly, third)
    assert reassembly.expire(TIMEOUT) == [Expired(PORT, None, 2)]


def test_datagrams_expire_in_the_order_in_which_they_began() -> None:
    reassembly = table()
    for now, ident in enumerate((5, 3, 9)):
        add(reassembly, piece(0, b"x" * 8, ident=ident), now=now)
    assert [ip(gone.first or b"").identification for gone in reassembly.expire(1 + TIMEOUT)] == [
        5,
        3,
    ]
    assert reassembly.next_deadline() == 2 + TIMEOUT


def test_port_that_goes_away_takes_its_fragments_along() -> None:
    reassembly = table()
    add(reassembly, thirds()[0])
    add(reassembly, thirds()[1])
    add(reassembly, thirds(ident=8)[0])
    add(reassembly, thirds()[0], port=OTHER_PORT)
    assert reassembly.forget_port(PORT) == 3
    assert len(reassembly) == 1
    add(reassembly, thirds()[1], port=OTHER_PORT)
    assert isinstance(add(reassembly, thirds()[2], port=OTHER_PORT), Whole)
    assert reassembly.memory == 0
    assert reassembly.forget_port(PORT) == 0


def test_preview_answers_like_add_and_changes_nothing() -> None:
    reassembly, (first, second, third) = table(), thirds()
    overlapping = piece(8, b"x" * 16)
    for frame in (first, second, third, overlapping, second):
        before = len(reassembly), reassembly.memory
        preview = reassembly.preview(PORT, frame, ip(frame))
        assert preview == reassembly.preview(PORT, frame, ip(frame))
        assert (len(reassembly), reassembly.memory) == before
        assert preview == add(reassembly, frame)
    assert reassembly.preview(PORT, piece(0, b""), ip(piece(0, b""))) is Refused.BAD_LENGTH
