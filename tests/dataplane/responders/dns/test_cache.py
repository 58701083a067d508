"""What servers said: for how long it is told, to whom, and what is told when they say nothing."""

from __future__ import annotations

import gc
import tracemalloc

import dns.flags
import dns.message
import dns.rcode
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.dataplane.responders.dns.servers import (
    ANYBODY,
    NAME,
    Resolving,
    explanations,
    inquiry,
    query,
    reply,
    soa,
    told,
)
from vswitch.dataplane.responders.dns.learned.believing import What, believe
from vswitch.dataplane.responders.dns.learned.cache import (
    FIRST_FAILURE,
    MOST_FAILURE,
    RECHECK,
    STALE_TTL,
    Cache,
)
from vswitch.dataplane.responders.dns.party import Route
from vswitch.dataplane.responders.dns.telling import MOST_NEGATIVE_TTL
from vswitch.naming import CacheSettings, NameSettings, Server
from vswitch.units import DAY, HOUR, SECOND
from vswitch.wire import domain
from vswitch.wire.values import IpAddress

STALE, CACHED_ERROR, STALE_NXDOMAIN, NO_REACHABLE_AUTHORITY, INVALID_DATA = 3, 13, 19, 22, 24

ADDRESS = f"{NAME} 300 IN A 203.0.113.7"


@pytest.fixture
def resolving() -> Resolving:
    return Resolving()


def test_answer_is_told_again_with_the_time_that_is_left(resolving: Resolving) -> None:
    assert resolving.ask() is None
    resolving.learn(reply(ADDRESS))
    assert told(resolving.ask()) == [ADDRESS]
    resolving.wait(100)
    assert told(resolving.ask()) == [f"{NAME} 200 IN A 203.0.113.7"]
    resolving.wait(0.5)
    assert told(resolving.ask()) == [f"{NAME} 199 IN A 203.0.113.7"]
    resolving.wait(199.5)
    assert resolving.ask() is None


def test_whole_answer_holds_for_the_least_of_its_times(resolving: Resolving) -> None:
    resolving.learn(
        reply(f"{NAME} 300 IN CNAME a.example.org.", "a.example.org. 20 IN A 192.0.2.1")
    )
    resolving.wait(19)
    assert told(resolving.ask()) == [
        f"{NAME} 281 IN CNAME a.example.org.",
        "a.example.org. 1 IN A 192.0.2.1",
    ]
    resolving.wait(1)
    assert resolving.ask() is None


@pytest.mark.parametrize(("said", "kept"), [(5, 60), (300, 300), (9000, 3600)])
def test_times_are_within_what_the_user_wants(said: int, kept: int) -> None:
    resolving = Resolving(CacheSettings(least_ttl=60 * SECOND, most_ttl=HOUR))
    line = f"{NAME} {said} IN A 203.0.113.7"
    resolving.learn(reply(line))
    assert told(resolving.ask()) == [f"{NAME} {kept} IN A 203.0.113.7"]


def test_answer_for_this_moment_alone_is_told_and_not_kept() -> None:
    resolving = Resolving(CacheSettings(least_ttl=60 * SECOND))
    resolving.learn(reply(f"{NAME} 0 IN A 203.0.113.7"))
    assert resolving.ask() is None
    assert len(resolving.brain.cache) == 0


@pytest.mark.parametrize("code", [dns.rcode.NXDOMAIN, dns.rcode.NOERROR])
@pytest.mark.parametrize(("ttl", "minimum", "held"), [(60, 300, 60), (3600, 5, 5), (DAY, DAY, 90)])
def test_denial_holds_as_its_zone_says(code: int, ttl: int, minimum: int, held: int) -> None:
    resolving = Resolving(CacheSettings(most_negative_ttl=90 * SECOND))
    ttl, minimum = min(ttl, 10**6), min(minimum, 10**6)
    resolving.learn(reply(authority=[soa(ttl, minimum)], code=code))
    denial = resolving.ask()
    assert denial is not None
    told_for = min(held, MOST_NEGATIVE_TTL) if code == dns.rcode.NXDOMAIN else held
    assert (denial.rcode(), denial.authority[0].ttl) == (code, told_for)
    resolving.wait(held - 1)
    denial = resolving.ask()
    assert denial is not None
    assert denial.authority[0].ttl == 1
    resolving.wait(1)
    assert resolving.ask() is None


def test_client_keeps_for_seconds_that_there_is_no_name_which_may_be_somebodys_next(
    resolving: Resolving,
) -> None:
    denial = reply(authority=[soa()], code=dns.rcode.NXDOMAIN)
    passed = resolving.brain.pass_on(query(), resolving.learn(denial), ANYBODY, resolving.now)
    assert dns.message.from_wire(passed).authority[0].ttl == MOST_NEGATIVE_TTL
    resolving.wait(MOST_NEGATIVE_TTL)
    again = resolving.ask()
    assert again is not None
    assert again.authority[0].ttl == MOST_NEGATIVE_TTL


