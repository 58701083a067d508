"""Domain names as they are on the wire, and as people write them.

Theory of operation. A name is its labels, each with its length in front, and ends with the empty
one, the root's. Here it is one in small letters, as names that differ in case alone are the same,
and without compression: so it is a key as it is, and what a name is below is what is left of it
behind some of its labels.

Read first: RFC 1035, 3.1 and 5.1; RFC 4343; RFC 3490 for names with other letters and dots.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

ROOT = b"\0"
"""The name that all others are below."""

LONGEST_NAME = 255
"""Octets (RFC 1035, 2.3.4)."""

_DOTS = re.compile("[.\u3002\uff0e\uff61]")
"""What ends a label as people write it (RFC 3490, 3.1)."""

_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_*/")


def encode(text: str) -> bytes:
    """The name that is written `text`, with a dot at its end or without.

    Raises ValueError where that is none: an empty label, one over 63 octets, over 255 in all.
    """
    if text in ("", "."):
        return ROOT
    try:
        labels = [label.lower().encode("idna") for label in _DOTS.split(text.removesuffix("."))]
    except UnicodeError:
        labels = []
    name = b"".join(bytes((len(label),)) + label for label in labels) + ROOT
    are_labels = all(label and b"." not in label for label in labels)  # U+2026 is three dots
    if not labels or not are_labels or len(name) > LONGEST_NAME:
        raise ValueError(f'"{text}" is not a name (like registry.example)')
    return name


def decode(name: bytes) -> str:
    """How a name is written: what is no letter or digit as RFC 1035 has it, and no dot at its end.
    One that ends too early is written as far as it goes."""
    labels = ["".join(map(_written, label)) for label in _labels(name)]
    return ".".join(labels) or "."


def above(name: bytes) -> Iterator[bytes]:
    """All that a name is below, the nearest first and the root last."""
    at = 0
    while at < len(name) and name[at]:
        at += 1 + name[at]
        yield name[at:]


def _labels(name: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(name) and name[at]:
        yield name[at + 1 : at + 1 + name[at]]
        at += 1 + name[at]


def _written(octet: int) -> str:
    if octet in _PLAIN:
        return chr(octet)
    return f"\\{chr(octet)}" if 0x21 <= octet <= 0x7E else f"\\{octet:03}"
