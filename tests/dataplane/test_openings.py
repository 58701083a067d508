"""Networks that reach outside what allowed names have led to, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, UDP
from scapy.packet import Packet

from tests.dataplane.conversation import S1, S2, Conversation, forget_received, ip, quiet_lab
from tests.dataplane.test_filters import ACCEPT, DROP, net
from tests.harness import UPLINK_ADDRESS, Host, Lab, only
from vswitch.dataplane.drops import DropReason
from vswitch.dataplane.openings import GRACE, LEAST, MOST, AllowedNames, Opening, Openings
from vswitch.dataplane.snapshot import restore, save
from vswitch.debug.explain.why import why
from vswitch.policy import Filter
from vswitch.units import DAY, HOUR, SECOND, Nanoseconds
from vswitch.wire import domain
from vswitch.wire.offload import HEADER_LENGTH
from vswitch.wire.values import IpAddress, Protocol

NAME = domain.encode("www.debian.org")
DEBIAN = AllowedNames(["*.debian.org"])
TTL = 60 * SECOND
ADDRESS = IpAddress.parse(S1)


def limited_lab(allowed: AllowedNames | None = DEBIAN) -> Lab:
    """Front reaches what these names lead to; b's ports 80 are published as 8080."""
    lab = quiet_lab()
    lab.publish(8080, lab.b, 80)
    lab.publish(8080, lab.b, 80, Protocol.UDP)
    allow(lab, allowed)
    return lab


def allow(lab: Lab, allowed: AllowedNames | None) -> None:
    lab.switch.changes.set_allowed_names(lab.network("front").number, allowed, lab.now)


def lead(lab: Lab, to: str = S1, name: bytes = NAME, ttl: Nanoseconds = TTL) -> None:
    """An endpoint of front was told that a name has this address."""
    number = lab.network("front").number
    lab.switch.tables.openings.open(number, ip(to), name, ttl, lab.now)


def say(lab: Lab, host: Host, to: str = S1, sport: int = 5000, dport: int = 443) -> list[Packet]:
    """What the outside hears of a datagram."""
    packet = IP(src=host.ip, dst=to) / UDP(sport=sport, dport=dport) / b"x"
    return [frame for frame in lab.exchange(host, packet)["outside"] if UDP in frame]


def trail(lab: Lab, to: str) -> list[str]:
    packet = lab.routed(lab.a, IP(src=lab.a.ip, dst=to) / UDP(sport=9, dport=443))
    frame = bytearray(HEADER_LENGTH) + bytes(packet)
    verdict = lab.switch.trace(lab.a.port, frame, lab.now)
    return [str(finding) for finding in verdict.trail]


# What is open


def test_address_that_no_name_has_led_to_is_refused_aloud() -> None:
    lab = limited_lab()
    lead(lab)
    packet = IP(src=lab.a.ip, dst=S2) / UDP(sport=1, dport=53) / b"x"
    heard = lab.exchange(lab.a, packet)
    assert heard["outside"] == []
    assert (only(heard["a"])[ICMP].type, only(heard["a"])[ICMP].code) == (3, 13)
    assert lab.drops == {DropReason.NAME_NOT_ALLOWED: 1}
    assert len(lab.switch.tables.connections) == 0


def test_every_endpoint_of_the_network_reaches_what_one_was_told() -> None:
    lab = limited_lab()
    lead(lab)
    assert len(say(lab, lab.a)) == len(say(lab, lab.b)) == 1
    Conversation.outwards(lab).talks()


def test_other_network_is_neither_limited_nor_opened() -> None:
    lab = limited_lab()
    lab.switch.changes.set_allowed_names(lab.network("back").number, DEBIAN, lab.now)
    lead(lab)
    assert say(lab, lab.c) == []
    lab.switch.changes.set_allowed_names(lab.network("back").number, None, lab.now)
    assert len(say(lab, lab.c, S2)) == 1


