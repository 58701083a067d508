"""The options of a TCP header, honest and not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import TCP

from vswitch.wire import tcp
from vswitch.wire.tcp import Option, Tcp
from vswitch.wire.values import IpAddress

ADDRESSES = IpAddress.parse("10.0.0.2"), IpAddress.parse("198.51.100.1")


def segment(options: bytes, payload: bytes = b"data") -> Tcp:
    raw = tcp.build(*ADDRESSES, 1, 2, flags=tcp.SYN, options=options, payload=payload)
    view = Tcp.parse(raw, 0, len(raw))
    assert isinstance(view, Tcp)
    return view


def test_options_of_a_syn_are_those_that_scapy_wrote() -> None:
    options = [
        ("MSS", 1460), ("NOP", None), ("WScale", 7), ("SAckOK", b""), ("Timestamp", (1, 2)),
    ]  # fmt: skip
    raw = bytes(TCP(flags="S", options=options)) + b"data"
    view = Tcp.parse(raw, 0, len(raw))
    assert isinstance(view, Tcp)
    assert [(one.kind, one.length) for one in view.iter_options()] == [
        (2, 2),
        (3, 1),
        (4, 0),
        (8, 8),
    ]
    size = next(view.iter_options())
    assert size.kind == tcp.MAXIMUM_SEGMENT_SIZE
    assert raw[size.at : size.at + size.length] == (1460).to_bytes(2, "big")
    assert view.window_scale == 7


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (b"", []),
        (b"\x02\x04\x05\xb4\x00\x03\x03\x07", [Option(2, 22, 2)]),
        (b"\x01\x01\x01\x03\x03\x07\x01\x01", [Option(3, 25, 1)]),
        (b"\x03\x03\x07\x02\x00\x04\x02\x04", [Option(3, 22, 1)]),
        (b"\x03\x03\x07\x02\x01\x01\x01\x01", [Option(3, 22, 1)]),
        (b"\x01\x01\x01\x02\x04\x05\xb4\x02", [Option(2, 25, 2)]),
        (b"\x02\x04\x05\xb4\x01\x02\x04\x05", [Option(2, 22, 2)]),
    ],
    ids=["none", "ended", "at an odd place", "length 0", "length 1", "no length", "too long"],
)  # fmt: skip
def test_options_end_where_they_are_ended_or_lie(options: bytes, found: list[Option]) -> None:
    assert list(segment(options).iter_options()) == found


@pytest.mark.parametrize(
    ("options", "scale"),
    [
        (b"\x02\x04\x05\xb4", None),
        (b"\x03\x03\x0e\x00", 14),
        (b"\x03\x03\xff\x00", 255),
        (b"\x03\x04\x01\x02", None),
        (b"\x00\x03\x03\x07", None),
    ],
    ids=["another option", "the greatest", "too great", "two bytes", "behind the end"],
)
def test_window_scale_is_what_the_option_says(options: bytes, scale: int | None) -> None:
    assert segment(options).window_scale == scale


def test_option_may_be_cut_off_at_the_end_of_the_frame() -> None:
    assert list(segment(b"\x01\x01\x01\x02", payload=b"").iter_options()) == []


@given(options=st.binary(max_size=40))
def test_any_options_are_read_without_leaving_the_header(options: bytes) -> None:
    view = segment(options, payload=b"")
    for option in view.iter_options():
        assert tcp.HEADER_LENGTH + 2 <= option.at <= option.at + option.length <= view.payload
