"""A search goes from server to server: who is asked when, what counts, and when it ends."""

from __future__ import annotations

from itertools import pairwise

import dns.flags
import dns.message
import dns.rcode
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.dataplane.responders.dns.outside import (
    FIRST,
    PRIVATE,
    QUICK,
    SECOND_ONE,
    THIRD,
    Outside,
    Saying,
    addresses,
    answered,
    inquiry,
    knows,
    refuses,
    silent,
    spelt_small,
)
from vswitch.dataplane.responders.dns.outside.attempt import Attempt, Way
from vswitch.naming import Server, ServerOrder
from vswitch.units import MILLISECOND, SECOND

ALL = FIRST, SECOND_ONE, THIRD
KNOWN, OTHER = "203.0.113.7", "203.0.113.8"


@pytest.fixture
def outside() -> Outside:
    return Outside()


# Who is asked


def test_first_server_that_knows_is_the_only_one_asked(outside: Outside) -> None:
    outside.behaviours = {FIRST: knows(), SECOND_ONE: knows(OTHER)}
    assert addresses(outside.resolve(inquiry("a.example.", *ALL))) == [KNOWN]
    assert outside.asked == [FIRST]
    assert outside.waiting == set()


@pytest.mark.parametrize("code", [dns.rcode.SERVFAIL, dns.rcode.REFUSED])
def test_next_server_is_asked_at_once_where_one_can_not_say(
    code: dns.rcode.Rcode, outside: Outside
) -> None:
    outside.behaviours = {FIRST: refuses(code), SECOND_ONE: knows()}
    assert addresses(outside.resolve(inquiry("a.example.", *ALL))) == [KNOWN]
    assert [at for at, _, _ in outside.sent] == [0, QUICK]
    assert outside.state(FIRST).failures == 1


def test_name_that_does_not_exist_is_a_final_answer(outside: Outside) -> None:
    outside.behaviours = {FIRST: refuses(dns.rcode.NXDOMAIN), SECOND_ONE: knows()}
    reply = outside.resolve(inquiry("a.example.", *ALL))
    assert reply is not None
    assert reply.rcode() == dns.rcode.NXDOMAIN
    assert outside.asked == [FIRST]


def test_server_that_only_points_to_others_is_passed_over(outside: Outside) -> None:
    def points(query: dns.message.Message, attempt: Attempt) -> Saying:
        reply = dns.message.make_response(query)
        reply.authority.append(dns.rrset.from_text("example.", 60, "IN", "NS", "ns.example."))
        yield QUICK, reply

    outside.behaviours = {FIRST: points, SECOND_ONE: knows()}
    assert addresses(outside.resolve(inquiry("a.example.", *ALL))) == [KNOWN]


def test_nobody_to_ask_is_the_end_at_once(outside: Outside) -> None:
    what = inquiry()
    outside.ask(what._replace(route=what.route._replace(servers=())))
    assert outside.concluded == [(0, None)]


def test_servers_that_all_can_not_say_are_asked_once_each(outside: Outside) -> None:
    outside.behaviours = dict.fromkeys(ALL, refuses(dns.rcode.SERVFAIL))
    assert outside.resolve(inquiry("a.example.", *ALL, FIRST)) is None
    assert outside.asked == [*ALL]


def test_servers_asked_at_once_are_answered_by_the_first_that_can_say(outside: Outside) -> None:
    outside.behaviours = {
        FIRST: knows(OTHER, after=5 * QUICK),
        SECOND_ONE: refuses(dns.rcode.SERVFAIL, after=QUICK),
        THIRD: knows(after=2 * QUICK),
    }
    what = inquiry("a.example.", *ALL, order=ServerOrder.PARALLEL)
    assert addresses(outside.resolve(what)) == [KNOWN]
    assert outside.now == 2 * QUICK
    assert outside.asked == [*ALL]


# Silence


def test_silent_server_is_passed_over_and_may_still_answer(outside: Outside) -> None:
    outside.behaviours = {
        FIRST: knows(after=1100 * MILLISECOND),
        SECOND_ONE: knows(OTHER, after=SECOND),
    }
    assert addresses(outside.resolve(inquiry("a.example.", *ALL))) == [KNOWN]
    assert outside.now == 1100 * MILLISECOND
    assert outside.asked == [FIRST, SECOND_ONE]


