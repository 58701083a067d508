"""How the servers outside are doing: whom to ask first, and for how long to wait.

Theory of operation. The same server asked from another namespace is another *place*, and of each
place the *health* is kept. An answer tells how long one takes, smoothed as RFC 6298 has it; as each
attempt has an identifier of its own it is known which one was answered, so a late answer is as good
a sample as any (Karn's algorithm is for those who can not know). Silence is counted once for each
time that was waited for, however many waited at the same time. A server that was silent twice in a
row, or can not be reached, is *down*: it is asked when nobody else can say, and now and then beside
another one, so that nobody waits for it. Whatever it answers, it is good again with that.

What a server can do is learnt as well: whether it understands EDNS (RFC 6891, 7) and whether it
repeats a name letter for letter (draft-vixie-dnsext-dns0x20-00). Both are forgotten when it is
down, as somebody else may come up in its place.

Nothing is asked here (`searching`), and what a reply is worth is `judging`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import NamedTuple

from vswitch.dataplane.responders.dns.party import Route
from vswitch.naming import Server
from vswitch.units import MILLISECOND, SECOND, Nanoseconds

LEAST_TIMEOUT: Nanoseconds = 200 * MILLISECOND
"""A server that has most names at hand must now and then ask around for one."""

FIRST_TIMEOUT: Nanoseconds = SECOND
"""RFC 6298, 2.1: where nothing is known yet."""

MOST_TIMEOUT: Nanoseconds = 2 * SECOND
"""So that within a client's patience no loss of one datagram is the end."""

SILENCES = 2
"""In a row, after which a server is down."""

FIRST_PROBE: Nanoseconds = SECOND
LAST_PROBE: Nanoseconds = 32 * SECOND
"""How long a server that is down is left alone, at first and in the end."""

MOST_PLACES = 1024
"""Of which the health is kept: who was asked last longest ago is forgotten beyond that."""


class Place(NamedTuple):
    """A server, and where it is asked from: `origin` is that of a `Route`."""

    server: Server
    origin: Hashable = None


class ServerState(NamedTuple):
    """How a server is doing, for who looks."""

    place: Place
    queries: int
    """Sent to it, repetitions and probes included."""
    answers: int
    """That it has had a say in, errors included."""
    failures: int
    """Answers that said that it can not say."""
    silences: int
    """Queries that it has not answered in time."""
    smoothed: Nanoseconds | None
    """What an answer takes; None: there was none yet."""
    is_down: bool
    trouble: str | None
    """Why it can not be reached, in the kernel's words or those of TLS."""


class Health:
    """That of one place."""

    def __init__(self, place: Place, notice: Callable[[Health], None]) -> None:
        """`notice` is called when it goes down, and when it is good again."""
        self.place = place
        self.queries = self.answers = self.failures = self.silences = 0
        self.smoothed: Nanoseconds | None = None
        self.is_down = False
        self.trouble: str | None = None
        self.understands_edns = True
        self.echoes_case: bool | None = None
        """Whether it repeats a name letter for letter; None: not known yet."""
        self.is_watched = False
        """Whether its answer to somebody is waited for who has had one already."""
        self._notice = notice
        self._variation: Nanoseconds = 0
        self._heard_at: Nanoseconds | None = None
        self._silent_at: Nanoseconds | None = None
        self._silences_in_a_row = 0
        self._probe_at: Nanoseconds = 0
        self._left_alone = FIRST_PROBE

    @property
    def timeout(self) -> Nanoseconds:
        """For how long to wait for an answer (RFC 6298, 2)."""
        if self.smoothed is None:
            return FIRST_TIMEOUT
        return min(max(self.smoothed + 4 * self._variation, LEAST_TIMEOUT), MOST_TIMEOUT)

    @property
    def state(self) -> ServerState:
        """As it is at the moment."""
        return ServerState(
            *(self.place, self.queries, self.answers, self.failures, self.silences),
            *(self.smoothed, self.is_down, self.trouble),
        )

    def has_answered(self, now: Nanoseconds) -> None:
        """It has said something, whatever that is worth."""
        self.answers += 1
        self._heard_at = now
        self._silent_at, self._silences_in_a_row = None, 0
        self.trouble = None
        if self.is_down:
            self.is_down, self._left_alone = False, FIRST_PROBE
            self._notice(self)

    def has_taken(self, took: Nanoseconds) -> None:
        """An answer that helped was that long on its way (RFC 6298, 2.2 and 2.3)."""
        if self.smoothed is None:
            self.smoothed, self._variation = took, took // 2
            return
        self._variation += (abs(self.smoothed - took) - self._variation) // 4
        self.smoothed += (took - self.smoothed) // 8

    def was_silent(self, sent: Nanoseconds, now: Nanoseconds) -> None:
        """What was asked at `sent` has no answer at `now`, and should have."""
        self.silences += 1
        if self._heard_at is not None and self._heard_at >= sent:
            return
        if self._silent_at is not None and self._silent_at > sent:
            return
        self._silent_at = now
        self._silences_in_a_row += 1
        if self._silences_in_a_row >= SILENCES:
            self._goes_down(now)

    def is_out_of_reach(self, why: str, now: Nanoseconds) -> None:
        """The kernel, or TLS, says that there is no way to it."""
        self.trouble = why
        self._goes_down(now)

    def takes_probe(self, now: Nanoseconds) -> bool:
        """Whether it is time to see if it is good again. Each time that is so once, and the time
        after that is twice as long."""
        if now < self._probe_at:
            return False
        self._probe_at = now + self._left_alone
        self._left_alone = min(2 * self._left_alone, LAST_PROBE)
        return True

    def _goes_down(self, now: Nanoseconds) -> None:
        if self.is_down:
            return
        self.is_down = True
        self.understands_edns, self.echoes_case = True, None
        self._probe_at = now + FIRST_PROBE
        self._notice(self)


class Ranking(NamedTuple):
    """Whom to ask: one after the other, and somebody beside the first, who may be good again."""

    line: tuple[Health, ...]
    probed: Health | None


class Servers:
    """All that are asked."""

    def __init__(self, notice: Callable[[Health], None]) -> None:
        """`notice` is called with whom goes down, and with whom is good again."""
        self._notice = notice
        self._known: dict[Place, Health] = {}

    def ranking(self, route: Route, now: Nanoseconds) -> Ranking:
        """Those of a route, each once: who is down comes last, and is probed at times."""
        known = [self._of(Place(server, route.origin)) for server in dict.fromkeys(route.servers)]
        good = [each for each in known if not each.is_down]
        if not good or len(good) == len(known):
            return Ranking(tuple(known), None)
        down = [each for each in known if each.is_down]
        probed = next((each for each in down if each.takes_probe(now)), None)
        return Ranking((*good, *down), probed)

    def states(self) -> list[ServerState]:
        """As they are at the moment, whom was asked last last."""
        return [each.state for each in self._known.values()]

    def forget_all(self) -> None:
        """Somebody else may be asked from now on: how they are doing is found out anew."""
        self._known.clear()

    def forget(self, origin: Hashable) -> None:
        """Those that were asked from a namespace that is left."""
        for place in [each for each in self._known if each.origin == origin]:
            del self._known[place]

    def _of(self, place: Place) -> Health:
        known = self._known.pop(place, None)
        if known is None:
            if len(self._known) >= MOST_PLACES:
                del self._known[next(iter(self._known))]
            known = Health(place, self._notice)
        self._known[place] = known
        return known