def test_denial_that_says_nothing_of_its_time_is_not_kept(resolving: Resolving) -> None:
    resolving.learn(reply(code=dns.rcode.NXDOMAIN))
    resolving.learn(reply(code=dns.rcode.NXDOMAIN, authority=[soa().replace("example", "other")]))
    assert resolving.ask() is None


def test_answer_that_was_cut_short_is_never_kept(resolving: Resolving) -> None:
    passed = resolving.learn(reply(ADDRESS, flags=dns.flags.TC))
    assert passed.wording.what is What.ANSWER
    assert resolving.ask() is None


def test_what_servers_said_is_not_told_to_those_who_ask_others(resolving: Resolving) -> None:
    resolving.learn(reply(ADDRESS))
    resolving.route = Route((Server(IpAddress.parse("192.0.2.53")),))
    assert resolving.ask() is None
    resolving.route = Route(origin="another namespace")
    assert resolving.ask() is None
    resolving.route = Route()
    assert told(resolving.ask()) == [ADDRESS]


def test_who_asks_for_proofs_or_for_what_is_unchecked_is_told_that_alone(
    resolving: Resolving,
) -> None:
    resolving.learn(reply(ADDRESS))
    assert resolving.ask(dnssec=True) is None
    assert resolving.ask(cd=True) is None
    assert resolving.ask(ad=True) is not None


def test_failure_is_remembered_for_longer_each_time(resolving: Resolving) -> None:
    held = []
    for _ in range(5):
        failure = resolving.learn(None)
        assert failure.wording.what is What.FAILURE
        begun = resolving.now
        while (remembered := resolving.ask()) is not None:
            assert remembered.rcode() == dns.rcode.SERVFAIL
            assert CACHED_ERROR in explanations(remembered)
            resolving.wait(0.5)
        held.append(resolving.now - begun)
    assert held == [FIRST_FAILURE, 2 * SECOND, 4 * SECOND, MOST_FAILURE, MOST_FAILURE]
    resolving.wait(60)
    resolving.learn(None)
    resolving.wait(FIRST_FAILURE / SECOND)
    assert resolving.ask() is None


def test_failure_that_many_wait_for_is_one(resolving: Resolving) -> None:
    for _ in range(5):
        assert resolving.learn(None).wording.what is What.FAILURE
    resolving.wait(FIRST_FAILURE / SECOND)
    assert resolving.ask() is None


def test_reply_that_many_wait_for_is_read_once(resolving: Resolving) -> None:
    octets = reply(ADDRESS)
    assert resolving.learn(octets) is resolving.learn(octets)


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        (None, NO_REACHABLE_AUTHORITY),
        (reply(ADDRESS)[:-5], INVALID_DATA),
        (reply(ADDRESS, about=inquiry("other.example.org.")), INVALID_DATA),
    ],
)
def test_why_there_is_no_answer_is_explained(octets: bytes | None, why: int) -> None:
    resolving = Resolving()
    resolving.learn(octets)
    remembered = resolving.ask()
    assert explanations(remembered) == [why, CACHED_ERROR]
    assert explanations(resolving.ask(edns=None)) == []


def test_answer_beyond_its_time_is_told_where_no_server_can_say(resolving: Resolving) -> None:
    resolving.learn(reply(ADDRESS))
    resolving.wait(HOUR / SECOND)
    assert resolving.ask() is None
    resolving.learn(reply(code=dns.rcode.SERVFAIL))
    stale = resolving.ask()
    assert told(stale) == [f"{NAME} {STALE_TTL} IN A 203.0.113.7"]
    assert explanations(stale) == [STALE]
    resolving.wait(RECHECK / SECOND)
    assert resolving.ask() is None
    resolving.learn(reply(f"{NAME} 300 IN A 203.0.113.8"))
    fresh = resolving.ask()
    assert told(fresh) == [f"{NAME} 300 IN A 203.0.113.8"]
    assert explanations(fresh) == []


def test_denial_beyond_its_time_is_told_as_such(resolving: Resolving) -> None:
    resolving.learn(reply(authority=[soa()], code=dns.rcode.NXDOMAIN))
    resolving.wait(400)
    resolving.learn(None)
    assert explanations(resolving.ask()) == [STALE_NXDOMAIN]


def test_who_asks_while_servers_take_too_long_is_told_at_once_what_held(
    resolving: Resolving,
) -> None:
    resolving.learn(reply(ADDRESS))
    resolving.wait(400)
    assert resolving.ask() is None
    assert resolving.brain.instead(inquiry(), resolving.now) is not None
    assert explanations(resolving.ask()) == [STALE]
    resolving.learn(reply(ADDRESS))
    assert explanations(resolving.ask()) == []


