"""Parties that may ask for some names of the outside alone, and what they are told opens."""

from __future__ import annotations

from dataclasses import replace

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from tests.harness import Lab
from vswitch.dataplane.openings import AllowedNames
from vswitch.dataplane.responders.dns.bounds import Bounds
from vswitch.dataplane.responders.dns.brain import Brain, Forward, Refuse, Reply, Why
from vswitch.dataplane.responders.dns.inside.names import Host, Names
from vswitch.dataplane.responders.dns.party import Inquiry, Party, Route
from vswitch.naming import NameSettings, Record
from vswitch.units import SECOND
from vswitch.wire import domain
from vswitch.wire.values import IpAddress

NAMES = Names([Host(("web",), "front", (IpAddress.parse("10.0.0.3"),))])


class Asking:
    """Somebody on front, which may ask for names below debian.org and for registry.example."""

    def __init__(self, settings: NameSettings = NameSettings()) -> None:  # noqa: B008
        self.lab = Lab()
        self.front = self.lab.network("front")
        self.front.allowed = AllowedNames(["*.debian.org", "registry.example"])
        self.openings = self.lab.switch.tables.openings
        bounds = Bounds(self.front, self.openings)
        self.party = Party("app", lambda: NAMES, lambda _: Route(), "front", bounds=lambda: bounds)
        self.brain = Brain(settings, is_ours=self.lab.switch.tables.is_inside)

    def ask(self, name: str, kind: str = "A", **options: int) -> Reply | Refuse | Forward:
        query = dns.message.make_query(name, kind, **options)
        answer = self.brain.answer(query.to_wire(), self.party, self.lab.now)
        assert isinstance(answer, Reply | Refuse | Forward)
        return answer

    def told(self, name: str, *records: tuple[str, int, str, str]) -> dns.message.Message:
        """A server has said these records, and that is passed on."""
        query = dns.message.make_query(name, "A")
        asked = self.brain.answer(query.to_wire(), self.party, self.lab.now)
        assert isinstance(asked, Forward)
        lowered = dns.message.make_query(query.question[0].name.canonicalize(), "A")
        reply = dns.message.make_response(lowered)
        for owner, ttl, kind, data in records:
            reply.answer.append(dns.rrset.from_text(f"{owner}.", ttl, "IN", kind, data))
        told = self.brain.learn(asked.inquiry, reply.to_wire(), self.lab.now)
        passed = self.brain.pass_on(query.to_wire(), told, self.party, self.lab.now)
        return dns.message.from_wire(passed)

    @property
    def opened(self) -> dict[str, str]:
        """Names, by the addresses that they have opened."""
        return {
            str(each.address): domain.decode(each.opening.name)
            for each in self.openings
            if each.network == self.front.number
        }


@pytest.fixture
def asking() -> Asking:
    return Asking()


@pytest.mark.parametrize("name", ["www.debian.org", "WWW.Debian.ORG", "registry.example"])
def test_allowed_name_is_asked_of_servers(asking: Asking, name: str) -> None:
    assert isinstance(asking.ask(name), Forward)


@pytest.mark.parametrize("kind", ["A", "AAAA", "TXT", "HTTPS"])
def test_other_name_does_not_exist_and_nobody_is_asked(asking: Asking, kind: str) -> None:
    answer = asking.ask("tunnel.evil.example", kind, use_edns=0)
    assert isinstance(answer, Refuse)
    assert answer.why is Why.NOT_ALLOWED
    told = dns.message.from_wire(answer.message)
    assert (told.rcode(), told.answer, told.authority) == (dns.rcode.NXDOMAIN, [], [])
    (why,) = told.options
    assert isinstance(why, dns.edns.EDEOption)
    assert why.code is dns.edns.EDECode.BLOCKED
    assert why.text == "the network does not allow this name"


def test_client_without_edns_is_told_in_its_own_words(asking: Asking) -> None:
    answer = asking.ask("evil.example")
    assert isinstance(answer, Refuse)
    told = dns.message.from_wire(answer.message)
    assert (told.rcode(), told.edns) == (dns.rcode.NXDOMAIN, -1)


def test_name_of_a_neighbour_needs_no_permission_and_opens_nothing(asking: Asking) -> None:
    assert isinstance(asking.ask("web"), Reply)
    assert asking.opened == {}


def test_name_known_by_hand_that_is_allowed_opens_what_it_leads_to_outside(asking: Asking) -> None:
    by_hand = {
        "registry.example": (IpAddress.parse("10.99.0.5"), IpAddress.parse("10.0.0.3")),
        "db.example": (IpAddress.parse("203.0.113.9"),),
    }
    records = tuple(Record(*each) for each in by_hand.items())
    names = Names([], NameSettings(records=records))
    asking.party = replace(asking.party, names=lambda: names)
    for _ in range(2):
        for name in by_hand:
            answer = asking.ask(name)
            assert isinstance(answer, Reply)
        assert asking.opened == {"10.99.0.5": "registry.example"}
        asking.lab.now += 600 * SECOND
    opened = {each.address: each.opening.until for each in asking.openings}
    assert opened[IpAddress.parse("10.99.0.5")] > asking.lab.now