@pytest.mark.parametrize(
    ("ttl", "good_for"),
    [(0, LEAST), (TTL, TTL), (HOUR, HOUR), (2**31 * SECOND, MOST)],
    ids=["none", "a minute", "an hour", "68 years"],
)
def test_address_is_open_for_the_ttl_and_a_little_longer(
    ttl: Nanoseconds, good_for: Nanoseconds
) -> None:
    lab = limited_lab()
    lead(lab, ttl=ttl)
    began = lab.now
    lab.now = began + good_for + GRACE - 1
    lab.meet_everyone()
    assert len(say(lab, lab.a, sport=1)) == 1
    lab.now = began + good_for + GRACE
    assert say(lab, lab.a, sport=2) == []
    assert lab.drops[DropReason.NAME_NOT_ALLOWED] == 1


def test_same_client_from_another_port_is_asked_about_again() -> None:
    """What was decided about the first connection is no precedent: it holds for a time only."""
    lab = limited_lab()
    lead(lab)
    assert len(say(lab, lab.a, sport=1)) == len(say(lab, lab.a, sport=2)) == 1
    lab.now += TTL + GRACE
    assert say(lab, lab.a, sport=3) == []


def test_connection_that_lives_goes_on_when_its_time_is_over() -> None:
    lab = limited_lab()
    lead(lab, ttl=0)
    talk = Conversation.outwards(lab).talks()
    lab.pass_time(LEAST + GRACE)
    forget_received(lab)
    assert len(talk.client("PA", b"still there?")) == len(talk.server("PA", b"yes")) == 1
    lab.switch.changes.set_filters([Filter(DROP, destination=(net(S2),))], lab.now)
    assert len(talk.client("PA", b"and now?")) == len(talk.server("PA", b"yes")) == 1


@pytest.mark.parametrize("end", ["R", "FA"])
def test_connection_that_is_over_begins_anew_only_while_a_name_leads_there(end: str) -> None:
    lab = limited_lab()
    lead(lab, ttl=0)
    talk = Conversation.outwards(lab).talks()
    talk.client(end)
    if end == "FA":
        talk.server("FA")
    forget_received(lab)
    again = Conversation.outwards(lab)
    again.next = [each + 100_000 for each in talk.next]
    assert len(again.client("S")) == 1
    again.client("R")
    lab.pass_time(LEAST + GRACE)
    later = Conversation.outwards(lab)
    later.next = [each + 100_000 for each in again.next]
    assert later.client("S") == []
    assert lab.drops[DropReason.NAME_NOT_ALLOWED] == 1


def test_answer_that_is_told_again_opens_for_longer_and_never_for_less() -> None:
    lab = limited_lab()
    lead(lab, ttl=HOUR)
    lead(lab, ttl=0)
    lab.now += HOUR
    lab.meet_everyone()
    assert len(say(lab, lab.a)) == 1
    lead(lab, ttl=HOUR)
    lab.now += HOUR
    lab.meet_everyone()
    assert len(say(lab, lab.a, sport=1)) == 1


# What is no way outside


def test_published_port_and_its_answers_need_no_name() -> None:
    lab = limited_lab()
    Conversation.inwards(lab).talks()
    Conversation.hairpinned(lab).talks()
    packet = IP(src=lab.c.ip, dst=UPLINK_ADDRESS) / UDP(sport=1, dport=8080) / b"x"
    assert len(lab.exchange(lab.c, packet)["b"]) == 1


def test_gateway_and_neighbours_need_no_name() -> None:
    lab = limited_lab(AllowedNames([]))
    ping = IP(src=lab.a.ip, dst="10.0.0.1") / ICMP(type=8, id=1)
    assert only(lab.exchange(lab.a, ping)["a"])[ICMP].type == 0
    direct = lab.routed(lab.a, IP(src=lab.a.ip, dst=lab.b.ip) / UDP(sport=1, dport=2))
    direct.dst = lab.b.mac
    lab.send(lab.a, direct)
    assert len(lab.received(lab.b)) == 1


