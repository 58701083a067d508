"""What was asked, by whom, and what became of it."""

from __future__ import annotations

import dns.message
from hypothesis import given
from hypothesis import strategies as st

from vswitch.daemon.messages.dns import Outcome
from vswitch.daemon.resolving.showing.frequent import Counted
from vswitch.daemon.resolving.showing.querylog import REMEMBERED, QueryLog
from vswitch.dataplane.responders.dns.inside.names import Names
from vswitch.dataplane.responders.dns.party import Party, Route
from vswitch.wire import domain

NAMES = Names(())


def party(name: str) -> Party:
    return Party(name, lambda: NAMES, lambda _: Route(), "front")


APP, WEB = party("app"), party("web")


def asked(name: str, kind: str = "A") -> bytes:
    """A query without its identifier."""
    return dns.message.make_query(name, kind, use_edns=0).to_wire()[2:]


def test_query_is_remembered_with_what_became_of_it() -> None:
    log = QueryLog()
    log.note(7, APP, asked("Www.Debian.org", "AAAA"), Outcome.SERVER, "192.0.2.1", 12)
    number, missed, (noted,) = log.since(0)
    assert (number, missed) == (1, 0)
    assert (noted.when, noted.party, noted.outcome, noted.by, noted.took) == (
        *(7, APP, Outcome.SERVER),
        *("192.0.2.1", 12),
    )
    assert (domain.decode(noted.name), noted.type) == ("www.debian.org", 28)


def test_reader_gets_what_has_come_since_and_hears_of_what_it_has_missed() -> None:
    log = QueryLog()
    for when in range(3):
        log.note(when, APP, asked("a"), Outcome.NAMES)
    number, _, first = log.since(0)
    assert [each.when for each in first] == [0, 1, 2]
    assert log.since(number) == (3, 0, [])
    for when in range(REMEMBERED + 5):
        log.note(when, APP, asked("a"), Outcome.NAMES)
    number, missed, noted = log.since(number)
    assert (number, missed, len(noted)) == (REMEMBERED + 8, 5, REMEMBERED)
    assert noted[0].when == 5
    assert [each.when for each in log.last(2).noted] == [REMEMBERED + 3, REMEMBERED + 4]


def test_names_and_parties_and_outcomes_are_counted() -> None:
    log = QueryLog()
    for number in range(300):
        log.note(number, APP, asked("web.front"), Outcome.NAMES)
        log.note(number, WEB, asked("WEB.front", "AAAA"), Outcome.CACHE)
    log.note(0, WEB, asked("evil.example"), Outcome.NOT_ALLOWED)
    assert log.outcomes == {Outcome.NAMES: 300, Outcome.CACHE: 300, Outcome.NOT_ALLOWED: 1}
    assert log.names(1) == [Counted(domain.encode("web.front"), 600, 0)]
    assert log.parties(5) == [Counted("web", 301, 0), Counted("app", 300, 0)]


@given(st.binary(max_size=40))
def test_what_is_no_query_is_noted_as_well(octets: bytes) -> None:
    log = QueryLog()
    log.note(0, APP, octets, Outcome.NOT_UNDERSTOOD)
    (noted,) = log.since(0).noted
    assert isinstance(domain.decode(noted.name), str)
    assert noted.type is None or 0 <= noted.type <= 0xFFFF
    assert log.outcomes.total() == 1