def test_what_is_told_opens_what_it_leads_to_by_the_name_that_was_asked_for(
    asking: Asking,
) -> None:
    asking.told(
        "Www.debian.org",
        ("www.debian.org", 60, "CNAME", "cdn.example."),
        ("cdn.example", 20, "CNAME", "edge.example."),
        ("edge.example", 10, "A", "198.51.100.1"),
        ("edge.example", 10, "A", "198.51.100.2"),
    )
    assert asking.opened == dict.fromkeys(("198.51.100.1", "198.51.100.2"), "www.debian.org")


def test_address_is_open_for_its_own_ttl(asking: Asking) -> None:
    asking.told("registry.example", ("registry.example", 300, "A", "198.51.100.1"))
    (opened,) = asking.openings
    assert opened.opening.until == asking.lab.now + 310 * SECOND


def test_answer_that_was_kept_opens_again_each_time_that_it_is_told(asking: Asking) -> None:
    asking.told("registry.example", ("registry.example", 300, "A", "198.51.100.1"))
    asking.lab.now += 60 * SECOND
    asking.openings.review(asking.front.number, None)
    answer = asking.ask("registry.example")
    assert isinstance(answer, Reply)
    assert (answer.is_cached, answer.orders) == (True, ())
    (opened,) = asking.openings
    assert opened.opening.until == asking.lab.now + 250 * SECOND


def test_what_is_kept_is_told_to_nobody_who_may_not_ask_for_it(asking: Asking) -> None:
    asking.told("registry.example", ("registry.example", 300, "A", "198.51.100.1"))
    asking.front.allowed = AllowedNames([])
    assert isinstance(asking.ask("registry.example"), Refuse)


def test_address_that_is_cut_off_is_not_opened(asking: Asking) -> None:
    records = [("registry.example", 60, "A", f"198.51.100.{n}") for n in range(1, 99)]
    told = asking.told("registry.example", *records)
    assert told.flags & dns.flags.TC
    assert set(asking.opened) == {str(each) for rrset in told.answer for each in rrset}


@pytest.mark.parametrize("address", ["10.1.0.2", "192.168.0.1", "203.0.113.1", "169.254.169.254"])
def test_name_of_the_outside_opens_nothing_inside(asking: Asking, address: str) -> None:
    asking.told("registry.example", ("registry.example", 60, "A", address))
    assert asking.opened == {}


def test_name_that_is_allowed_no_longer_when_servers_answer_opens_nothing(asking: Asking) -> None:
    query = dns.message.make_query("www.debian.org", "A")
    asked = asking.brain.answer(query.to_wire(), asking.party, asking.lab.now)
    assert isinstance(asked, Forward)
    only_registry = AllowedNames(["registry.example"])
    asking.lab.switch.changes.set_allowed_names(asking.front.number, only_registry, asking.lab.now)
    reply = dns.message.make_response(query)
    reply.answer.append(dns.rrset.from_text("www.debian.org.", 60, "IN", "A", "203.0.113.80"))
    told = asking.brain.learn(asked.inquiry, reply.to_wire(), asking.lab.now)
    asking.brain.pass_on(query.to_wire(), told, asking.party, asking.lab.now)
    assert asking.opened == {}


def test_name_that_is_excepted_opens_what_is_private() -> None:
    asking = Asking(NameSettings(protected_but=("registry.example",)))
    asking.told("registry.example", ("registry.example", 60, "A", "192.168.0.1"))
    assert asking.opened == {"192.168.0.1": "registry.example"}


def test_who_may_ask_for_all_opens_nothing(asking: Asking) -> None:
    asking.party = Party("app", lambda: NAMES, lambda _: Route(), "front")
    assert isinstance(asking.ask("evil.example"), Forward)
    asking.told("evil.example", ("evil.example", 60, "A", "198.51.100.1"))
    assert asking.opened == {}


# Rebinding, where the brain meets it


def test_answer_that_leads_inside_is_withheld_and_not_kept() -> None:
    asking = Asking(NameSettings(protects_from_rebinding=True))
    asking.party = Party("app", lambda: NAMES, lambda _: Route(), "front")
    for _ in range(2):
        told = asking.told("evil.example", ("evil.example", 300, "A", "10.0.0.1"))
        assert (told.rcode(), told.answer) == (dns.rcode.NXDOMAIN, [])


def test_protection_that_is_turned_on_holds_for_who_is_still_waiting() -> None:
    brain, name = Brain(NameSettings()), b"\x04evil\x07example\0"
    inquiry = Inquiry(name, 1, 1, False, False, Route())
    reply = dns.message.make_response(dns.message.make_query("evil.example", "A"))
    reply.answer.append(dns.rrset.from_text("evil.example.", 300, "IN", "A", "10.0.0.1"))
    octets = reply.to_wire()
    assert brain.learn(inquiry, octets, 0).withheld is None
    brain.follow(NameSettings(protects_from_rebinding=True))
    assert str(brain.learn(inquiry, octets, 0).withheld) == "10.0.0.1"


def test_protection_that_is_turned_on_holds_for_what_is_kept() -> None:
    asking = Asking()
    asking.party = Party("app", lambda: NAMES, lambda _: Route(), "front")
    asking.told("evil.example", ("evil.example", 300, "A", "10.0.0.1"))
    assert isinstance(asking.ask("evil.example"), Reply)
    asking.brain.follow(NameSettings(protects_from_rebinding=True))
    assert isinstance(asking.ask("evil.example"), Forward)