# Filters, and what changes


def test_filter_that_accepts_goes_before() -> None:
    lab = limited_lab()
    lab.switch.changes.set_filters([Filter(ACCEPT, destination=(net(S2),))], lab.now)
    assert len(say(lab, lab.a, S2)) == 1
    assert say(lab, lab.a) == []
    lab.switch.changes.set_filters([], lab.now)
    assert len(lab.switch.tables.connections) == 0


def test_filter_that_drops_goes_before() -> None:
    lab = limited_lab()
    lead(lab)
    lab.switch.changes.set_filters([Filter(DROP, destination=(net(S1),))], lab.now)
    assert say(lab, lab.a) == []
    assert lab.drops == {DropReason.FILTER_DROPPED: 1}


def test_list_ends_what_lives_without_a_name_of_it() -> None:
    lab = limited_lab(None)
    talk = Conversation.outwards(lab).talks()
    allow(lab, DEBIAN)
    assert talk.client("PA", b"hello?") == []
    assert len(lab.switch.tables.connections) == 0


def test_name_that_is_allowed_no_longer_ends_what_it_has_opened() -> None:
    lab = limited_lab(AllowedNames(["*.debian.org", "registry.example"]))
    lead(lab)
    lead(lab, S2, domain.encode("registry.example"))
    lost, kept = (Conversation.outwards(lab, server=to).talks() for to in (S1, S2))
    allow(lab, AllowedNames(["registry.example"]))
    assert lost.client("PA", b"hello?") == []
    assert len(kept.client("PA", b"hello?")) == 1
    assert say(lab, lab.a, S1) == []
    assert len(say(lab, lab.a, S2)) == 1


def test_address_that_two_names_share_is_open_by_the_one_that_is_left() -> None:
    """As it is with those that have many customers' names."""
    lab = limited_lab(AllowedNames(["*.debian.org", "registry.example"]))
    lead(lab, ttl=TTL)
    lead(lab, S1, domain.encode("registry.example"), ttl=HOUR)
    talk = Conversation.outwards(lab).talks()
    allow(lab, DEBIAN)
    assert len(talk.client("PA", b"still there?")) == 1
    assert len(say(lab, lab.a, sport=1)) == 1
    lab.now += TTL + GRACE
    lab.meet_everyone()
    assert say(lab, lab.a, sport=2) == []


def test_network_without_a_list_any_more_reaches_all() -> None:
    lab = limited_lab()
    allow(lab, None)
    assert len(say(lab, lab.a, S2)) == 1


# What is told about it


def test_trace_and_why_say_which_name_has_opened() -> None:
    lab = limited_lab()
    assert f"no allowed name has led to {S1}" in trail(lab, S1)
    lead(lab)
    assert f"www.debian.org has led to {S1}, open for 70 s more" in trail(lab, S1)
    assert len(say(lab, lab.a)) == 1
    (connection,) = lab.switch.tables.connections
    lab.now += 75 * SECOND
    assert f"www.debian.org has led to {S1}, shut for 5 s" in trail(lab, S1)
    reasons = why(lab.switch, connection, [], lab.now)
    assert f"name: www.debian.org has led to {S1}" in reasons.allowed


# The names


@pytest.mark.parametrize(
    ("patterns", "name", "allows"),
    [
        (["registry.example"], "registry.example", True),
        (["Registry.Example."], "registry.example", True),
        (["registry.example"], "a.registry.example", False),
        (["registry.example"], "example", False),
        (["*.debian.org"], "www.debian.org", True),
        (["*.Debian.org"], "a.b.debian.org", True),
        (["*.debian.org"], "debian.org", False),
        (["*.debian.org"], "evildebian.org", False),
        (["*.debian.org"], "debian.org.evil", False),
        ([], "anything.at.all", False),
    ],
)
def test_pattern_is_a_name_or_all_below_one(patterns: list[str], name: str, allows: bool) -> None:
    assert AllowedNames(patterns).allows(domain.encode(name)) is allows


