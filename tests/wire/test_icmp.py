from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, UDP
from scapy.packet import Raw

from vswitch.wire import icmp
from vswitch.wire.icmp import Icmp
from vswitch.wire.malformed import Malformed

U16 = st.integers(0, 0xFFFF)
DATA = st.binary(max_size=40)


@given(identifier=U16, sequence=U16, data=DATA)
def test_echo_request(identifier: int, sequence: int, data: bytes) -> None:
    packet = bytes(IP() / ICMP(type=8, id=identifier, seq=sequence) / Raw(data))
    assert icmp.build(icmp.Type.ECHO_REQUEST, 0, identifier << 16 | sequence, data) == packet[20:]
    view = Icmp.parse(packet, 20, len(packet))
    assert isinstance(view, Icmp)
    assert (view.type, view.code) == (icmp.Type.ECHO_REQUEST, 0)
    assert (view.identifier, view.sequence) == (identifier, sequence)
    assert (view.is_query, view.is_error) == (True, False)
    assert packet[view.payload : view.end] == data
    assert view.checksum == IP(packet)[ICMP].chksum
    assert view.has_valid_checksum()


def test_fragmentation_needed_quotes_the_packet_that_was_too_big() -> None:
    quote = bytes(IP(src="10.0.0.2", dst="10.0.0.3") / UDP())
    packet = bytes(IP() / ICMP(type=3, code=4, nexthopmtu=1280) / Raw(quote))
    built = icmp.build(
        icmp.Type.DESTINATION_UNREACHABLE, icmp.Unreachable.FRAGMENTATION_NEEDED, 1280, quote
    )
    assert built == packet[20:]
    view = Icmp.parse(packet, 20, len(packet))
    assert isinstance(view, Icmp)
    assert (view.is_query, view.is_error) == (False, True)
    assert int.from_bytes(packet[20 + icmp.NEXT_HOP_MTU :][:2], "big") == 1280
    assert packet[view.payload : view.end] == quote


@pytest.mark.parametrize("type_", range(256))
def test_message_is_an_error_or_a_query_or_neither(type_: int) -> None:
    view = Icmp.parse(icmp.build(type_, 0, 0, b""), 0, 8)
    assert isinstance(view, Icmp)
    assert view.is_error == (type_ in {3, 4, 5, 11, 12})
    assert view.is_query == (type_ in {0, 8, 13, 14, 15, 16, 17, 18})


def test_flipped_bit_in_the_data_shows_in_the_checksum() -> None:
    message = bytearray(icmp.build(8, 0, 1, b"data"))
    message[-1] ^= 1
    view = Icmp.parse(message, 0, len(message))
    assert isinstance(view, Icmp)
    assert not view.has_valid_checksum()


def test_checksum_does_not_cover_what_is_behind_the_message() -> None:
    message = icmp.build(8, 0, 1, b"data")
    view = Icmp.parse(message + b"padding", 0, len(message))
    assert isinstance(view, Icmp)
    assert view.has_valid_checksum()


def test_message_shorter_than_eight_bytes_is_truncated() -> None:
    assert Icmp.parse(icmp.build(8, 0, 1, b""), 0, 7) is Malformed.TRUNCATED_ICMP
