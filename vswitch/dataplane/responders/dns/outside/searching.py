"""Going from server to server with what is asked outside: a search for each inquiry.

Theory of operation. A *search* asks the servers of its route one after the other, or all at once,
and ends with the first answer, or when nobody can say, or when the client's patience is over. A
server that is silent for as long as it should take at most (`servers`) is passed over, and asked
again when all had their turn, each round with twice the time. Whoever was passed over may still
answer. One that can not say, or can not be reached, is asked no more in this search.

A reply that is cut short is asked for again by TCP (RFC 7766, 5), one that repeats the name in
other letters as well, and one that does not understand EDNS is asked without (RFC 6891, 7). TLS is
never given up for something less: a server that is authenticated is asked in TLS or not at all.

Sans-I/O: a `Carrier` takes attempts and comes back with what became of them, the time comes in, and
`due` does what is to be done by then. What a reply is worth is `judging`'s.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from random import Random
from typing import NamedTuple

from vswitch.dataplane.responders.dns.message import HEADER_LENGTH, cut
from vswitch.dataplane.responders.dns.outside.attempt import Attempt, Carrier, Way, Why
from vswitch.dataplane.responders.dns.outside.judging import Judgement, judge, repeats_name
from vswitch.dataplane.responders.dns.outside.outgoing import mixed, query, question_of
from vswitch.dataplane.responders.dns.outside.servers import MOST_TIMEOUT, Health, Servers
from vswitch.dataplane.responders.dns.party import Inquiry
from vswitch.dataplane.wheel import NOWHERE, Wheel
from vswitch.naming import Server, ServerOrder
from vswitch.units import Nanoseconds

_WAYS_OF_A_STREAM = 2
"""There and back for the connection, and for what is asked."""


class Found(NamedTuple):
    """What a server has said to an inquiry."""

    reply: bytes
    """Its question in small letters."""
    server: Server


class Search:
    """One inquiry on its way."""

    __slots__ = (
        "attempts",
        "cut",
        "deadline",
        "due",
        "inquiry",
        "is_over",
        "line",
        "standing",
        "turn",
        "unable",
    )

    def __init__(self, inquiry: Inquiry, line: tuple[Health, ...], deadline: Nanoseconds) -> None:
        self.inquiry = inquiry
        self.line = line
        self.deadline = deadline
        self.due = deadline
        self.standing = NOWHERE
        self.turn = 0
        """Of how many servers it has been the turn."""
        self.unable: set[Health] = set()
        """Those that have said that they can not say, or can not be reached."""
        self.attempts: list[Attempt] = []
        """Those that may still be answered."""
        self.cut: Found | None = None
        """An answer that was cut short: better than none."""
        self.is_over = False


class Searches:
    """All that are under way, of one inquiry one at a time."""

    def __init__(
        self,
        servers: Servers,
        carrier: Carrier,
        random: Random,
        patience: Nanoseconds,
        *,
        conclude: Callable[[Inquiry, Found | None], None],
        wake: Callable[[Nanoseconds], None],
    ) -> None:
        """`conclude` is called once for each search that was begun and not abandoned, with the
        answer, its question in small letters, or None where no server could say; for one that
        nobody can be asked for within `begin`. `wake` is called with each time at which `due` will
        have something to do."""
        self._servers = servers
        self._carrier = carrier
        self._random = random
        self._patience = patience
        self._conclude = conclude
        self._wake = wake
        self._under_way: dict[Inquiry, Search] = {}
        self._wheel: Wheel[Search] = Wheel(lambda search: search.due)

    def __len__(self) -> int:
        return len(self._under_way)

    def begin(self, inquiry: Inquiry, now: Nanoseconds) -> None:
        """Ask for something that is not being asked for."""
        ranking = self._servers.ranking(inquiry.route, now)
        search = Search(inquiry, ranking.line, now + self._patience)
        self._under_way[inquiry] = search
        if ranking.probed is not None:
            self._send(search, ranking.probed, Why.PROBE, now)
        self._go_on(search, now)

    def abandon(self, inquiry: Inquiry) -> None:
        """Nobody waits for it any more."""
        search = self._under_way.pop(inquiry, None)
        if search is not None:
            self._forget(search)

    def next_deadline(self) -> Nanoseconds | None:
        """When `due` may have something to do, or None."""
        return self._wheel.next_deadline()

    def due(self, now: Nanoseconds, at_most: int) -> bool:
        """See to that many of the searches whose time has come; whether those were all."""
        seen = 0
        for search in islice(self._wheel.due(now), at_most):
            seen += 1
            self._see_to(search, now)
        return seen < at_most

    # What carriers come back with

    def hear(self, attempt: Attempt, reply: bytes, now: Nanoseconds) -> bool:
        """As `Attempt.hear`."""
        if attempt not in attempt.search.attempts:
            return True
        health = attempt.health
        judgement = judge(
            reply, attempt.identifier, _expected(attempt, reply), with_edns=attempt.with_edns
        )
        if judgement is Judgement.IGNORE:
            return False
        if judgement is Judgement.OTHER_CASE:
            if health.echoes_case:
                return False
        elif len(reply) > HEADER_LENGTH and _is_mixed(attempt):
            health.echoes_case = _repeats(attempt, reply)
        health.has_answered(now)
        if judgement is not Judgement.NEXT_SERVER and attempt.why in (Why.TURN, Why.PROBE):
            health.has_taken(now - attempt.sent)
        self._settle(attempt)
        if not attempt.search.is_over:
            self._weigh(attempt, judgement, reply, now)
        return True

    def lose(self, attempt: Attempt, why: str, now: Nanoseconds) -> None:
        """As `Attempt.lose`."""
        if attempt not in attempt.search.attempts:
            return
        self._settle(attempt)
        self._note_loss(attempt.health, attempt.why, why, now)
        search = attempt.search
        if search.is_over:
            return
        if attempt.why is Why.CASE and self._ask_without_case(search, attempt.health, now):
            return
        search.unable.add(attempt.health)
        self._go_on_unless_waiting(search, now)

    # How a search goes on

    def _weigh(
        self, attempt: Attempt, judgement: Judgement, reply: bytes, now: Nanoseconds
    ) -> None:
        search, health = attempt.search, attempt.health
        match judgement:
            case Judgement.ACCEPT:
                self._end(search, Found(reply, health.place.server), now)
                return
            case Judgement.OTHER_CASE:
                by_stream = self._send(search, health, Why.CASE, now)
                is_asked = by_stream or self._ask_without_case(search, health, now)
            case Judgement.WITHOUT_EDNS:
                health.understands_edns = False
                is_asked = self._send(search, health, attempt.why, now)
            case Judgement.TRUNCATED if attempt.way is Way.DATAGRAM:
                search.cut = Found(cut(reply, attempt.question), health.place.server)
                is_asked = self._send(search, health, Why.CUT, now)
            case _:
                health.failures += 1
                search.unable.add(health)
                is_asked = False
        if is_asked:
            self._wait(search, _WAYS_OF_A_STREAM * health.timeout, now)
        else:
            self._go_on_unless_waiting(search, now)

    def _go_on_unless_waiting(self, search: Search, now: Nanoseconds) -> None:
        """Go on where nobody is left who may answer in time. Nobody waits for who is probed."""
        for each in search.attempts:
            if not each.is_overdue and each.why is not Why.PROBE:
                return
        self._go_on(search, now)

    def _go_on(self, search: Search, now: Nanoseconds) -> None:
        """Ask whose turn it is, and those after them where they can not be reached."""
        while True:
            if now >= search.deadline or len(search.unable) == len(search.line):
                self._end(search, search.cut, now)
                return
            wait, asked = self._turn(search, now)
            if sum(self._ask(search, each, now) for each in asked):
                self._wait(search, wait, now)
                return

    def _wait(self, search: Search, wait: Nanoseconds, now: Nanoseconds) -> None:
        search.due = min(now + wait, search.deadline)
        self._schedule(search)

    @staticmethod
    def _turn(search: Search, now: Nanoseconds) -> tuple[Nanoseconds, list[Health]]:
        """Whose turn it is, and how long to wait for them: so long that the others have theirs."""
        many, left = len(search.line), search.deadline - now
        if search.inquiry.route.order is ServerOrder.PARALLEL:
            rounds, untried = search.turn // many, 1
            search.turn += many
            able = [each for each in search.line if each not in search.unable]
            good = [each for each in able if not each.is_down]
            asked = able if rounds or not good else good
        else:
            while search.line[search.turn % many] in search.unable:
                search.turn += 1
            asked = [search.line[search.turn % many]]
            rounds, untried = search.turn // many, max(1, many - search.turn)
            search.turn += 1
        longest = max(each.timeout for each in asked)
        return min(longest << rounds, MOST_TIMEOUT, left // untried), asked

    def _ask(self, search: Search, health: Health, now: Nanoseconds) -> bool:
        """Ask a server whose turn it is. What was said in a stream arrives, and is not said
        twice."""
        for each in search.attempts:
            if each.health is health and each.why is not Why.PROBE and each.way is Way.STREAM:
                return True
        return self._send(search, health, Why.TURN, now)

    def _send(self, search: Search, health: Health, why: Why, now: Nanoseconds) -> bool:
        """Whether it is on its way; who can not be reached is asked no more."""
        is_private = health.place.server.authenticated is not None
        by_stream = is_private or why in (Why.CUT, Why.CASE)
        attempt = Attempt(search, health, Way.STREAM if by_stream else Way.DATAGRAM, why, now, self)
        attempt.question = question_of(search.inquiry)
        if not is_private and health.echoes_case is not False:
            attempt.question = mixed(attempt.question, self._random)
        attempt.with_edns = health.understands_edns
        attempt.octets = query(
            *(search.inquiry, attempt.question),
            edns=attempt.with_edns,
            padded=is_private and attempt.with_edns,
        )
        trouble = self._carrier.send(attempt)
        if trouble is not None:
            self._note_loss(health, why, trouble, now)
            if why is not Why.CASE:
                search.unable.add(health)
            return False
        health.queries += 1
        search.attempts.append(attempt)
        return True

    @staticmethod
    def _note_loss(health: Health, why: Why, trouble: str, now: Nanoseconds) -> None:
        """A server that has no TCP may be a good one for datagrams."""
        if why in (Why.TURN, Why.PROBE):
            health.is_out_of_reach(trouble, now)

    def _ask_without_case(self, search: Search, health: Health, now: Nanoseconds) -> bool:
        """It can not be found out whether a server keeps letters, so it is taken for one that does
        not."""
        health.echoes_case = False
        return self._send(search, health, Why.TURN, now)

    # How it ends

    def _see_to(self, search: Search, now: Nanoseconds) -> None:
        """Its time has come: who has not answered by now is passed over."""
        for each in tuple(search.attempts):
            is_early = each.why is Why.PROBE and now < each.sent + each.health.timeout
            if each.is_overdue or is_early:
                continue
            each.is_overdue = True
            if each.why is Why.CASE:
                each.health.echoes_case = False
                self._carrier.forget(each)
                search.attempts.remove(each)
            elif each.why is not Why.CUT:
                each.health.was_silent(each.sent, now)
        if search.is_over:
            self._forget(search)
        else:
            self._go_on(search, now)

    def _end(self, search: Search, found: Found | None, now: Nanoseconds) -> None:
        del self._under_way[search.inquiry]
        search.is_over = True
        self._linger(search, now)
        question = question_of(search.inquiry)
        if found is not None:
            reply = found.reply
            lowered = reply[:HEADER_LENGTH] + question + reply[HEADER_LENGTH + len(question) :]
            found = found._replace(reply=lowered)
        self._conclude(search.inquiry, found)

    def _linger(self, search: Search, now: Nanoseconds) -> None:
        """Hear what else comes, for the health of who was asked beside the one who answered: of
        each server one attempt at a time."""
        waited = []
        for each in search.attempts:
            if each.is_overdue or each.health.is_watched or each.why in (Why.CUT, Why.CASE):
                self._carrier.forget(each)
            else:
                each.health.is_watched = True
                waited.append(each)
        search.attempts = waited
        self._wheel.forget(search)
        if waited:
            search.due = max(now, *(each.sent + each.health.timeout for each in waited))
            self._schedule(search)

    def _schedule(self, search: Search) -> None:
        self._wheel.schedule(search, search.due)
        self._wake(search.due)

    def _settle(self, attempt: Attempt) -> None:
        search = attempt.search
        search.attempts.remove(attempt)
        if search.is_over:
            attempt.health.is_watched = False
            if not search.attempts:
                self._wheel.forget(search)

    def _forget(self, search: Search) -> None:
        for each in search.attempts:
            self._carrier.forget(each)
            if search.is_over:
                each.health.is_watched = False
        search.attempts = []
        search.is_over = True
        self._wheel.forget(search)


def _is_mixed(attempt: Attempt) -> bool:
    """Whether there are capital letters in what was asked."""
    return attempt.question != question_of(attempt.search.inquiry)


def _repeats(attempt: Attempt, reply: bytes) -> bool:
    """Whether a reply repeats the question letter for letter."""
    return reply[HEADER_LENGTH : HEADER_LENGTH + len(attempt.question)] == attempt.question


def _expected(attempt: Attempt, reply: bytes) -> bytes:
    """The question that a reply has to repeat. In a stream, which nobody can forge, the letters
    of its name may be others."""
    asked = attempt.question
    if attempt.way is Way.DATAGRAM:
        return asked
    repeated = reply[HEADER_LENGTH : HEADER_LENGTH + len(asked)]
    return repeated if repeats_name(repeated, asked) else asked