def test_dot_within_a_label_is_no_border() -> None:
    assert not DEBIAN.allows(b"\x0bwww.debian.\x03org\0")
    assert not DEBIAN.allows(b"\x0awww.debian\x03org\0")


# The table


def test_what_was_opened_longest_ago_makes_room_in_its_own_network() -> None:
    table = Openings(capacity=2)
    addresses = [IpAddress((1, 1, 1, number)) for number in range(4)]
    table.open(2, addresses[0], NAME, TTL, 0)
    for now, each in enumerate((addresses[0], addresses[1], addresses[0], addresses[2])):
        table.open(1, each, NAME, TTL, now)
    assert [each is not None for each in (table.find(1, one) for one in addresses)] == [
        *(True, False, True, False)
    ]
    assert table.find(2, addresses[0]) is not None


def test_address_remembers_so_many_names_and_those_that_hold_longest() -> None:
    table = Openings(names=2)
    for ttl in (2, 1, 3):
        table.open(1, ADDRESS, domain.encode(f"{ttl}.example"), ttl * HOUR, 0)
    assert sorted(domain.decode(each.opening.name) for each in table) == ["2.example", "3.example"]
    assert table.find(1, ADDRESS) == Opening(domain.encode("3.example"), 3 * HOUR + GRACE)


@given(
    st.lists(
        st.tuples(
            st.integers(1, 2), st.integers(0, 5), st.integers(0, 2 * DAY), st.integers(0, HOUR)
        ),
        max_size=40,
    )
)
def test_table_is_bounded_and_an_address_is_open_for_as_long_as_the_longest_says(
    told: list[tuple[int, int, Nanoseconds, Nanoseconds]],
) -> None:
    table, roomy = Openings(capacity=3), Openings()
    longest: dict[tuple[int, IpAddress], Nanoseconds] = {}
    for network, last, ttl, now in told:
        address = IpAddress((1, 1, 1, last))
        for each in (table, roomy):
            each.open(network, address, NAME, ttl, now)
        until = now + max(ttl, LEAST) + GRACE
        longest[network, address] = max(until, longest.get((network, address), 0))
    assert len(table) <= 6
    assert {(one.network, one.address): one.opening.until for one in roomy} == longest
    assert all(isinstance(each.opening, Opening) for each in table)
    roomy.forget_network(1)
    assert {each.network for each in roomy} <= {2}


# Another switch


def restarted(lab: Lab, allowed: AllowedNames) -> Lab:
    """One that goes on with what `lab` had, five seconds later by a clock of its own."""
    fresh = limited_lab(allowed)
    fresh.pass_time(DAY)
    fresh.meet_everyone()
    forget_received(fresh)
    lab.switch.follow()
    saved = save(lab.switch.tables, lab.now)
    present = {("front", ip(host.ip)) for host in (fresh.a, fresh.b)}
    restore(fresh.switch.tables, saved, present, 5 * SECOND, fresh.now)
    return fresh


def test_what_was_open_is_so_for_the_rest_of_its_time_in_the_next_switch() -> None:
    lab = limited_lab()
    lead(lab, ttl=TTL)
    fresh = restarted(lab, DEBIAN)
    assert len(say(fresh, fresh.a, sport=1)) == 1
    fresh.now += TTL + GRACE - 5 * SECOND
    assert say(fresh, fresh.a, sport=2) == []


def test_connection_goes_on_in_the_next_switch_by_the_name_that_has_opened_it() -> None:
    lab = limited_lab()
    lead(lab, ttl=0)
    talk = Conversation.outwards(lab).talks()
    lab.pass_time(LEAST + GRACE)
    fresh = restarted(lab, DEBIAN)
    new = Conversation.outwards(fresh)
    new.next = talk.next
    assert len(new.client("PA", b"still there?")) == 1
    assert len(restarted(lab, AllowedNames(["registry.example"])).switch.tables.connections) == 0
