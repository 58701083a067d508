"""Numbers in few characters: rates with a decimal prefix, and their course as a line of bars."""

from __future__ import annotations

from collections.abc import Iterable

_BARS = "▁▂▃▄▅▆▇█"
_PREFIXES = ("k", "M", "G", "T")
_THOUSAND = 1000


def short(number: float) -> str:
    """A rate in about three digits, with a decimal prefix as bits per second are told: `1.2 G`."""
    if number == int(number) and number < _THOUSAND:
        return f"{number:.0f}"
    prefix = ""
    for larger in _PREFIXES:
        if round(number) < _THOUSAND:
            break
        number, prefix = number / _THOUSAND, f" {larger}"
    return f"{number:.0f}{prefix}" if number >= 99.95 else f"{number:.1f}{prefix}"


def sparkline(values: Iterable[float]) -> str:
    """A bar for each value, measured by the highest; nothing is the lowest bar."""
    listed = list(values)
    highest = max(listed, default=0)
    if not highest:
        return _BARS[0] * len(listed)
    return "".join(_BARS[round(value / highest * (len(_BARS) - 1))] for value in listed)
