"""Names on the control socket: what was asked, what is asked most, what is kept, who is asked."""

from __future__ import annotations

from enum import Enum

from pydantic import Field

from vswitch.daemon.messages.base import Message

MOST_SHOWN = 1000
"""Queries, names or parties at a time."""


class Outcome(Enum):
    """What became of a query. The value is what it is called in metrics."""

    NAMES = "names"
    """Answered from what we know ourselves."""
    CACHE = "cache"
    """Answered with what a server has said before."""
    SERVER = "server"
    """Answered with what a server has said to it."""
    FAILED = "failed"
    """No server had an answer: SERVFAIL."""
    NOT_ALLOWED = "not_allowed"
    """The list of its network has no such name."""
    NOT_OURS = "not_ours"
    """No network has that name, and where the host asks nobody else is asked: REFUSED."""
    WITHHELD = "withheld"
    """A server's answer led inside (`rebinding`)."""
    NOT_UNDERSTOOD = "not_understood"
    """Refused, as it is no query that we can answer."""
    TOO_MANY = "too_many"
    """Refused, as its party has as many in flight as it may."""
    SILENCE = "silence"
    """It gets no answer at all."""

    __hash__ = object.__hash__
    """An enumeration's own takes longer than all else that is done with a query here."""


class QueriesQuery(Message):
    """Which queries: the last so many, and with `follow` those that come, too."""

    last: int = Field(default=MOST_SHOWN, ge=0, le=MOST_SHOWN)
    follow: bool = False


class QueryRow(Message):
    """A query, and what became of it. `time` is in seconds since 1970."""

    time: float
    party: str
    """Who asked: an endpoint, or whoever is at a network's gateway, or the host."""
    network: str | None
    name: str
    """In small letters."""
    type: str
    outcome: Outcome
    server: str | None
    """Who has answered, where that is known."""
    took_seconds: float
    """From when it was passed on until there was an answer; 0 where it was not."""
    missed: int
    """Queries right before this one that the reader was too slow for, and will not get."""


class FrequentRow(Message):
    """What was asked for, or who asked, how often; the true number may be less by `surplus`."""

    name: str
    queries: int
    surplus: int


class TopQuery(Message):
    """How many names and parties."""

    count: int = Field(default=10, ge=1, le=MOST_SHOWN)


class TopRow(Message):
    """What is asked most, by whom, and what became of all queries since the switch is up."""

    queries: int
    outcomes: dict[str, int]
    names: tuple[FrequentRow, ...]
    parties: tuple[FrequentRow, ...]


class KeptNameRow(Message):
    """What servers have said to a question, and for how long that is good."""

    name: str
    type: str
    said: str
    """What it is: an answer, no such data, no such name, a failure."""
    expires_in_seconds: float
    hits: int
    is_stale: bool
    """Whether it is beyond its time, and told only where no server says anything."""


class KeptNamesQuery(Message):
    """The name that is looked at, or forgotten; None: all of them."""

    name: str | None = None


class FlushedRow(Message):
    """How much was forgotten."""

    forgotten: int


class ServerRow(Message):
    """A server that was asked, and how it is doing."""

    server: str
    asked_from: str
    """`host`, or the namespace."""
    queries: int
    answers: int
    failures: int
    """Answers that said that it can not say."""
    silences: int
    """Queries that it has not answered in time."""
    answers_in_seconds: float | None
    """What an answer takes, as a smoothed mean; None where there was none yet."""
    is_down: bool
    trouble: str | None
    """Why it can not be reached."""


_WORDS = {
    Outcome.NAMES: "from names",
    Outcome.CACHE: "from cache",
    Outcome.SERVER: "from a server",
    Outcome.FAILED: "no server could say",
    Outcome.NOT_ALLOWED: "refused: its network does not allow this name",
    Outcome.NOT_OURS: "refused: no network has this name",
    Outcome.WITHHELD: "withheld: the answer leads inside",
    Outcome.NOT_UNDERSTOOD: "refused: it is no query that we answer",
    Outcome.TOO_MANY: "refused: too many are in flight",
    Outcome.SILENCE: "no answer: it is none to answer",
}


def became(outcome: Outcome) -> str:
    """`from names`, `no server could say`."""
    return _WORDS[outcome]


def in_words(row: QueryRow) -> str:
    """`app (front): A www.debian.org: from 192.0.2.1 (12 ms)`."""
    who = row.party if row.network is None else f"{row.party} ({row.network})"
    is_known = row.outcome is Outcome.SERVER and row.server is not None
    answer = f"from {row.server}" if is_known else became(row.outcome)
    took = f" ({row.took_seconds * 1000:.0f} ms)" if row.took_seconds else ""
    return f"{who}: {row.type} {row.name}: {answer}{took}"