def test_nothing_is_told_that_is_stale_for_too_long() -> None:
    resolving = Resolving(CacheSettings(stale=60 * SECOND))
    resolving.learn(reply(ADDRESS))
    resolving.wait(359)
    assert resolving.brain.instead(inquiry(), resolving.now) is not None
    resolving.wait(1)
    assert resolving.brain.instead(inquiry(), resolving.now) is None
    assert resolving.ask() is None
    assert resolving.learn(None).wording.what is What.FAILURE


def test_nobody_is_told_instead_what_was_never_said(resolving: Resolving) -> None:
    assert resolving.brain.instead(inquiry(), 0) is None
    resolving.learn(None)
    assert resolving.brain.instead(inquiry(), 0) is None


def test_one_of_those_who_ask_near_the_end_asks_anew(resolving: Resolving) -> None:
    resolving.learn(reply(ADDRESS))
    resolving.ask()
    resolving.wait(269)
    resolving.ask()
    assert resolving.due == []
    resolving.wait(1)
    for _ in range(3):
        resolving.ask()
    assert resolving.due == [inquiry()]
    resolving.learn(reply(ADDRESS))
    assert told(resolving.ask()) == [ADDRESS]
    assert len(resolving.due) == 1


def test_what_was_asked_for_once_is_not_asked_anew(resolving: Resolving) -> None:
    resolving.learn(reply(ADDRESS))
    resolving.wait(280)
    resolving.ask()
    assert resolving.due == []


def test_answer_whose_servers_fail_when_asked_anew_is_told_to_its_end(
    resolving: Resolving,
) -> None:
    resolving.learn(reply(ADDRESS))
    resolving.ask()
    resolving.wait(270)
    resolving.ask()
    resolving.learn(None)
    assert told(resolving.ask()) == [f"{NAME} 30 IN A 203.0.113.7"]
    assert resolving.due == [inquiry()]


def test_nothing_is_asked_anew_where_the_user_does_not_want_it() -> None:
    resolving = Resolving(CacheSettings(prefetch=False))
    resolving.learn(reply(ADDRESS))
    resolving.ask()
    resolving.wait(299)
    resolving.ask()
    assert resolving.due == []


def test_octets_are_right_until_the_second_is_over_or_it_is_due(resolving: Resolving) -> None:
    cache = resolving.brain.cache
    resolving.learn(reply(f"{NAME} 5 IN A 203.0.113.7"))
    for now, until in ((0.0, 0.0), (0.1, 1.0), (1.0, 1.0), (4.2, 4.5), (4.6, 5.0)):
        found = cache.find(inquiry(), round(now * SECOND))
        assert found is not None
        assert found.until == round(until * SECOND)


def test_names_that_nobody_asks_for_twice_push_out_themselves() -> None:
    resolving = Resolving(CacheSettings(memory=64 * 1024))
    resolving.learn(reply(ADDRESS))
    resolving.ask()
    for number in range(500):
        about = inquiry(f"x{number}.example.org.")
        resolving.learn(reply(f"x{number}.example.org. 300 IN A 192.0.2.1", about=about), about)
    assert told(resolving.ask()) == [ADDRESS]
    assert resolving.brain.cache.evictions > 300


def test_names_that_were_asked_for_again_leave_room_for_new_ones() -> None:
    resolving = Resolving(CacheSettings(memory=32 * 1024))
    for number in range(100):
        name = f"x{number}.example.org."
        about = inquiry(name)
        resolving.learn(reply(f"{name} 300 IN A 192.0.2.1", about=about), about)
        assert resolving.ask(name) is not None
        assert resolving.ask(name) is not None
    resolving.learn(reply(ADDRESS))
    assert resolving.ask() is not None


def test_no_memory_is_no_cache() -> None:
    resolving = Resolving(CacheSettings(memory=0))
    assert resolving.learn(reply(ADDRESS)).wording.what is What.ANSWER
    assert resolving.ask() is None
    resolving.learn(None)
    assert resolving.ask() is None


def test_less_memory_is_less_kept_at_once(resolving: Resolving) -> None:
    cache = resolving.brain.cache
    resolving.learn(reply(ADDRESS))
    resolving.learn(reply(authority=[soa()], about=inquiry(kind="MX")), inquiry(kind="MX"))
    assert len(cache) == 2
    cache.follow(CacheSettings(memory=cache.used - 1))
    assert len(cache) == 1


def test_nothing_holds_for_longer_than_the_user_wants_from_now_on(resolving: Resolving) -> None:
    resolving.learn(reply(ADDRESS))
    resolving.brain.follow(NameSettings(cache=CacheSettings(prefetch=False)))
    assert resolving.ask() is not None
    resolving.brain.follow(NameSettings(cache=CacheSettings(most_ttl=60 * SECOND)))
    assert resolving.ask() is None


