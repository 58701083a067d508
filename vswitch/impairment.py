"""How bad a line is, as a value and as the text that a user writes: `delay=20ms loss=1%`.

An `Impairment` is one direction of a line, `Impairments` are both directions of a port with the
seed that makes what chance brings replayable. Both are said in configurations, in the control
interface and to devices, so they stand below all of these; what they do to frames is the work of
`vswitch.devices.impair`.

All numbers are exact: times in nanoseconds, shares of the frames in millionths, rates in bits per
second. `parse` takes no number that is finer, and `str()` of what it answers is a text that it
answers with the same for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from vswitch.units import MICROSECOND, MILLISECOND, SECOND, Nanoseconds

MILLION = 1_000_000
"""A share of all frames."""

QUEUE = 100
"""Frames that may wait for a rate where nothing else is said: 120 ms of full ones at 10 Mbit/s."""

LARGEST_SEED = 2**63 - 1
"""Any whole number would do as a seed; this is what fits into TOML."""

_LONGEST_QUOTATION = 60
"""Characters of a mistaken word that are repeated."""

_WORD = re.compile(r"(?P<key>[a-z]+)=(?P<number>[0-9]{1,12}(\.[0-9]{1,9})?)(?P<unit>[a-z%]*)")


class ImpairmentError(ValueError):
    """A text that is no impairment. Its own is one line: what was found, and what is allowed."""


@dataclass(frozen=True, slots=True)
class Impairment:
    """What happens to frames in one direction. Without arguments: nothing."""

    delay: Nanoseconds = 0
    jitter: Nanoseconds = 0
    """The standard deviation of the delay."""
    loss: int = 0
    """The share of the frames that never arrive, in millionths."""
    duplicate: int = 0
    reorder: int = 0
    """The share that is not delayed, and so overtakes those before it."""
    corrupt: int = 0
    """The share in which one bit is turned over."""
    rate: int = 0
    """Bits of Ethernet in a second; zero is no limit."""
    queue: int = QUEUE
    """Frames that may wait for the rate, the one that is being sent included."""

    @classmethod
    def parse(cls, text: str) -> Impairment:
        """The impairment in `text`: `none`, or words like `delay=20ms`. Raises ImpairmentError."""
        words = text.split()
        if words == ["none"]:
            return cls()
        if not words:
            raise ImpairmentError(f"nothing is said: allowed is none, or some of {_KEYS}")
        found: dict[str, int] = {}
        said: dict[str, str] = {}
        for word in words:
            key, value = _parse_word(word)
            if key in found:
                raise ImpairmentError(f"{_quote(word)}: {key} is said twice")
            found[key], said[key] = value, word
        for key, other, why in _ONLY_WITH:
            if key in found and not found.get(other):
                raise ImpairmentError(f"{_quote(said[key])}: allowed only with {other}: {why}")
        return cls(**found)

    @property
    def is_none(self) -> bool:
        """Whether frames pass as if it were not there."""
        return self == _NONE

    def __str__(self) -> str:
        words = []
        for key, quantity in _QUANTITIES.items():
            value: int = getattr(self, key)
            if value if key != "queue" else self.rate:
                words.append(f"{key}={quantity.text(value)}")
        return " ".join(words) or "none"


_NONE = Impairment()


@dataclass(frozen=True, slots=True)
class Impairments:
    """Both directions of a port, as the switch sees them: what comes in, and what goes out.

    The seed decides what chance brings: the same seed and frames at the same times give the same.
    """

    incoming: Impairment = _NONE
    outgoing: Impairment = _NONE
    seed: int = 0

    @property
    def is_none(self) -> bool:
        """Whether frames pass both ways as if they were not there."""
        return self.incoming.is_none and self.outgoing.is_none

    def __str__(self) -> str:
        return f"in {self.incoming}, out {self.outgoing}, seed {self.seed}"


UNIMPAIRED = Impairments()
"""A port as it is by itself."""


class _Quantity(NamedTuple):
    """What may stand behind a key: a number with one of the units, from `least` to `most`.

    Units are powers of ten, the largest first.
    """

    units: Mapping[str, int]
    least: int
    most: int
    words: str

    def value(self, number: str, unit: str) -> int | None:
        """The number in the quantity's own unit; None where it is not allowed."""
        if unit not in self.units:
            return None
        exact = Fraction(number) * self.units[unit]
        if exact.denominator != 1 or not self.least <= exact <= self.most:
            return None
        return int(exact)

    def text(self, value: int) -> str:
        """`value` in the largest unit of which it is one at least."""
        name, unit = next(
            ((name, unit) for name, unit in self.units.items() if value >= unit),
            list(self.units.items())[-1],
        )
        whole, rest = divmod(value, unit)
        decimals = str(unit + rest)[1:].rstrip("0")
        return f"{whole}.{decimals}{name}" if decimals else f"{whole}{name}"


_TIME = _Quantity(
    {"s": SECOND, "ms": MILLISECOND, "us": MICROSECOND, "ns": 1},
    0,
    60 * SECOND,
    "a time from 0s to 60s in ns, us, ms or s, like 20ms",
)
_SHARE = _Quantity(
    {"%": MILLION // 100}, 0, MILLION, "a share from 0% to 100% in steps of 0.0001%, like 1%"
)
_RATE = _Quantity(
    {"gbit": 10**9, "mbit": 10**6, "kbit": 10**3, "bit": 1},
    10**3,
    100 * 10**9,
    "a rate from 1kbit to 100gbit in bit, kbit, mbit or gbit per second, like 10mbit",
)
_FRAMES = _Quantity({"": 1}, 1, 10_000, f"a number of frames from 1 to 10000, like {QUEUE}")

_QUANTITIES = {
    "delay": _TIME,
    "jitter": _TIME,
    "loss": _SHARE,
    "duplicate": _SHARE,
    "reorder": _SHARE,
    "corrupt": _SHARE,
    "rate": _RATE,
    "queue": _FRAMES,
}

_KEYS = f"{', '.join(_QUANTITIES)} as KEY=VALUE, like delay=20ms loss=1%"

_ONLY_WITH = (
    ("reorder", "delay", "a frame overtakes others by not being delayed"),
    ("queue", "rate", "it holds the frames that wait for the rate"),
)


def _parse_word(word: str) -> tuple[str, int]:
    key = word.partition("=")[0]
    quantity = _QUANTITIES.get(key)
    if quantity is None or "=" not in word:
        raise ImpairmentError(f"{_quote(word)}: allowed is none alone, or some of {_KEYS}")
    parts = _WORD.fullmatch(word)
    value = quantity.value(parts["number"], parts["unit"]) if parts else None
    if value is None:
        raise ImpairmentError(f"{_quote(word)}: allowed is {quantity.words}")
    return key, value


def _quote(word: str) -> str:
    text = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in word)
    if len(text) <= _LONGEST_QUOTATION:
        return text
    return text[: _LONGEST_QUOTATION - 3] + "..."
