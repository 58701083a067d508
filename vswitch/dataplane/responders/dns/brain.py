"""The brain behind every name server of ours: a query comes in as octets, and what becomes of it?

Theory of operation. A query ends in one of four ways: there is an answer (`Reply`), it is refused
because it cannot be answered (`Refuse`), it is somebody else's to answer (`Forward`), or it is
nothing that deserves an answer (`Silence`). Nothing here opens a socket, asks a server or reads a
clock: whoever does comes back with what a server has said (`learn`), and is told how that is said
to each client that waits for it (`pass_on`).

`answer` asks in this order: is it a query at all, and can it be read (`query`)? is it one that is
answered (`refusing`)? is the name ours (`local`)? may this party ask for others (`bounds`)? have
servers said it before (`cache`)? who else may know? What servers say is told where it may be
(`rebinding`), and opens what it leads to.

Several addresses of a name come in another order from answer to answer, so that clients that take
the first one share them: a plain turn, as whoever wants them fairly shared gets them so.

Who may ask for what is `party`'s and `names`'s, whether a server's reply counts is `judging`'s, and
what is believed of it is `believing`'s. Read first: RFC 1034 section 4.3.1 and RFC 1035 section 4.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import TypeAlias

import dns.message
import dns.opcode
import dns.rcode
from dns.edns import EDECode, EDEOption

from vswitch.dataplane.responders.dns import cookies
from vswitch.dataplane.responders.dns.bounds import Bounds
from vswitch.dataplane.responders.dns.client import Client
from vswitch.dataplane.responders.dns.inside import local
from vswitch.dataplane.responders.dns.learned.believing import (
    Statement,
    Unsound,
    What,
    believe,
    failed,
)
from vswitch.dataplane.responders.dns.learned.cache import Cache, Told
from vswitch.dataplane.responders.dns.learned.rebinding import Rebinding, addresses_in
from vswitch.dataplane.responders.dns.message import (
    FLAGS,
    HEADER_LENGTH,
    IS_RESPONSE,
    error,
)
from vswitch.dataplane.responders.dns.party import Inquiry, Party
from vswitch.dataplane.responders.dns.query import Query, UnreadableError, read
from vswitch.dataplane.responders.dns.refusing import refusal
from vswitch.dataplane.responders.dns.telling import Said, tell
from vswitch.naming import NameSettings
from vswitch.units import MILLISECOND, Nanoseconds
from vswitch.wire.values import IpAddress

ORDERS = 8
"""Of the addresses of one name: an answer is kept in so many at most."""

CLIENT_PATIENCE: Nanoseconds = 1_800 * MILLISECOND
"""Before somebody gives up, who is better told what held a while ago (RFC 8767, 5: the client
response timer)."""


class Why(Enum):
    """Why a query is refused."""

    NOT_UNDERSTOOD = "it is none that we can answer"
    NOT_ALLOWED = "the network does not allow this name"


_NOT_ALLOWED = Said(dns.rcode.NXDOMAIN, why=(EDECode.BLOCKED, Why.NOT_ALLOWED.value))

_WITHHELD = Statement(
    What.NO_NAME, explained=(EDEOption(EDECode.BLOCKED, "the name leads inside"),)
)


@dataclass(frozen=True, slots=True)
class Reply:
    """We know. `message` goes back to the client as it is."""

    message: bytes
    orders: tuple[bytes, ...] = ()
    """What the same query may be answered with in turn, `message` first; empty where it has to be
    asked again."""
    until: Nanoseconds | None = None
    """For how long that is so; None: for as long as names stay."""
    refresh: Inquiry | None = None
    """What servers are to be asked anew, behind the client's back."""
    is_cached: bool = False
    """Whether servers have said it."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """We do not take this query. `message` says so to the client."""

    message: bytes
    why: Why = Why.NOT_UNDERSTOOD


@dataclass(frozen=True, slots=True)
class Forward:
    """Somebody else may know: what is to be asked."""

    inquiry: Inquiry


class Silence(Enum):
    """What gets no answer, because an answer could start a loop or has no address to bear."""

    TOO_SHORT = "it has no whole header, so there is no identifier to answer to"
    RESPONSE = "it is a response, and two responders could answer each other for ever"


Answer: TypeAlias = Reply | Refuse | Forward | Silence


class Brain:
    """What all front ends of a switch ask."""

    def __init__(
        self,
        settings: NameSettings,
        secret: bytes = b"",
        is_ours: Callable[[IpAddress], bool] = lambda _: False,
    ) -> None:
        """Who does not know `secret`, up to 64 octets, can not make up cookies of ours. `is_ours`
        tells the addresses of the switch, and of whoever is on a network inside."""
        self._secret = secret
        self._is_ours = is_ours
        self._turn = 0
        self._settings = settings
        self._rebinding = Rebinding(settings, is_ours)
        self.cache = Cache(settings.cache)
        """What servers have said."""
        self._latest: tuple[bytes, Told | None] = b"", None
        """The reply that was learned from last, and what that is."""

    def follow(self, settings: NameSettings) -> None:
        """Do what the user wants from now on. What was believed of servers by other rules about
        what leads inside is forgotten."""
        self._settings = settings
        rebinding = Rebinding(settings, self._is_ours)
        if rebinding != self._rebinding:
            self._rebinding = rebinding
            self._latest = b"", None
            self.cache.forget()
        self.cache.follow(settings.cache)

    def answer(
        self,
        query: bytes,
        party: Party,
        now: Nanoseconds,
        *,
        by_stream: bool = False,
        commit: bool = True,
    ) -> Answer:
        """What becomes of a query that came in a datagram, or `by_stream`, where an answer may be
        as long as there are any; without `commit`, what would, and nothing changes by that. Never
        raises for what is in `query`."""
        if len(query) < HEADER_LENGTH:
            return Silence.TOO_SHORT
        if query[FLAGS] & IS_RESPONSE:
            return Silence.RESPONSE
        if dns.opcode.from_flags(query[FLAGS] << 8) != dns.opcode.QUERY:
            return Refuse(error(query, dns.rcode.NOTIMP))
        try:
            asked = read(query)
        except UnreadableError:
            return Refuse(error(query, dns.rcode.FORMERR))
        client = self._client(asked, party, now)
        refused = refusal(asked)
        if refused is not None:
            return Refuse(tell(client, refused, by_stream=by_stream))
        known, bounds = local.find(asked, party.names()), party.bounds()
        if known is not None:
            if bounds is None or not bounds.allow(asked.name):
                return self._reply(client, known, by_stream=by_stream, commit=commit)
            turned = known.turned(self._next_turn(commit=commit))
            message = tell(client, turned, by_stream=by_stream)
            if commit:
                self._open(bounds, message, now, by_hand=True)
            return Reply(message)
        if local.is_short(asked) and party.keeps_short_names():
            nothing = local.nothing(asked, party.names())
            return Reply(tell(client, nothing, by_stream=by_stream))  # as long as that is so
        inquiry = _inquiry(asked, party)
        if bounds is not None and not bounds.allow(inquiry.name):
            return Refuse(tell(client, _NOT_ALLOWED, by_stream=by_stream), Why.NOT_ALLOWED)
        told = (self.cache.find if commit else self.cache.preview)(inquiry, now)
        if told is None:
            return Forward(inquiry)
        if bounds is None:
            return self._retell(client, inquiry, told, by_stream=by_stream, commit=commit)
        message = told.say(client, self._next_turn(commit=commit), by_stream=by_stream)
        if commit:
            self._open(bounds, message, now)
        return Reply(message, refresh=inquiry if told.is_due else None, is_cached=True)

    def learn(self, inquiry: Inquiry, reply: bytes | None, now: Nanoseconds) -> Told:
        """What somebody is told who waits for `inquiry`, now that servers have said `reply`, or
        None where none could say. A reply that makes no sense is as good as none, and one that
        leads inside where it must not is withheld.

        All who wait for one inquiry come with the same reply, one after the other, and it is read
        once.
        """
        if reply is None:
            return self.cache.learn(inquiry, failed(EDECode.NO_REACHABLE_AUTHORITY), now)
        learned_from, told = self._latest
        if told is None or learned_from is not reply:
            told = self._learn(inquiry, reply, now)
            self._latest = reply, told
        return told

    def _learn(self, inquiry: Inquiry, reply: bytes, now: Nanoseconds) -> Told:
        try:
            statement = believe(reply, inquiry, self._settings.cache)
            forbidden = self._rebinding.forbidden_in(inquiry.name, statement.answer)
            if forbidden is not None:
                told = self.cache.learn(inquiry, _WITHHELD, now)
                return told._replace(withheld=forbidden)
            return self.cache.learn(inquiry, statement, now)
        except Unsound as error:
            return self.cache.learn(inquiry, failed(EDECode.INVALID_DATA, str(error)), now)

    def has_instead(self, inquiry: Inquiry, now: Nanoseconds) -> bool:
        """Whether there is something that held a while ago."""
        return self.cache.has_instead(inquiry, now)

    def instead(self, inquiry: Inquiry, now: Nanoseconds) -> Told | None:
        """What those are told for whom servers take longer than CLIENT_PATIENCE; None where they
        have to wait."""
        return self.cache.instead(inquiry, now)

    def pass_on(
        self,
        query: bytes,
        told: Told,
        party: Party,
        now: Nanoseconds,
        *,
        by_stream: bool = False,
    ) -> bytes:
        """The octets for one who waits. `query` is one that `answer` has said `Forward` to."""
        client, bounds = self._client(read(query), party, now), party.bounds()
        message = told.say(client, self._next_turn(), by_stream=by_stream)
        if bounds is not None:
            self._open(bounds, message, now)
        return message

    def fail(self, query: bytes, why: Said, party: Party, now: Nanoseconds) -> bytes:
        """What a client is told for whom nothing could be done. `query` is one that `answer` has
        said `Forward` to."""
        return tell(self._client(read(query), party, now), why, by_stream=False)

    def _client(self, query: Query, party: Party, now: Nanoseconds) -> Client:
        """With a cookie for each that is one."""
        cookie = query.cookie
        if cookie is None or not cookies.is_well_formed(cookie):
            return Client.of(query)
        return Client.of(query, cookies.option(cookie, party.name, now, self._secret))

    def _reply(self, client: Client, known: Said, *, by_stream: bool, commit: bool) -> Reply:
        return self._in_turn(
            client,
            known.orders,
            lambda turn: tell(client, known.turned(turn), by_stream=by_stream),
            by_stream=by_stream,
            commit=commit,
        )

    def _retell(
        self, client: Client, inquiry: Inquiry, told: Told, *, by_stream: bool, commit: bool
    ) -> Reply:
        reply = self._in_turn(
            client,
            told.orders,
            lambda turn: told.say(client, turn, by_stream=by_stream),
            by_stream=by_stream,
            commit=commit,
        )
        refresh = inquiry if told.is_due else None
        return replace(reply, until=told.until, refresh=refresh, is_cached=True)

    def _open(
        self, bounds: Bounds, told: bytes, now: Nanoseconds, *, by_hand: bool = False
    ) -> None:
        """Let somebody who reaches nothing else outside reach what it is told, but nothing inside
        by the word of a server that is not believed that. What is told is never kept, as each time
        opens it for longer."""
        message = dns.message.from_wire(told)
        name = message.question[0].name.canonicalize().to_wire() or b""
        is_believed = by_hand or self._rebinding.trusts(name)
        stays_shut = self._is_ours if is_believed else self._rebinding.is_inside
        led = (each for each in addresses_in(message.answer) if not stays_shut(each.address))
        bounds.open(name, led, now)

    def _next_turn(self, *, commit: bool = True) -> int:
        turn = self._turn
        if commit:
            self._turn += 1
        return turn

    def _in_turn(
        self,
        client: Client,
        many: int,
        say: Callable[[int], bytes],
        *,
        by_stream: bool,
        commit: bool,
    ) -> Reply:
        """An answer that has so many orders. What bears a cookie is told once, as the next query
        has another one, and so is what goes by stream, as it may be long."""
        turn = self._next_turn(commit=commit)
        if client.cookie or by_stream:
            return Reply(say(turn))
        orders = tuple(say(turn + each) for each in range(min(many, ORDERS)))
        return Reply(orders[0], orders)


def _inquiry(query: Query, party: Party) -> Inquiry:
    return Inquiry(
        query.name,
        query.type,
        query.cls,
        query.wants_dnssec,
        query.checking_disabled,
        party.route(query.name),
    )
