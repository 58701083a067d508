from __future__ import annotations

import struct

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scapy.layers.inet import IP, UDP, in4_pseudoheader
from scapy.layers.inet6 import IPv6
from scapy.packet import Raw
from scapy.utils import checksum as scapy_checksum

from vswitch.wire import ipv4
from vswitch.wire.checksum import (
    checksum,
    difference,
    ones_sum,
    pseudo_header_sum,
    update,
    update_partial,
)
from vswitch.wire.offload import NEEDS_CSUM, OffloadHeader, complete_checksum
from vswitch.wire.values import IpAddress, Protocol

WORD = st.binary(min_size=2, max_size=2)
V4 = st.binary(min_size=4, max_size=4).map(IpAddress)
V6 = st.binary(min_size=16, max_size=16).map(IpAddress)


@given(st.binary(max_size=3000))
def test_checksum_is_what_others_compute(data: bytes) -> None:
    assert checksum(data) == scapy_checksum(data)
    assert checksum(memoryview(bytearray(data))) == 0xFFFF - ones_sum(data)


@pytest.mark.parametrize("data", [b"\xff" * 65536, bytes(65536), b"\xff\xff", b"\x01"])
def test_sums_at_the_edges_of_one_s_complement(data: bytes) -> None:
    assert checksum(data) == scapy_checksum(data)


def test_header_with_its_checksum_in_place_sums_to_all_ones() -> None:
    assert ones_sum(bytes(IP(src="10.0.0.1", dst="10.0.0.2"))) == 0xFFFF


@given(V4, V4, st.sampled_from([6, 17]), st.integers(8, 0xFFFF))
def test_pseudo_header_of_ipv4(
    source: IpAddress, destination: IpAddress, protocol: int, length: int
) -> None:
    packet = IP(src=str(source), dst=str(destination))
    theirs = in4_pseudoheader(protocol, packet, length)
    assert pseudo_header_sum(source, destination, protocol, length) == ones_sum(theirs)


@given(V6, V6, st.sampled_from([6, 17, 58]), st.integers(8, 0xFFFF))
def test_pseudo_header_of_ipv6(
    source: IpAddress, destination: IpAddress, protocol: int, length: int
) -> None:
    rfc8200 = source + destination + struct.pack(">II", length, protocol)
    assert pseudo_header_sum(source, destination, protocol, length) == ones_sum(rfc8200)


@given(st.binary(min_size=2, max_size=64), WORD, st.data())
def test_updated_checksum_is_bit_for_bit_the_recomputed_one(
    data: bytes, word: bytes, draw: st.DataObject
) -> None:
    at = 2 * draw.draw(st.integers(0, len(data) // 2 - 1))
    changed = data[:at] + word + data[at + 2 :]
    assume(any(changed))
    assert update(checksum(data), difference(data[at : at + 2], word)) == checksum(changed)


@given(st.binary(min_size=8, max_size=64), V4, V4)
def test_differences_of_several_fields_add_up(data: bytes, one: IpAddress, two: IpAddress) -> None:
    after_one = update(checksum(data), difference(data[:4], one))
    after_both = update(after_one, difference(data[4:8], two))
    assume(any(one + two + data[8:]))
    assert after_both == checksum(one + two + data[8:])


@given(st.integers(0, 0xFFFF), WORD)
def test_change_to_the_same_word_changes_nothing(field: int, word: bytes) -> None:
    assume(field != 0xFFFF)  # the checksum of nothing but zeros
    assert update(field, difference(word, word)) == field


def _unfinished(packet: IP | IPv6, transport: int) -> bytearray:
    frame = bytearray(
        OffloadHeader(NEEDS_CSUM, checksum_start=14 + transport, checksum_offset=6).pack()
    )
    frame += bytes(14) + bytes(packet)
    addresses = bytes(packet)[transport - (8 if transport == 20 else 32) : transport]
    half = len(addresses) // 2
    length = len(packet) - transport
    partial = pseudo_header_sum(addresses[:half], addresses[half:], Protocol.UDP, length)
    struct.pack_into(">H", frame, 24 + transport + 6, partial)
    return frame


@given(V4, V4, V4, V4, st.binary(max_size=40))
def test_unfinished_checksum_follows_rewritten_addresses(
    source: IpAddress,
    destination: IpAddress,
    new_source: IpAddress,
    new_destination: IpAddress,
    data: bytes,
) -> None:
    frame = _unfinished(IP(src=str(source), dst=str(destination)) / UDP() / Raw(data), 20)
    changed = difference(source + destination, new_source + new_destination)
    frame[36:44] = new_source + new_destination
    for field, adjust in ((24 + ipv4.CHECKSUM, update), (24 + 20 + 6, update_partial)):
        (value,) = struct.unpack_from(">H", frame, field)
        struct.pack_into(">H", frame, field, adjust(value, changed))
    assert complete_checksum(frame) is None
    expected = IP(src=str(new_source), dst=str(new_destination)) / UDP() / Raw(data)
    assert bytes(frame[24:]) == bytes(expected)


@given(V6, V6, V6, st.binary(max_size=40))
def test_unfinished_checksum_over_ipv6_follows_a_rewritten_address(
    source: IpAddress, destination: IpAddress, new_source: IpAddress, data: bytes
) -> None:
    frame = _unfinished(IPv6(src=str(source), dst=str(destination)) / UDP() / Raw(data), 40)
    frame[32:48] = new_source
    (value,) = struct.unpack_from(">H", frame, 24 + 40 + 6)
    adjusted = update_partial(value, difference(source, new_source))
    struct.pack_into(">H", frame, 24 + 40 + 6, adjusted)
    assert complete_checksum(frame) is None
    expected = IPv6(src=str(new_source), dst=str(destination)) / UDP() / Raw(data)
    assert bytes(frame[24:]) == bytes(expected)
