"""Numbers of bytes as people write them: `16 MiB`, `512KiB`, `1048576`."""

from __future__ import annotations

import re

from vswitch.units import KIBIBYTE, MEBIBYTE

_UNITS = {"": 1, "B": 1, "KiB": KIBIBYTE, "MiB": MEBIBYTE, "GiB": 1024 * MEBIBYTE}
_SIZE = re.compile(r"([0-9]{1,15}) ?([A-Za-z]*)")


def parse(text: str) -> int:
    """The number of bytes.

    Raises:
        ValueError: `text` is none, in one line.
    """
    found = _SIZE.fullmatch(text.strip())
    if found is None or found[2] not in _UNITS:
        raise ValueError(f"{text!r} is no size: allowed is a number, like 1048576, 512KiB, 16MiB")
    return int(found[1]) * _UNITS[found[2]]


def text(size: int) -> str:
    """A number of bytes in the largest unit that it is a whole number of."""
    for unit, factor in reversed(_UNITS.items()):
        if size >= factor and size % factor == 0 and unit:
            return f"{size // factor} {unit}"
    return f"{size} B"
