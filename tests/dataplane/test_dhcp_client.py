"""The uplink's DHCP client: its states, its questions and its patience, on a clock of its own."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
from scapy.layers.dhcp import BOOTP
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import ARP

from tests.dataplane.dhcp_line import (
    ADDRESS,
    EVERYBODY,
    NOBODY,
    OTHER_SERVER,
    OURS,
    SERVER,
    START,
    STATION,
    STRANGER,
    Line,
    kind,
    line_in,
    option,
)
from vswitch.dataplane.dhcp.client.outcome import Bound, Changed, Lost, Reason, Step
from vswitch.dataplane.dhcp.client.states import HOLDING, TRANSITIONS, Cause, State
from vswitch.units import MILLISECOND, SECOND
from vswitch.wire.values import IpInterface

# The table


@pytest.mark.parametrize("state", State)
def test_every_state_can_be_come_to(state: State) -> None:
    assert line_in(state).client.state is state


HEARD = [Cause.OFFER, Cause.ACK, Cause.NAK, Cause.CONFLICT, Cause.RELEASE]
BY_TIME = [Cause.BEGIN, Cause.FREE, Cause.UNANSWERED, Cause.T1, Cause.T2]


@pytest.mark.parametrize("cause", [*HEARD, Cause.START, Cause.REMEMBER])
@pytest.mark.parametrize("state", State)
def test_what_is_heard_or_asked_for_leads_where_the_table_says_and_nowhere_else(
    state: State, cause: Cause
) -> None:
    line = line_in(state)
    said, told = len(line.sent), len(line.news)
    match cause:
        case Cause.CONFLICT:
            line.hear_arp(ADDRESS)
        case Cause.RELEASE:
            line.release()
        case Cause.START:
            line.start()
        case Cause.REMEMBER:
            line.start(ADDRESS)
        case _:
            line.hear(cause.name.lower())
    assert line.client.state is TRANSITIONS.get((state, cause), state)
    if (state, cause) not in TRANSITIONS:
        assert (len(line.sent), len(line.news)) == (said, told)


@pytest.mark.parametrize(
    ("state", "cause"), [pair for pair in TRANSITIONS if pair[1] in BY_TIME], ids=str
)
def test_time_alone_leads_where_the_table_says(state: State, cause: Cause) -> None:
    line = line_in(state)
    if (state, cause) == (State.BOUND, Cause.T2):
        line.sleep_until(line.lease.rebind_at)
    while line.client.state is state:
        line.wait()
    assert line.client.state in (TRANSITIONS[state, cause], State.SELECTING)
    if cause is not Cause.UNANSWERED:  # after which INIT does not wait
        assert line.client.state is TRANSITIONS[state, cause]


@pytest.mark.parametrize("state", sorted(HOLDING, key=str), ids=str)
def test_lease_that_is_over_is_lost_in_every_state_and_the_search_begins_at_once(
    state: State,
) -> None:
    line = line_in(state)
    lease, said = line.lease, len(line.sent)
    line.sleep_until(lease.expires_at)
    assert line.news[-1] == Lost(lease, Reason.EXPIRED)
    assert len(line.sent) == said + 1
    assert line.client.lease is None
    assert line.client.state is State.SELECTING
    assert kind(line.last) == "discover"


def test_every_pair_of_the_table_is_walked_here() -> None:
    walked = {*HEARD, *BY_TIME, Cause.START, Cause.REMEMBER, Cause.EXPIRED}
    assert walked == set(Cause)
    expiring = {state for state, cause in TRANSITIONS if cause is Cause.EXPIRED}
    assert expiring == {*HOLDING, State.PROBING}


# The usual way


def test_discover_goes_to_everybody_from_nobody() -> None:
    line = Line(hostname="switch")
    line.start()
    (packet,) = line.sent
    assert (packet.src, packet.dst) == (str(OURS), "ff:ff:ff:ff:ff:ff")
    assert (packet[IP].src, packet[IP].dst) == (NOBODY, EVERYBODY)
    assert (packet[UDP].sport, packet[UDP].dport) == (68, 67)
    assert kind(packet) == "discover"
    assert packet[BOOTP].chaddr[:6] == OURS
    assert (packet[BOOTP].ciaddr, packet[BOOTP].flags, packet[BOOTP].secs) == (NOBODY, 0, 0)
    assert option(packet, "client_id") == b"\x01" + OURS
    assert option(packet, "hostname") == b"switch"
    assert {1, 3, 6, 15, 26, 58, 59} <= set(option(packet, "param_req_list"))
    assert option(packet, "max_dhcp_size") == 1472
    assert option(packet, "server_id") is None


@pytest.mark.parametrize("state", [s for s in State if s not in (State.STOPPED, State.INIT)])
def test_checksums_and_lengths_of_what_is_sent_are_those_that_scapy_computes(state: State) -> None:
    for packet in line_in(state).sent:
        again = packet.copy()
        if IP in again:
            del again[IP].chksum, again[IP].len, again[UDP].chksum, again[UDP].len
        assert bytes(again) == bytes(packet)


def test_offer_is_asked_for_by_name_of_server_and_address() -> None:
    line = line_in(State.SELECTING)
    line.now += 3 * SECOND
    line.hear("offer")
    discover, request = line.sent
    assert kind(request) == "request"
    assert (request[IP].src, request[IP].dst, request.dst) == (NOBODY, EVERYBODY, discover.dst)
    assert request[BOOTP].ciaddr == NOBODY
    assert request[BOOTP].xid == discover[BOOTP].xid
    assert request[BOOTP].secs == discover[BOOTP].secs
    assert option(request, "requested_addr") == str(ADDRESS)
    assert option(request, "server_id") == str(SERVER)


# Nobody answers


def gaps(line: Line) -> list[float]:
    """Seconds between what was sent."""
    moments = itertools.pairwise(line.sent_at)
    return [(after - before) / SECOND for before, after in moments]


@pytest.mark.parametrize("seed", range(20))
def test_discover_is_repeated_ever_more_slowly_and_for_ever(seed: int) -> None:
    line = Line(seed)
    line.start()
    for _ in range(7):
        line.wait()
    for gap, nominal in zip(gaps(line), (4, 8, 16, 32, 64, 64, 64), strict=True):
        assert nominal - 1 <= gap <= nominal + 1
    assert {kind(packet) for packet in line.sent} == {"discover"}
    assert len({packet[BOOTP].xid for packet in line.sent}) == 1
    assert line.last[BOOTP].secs == (line.now - START) // SECOND


def test_waits_and_transactions_differ_between_clients() -> None:
    lines = [Line(seed) for seed in range(10)]
    for line in lines:
        line.start()
        line.wait()
    assert len({line.now for line in lines}) == 10
    assert len({line.xid for line in lines}) == 10


def test_seconds_stay_within_their_field() -> None:
    line = line_in(State.SELECTING)
    line.sleep_until(START + 100_000 * SECOND)
    assert line.last[BOOTP].secs == 0xFFFF


def test_request_is_repeated_three_times_before_the_search_begins_anew() -> None:
    line = line_in(State.REQUESTING)
    first_transaction = line.xid
    while line.client.state is State.REQUESTING:
        line.wait()
    kinds = [kind(packet) for packet in line.sent]
    assert kinds == ["discover", "request", "request", "request", "request", "discover"]
    for gap, nominal in zip(gaps(line)[1:], (4, 8, 16, 32), strict=True):
        assert nominal - 1 <= gap <= nominal + 1
    assert line.xid != first_transaction
    assert line.news == []


def test_refusal_makes_the_client_begin_anew_after_a_pause() -> None:
    line = line_in(State.REQUESTING)
    line.hear("nak")
    refused_at = line.now
    line.wait()
    assert SECOND <= line.now - refused_at <= 10 * SECOND
    assert kind(line.last) == "discover"
    assert line.news == []


# Does somebody have it already?


def test_address_is_asked_for_by_arp_before_it_is_used() -> None:
    line = line_in(State.REQUESTING)
    line.hear("ack")
    probe = line.last
    assert (probe.src, probe.dst) == (str(OURS), "ff:ff:ff:ff:ff:ff")
    assert (probe[ARP].op, probe[ARP].hwsrc, probe[ARP].psrc) == (1, str(OURS), NOBODY)
    assert probe[ARP].pdst == str(ADDRESS)
    assert line.news == []
    line.now += 499 * MILLISECOND
    assert line.client.tick(line.now) == Step()
    line.wait()
    assert bytes(line.last) == bytes(probe)
    assert line.client.lease is None
    line.wait()
    assert isinstance(line.news[0], Bound)
    assert sum(ARP in packet for packet in line.sent) == 2


def test_address_that_somebody_has_is_declined_and_the_client_begins_anew() -> None:
    line = line_in(State.PROBING)
    line.hear_arp(ADDRESS)
    declined = line.last
    assert kind(declined) == "decline"
    assert (declined[IP].src, declined[IP].dst) == (NOBODY, EVERYBODY)
    assert (declined[BOOTP].ciaddr, declined[BOOTP].secs) == (NOBODY, 0)
    assert option(declined, "requested_addr") == str(ADDRESS)
    assert option(declined, "server_id") == str(SERVER)
    declined_at = line.now
    line.wait()
    assert line.now == declined_at + 10 * SECOND
    assert kind(line.last) == "discover"
    assert line.news == []


def test_arp_of_others_about_others_and_of_our_own_is_no_conflict() -> None:
    line = line_in(State.PROBING)
    line.hear_arp(SERVER)
    line.hear_arp(ADDRESS, OURS)
    assert line.client.state is State.PROBING


def test_lease_that_is_over_before_the_link_is_asked_is_never_used() -> None:
    line = line_in(State.REQUESTING)
    line.now += 500 * MILLISECOND
    line.hear("ack", lease_time=1)
    while line.client.state is State.PROBING:
        line.wait()
    assert line.client.state is State.SELECTING
    assert line.now == START + SECOND
    assert line.news == []


# Renewing


def test_renewal_goes_to_the_server_alone_and_is_ours_by_its_address() -> None:
    line = line_in(State.BOUND)
    granted = line.xid
    line.wait_until(line.lease.renew_at)
    request = line.last
    assert kind(request) == "request"
    assert (request.src, request.dst) == (str(OURS), str(STATION))
    assert (request[IP].src, request[IP].dst) == (str(ADDRESS), str(SERVER))
    assert (request[BOOTP].ciaddr, request[BOOTP].secs) == (str(ADDRESS), 0)
    assert request[BOOTP].xid != granted
    assert option(request, "requested_addr") is None
    assert option(request, "server_id") is None


def test_renewed_lease_has_new_times_and_is_no_news() -> None:
    line = line_in(State.RENEWING)
    lease, renewed_at = line.lease, line.now
    line.now += 30 * MILLISECOND
    assert line.hear("ack") == Step()
    assert line.lease == replace(
        lease,
        obtained_at=renewed_at,
        renew_at=renewed_at + 500 * SECOND,
        rebind_at=renewed_at + 875 * SECOND,
        expires_at=renewed_at + 1000 * SECOND,
    )
    assert line.client.next_deadline() == line.lease.renew_at


@pytest.mark.parametrize(
    "said",
    [
        {"router": "192.0.2.253"},
        {"subnet_mask": "255.255.0.0"},
        {"interface-mtu": 1400},
        {"name_server": "192.0.2.53"},
        {"domain": "example.org"},
    ],
    ids=str,
)
def test_renewal_that_tells_something_else_is_news(said: dict[str, Any]) -> None:
    line = line_in(State.RENEWING)
    line.hear("ack", **said)
    assert line.news[1:] == [Changed(line.lease)]


def test_renewal_is_repeated_at_half_of_what_is_left_and_not_within_a_minute() -> None:
    line = line_in(State.RENEWING)  # 375 s before T2, 500 s before the end
    del line.sent_at[:-1]
    line.wait_until(line.lease.rebind_at)
    assert line.client.state is State.REBINDING
    assert gaps(line) == [187.5, 93.75, 60, 33.75]


def test_rebinding_asks_everybody() -> None:
    line = line_in(State.REBINDING)
    request = line.last
    assert kind(request) == "request"
    assert (request.dst, request[IP].dst) == ("ff:ff:ff:ff:ff:ff", EVERYBODY)
    assert (request[IP].src, request[BOOTP].ciaddr) == (str(ADDRESS), str(ADDRESS))
    assert option(request, "requested_addr") is None
    assert option(request, "server_id") is None
    del line.sent_at[:-1]
    line.wait_until(line.lease.expires_at)
    assert gaps(line) == [62.5, 60, 2.5]
    assert kind(line.last) == "discover"


def test_who_slept_through_the_time_to_renew_asks_everybody_at_once() -> None:
    line = line_in(State.BOUND)
    said = len(line.sent)
    line.sleep_until(line.lease.rebind_at)
    assert line.client.state is State.REBINDING
    assert [packet.dst for packet in line.sent[said:]] == ["ff:ff:ff:ff:ff:ff"]


def test_another_server_may_take_over_and_is_asked_from_then_on() -> None:
    line = line_in(State.REBINDING)
    line.hear("ack", server_id=str(OTHER_SERVER), station=str(STRANGER))
    assert line.client.state is State.BOUND
    assert line.news[1:] == []
    line.wait_until(line.lease.renew_at)
    assert (line.last.dst, line.last[IP].dst) == (str(STRANGER), str(OTHER_SERVER))


@pytest.mark.parametrize("state", [State.RENEWING, State.REBINDING])
def test_refused_lease_is_lost_at_once(state: State) -> None:
    line = line_in(state)
    lease = line.lease
    line.hear("nak")
    assert line.news[-1] == Lost(lease, Reason.REFUSED)
    assert line.client.lease is None


def test_client_that_lost_its_lease_gets_another() -> None:
    line = line_in(State.REBINDING)
    line.wait_until(line.lease.expires_at)
    line.hear("offer", yiaddr="192.0.2.60")
    line.hear("ack", yiaddr="192.0.2.60")
    line.wait_until(line.now + 2 * SECOND)
    assert [type(news) for news in line.news] == [Bound, Lost, Bound]
    assert line.lease.address == IpInterface.parse("192.0.2.60/24")


# An earlier life, and the end of this one


def test_remembered_address_is_asked_for_first() -> None:
    line = line_in(State.REBOOTING)
    (request,) = line.sent
    assert kind(request) == "request"
    assert (request[IP].src, request[IP].dst, request[BOOTP].ciaddr) == (NOBODY, EVERYBODY, NOBODY)
    assert option(request, "requested_addr") == str(ADDRESS)
    assert option(request, "server_id") is None
    line.hear("ack", server_id=str(OTHER_SERVER))
    line.wait_until(line.now + 2 * SECOND)
    assert line.lease.server == OTHER_SERVER


def test_remembered_address_that_is_refused_gives_way_to_a_search() -> None:
    line = line_in(State.REBOOTING)
    line.hear("nak", server_id=str(OTHER_SERVER))
    line.wait()
    assert [kind(packet) for packet in line.sent] == ["request", "discover"]
    assert line.news == []


def test_remembered_address_that_nobody_knows_gives_way_to_a_search() -> None:
    line = line_in(State.REBOOTING)
    while line.client.state is State.REBOOTING:
        line.wait()
    assert [kind(packet) for packet in line.sent] == ["request", "request", "discover"]


@pytest.mark.parametrize("state", State)
def test_release_gives_back_what_is_in_use_and_ends_everything(state: State) -> None:
    line = line_in(state)
    before = len(line.sent)
    line.release()
    assert line.client.state is State.STOPPED
    assert (line.client.lease, line.client.next_deadline()) == (None, None)
    assert len(line.sent) - before == (state in HOLDING)
    if state in HOLDING:
        released = line.last
        assert kind(released) == "release"
        assert (released.dst, released[IP].dst) == (str(STATION), str(SERVER))
        assert (released[IP].src, released[BOOTP].ciaddr) == (str(ADDRESS), str(ADDRESS))
        assert option(released, "server_id") == str(SERVER)
        assert released[BOOTP].secs == 0


def test_client_can_be_started_again() -> None:
    line = line_in(State.BOUND)
    line.release()
    line.start(ADDRESS)
    assert line.client.state is State.REBOOTING