def _traced() -> int:
    """Bytes that are in use, without what is only waiting to be collected."""
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def test_memory_is_counted_as_python_counts_it() -> None:
    cache, settings = Cache(CacheSettings()), CacheSettings()
    names = [f"x{number}.example.org." for number in range(150)]
    octets = {
        name: (about, reply(f"{name} 300 IN A 192.0.2.1", about=about))
        for name in names
        for about in [inquiry(name)]
    }
    tracemalloc.start()
    try:
        for about, said in octets.values():
            cache.learn(
                about._replace(name=bytes(bytearray(about.name))), believe(said, about, settings), 1
            )
        used, with_all = cache.used, _traced()
        del cache
        taken = with_all - _traced()
    finally:
        tracemalloc.stop()
    assert 0.8 < used / taken < 1.25


def test_what_is_known_can_be_looked_at_and_forgotten(resolving: Resolving) -> None:
    cache = resolving.brain.cache
    resolving.learn(reply(ADDRESS))
    resolving.learn(reply(authority=[soa()], about=inquiry(kind="MX")), inquiry(kind="MX"))
    other = inquiry("other.example.org.", route=Route(origin="elsewhere"))
    cache.learn(other, believe(reply(code=2, about=other), other, CacheSettings()), resolving.now)
    resolving.ask()
    rows = {(row.name, row.type): row[2:] for row in cache.entries(resolving.now)}
    assert rows == {
        (NAME, "A"): (What.ANSWER, 300, 1, False),
        (NAME, "MX"): (What.NO_DATA, 300, 0, False),
        ("other.example.org.", "A"): (What.FAILURE, 1, 0, False),
    }
    resolving.wait(400)
    assert [(row.name, row.ttl, row.is_stale) for row in cache.entries(resolving.now)] == [
        (NAME, 0, True),
        (NAME, 0, True),
    ]
    assert cache.forget_from("elsewhere") == 1
    assert cache.forget(domain.encode("WWW.example.org")) == 2
    assert (len(cache), cache.used) == (0, 0)


def test_what_happens_is_counted(resolving: Resolving) -> None:
    resolving.ask()
    resolving.learn(reply(ADDRESS))
    resolving.ask()
    resolving.wait(280)
    resolving.ask()
    resolving.wait(100)
    resolving.ask()
    resolving.learn(None)
    counts = resolving.brain.cache.counts
    assert (counts.hits, counts.misses, counts.stale, counts.refreshes) == (2, 2, 1, 1)


@settings(max_examples=50)
@given(
    ttls=st.lists(st.integers(0, 400), min_size=1, max_size=4),
    times=st.lists(st.floats(0, 200, allow_nan=False), max_size=8),
    least=st.integers(0, 20),
)
def test_nobody_is_told_that_anything_holds_for_longer(
    ttls: list[int], times: list[float], least: int
) -> None:
    resolving = Resolving(CacheSettings(least_ttl=least * SECOND))
    links = [f"x{number}.example.org." for number in range(len(ttls))]
    chain = [NAME, *links]
    lines = [
        f"{name} {ttl} IN CNAME {target}"
        for name, target, ttl in zip(chain, links[:-1], ttls[:-1], strict=False)
    ]
    lines.append(f"{chain[len(ttls) - 1]} {ttls[-1]} IN A 192.0.2.1")
    resolving.learn(reply(*lines))
    ends = [max(ttl, least) if ttl else 0 for ttl in ttls]
    for seconds in sorted(times):
        resolving.now = round(seconds * SECOND)
        message = resolving.ask()
        if message is None:
            continue
        for rrset, end in zip(message.answer, ends, strict=True):
            assert rrset.ttl * SECOND <= end * SECOND - resolving.now


@settings(max_examples=30)
@given(
    st.lists(
        st.tuples(st.integers(0, 40), st.integers(0, 30), st.booleans()), min_size=1, max_size=30
    ),
    st.integers(0, 6000),
)
def test_memory_is_never_exceeded(events: list[tuple[int, int, bool]], memory: int) -> None:
    resolving = Resolving(CacheSettings(memory=memory))
    cache = resolving.brain.cache
    for number, addresses, is_asked in events:
        name = f"x{number}.example.org."
        if is_asked:
            resolving.ask(name)
        else:
            lines = [f"{name} 60 IN A 192.0.2.{each}" for each in range(addresses)]
            about = inquiry(name)
            resolving.learn(reply(*lines, about=about, authority=[soa()]), about)
        assert cache.used <= memory
        assert cache.used == sum(entry.size for _, entry in cache._shelf.items())
