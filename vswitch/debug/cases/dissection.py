"""Two frames, layer by layer: which fields differ?

Theory of operation. scapy takes both frames apart, independently of this house's own parsers, and
their layers are compared from the outside in. A layer that only one of them has, or that is of
another kind, ends the comparison: what follows says nothing any more. Names of layers and fields
are scapy's, which are those that a case's make.py is written in. Fields that only follow from
others, lengths and checksums, come last.

scapy takes a while to load, so it is loaded where there is a difference to explain.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import zip_longest
from typing import Any

from vswitch.debug.cases.recording import KEYS
from vswitch.wire.offload import HEADER_LENGTH, OffloadHeader

OFFLOAD_LAYER = "virtio-net"

_CONSEQUENCES = ("chksum", "len", "checksum", "ihl", "dataofs", "plen")
_EXCERPT = 12
"""Bytes that are shown of data that differs, from the first that does."""


@dataclass(frozen=True, slots=True)
class FieldDifference:
    """One field of one layer; `-` stands for what is not there."""

    layer: str
    field: str
    expected: str
    got: str


def differing_fields(expected: bytes, got: bytes) -> list[FieldDifference]:
    """What tells two frames apart, which begin with their virtio-net headers."""
    found = list(_offload(expected, got))
    ours, theirs = expected[HEADER_LENGTH:], got[HEADER_LENGTH:]
    if ours != theirs:
        inside = list(_layers(ours, theirs)) or [_bytes("frame", "bytes", ours, theirs)]
        found += sorted(inside, key=lambda difference: difference.field in _CONSEQUENCES)
    return found


def _offload(expected: bytes, got: bytes) -> Iterator[FieldDifference]:
    one, other = OffloadHeader.parse(expected), OffloadHeader.parse(got)
    for key, known in zip(KEYS, fields(one), strict=True):
        ours, theirs = getattr(one, known.name), getattr(other, known.name)
        if ours != theirs:
            yield FieldDifference(OFFLOAD_LAYER, key, str(ours), str(theirs))


def _layers(expected: bytes, got: bytes) -> Iterator[FieldDifference]:
    for one, other in zip_longest(_dissected(expected), _dissected(got)):
        names = [layer.name if layer is not None else "-" for layer in (one, other)]
        if names[0] != names[1]:
            yield FieldDifference(names[0] if one is not None else names[1], "layer", *names)
            return
        for field in one.fields_desc:
            values = one.getfieldval(field.name), other.getfieldval(field.name)
            if values[0] == values[1]:
                continue
            if all(isinstance(value, bytes) for value in values):
                yield _bytes(one.name, field.name, *values)
            else:
                texts = field.i2repr(one, values[0]), field.i2repr(other, values[1])
                yield FieldDifference(one.name, field.name, *texts)


def _dissected(frame: bytes) -> Iterator[Any]:
    from scapy.layers import inet, inet6  # noqa: F401  they register what Ethernet carries
    from scapy.layers.l2 import Ether
    from scapy.packet import NoPayload, Raw

    try:
        layer = Ether(frame)
    except Exception:  # whatever scapy raises where an Ethernet header is cut off
        layer = Raw(frame)
    while not isinstance(layer, NoPayload):
        yield layer
        layer = layer.payload


def _bytes(layer: str, field: str, expected: bytes, got: bytes) -> FieldDifference:
    """Data is shown from the first byte that differs."""
    pairs = enumerate(zip_longest(expected, got))
    first = next((index for index, (one, other) in pairs if one != other), 0)
    texts = (_excerpt(data, first) for data in (expected, got))
    return FieldDifference(layer, f"{field}[{first}:]", *texts)


def _excerpt(data: bytes, first: int) -> str:
    shown = data[first : first + _EXCERPT]
    more = "..." if len(data) > first + _EXCERPT else ""
    return f"{shown.hex(' ')}{more} of {len(data)} bytes" if shown else f"{len(data)} bytes"
