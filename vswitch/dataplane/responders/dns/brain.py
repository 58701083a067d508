"""The brain behind every name server of ours: a query comes in as octets, and what becomes of it?

Theory of operation. A query ends in one of four ways: there is an answer (`Reply`), it is refused
because it cannot be answered (`Refuse`), it is somebody else's to answer (`Forward`), or it is
nothing that deserves an answer (`Silence`). Nothing here opens a socket, asks a server or reads a
clock: whoever does comes back with what a server has said (`learn`), and is told how that is said
to each client that waits for it (`pass_on`).

`answer` asks in this order: is it a query at all, and can it be read (`query`)? is it one that is
answered (`refusing`)? is the name ours (`local`)? have servers said it before (`cache`)? who else
may know?

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

import dns.opcode
import dns.rcode
from dns.edns import EDECode

from vswitch.dataplane.responders.dns import cookies, local
from vswitch.dataplane.responders.dns.believing import Unsound, believe, failed
from vswitch.dataplane.responders.dns.cache import Cache, Told
from vswitch.dataplane.responders.dns.client import Client
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

ORDERS = 8
"""Of the addresses of one name: an answer is kept in so many at most."""

CLIENT_PATIENCE: Nanoseconds = 1_800 * MILLISECOND
"""Before somebody gives up, who is better told what held a while ago (RFC 8767, 5: the client
response timer)."""


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


@dataclass(frozen=True, slots=True)
class Refuse:
    """We cannot take this query. `message` says so to the client."""

    message: bytes


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

    def __init__(self, settings: NameSettings, secret: bytes = b"") -> None:
        """Who does not know `secret`, up to 64 octets, can not make up cookies of ours."""
        self._secret = secret
        self._turn = 0
        self._settings = settings
        self.cache = Cache(settings.cache)
        """What servers have said."""
        self._latest: tuple[bytes, Told | None] = b"", None
        """The reply that was learned from last, and what that is."""

    def follow(self, settings: NameSettings) -> None:
        """Do what the user wants from now on."""
        self._settings = settings
        self.cache.follow(settings.cache)

    def answer(
        self, query: bytes, party: Party, now: Nanoseconds, *, by_stream: bool = False
    ) -> Answer:
        """What becomes of a query that came in a datagram, or `by_stream`, where an answer may be
        as long as there are any. Never raises for what is in `query`."""
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
        known = local.find(asked, party.names(), party.keeps_short_names)
        if known is not None:
            return self._reply(client, known, by_stream=by_stream)
        inquiry = _inquiry(asked, party)
        told = self.cache.find(inquiry, now)
        if told is not None:
            return self._retell(client, inquiry, told, by_stream=by_stream)
        return Forward(inquiry)

    def learn(self, inquiry: Inquiry, reply: bytes | None, now: Nanoseconds) -> Told:
        """What somebody is told who waits for `inquiry`, now that servers have said `reply`, or
        None where none could say. A reply that makes no sense is as good as none.

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
            return self.cache.learn(inquiry, believe(reply, inquiry, self._settings.cache), now)
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
        client, turn = self._client(read(query), party, now), self._turn
        self._turn += 1
        return told.say(client, turn, by_stream=by_stream)

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

    def _reply(self, client: Client, known: Said, *, by_stream: bool) -> Reply:
        return self._in_turn(
            client,
            known.orders,
            lambda turn: tell(client, known.turned(turn), by_stream=by_stream),
        )

    def _retell(self, client: Client, inquiry: Inquiry, told: Told, *, by_stream: bool) -> Reply:
        reply = self._in_turn(
            client, told.orders, lambda turn: told.say(client, turn, by_stream=by_stream)
        )
        return replace(reply, until=told.until, refresh=inquiry if told.is_due else None)

    def _in_turn(self, client: Client, many: int, say: Callable[[int], bytes]) -> Reply:
        """An answer that has so many orders. What bears a cookie is not kept, as the next query has
        another one."""
        turn = self._turn
        self._turn += 1
        if client.cookie:
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
