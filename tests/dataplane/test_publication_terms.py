"""The terms of published ports: who is let in, until when, how often, and what others hear."""

from __future__ import annotations

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP

from tests.dataplane.conversation import S1, S2, S3, Conversation, ip, quiet_lab
from tests.harness import UPLINK_ADDRESS, Host, Lab, only
from vswitch.dataplane.drops import DropReason
from vswitch.dataplane.verdict import Stage, Verdict
from vswitch.translation import OPEN_TO_ALL, Terms, Translation
from vswitch.units import MINUTE, SECOND
from vswitch.wire.offload import HEADER_LENGTH
from vswitch.wire.values import IpNetwork, Protocol

LISTED = Terms(sources=(IpNetwork.parse(f"{S1}/32"), IpNetwork.parse("192.0.2.0/24")))
FOR_A_MINUTE = Terms(lasts=MINUTE)
FOR_ONE = Terms(is_for_one=True)
TWICE_A_SECOND = Terms(per_second=2)


def published(terms: Terms, **settings: object) -> Lab:
    """A lab where b's UDP port 80 is published as 8080."""
    lab = quiet_lab(**settings)
    lab.publish(8080, lab.b, 80, Protocol.UDP, terms=terms)
    return lab


def datagram(source: str = S1, sport: int = 4000) -> IP:
    return IP(src=source, dst=UPLINK_ADDRESS) / UDP(sport=sport, dport=8080) / b"hello"


def gets_in(lab: Lab, source: str = S1, sport: int = 4000, host: Host | None = None) -> bool:
    """Whether b hears what somebody, outside if nothing else is said, sends to the port."""
    return len(lab.exchange(host or lab.outside, datagram(source, sport))["b"]) == 1


def asked(lab: Lab, source: str = S1, sport: int = 4000) -> Verdict:
    frame = lab.routed(lab.outside, datagram(source, sport))
    raw = bytearray(HEADER_LENGTH) + bytes(frame)
    return lab.switch.trace(lab.outside.port, raw, lab.now)


def words_of(verdict: Verdict) -> list[str]:
    return [str(finding) for finding in verdict.trail if finding.stage is Stage.NAT]


# Who may come in


@pytest.mark.parametrize(
    ("source", "comes_in"), [(S1, True), ("192.0.2.255", True), (S2, False), ("192.0.3.1", False)]
)
def test_only_who_is_on_the_list_comes_in(source: str, comes_in: bool) -> None:
    lab = published(LISTED)
    assert gets_in(lab, source) is comes_in
    assert lab.drops == ({} if comes_in else {DropReason.SOURCE_NOT_ALLOWED: 1})


def test_nobody_on_the_list_is_everybody() -> None:
    lab = published(Terms())
    assert gets_in(lab, S3)


def test_answers_to_who_is_on_the_list_are_not_asked_for_terms() -> None:
    lab = published(LISTED)
    lab.exchange(lab.outside, datagram(S1))
    answer = IP(src=lab.b.ip, dst=S1) / UDP(sport=80, dport=4000)
    assert only(lab.exchange(lab.b, answer)["outside"])[IP].src == UPLINK_ADDRESS


def test_neighbour_by_way_of_the_published_port_has_its_own_address() -> None:
    lab = published(Terms(sources=(IpNetwork.parse(f"{quiet_lab().a.ip}/32"),)))
    assert gets_in(lab, lab.a.ip, host=lab.a)
    assert not gets_in(lab, lab.c.ip, host=lab.c)
    assert lab.drops == {DropReason.SOURCE_NOT_ALLOWED: 1}


def test_endpoint_that_is_not_on_the_list_is_told_and_a_stranger_is_not() -> None:
    lab = published(LISTED)
    told = only(lab.exchange(lab.a, datagram(lab.a.ip))["a"])
    assert (told[ICMP].type, told[ICMP].code) == (3, 13)
    assert not any(lab.exchange(lab.outside, datagram(S2)).values())


def test_list_of_a_run_is_that_of_each_of_its_ports() -> None:
    lab = quiet_lab()
    lab.publish(8080, lab.b, 80, Protocol.UDP, count=10_000, terms=LISTED)
    assert len(lab.switch.tables.publications) == 1
    for port in (8080, 18_079):
        for source, heard in ((S1, 1), (S2, 0)):
            packet = IP(src=source, dst=UPLINK_ADDRESS) / UDP(sport=4000, dport=port)
            assert len(lab.exchange(lab.outside, packet)["b"]) == heard


# Until when


