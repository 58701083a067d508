"""Answers from names: octet for octet the same for as long as nobody comes or goes."""

from __future__ import annotations

from random import Random

import dns.edns
import dns.message
import dns.rcode
import pytest

from vswitch.daemon.messages.dns import Outcome
from vswitch.daemon.resolving.answering import ANSWERS_KEPT, Answering
from vswitch.daemon.resolving.asking.forwarding import Forwarder
from vswitch.daemon.resolving.showing.querylog import QueryLog
from vswitch.dataplane.responders.dns.brain import Answer, Brain
from vswitch.dataplane.responders.dns.party import Party, Route
from vswitch.known.directory import Directory
from vswitch.known.to_endpoints import View
from vswitch.naming import NameSettings
from vswitch.network.inventory import Inventory
from vswitch.network.model import EndpointRequest, MembershipRequest, Network
from vswitch.units import Nanoseconds
from vswitch.wire.values import IpAddress, IpNetwork

FRONT = Network("front", IpNetwork.parse("172.18.0.0/16"), IpAddress.parse("172.18.0.1"))
BACK = Network("back", IpNetwork.parse("172.19.0.0/16"), IpAddress.parse("172.19.0.1"))
SETTINGS = NameSettings()


class Listening(Brain):
    """One that remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__(SETTINGS)
        self.asked: list[bytes] = []

    def answer(
        self, query: bytes, party: Party, now: Nanoseconds, *, by_stream: bool = False
    ) -> Answer:
        self.asked.append(query)
        return super().answer(query, party, now, by_stream=by_stream)


class Asking:
    """The endpoint `app`, which asks."""

    def __init__(self) -> None:
        self.inventory = Inventory((FRONT, BACK), (), Random(1))
        self.inventory.add_endpoint(EndpointRequest("app", "front"))
        self.sent: list[bytes] = []
        self.keeps_short_names = False
        party = Party(
            "app",
            View(Directory(self.inventory, lambda: SETTINGS), "app"),
            lambda _: Route(),
            keeps_short_names=lambda: self.keeps_short_names,
        )
        self.brain = Listening()
        self.queries = QueryLog()
        self.answering = Answering(party, self.brain, Forwarder(1.0), lambda: 0, self.queries)

    def say(self, query: bytes) -> None:
        """As the one does who has the socket."""
        self.answering.answer_all(
            [("client", query)],
            lambda _, message: self.sent.append(message),
            lambda _: self.sent.append,
        )

    def ask(self, name: str, identifier: int = 1) -> list[str]:
        """The addresses that come back."""
        query = dns.message.make_query(name, "A", id=identifier)
        self.say(query.to_wire())
        reply = dns.message.from_wire(self.sent[-1])
        assert reply.id == identifier
        return [str(item) for rrset in reply.answer for item in rrset]


@pytest.fixture
def asking() -> Asking:
    return Asking()


def test_same_query_is_looked_into_once_whoever_asks(asking: Asking) -> None:
    assert [asking.ask("app", identifier) for identifier in (1, 2, 3)] == [["172.18.0.2"]] * 3
    assert len({message[2:] for message in asking.sent}) == 1
    assert len(asking.brain.asked) == 1


def test_spelling_of_the_question_is_repeated_as_asked(asking: Asking) -> None:
    for name in ("app", "APP", "aPp"):
        asking.ask(name)
    questions = [dns.message.from_wire(each).question[0].name.to_text() for each in asking.sent]
    assert questions == ["app.", "APP.", "aPp."]


def test_who_comes_and_goes_is_known_and_is_not_at_once(asking: Asking) -> None:
    asking.inventory.add_endpoint(EndpointRequest("web", "front"))
    assert asking.ask("web") == ["172.18.0.3"]
    asking.inventory.remove_endpoint("web")
    asking.inventory.add_endpoint(EndpointRequest("db", "front"))
    asking.inventory.add_endpoint(EndpointRequest("web", "front"))
    assert asking.ask("web") == ["172.18.0.4"]
    asking.inventory.add_endpoint(EndpointRequest("cache", "back"))
    asking.inventory.connect("app", MembershipRequest("back"))
    assert asking.ask("cache") == ["172.19.0.2"]


def test_long_queries_are_looked_into_each_time_and_take_no_room(asking: Asking) -> None:
    query = dns.message.make_query("app", "A", payload=4096, pad=2048).to_wire()
    for _ in range(2):
        asking.say(query)
    assert len(asking.brain.asked) == len(asking.sent) == 2
    (first, second) = asking.queries.last(2).noted
    assert len(first.query) == len(second.query) < len(query) / 2


def test_ever_new_spellings_take_no_more_room_than_is_there(asking: Asking) -> None:
    for number in range(ANSWERS_KEPT + 1):
        asking.say(dns.message.make_query("app", "A", id=1, payload=512 + number).to_wire())
    asking.ask("app")
    before = len(asking.brain.asked)
    asking.ask("app")
    assert (len(asking.sent), len(asking.brain.asked)) == (ANSWERS_KEPT + 3, before)
    assert len(asking.answering._kept) <= ANSWERS_KEPT


def test_label_alone_stays_inside_for_no_longer_than_dots_are_counted(asking: Asking) -> None:
    asking.keeps_short_names = True
    assert asking.ask("printer") == asking.ask("printer") == []
    asking.keeps_short_names = False
    forwarded: list[bytes] = []
    asking.answering.forward = lambda query, *_, **__: forwarded.append(query)  # type: ignore[method-assign]
    query = dns.message.make_query("printer", "A", id=1).to_wire()
    asking.say(query)
    assert forwarded == [query]


def test_addresses_of_one_name_come_in_turn_whether_looked_into_or_not(asking: Asking) -> None:
    for name in ("a", "b", "c"):
        asking.inventory.add_endpoint(EndpointRequest(name, "front", aliases=("pool",)))
    orders = [asking.ask("pool") for _ in range(7)]
    assert [order[0][-1] for order in orders] == list("3453453")
    assert len(asking.brain.asked) == 1


def test_cookies_leave_what_is_kept_alone(asking: Asking) -> None:
    asking.ask("app")
    for number in range(ANSWERS_KEPT):
        cookie = dns.edns.CookieOption(number.to_bytes(8, "big"), b"")
        asking.say(dns.message.make_query("app", "A", options=[cookie]).to_wire())
    before = len(asking.brain.asked)
    asking.ask("app")
    assert len(asking.brain.asked) == before
    assert len(asking.answering._kept) == 1


def test_query_that_can_not_wait_is_told_why(asking: Asking) -> None:
    query = dns.message.make_query("example.org", "A", use_edns=0)
    asking.answering._refuse_for_being_full(query.to_wire(), asking.sent.append)
    answer = dns.message.from_wire(asking.sent[-1])
    assert query.is_response(answer)
    assert answer.rcode() == dns.rcode.REFUSED
    assert [each.text for each in answer.extended_errors()] == [
        "too many queries are waiting for servers already"
    ]


def test_every_query_is_noted_also_where_its_answer_was_kept(asking: Asking) -> None:
    for name in ("app", "app", "app.front"):
        asking.ask(name)
    asking.say(bytes(3))
    outcomes = [each.outcome for each in asking.queries.since(0).noted]
    assert outcomes == [*[Outcome.NAMES] * 3, Outcome.SILENCE]
