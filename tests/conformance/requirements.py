"""What the RFCs ask of a NAT, and the mark by which a test says that it shows one of it.

A test is marked `@requirement(...)` with the source, the number, the level and, in one line and
its own words, what is asked. A requirement that is deliberately not met, or has nothing to apply
to, is declared with `aside(...)` and says why. Together they are the rows of the table that
`make conformance` prints; `NUMBERS` is the literal list of all there are, and no row may be
missing (see `test_catalogue`).

Sections of RFC 7857 stand for themselves, as it numbers no requirements. RFC 5508's REQ-10 asks
for what RFC 1812 says in 4.3: these rows carry that RFC's section. "Beyond" are ours: what no RFC
asks for and people are bitten by.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

import pytest

DEFAULT_PROFILE = "rfc"


def _numbered(word: str, numbers: str) -> tuple[str, ...]:
    return tuple(f"{word}{number}" for number in numbers.split())


NUMBERS: dict[str, tuple[str, ...]] = {
    "RFC 4787": (
        *_numbered("REQ-", "1 2 3 3a 4 5 5a 5b 5c 6 6a 7 8 8a 9"),
        "REQ-9, isolated",
        *_numbered("REQ-", "9a 10 10a 11 12 12a 12b 13 13a 14 14a"),
    ),
    "RFC 5382": _numbered("REQ-", "1 2 2a 3 3a 3b 4 4a 5 5a 6 7 8 8a 9 10"),
    "RFC 5508": (
        *_numbered("REQ-", "1 1a 2 2a 3 3a 3b 3c 3d 4 4a 4b 4c 5 5a 5b 5c 6 7 7a 8 9 10a 10b"),
        *_numbered("REQ-10 by RFC 1812, 4.3.2.", "1 2 3 4 5 6 7 8"),
        "REQ-11",
    ),
    "RFC 7857": (
        *_numbered("section ", "2.1 2.2 2.3 3 4 5 6 7 7.1 8 9 10"),
        "section 10, uncut",
        *_numbered("section ", "11 12"),
    ),
    "RFC 6888": _numbered(
        "REQ-", "1 2 3 4 4a 4b 4c 5 5a 5b 6 7 8 9 10 11a 11b 11c 11d 12 13 14 15"
    ),
    "beyond": (
        *_numbered("X", "1 2 3 4 5 6 7"),
        *("fragments", "TTL", "options", "TOS", "ports", "checksums", "offloads"),
        *("TCP edges", "MSS", "exhaustion", "ALGs", "address change"),
    ),
}
"""Every requirement there is, by who asks for it, in the order of the table."""


class Level(Enum):
    """How strongly it is asked for (RFC 2119); MUST NOT is a MUST."""

    MUST = "MUST"
    SHOULD = "SHOULD"
    RECOMMENDED = "RECOMMENDED"
    MAY = "MAY"


@dataclass(frozen=True, slots=True)
class Requirement:
    """One row of the table."""

    source: str
    number: str
    level: Level
    asks: str
    profile: str = DEFAULT_PROFILE
    """The settings under which it is met: the defaults, or the option that it takes."""
    aside: str | None = None
    """Why it is not met or does not apply; None where tests show it."""

    @property
    def key(self) -> tuple[str, str, str]:
        """What no two rows share."""
        return self.source, self.number, self.profile

    @property
    def slug(self) -> str:
        """The requirement as the names of its tests begin."""
        number = self.number.lower().replace("req-", "req").replace("section ", "section")
        words = f"{self.source.replace(' ', '')} {number}".lower()
        return re.sub(r"[^a-z0-9]+", "_", words).strip("_")

    @property
    def place(self) -> tuple[int, int, bool]:
        """Where its row stands."""
        sources = list(NUMBERS)
        numbers = NUMBERS[self.source]
        is_option = self.profile != DEFAULT_PROFILE
        return sources.index(self.source), numbers.index(self.number), is_option


DECLARED: dict[tuple[str, str, str], Requirement] = {}
"""All rows that the imported test modules have declared."""

Test = TypeVar("Test", bound=Callable[..., None])


def requirement(
    source: str, number: str, level: Level, asks: str, profile: str = DEFAULT_PROFILE
) -> Callable[[Test], Test]:
    """Mark a test as one that shows a requirement to be met.

    Several tests may show the same one: its row passes where all of them do.
    """
    declared = _declare(Requirement(source, number, level, asks, profile))
    return pytest.mark.requirement(declared)


def aside(source: str, number: str, level: Level, asks: str, because: str) -> None:
    """Declare a requirement that is deliberately not met, or has nothing to apply to."""
    _declare(Requirement(source, number, level, asks, DEFAULT_PROFILE, because))


def _declare(wanted: Requirement) -> Requirement:
    numbers = NUMBERS[wanted.source]
    assert wanted.number in numbers, f"{wanted.source} has no {wanted.number}"
    known = DECLARED.setdefault(wanted.key, wanted)
    assert known == wanted, f"two rows for {wanted.source} {wanted.number}: {known}, {wanted}"
    return known