def test_published_port_is_open_until_its_time_is_over() -> None:
    lab = published(FOR_A_MINUTE)
    lab.pass_time(MINUTE - 1)
    assert gets_in(lab)
    lab.pass_time(1)
    assert not gets_in(lab, S2)
    assert lab.drops == {DropReason.NOT_PUBLISHED: 1}
    assert list(lab.switch.tables.publications) == []


def test_frame_that_is_faster_than_the_timer_is_late_all_the_same() -> None:
    lab = published(FOR_A_MINUTE)
    lab.now += MINUTE
    assert not gets_in(lab)
    assert lab.drops == {DropReason.PUBLICATION_EXPIRED: 1}


def test_connections_end_with_the_time_of_their_port() -> None:
    lab = quiet_lab(translation=Translation(resets=True))
    lab.publish(8080, lab.b, 80, terms=FOR_A_MINUTE)
    talk = Conversation.inwards(lab).talks()
    lab.pass_time(MINUTE)
    assert len(lab.switch.tables.connections) == 0
    for end in (lab.outside, lab.b):
        assert only(lab.received(end))[TCP].flags == "RA"
    assert talk.client("PA", b"more") == []


def test_port_whose_time_is_over_may_be_given_to_others() -> None:
    lab = quiet_lab()
    lab.publish(8080, lab.b, 80, Protocol.UDP, terms=FOR_A_MINUTE)
    for host, may_have_it in ((lab.a, False), (lab.c, True)):
        packet = IP(src=host.ip, dst=S1) / UDP(sport=8080, dport=53)
        sent = only(lab.exchange(host, packet)["outside"])
        assert (sent[UDP].sport == 8080) is may_have_it
        lab.pass_time(MINUTE)


def test_what_ended_by_itself_is_told_once() -> None:
    lab = quiet_lab()
    publication = lab.publish(8080, lab.b, 80, terms=FOR_A_MINUTE)
    lab.pass_time(MINUTE)
    assert lab.switch.news.take_ended_publications() == [publication]
    assert lab.switch.news.take_ended_publications() == []


def test_time_runs_anew_for_a_port_that_is_published_again() -> None:
    lab = quiet_lab()
    publication = lab.publish(8080, lab.b, 80, Protocol.UDP, terms=FOR_A_MINUTE)
    lab.pass_time(MINUTE // 2)
    lab.switch.changes.unpublish(publication, lab.now)
    lab.publish(8080, lab.b, 80, Protocol.UDP, terms=FOR_A_MINUTE)
    lab.pass_time(MINUTE - 1)
    assert gets_in(lab)


# How often


def test_port_for_one_lets_one_in_and_closes() -> None:
    lab = published(FOR_ONE)
    assert gets_in(lab, S1)
    assert gets_in(lab, S1), "the same connection"
    assert not gets_in(lab, S2)
    assert not gets_in(lab, S1, sport=4001)
    assert lab.drops == {DropReason.PUBLICATION_USED_UP: 2}


def test_port_for_one_is_published_no_longer_when_that_one_has_ended() -> None:
    lab = quiet_lab()
    publication = lab.publish(8080, lab.b, 80, terms=FOR_ONE)
    Conversation.inwards(lab).talks()
    assert lab.switch.news.take_ended_publications() == []
    connection = next(iter(lab.switch.tables.connections))
    lab.switch.changes.end((connection,), lab.now)
    assert lab.switch.news.take_ended_publications() == [publication]
    assert list(lab.switch.tables.publications) == []


def test_who_is_refused_does_not_use_a_port_for_one_up() -> None:
    lab = published(Terms(sources=LISTED.sources, is_for_one=True))
    assert not gets_in(lab, S2)
    assert gets_in(lab, S1)


def test_port_for_one_that_is_withdrawn_has_not_ended_by_itself() -> None:
    lab = quiet_lab()
    publication = lab.publish(8080, lab.b, 80, terms=FOR_ONE)
    Conversation.inwards(lab).talks()
    lab.switch.changes.unpublish(publication, lab.now)
    assert lab.switch.news.take_ended_publications() == []
    assert len(lab.switch.tables.connections) == 0


def test_port_for_one_tells_once_that_this_one_has_come() -> None:
    lab = published(FOR_ONE)
    assert not lab.switch.news.is_any
    for _ in range(2):
        assert gets_in(lab)
    assert lab.switch.news.is_any
    (served,) = lab.switch.news.take_served_publications()
    assert served in lab.switch.tables.publications
    assert lab.switch.news.take_served_publications() == []


def test_port_for_one_whose_one_was_in_another_switch_ends_unless_that_goes_on() -> None:
    lab = published(FOR_ONE)
    lab.switch.changes.end_served_publications(lab.now)
    assert gets_in(lab)
    lab.switch.changes.end_served_publications(lab.now)
    assert lab.switch.news.take_ended_publications() == []
    other = published(FOR_ONE)
    (there,) = other.switch.tables.publications
    other.switch.tables.publications.resume(there, None, has_let_in=True)
    assert not gets_in(other)
    other.switch.changes.end_served_publications(other.now)
    assert other.switch.news.take_ended_publications() == [there]
    assert len(other.switch.tables.publications) == 0


def test_time_of_a_port_is_over_when_it_was_to_be_in_another_switch() -> None:
    lab = published(FOR_A_MINUTE)
    (there,) = lab.switch.tables.publications
    lab.switch.tables.publications.resume(there, lab.now + 10 * SECOND, has_let_in=False)
    lab.pass_time(9 * SECOND)
    assert gets_in(lab)
    lab.pass_time(1 * SECOND)
    assert lab.switch.news.take_ended_publications() == [there]


def test_new_connections_are_limited_by_the_second() -> None:
    lab = published(TWICE_A_SECOND)
    assert [gets_in(lab, S1, sport) for sport in (1, 2, 3)] == [True, True, False]
    assert gets_in(lab, S1, sport=1), "known connections are not"
    lab.pass_time(SECOND // 2)
    assert [gets_in(lab, S2, sport) for sport in (4, 5)] == [True, False]
    assert lab.drops == {DropReason.PUBLICATION_RATE: 2}


def test_each_published_port_has_a_rate_of_its_own() -> None:
    lab = published(TWICE_A_SECOND)
    lab.publish(8081, lab.b, 81, Protocol.UDP, terms=TWICE_A_SECOND)
    for port in (8080, 8081):
        for sport in (1, 2):
            packet = IP(src=S1, dst=UPLINK_ADDRESS) / UDP(sport=sport, dport=port)
            assert len(lab.exchange(lab.outside, packet)["b"]) == 1


# Connections that repeat an older one


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        (FOR_ONE, DropReason.PUBLICATION_USED_UP),
        (Terms(per_second=1), DropReason.PUBLICATION_RATE),
    ],
)
def test_repeated_connection_is_held_against_the_terms(terms: Terms, reason: DropReason) -> None:
    lab = published(terms)
    assert gets_in(lab, S1, sport=1)
    assert len(lab.switch.tables.precedents) == 1
    assert not gets_in(lab, S1, sport=2)
    assert lab.drops == {reason: 1}


