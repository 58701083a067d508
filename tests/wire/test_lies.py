"""No bytes whatever make the wire room raise: random, cut off, or bent out of a good frame."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vswitch.wire.adapt import adapt
from vswitch.wire.arp import Arp
from vswitch.wire.buffer import Buffer
from vswitch.wire.ethernet import Ethernet
from vswitch.wire.icmp import Icmp
from vswitch.wire.icmpv6 import Icmpv6
from vswitch.wire.ipv4 import Ipv4
from vswitch.wire.ipv6 import Ipv6
from vswitch.wire.malformed import Malformed
from vswitch.wire.offload import HEADER_LENGTH, Offloads, complete_checksum, required
from vswitch.wire.segment import segment
from vswitch.wire.tcp import Tcp
from vswitch.wire.udp import Udp

NETWORKS = (Arp, Ipv4, Ipv6)
QUOTES = (Ipv4, Ipv6)
TRANSPORTS = (Tcp, Udp, Icmp, Icmpv6)


def read_every_field(view: object) -> None:
    """Ask a view for all that its parse has guaranteed."""
    for name in dir(type(view)):
        if not name.startswith(("_", "parse")):
            value = getattr(view, name)
            if callable(value):
                value()


def read_everything(frame: Buffer) -> None:
    """Parse every header at the place where a frame has one, whatever is said to be there."""
    link = Ethernet.parse(frame)
    if isinstance(link, Malformed):
        return
    read_every_field(link)
    assert link.payload <= len(frame)
    for network in NETWORKS:
        view: Any = network.parse(frame, link.payload)
        if not isinstance(view, Malformed):
            read_every_field(view)
    for quoted in QUOTES:
        read_quoted(quoted, frame, link.payload, len(frame))


def read_quoted(kind: type[Ipv4] | type[Ipv6], frame: Buffer, offset: int, end: int) -> None:
    packet = kind.parse_quoted(frame, offset, end)
    if isinstance(packet, Malformed):
        return
    read_every_field(packet)
    assert packet.payload <= packet.end <= end
    for transport in TRANSPORTS:
        read_transport(transport, frame, packet.payload, packet.end)


def read_transport(kind: Any, frame: Buffer, offset: int, end: int) -> None:
    view = kind.parse(frame, offset, end)
    if isinstance(view, Malformed):
        return
    read_every_field(view)
    assert offset < view.payload <= view.end <= end


@st.composite
def cut_and_bent(draw: st.DrawFn) -> list[tuple[int, int]]:
    """Places (modulo the length) and what to put there."""
    return draw(st.lists(st.tuples(st.integers(0, 130), st.integers(0, 255)), max_size=4))


@settings(max_examples=300)
@given(st.binary(max_size=150))
def test_random_bytes_are_read_or_refused(data: bytes) -> None:
    for frame in (data, bytearray(data), memoryview(data)):
        read_everything(frame)


@given(st.binary(max_size=100), st.data())
def test_random_bytes_at_any_place_are_read_or_refused(data: bytes, draw: st.DataObject) -> None:
    offset = draw.draw(st.integers(0, len(data)))
    end = draw.draw(st.integers(offset, len(data)))
    for network in NETWORKS:
        view: Any = network.parse(data, offset)
        if not isinstance(view, Malformed):
            read_every_field(view)
    for quoted in QUOTES:
        read_quoted(quoted, data, offset, end)
    for transport in TRANSPORTS:
        read_transport(transport, data, offset, end)


def test_every_truncation_of_a_good_frame_is_read_or_refused(sample: bytes) -> None:
    for length in range(len(sample) + 1):
        read_everything(sample[:length])


@settings(max_examples=300)
@given(st.data())
def test_bent_frame_is_read_or_refused(samples: dict[str, bytes], data: st.DataObject) -> None:
    frame = bytearray(samples[data.draw(st.sampled_from(sorted(samples)))])
    for place, value in data.draw(cut_and_bent()):
        frame[place % len(frame)] = value
    del frame[data.draw(st.integers(HEADER_LENGTH, len(frame))) :]
    read_everything(frame)
    segment(frame)
    for takes in (Offloads.NONE, Offloads.ALL):
        adapted = adapt(frame, takes)
        if not isinstance(adapted, Malformed):
            assert all(required(piece) in takes for piece in adapted)
    complete_checksum(frame)


@settings(max_examples=300)
@given(st.binary(min_size=HEADER_LENGTH, max_size=150))
def test_random_offload_headers_are_obeyed_or_refused(data: bytes) -> None:
    segment(data)
    adapt(bytearray(data), Offloads.NONE)
    complete_checksum(bytearray(data))


@pytest.mark.parametrize("member", Malformed)
def test_every_lie_is_explained_in_words(member: Malformed) -> None:
    assert " " in member.value
    assert "\n" not in member.value
