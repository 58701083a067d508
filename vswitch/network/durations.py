"""Lengths of time as people write them: `30s`, `2m`, `2h4m`, `5d`, or seconds alone: `120`."""

from __future__ import annotations

import re

from vswitch.units import DAY, HOUR, MINUTE, SECOND, Nanoseconds

_UNITS = {"d": DAY, "h": HOUR, "m": MINUTE, "s": SECOND}
_NUMBER = "([0-9]{1,9})"
_DURATION = re.compile("".join(f"(?:{_NUMBER}{unit})?" for unit in _UNITS))
_SECONDS = re.compile(_NUMBER)


def parse(text: str) -> Nanoseconds:
    """The duration.

    Raises:
        ValueError: `text` is none, in one line.
    """
    if _SECONDS.fullmatch(text):
        return int(text) * SECOND
    found = _DURATION.fullmatch(text)
    if not text or found is None:
        raise ValueError(f"{text!r} is no duration: allowed is a time like 30s, 2m, 2h4m")
    parts = zip(found.groups(), _UNITS.values(), strict=True)
    return sum(int(number) * unit for number, unit in parts if number)


def text(duration: Nanoseconds) -> str:
    """A duration as `parse` reads it; what is less than a second is left out."""
    words = ""
    for unit, length in _UNITS.items():
        number, duration = divmod(duration, length)
        if number:
            words += f"{number}{unit}"
    return words or "0s"