def test_repeated_connection_counts_as_one() -> None:
    lab = published(Terms(per_second=3))
    assert [gets_in(lab, S1, sport) for sport in range(1, 5)] == [True, True, True, False]


# What is told


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        (LISTED, DropReason.SOURCE_NOT_ALLOWED),
        (FOR_ONE, DropReason.PUBLICATION_USED_UP),
        (Terms(per_second=1), DropReason.PUBLICATION_RATE),
    ],
)
def test_trace_says_which_term_refuses(terms: Terms, reason: DropReason) -> None:
    lab = published(terms)
    assert gets_in(lab, S1)
    verdict = asked(lab, S2)
    assert verdict.reason is reason
    assert f"its terms do not let {S2} in: {reason.value}" in words_of(verdict)


def test_trace_uses_nothing_up() -> None:
    for terms in (FOR_ONE, Terms(per_second=1)):
        lab = published(terms)
        for _ in range(3):
            verdict = asked(lab)
            assert verdict.reason is None
            assert f"its terms let {S1} in" in words_of(verdict)
        assert gets_in(lab)


def test_stranger_learns_no_more_than_of_a_port_that_is_not_published() -> None:
    """RFC 5382, REQ-4: a SYN is refused after six seconds, for whatever reason."""
    lab = quiet_lab()
    lab.publish(8080, lab.b, 80, terms=LISTED)
    talk = Conversation.inwards(lab, client=S2)
    assert talk.client("S") == []
    lab.pass_time(6 * SECOND)
    told = only(lab.received(lab.outside))
    assert (told[IP].src, told[ICMP].type, told[ICMP].code) == (UPLINK_ADDRESS, 3, 3)


def test_terms_say_nothing_by_default() -> None:
    assert Terms() == OPEN_TO_ALL
    assert OPEN_TO_ALL.let_in(ip(S1))


def test_frames_of_an_allowed_client_look_as_ever() -> None:
    with_terms, without = published(LISTED), published(OPEN_TO_ALL)
    frames = [only(lab.exchange(lab.outside, datagram())["b"]) for lab in (with_terms, without)]
    assert bytes(frames[0]) == bytes(frames[1])