@pytest.mark.parametrize("number", [1, 2, 3])
def test_silence_of_all_is_told_within_the_patience_of_a_client(
    number: int, outside: Outside
) -> None:
    assert outside.resolve(inquiry("a.example.", *ALL[:number])) is None
    assert outside.now == 4 * SECOND
    assert set(outside.asked) == set(ALL[:number])
    assert len(outside.sent) > number
    assert outside.waiting == set()


def test_everybody_has_a_turn_though_each_used_to_take_long(outside: Outside) -> None:
    outside.behaviours = dict.fromkeys(ALL, knows(after=1900 * MILLISECOND))
    for server in ALL:
        for number in range(3):
            outside.resolve(inquiry(f"{number}.example.", server))
    outside.behaviours = {THIRD: knows()}
    assert addresses(outside.resolve(inquiry("a.example.", *ALL))) == [KNOWN]


def test_query_that_is_lost_is_sent_again_sooner_where_answers_come_quickly(
    outside: Outside,
) -> None:
    outside.behaviours = {FIRST: knows()}
    for number in range(8):
        outside.resolve(inquiry(f"{number}.example."))
    outside.behaviours, outside.sent, begun = {FIRST: silent}, [], outside.now
    outside.resolve(inquiry("lost.example."))
    waits = [(at - begun) // MILLISECOND for at, _, _ in outside.sent]
    assert waits == [0, 200, 600, 1400, 3000]


def test_answer_too_late_for_its_client_is_nobody_s(outside: Outside) -> None:
    outside.behaviours = {FIRST: knows(after=5 * SECOND)}
    outside.ask(inquiry())
    outside.wait(10 * SECOND)
    assert [message for _, message in outside.concluded] == [None]


def test_inquiry_given_up_leaves_nothing_behind(outside: Outside) -> None:
    what = inquiry("a.example.", *ALL, order=ServerOrder.PARALLEL)
    outside.ask(what)
    assert len(outside.waiting) == 3
    outside.searches.abandon(what)
    assert outside.waiting == set()
    outside.wait(10 * SECOND)
    assert outside.concluded == []
    assert len(outside.sent) == 3


# Servers that are down


def make_silent_twice(outside: Outside) -> None:
    """The first server, while the second one answers."""
    outside.behaviours = {FIRST: silent, SECOND_ONE: knows(OTHER)}
    for number in range(2):
        outside.resolve(inquiry(f"{number}.example.", FIRST, SECOND_ONE))
    outside.sent.clear()


def test_server_that_was_silent_twice_is_passed_over_and_told_of(outside: Outside) -> None:
    make_silent_twice(outside)
    assert outside.noticed == [(FIRST, True)]
    assert outside.state(FIRST).is_down
    outside.resolve(inquiry("next.example.", FIRST, SECOND_ONE))
    assert outside.asked == [SECOND_ONE]


def test_many_who_wait_at_the_same_time_count_as_one_silence(outside: Outside) -> None:
    outside.behaviours = {FIRST: silent, SECOND_ONE: knows()}
    for number in range(100):
        outside.ask(inquiry(f"{number}.example.", FIRST, SECOND_ONE))
    outside.wait(1500 * MILLISECOND)
    assert len(outside.concluded) == 100
    assert not outside.state(FIRST).is_down
    assert outside.state(FIRST).silences == 100


def test_server_that_is_silent_about_one_name_alone_is_good(outside: Outside) -> None:
    def picks(query: dns.message.Message, attempt: Attempt) -> Saying:
        return iter(()) if b"lost" in attempt.question.lower() else knows()(query, attempt)

    outside.behaviours = {FIRST: picks, SECOND_ONE: knows(OTHER)}
    for number in range(4):
        outside.ask(inquiry(f"lost-{number}.example.", FIRST, SECOND_ONE))
        outside.wait(100 * MILLISECOND)
        outside.resolve(inquiry(f"good-{number}.example.", FIRST, SECOND_ONE))
        outside.wait(SECOND)
    outside.resolve(inquiry("lost-alone.example.", FIRST, SECOND_ONE))
    assert outside.state(FIRST).silences == 5
    assert not outside.state(FIRST).is_down


def test_nobody_waits_for_who_is_probed_where_another_one_can_not_say(outside: Outside) -> None:
    make_silent_twice(outside)
    outside.wait(SECOND)
    outside.behaviours = {SECOND_ONE: refuses(dns.rcode.SERVFAIL), THIRD: knows()}
    began = outside.now
    assert addresses(outside.resolve(inquiry("a.example.", *ALL))) == [KNOWN]
    assert outside.asked == [FIRST, SECOND_ONE, THIRD]
    assert outside.now == began + 2 * QUICK


def test_server_that_is_down_is_probed_beside_another_ever_more_seldom(outside: Outside) -> None:
    make_silent_twice(outside)
    probes = []
    for number in range(300):
        outside.wait(100 * MILLISECOND)
        before = len(outside.sent)
        began = outside.now
        outside.resolve(inquiry(f"{number}.example.", FIRST, SECOND_ONE))
        assert outside.now == began + QUICK, "nobody waits for who is probed"
        if FIRST in outside.asked[before:]:
            probes.append(outside.now // SECOND)
    assert 4 <= len(probes) <= 6
    gaps = [after - before for before, after in pairwise(probes)]
    assert gaps == sorted(gaps)


def test_server_is_good_again_with_its_first_answer_whoever_was_answered_first(
    outside: Outside,
) -> None:
    make_silent_twice(outside)
    outside.behaviours[FIRST] = knows(after=5 * QUICK)
    outside.wait(SECOND)
    assert addresses(outside.resolve(inquiry("probe.example.", FIRST, SECOND_ONE))) == [OTHER]
    outside.wait(SECOND)
    assert outside.noticed[-1] == (FIRST, False)
    assert addresses(outside.resolve(inquiry("good.example.", FIRST, SECOND_ONE))) == [KNOWN]
    outside.wait(5 * SECOND)
    assert outside.waiting == set()


def test_server_out_of_reach_is_down_at_once_and_says_why(outside: Outside) -> None:
    outside.no_way_to[FIRST, Way.DATAGRAM] = "Network is unreachable"
    outside.behaviours = {SECOND_ONE: knows()}
    assert addresses(outside.resolve(inquiry("a.example.", FIRST, SECOND_ONE))) == [KNOWN]
    assert outside.now == QUICK
    assert outside.state(FIRST).is_down
    assert outside.state(FIRST).trouble == "Network is unreachable"


def test_server_that_the_kernel_reports_later_is_passed_over_then(outside: Outside) -> None:
    outside.behaviours = {SECOND_ONE: knows()}
    outside.ask(inquiry("a.example.", FIRST, SECOND_ONE))
    (attempt,) = outside.waiting
    outside.now = QUICK
    attempt.lose("Connection refused", outside.now)
    outside.wait(SECOND)
    assert [at for at, _ in outside.concluded] == [2 * QUICK]


def test_only_server_is_asked_though_it_is_down(outside: Outside) -> None:
    for number in range(3):
        assert outside.resolve(inquiry(f"{number}.example.")) is None
    outside.behaviours = {FIRST: knows()}
    assert addresses(outside.resolve(inquiry("good.example."))) == [KNOWN]


def test_silent_one_of_several_that_are_asked_at_once_is_found_out(outside: Outside) -> None:
    outside.behaviours = {FIRST: silent, SECOND_ONE: knows()}
    for number in range(3):
        outside.resolve(inquiry(f"{number}.", FIRST, SECOND_ONE, order=ServerOrder.PARALLEL))
        outside.wait(2 * SECOND)
    assert outside.state(FIRST).is_down


# Replies


def test_forged_replies_are_passed_over(outside: Outside) -> None:
    def forges(query: dns.message.Message, attempt: Attempt) -> Saying:
        other_question = dns.message.make_query("example.com", "A", id=query.id)
        yield QUICK, answered(other_question, OTHER)
        yield QUICK, b""
        yield QUICK, query.to_wire()
        yield QUICK, answered(query, OTHER).to_wire()[:-3]
        yield 2 * QUICK, answered(query)

    outside.behaviours = {FIRST: forges}
    assert addresses(outside.resolve(inquiry())) == [KNOWN]
    assert outside.now == 2 * QUICK


def test_letters_are_mixed_anew_for_each_query_and_small_in_the_answer(outside: Outside) -> None:
    outside.behaviours = {FIRST: knows()}
    spellings = set()
    for _ in range(8):
        reply = outside.resolve(inquiry("www.example.org."))
        assert reply is not None
        assert reply.question[0].name.to_text() == "www.example.org."
        spellings.add(outside.sent[-1][2].question)
    assert len(spellings) > 4
    assert {each.lower() for each in spellings} == {
        b"\x03www\x07example\x03org\x00\x00\x01\x00\x01"
    }


def test_who_keeps_letters_is_not_believed_with_others(outside: Outside) -> None:
    outside.behaviours = {FIRST: knows()}
    outside.resolve(inquiry("first.example."))

    def forged(query: dns.message.Message, attempt: Attempt) -> Saying:
        yield QUICK, spelt_small(answered(query, OTHER))
        yield 2 * QUICK, answered(query)

    outside.behaviours = {FIRST: forged}
    assert addresses(outside.resolve(inquiry("second.example."))) == [KNOWN]
    assert {attempt.way for _, _, attempt in outside.sent} == {Way.DATAGRAM}


def loses_letters(query: dns.message.Message, attempt: Attempt) -> Saying:
    yield QUICK, spelt_small(answered(query))


def test_who_is_new_and_answers_with_other_letters_is_asked_where_nobody_can_forge(
    outside: Outside,
) -> None:
    outside.behaviours = {FIRST: loses_letters}
    assert addresses(outside.resolve(inquiry("first.example."))) == [KNOWN]
    assert addresses(outside.resolve(inquiry("second.example."))) == [KNOWN]
    ways = [attempt.way for _, _, attempt in outside.sent]
    assert ways == [Way.DATAGRAM, Way.STREAM, Way.DATAGRAM]
    assert outside.sent[-1][2].question.startswith(b"\x06second\x07example")


def test_forger_of_other_letters_gains_nothing_from_a_server_that_keeps_them(
    outside: Outside,
) -> None:
    def forged(query: dns.message.Message, attempt: Attempt) -> Saying:
        if attempt.way is Way.DATAGRAM:
            yield QUICK, spelt_small(answered(query, OTHER))
        yield 2 * QUICK, answered(query)

    outside.behaviours = {FIRST: forged}
    for name in ("first.example.", "second.example."):
        assert addresses(outside.resolve(inquiry(name))) == [KNOWN]
        assert outside.sent[-1][2].question != inquiry(name).name + b"\x00\x01\x00\x01"


@pytest.mark.parametrize("fails", ["refused", "silent"])
def test_who_loses_letters_and_has_no_tcp_is_asked_without(fails: str, outside: Outside) -> None:
    def by_datagram(query: dns.message.Message, attempt: Attempt) -> Saying:
        return (
            loses_letters(query, attempt) if attempt.way is Way.DATAGRAM else silent(query, attempt)
        )

    outside.behaviours = {FIRST: by_datagram}
    if fails == "refused":
        outside.no_way_to[FIRST, Way.STREAM] = "Connection refused"
    assert addresses(outside.resolve(inquiry())) == [KNOWN]
    assert not outside.state(FIRST).is_down


def cuts(query: dns.message.Message, attempt: Attempt) -> Saying:
    reply = answered(query)
    if attempt.way is Way.DATAGRAM:
        reply.flags |= dns.flags.TC
        reply.answer.clear()
    yield QUICK, reply


def test_answer_that_is_cut_short_is_asked_for_by_tcp(outside: Outside) -> None:
    outside.behaviours = {FIRST: cuts}
    assert addresses(outside.resolve(inquiry())) == [KNOWN]
    assert [attempt.way for _, _, attempt in outside.sent] == [Way.DATAGRAM, Way.STREAM]


def test_answer_that_stays_cut_short_is_better_than_none(outside: Outside) -> None:
    outside.behaviours = {FIRST: cuts}
    outside.no_way_to[FIRST, Way.STREAM] = "Connection refused"
    reply = outside.resolve(inquiry())
    assert reply is not None
    assert reply.flags & dns.flags.TC
    assert not outside.state(FIRST).is_down


@pytest.mark.parametrize("code", [dns.rcode.FORMERR, dns.rcode.NOTIMP])
def test_who_does_not_understand_edns_is_asked_without_and_noted(
    code: dns.rcode.Rcode, outside: Outside
) -> None:
    def old(query: dns.message.Message, attempt: Attempt) -> Saying:
        if query.edns < 0:
            yield QUICK, answered(query)
            return
        reply = dns.message.make_response(query)
        reply.use_edns(False)
        reply.set_rcode(code)
        yield QUICK, reply

    outside.behaviours = {FIRST: old}
    for _ in range(2):
        assert addresses(outside.resolve(inquiry())) == [KNOWN]
    assert [attempt.with_edns for _, _, attempt in outside.sent] == [True, False, False]


def test_who_understands_edns_and_complains_of_something_else_is_passed_over(
    outside: Outside,
) -> None:
    outside.behaviours = {FIRST: refuses(dns.rcode.FORMERR), SECOND_ONE: knows()}
    assert addresses(outside.resolve(inquiry("a.example.", *ALL))) == [KNOWN]
    assert outside.asked == [FIRST, SECOND_ONE]


# TLS


def test_authenticated_server_is_asked_in_tls_and_never_in_anything_less(outside: Outside) -> None:
    outside.no_way_to[PRIVATE, Way.STREAM] = "its certificate is not good"
    assert outside.resolve(inquiry("a.example.", PRIVATE)) is None
    assert outside.sent == []
    del outside.no_way_to[PRIVATE, Way.STREAM]
    outside.behaviours = {PRIVATE: knows()}
    assert addresses(outside.resolve(inquiry("a.example.", PRIVATE))) == [KNOWN]
    assert [attempt.way for _, _, attempt in outside.sent] == [Way.STREAM]


def test_queries_in_tls_are_all_as_long_as_each_other(outside: Outside) -> None:
    outside.behaviours = {PRIVATE: knows()}
    for name in ("a.example.", "a-much-longer-name.of-several-labels.example."):
        outside.resolve(inquiry(name, PRIVATE))
    assert {2 + len(attempt.octets) for _, _, attempt in outside.sent} == {128}


def test_what_was_said_in_a_stream_is_not_said_twice(outside: Outside) -> None:
    outside.behaviours = {PRIVATE: knows(after=3500 * MILLISECOND)}
    assert addresses(outside.resolve(inquiry("a.example.", PRIVATE))) == [KNOWN]
    assert len(outside.sent) == 1


# Whatever they say


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_whatever_servers_say_each_inquiry_ends_once_and_in_time(data: st.DataObject) -> None:
    outside = Outside()

    def says_anything(query: dns.message.Message, attempt: Attempt) -> Saying:
        for _ in range(data.draw(st.integers(0, 2))):
            good = data.draw(
                st.sampled_from([answered(query).to_wire(), spelt_small(answered(query))])
            )
            octets = bytearray(good)
            for _ in range(data.draw(st.integers(0, 3))):
                octets[data.draw(st.integers(2, len(octets) - 1))] = data.draw(st.integers(0, 255))
            yield (
                data.draw(st.integers(0, 1500)) * MILLISECOND,
                bytes(octets[: data.draw(st.integers(0, len(octets)))])
                if data.draw(st.booleans())
                else bytes(octets),
            )

    servers: list[Server] = data.draw(st.lists(st.sampled_from([*ALL, PRIVATE]), max_size=3))
    outside.behaviours = dict.fromkeys([*ALL, PRIVATE], says_anything)
    order = data.draw(st.sampled_from(ServerOrder))
    for number in range(data.draw(st.integers(1, 3))):
        what = inquiry(f"{number}.example.", order=order)
        begun, before = outside.now, len(outside.concluded)
        outside.ask(what._replace(route=what.route._replace(servers=tuple(servers))))
        outside.wait(5 * SECOND)
        ended = outside.concluded[before:]
        assert len(ended) == 1
        assert ended[0][0] <= begun + 4 * SECOND
    outside.wait(10 * SECOND)
    assert outside.waiting == set()
    assert outside.searches.next_deadline() is None
