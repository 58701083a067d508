"""Connections that are carried over from one switch to the next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.dataplane.conversation import (
    CLIENT_FIRST,
    S1,
    S2,
    Conversation,
    forget_received,
    ip,
    quiet_lab,
)
from tests.harness import ICMP, IP, TCP, UDP, UPLINK_ADDRESS, Host, Lab, only
from vswitch.dataplane.conntrack import Connection
from vswitch.dataplane.snapshot import Endpoint, Snapshot, restore, save
from vswitch.dataplane.topology import Interface
from vswitch.fastpath.states import State
from vswitch.translation import Limits, Translation
from vswitch.units import MINUTE, SECOND
from vswitch.wire.values import IpInterface, IpNetwork, MacAddress

LATER = 5 * SECOND

MAC = MacAddress.parse("02:00:00:00:00:fd")


def saved(lab: Lab) -> Snapshot:
    lab.switch.follow()
    return save(lab.switch.tables, lab.now)


def present(lab: Lab) -> set[Endpoint]:
    tables = lab.switch.tables
    return {
        (tables.networks[tables.ports[host.port].network].name, ip(host.ip))
        for host in lab.hosts.values()
    }


def restart(lab: Lab, after: Callable[[Lab], object] = lambda _: None, **changes: object) -> Lab:
    """Another switch that goes on with what `lab` had, five seconds later by a clock of its own.

    `after` makes in it what is not carried over; `changes` are those of its configuration.
    """
    fresh = quiet_lab(seed=7, **changes)
    fresh.pass_time(77 * MINUTE)
    fresh.meet_everyone()
    forget_received(fresh)
    after(fresh)
    restore(fresh.switch.tables, saved(lab), present(fresh), LATER, fresh.now)
    forget_received(fresh)
    return fresh


def connections(lab: Lab) -> list[Connection]:
    return list(lab.switch.tables.connections)


def go_on(old: Conversation, new: Conversation) -> Conversation:
    """`new` where `old` has stopped: data each way, acknowledged, arrives."""
    new.next = old.next
    assert bytes(only(new.client("PA", b"more"))[TCP].payload) == b"more"
    assert bytes(only(new.server("PA", b"of it"))[TCP].payload) == b"of it"
    only(new.client("A"))
    return new


def test_conversation_outwards_goes_on_in_both_directions_and_becomes_fast() -> None:
    lab = quiet_lab()
    old = Conversation.outwards(lab).talks()
    fresh = restart(lab)
    new = go_on(old, Conversation.outwards(fresh))
    before = fresh.hits()
    go_on(new, new)
    assert fresh.hits() == before + 3
    (connection,) = connections(fresh)
    assert connection.state is State.ESTABLISHED


def test_server_may_be_the_first_to_speak_again() -> None:
    lab = quiet_lab()
    old = Conversation.outwards(lab).talks()
    new = Conversation.outwards(restart(lab))
    new.next = old.next
    assert only(new.server("PA", b"still here"))[IP].dst == "10.0.0.2"


def test_external_port_that_was_drawn_stays() -> None:
    lab = quiet_lab()
    Conversation.outwards(lab).talks()
    opening = lab.exchange(lab.b, IP(src=lab.b.ip, dst=S1) / TCP(sport=5000, dport=80, seq=1))
    drawn = only(opening["outside"])[TCP].sport
    assert drawn != 5000
    fresh = restart(lab)
    answer = IP(src=S1, dst=UPLINK_ADDRESS) / TCP(sport=80, dport=drawn, flags="SA", seq=9, ack=2)
    heard = fresh.exchange(fresh.outside, answer)
    assert only(heard["b"])[TCP].dport == 5000


@pytest.mark.parametrize("way", [Conversation.inwards, Conversation.hairpinned])
def test_conversation_by_a_published_port_goes_on(way: Callable[[Lab], Conversation]) -> None:
    lab = quiet_lab()
    lab.publish(8080, lab.b, 80)
    old = way(lab).talks()
    fresh = restart(lab, lambda new: new.publish(8080, new.b, 80))
    go_on(old, way(fresh))
    (connection,) = connections(fresh)
    assert connection.publication is not None


def test_publication_that_comes_back_takes_its_connections_along_when_it_ends() -> None:
    lab = quiet_lab()
    lab.publish(8080, lab.b, 80)
    Conversation.inwards(lab).talks()
    fresh = restart(lab, lambda new: new.publish(8080, new.b, 80))
    (connection,) = connections(fresh)
    assert connection.publication is not None
    fresh.switch.changes.unpublish(connection.publication, fresh.now)
    assert connections(fresh) == []


def test_endpoint_that_leaves_afterwards_takes_all_that_it_had_along() -> None:
    lab = quiet_lab()
    lab.publish(8080, lab.b, 80)
    Conversation.hairpinned(lab).talks()
    Conversation.outwards(lab, lab.b, sport=6000).talks()
    fresh = restart(lab, lambda new: new.publish(8080, new.b, 80))
    assert len(connections(fresh)) == 2
    fresh.detach(fresh.b)
    assert connections(fresh) == []
    fresh.pass_time(10 * MINUTE)
    assert len(fresh.switch.tables.mappings) == 0


def test_octets_of_another_form_are_another_vswitchs() -> None:
    lab = quiet_lab()
    Conversation.outwards(lab).talks()
    fresh, other = quiet_lab(), replace(saved(lab), form="another")
    assert restore(fresh.switch.tables, other, present(fresh), LATER, fresh.now) == 0
    assert connections(fresh) == []


def test_connections_that_are_let_go_end_without_a_word() -> None:
    lab = quiet_lab()
    lab.publish(8080, lab.b, 80)
    Conversation.inwards(lab).talks()
    Conversation.outwards(lab).talks()
    forget_received(lab)
    lab.switch.tables.let_go()
    assert connections(lab) == []
    lab.detach(lab.a)
    lab.detach(lab.b)
    assert not any(host.device.take() for host in lab.hosts.values())


def test_window_is_carried_over() -> None:
    lab = quiet_lab()
    old = Conversation.outwards(lab).talks()
    fresh = restart(lab)
    new = Conversation.outwards(fresh)
    new.next = old.next
    new.client("R", seq=(CLIENT_FIRST + 2**31) % 2**32)
    (connection,) = connections(fresh)
    assert connection.state is State.ESTABLISHED
    new.client("R")
    assert connection.state is State.TRANSITORY


def test_window_that_was_not_followed_is_not_followed() -> None:
    lab = quiet_lab(translation=Translation(window_tracking=False))
    old = Conversation.outwards(lab).talks()
    fresh = restart(lab)
    assert fresh.windows() == []
    go_on(old, Conversation.outwards(fresh))


def udp(lab: Lab, host: Host, port: int = 4000) -> int:
    """Ask a server outside; the external port that it sees."""
    query = IP(src=host.ip, dst=S1) / UDP(sport=port, dport=7)
    return int(only(lab.exchange(host, query)["outside"])[UDP].sport)


def test_time_that_has_passed_meanwhile_counts() -> None:
    lab = quiet_lab(translation=Translation())
    udp(lab, lab.a)
    lab.pass_time(100 * SECOND)
    fresh = restart(lab)
    fresh.pass_time(300 * SECOND - 100 * SECOND - LATER - 1)
    (connection,) = connections(fresh)
    assert fresh.now - connection.created == 300 * SECOND - 1
    fresh.pass_time(SECOND)
    assert connections(fresh) == []


def test_frames_of_the_fast_path_count_as_seen() -> None:
    lab = quiet_lab()
    old = Conversation.outwards(lab).talks()
    lab.pass_time(10 * SECOND)
    before = lab.hits()
    only(old.client("PA", b"still here"))
    assert lab.hits() == before + 1
    fresh = restart(lab)
    fresh.pass_time(124 * MINUTE - LATER - 1)
    assert len(connections(fresh)) == 1
    fresh.pass_time(SECOND)
    assert connections(fresh) == []


def test_mapping_without_a_connection_keeps_its_port_for_its_own_time() -> None:
    lab = quiet_lab()
    udp(lab, lab.a)
    external = udp(lab, lab.b)
    assert external != 4000
    (_, by_b) = connections(lab)
    lab.switch.changes.close(by_b)
    fresh = restart(lab)
    assert len(fresh.switch.tables.mappings) == 2
    assert udp(fresh, fresh.b) == external
    fresh.pass_time(20 * MINUTE)
    assert len(fresh.switch.tables.mappings) == 0


def test_time_of_a_mapping_counts_from_what_the_inside_sent_last() -> None:
    lab = quiet_lab()
    udp(lab, lab.a)
    lab.pass_time(200 * SECOND)
    forget_received(lab)
    before = lab.hits()
    udp(lab, lab.a)
    assert lab.hits() == before + 1
    lab.pass_time(50 * SECOND)
    fresh = restart(lab)
    (connection,) = connections(fresh)
    fresh.switch.changes.close(connection)
    (mapping,) = fresh.switch.tables.mappings
    fresh.switch.tables.mappings.settle(mapping)
    fresh.pass_time(300 * SECOND - 50 * SECOND - LATER - 1)
    assert len(fresh.switch.tables.mappings) == 1
    fresh.pass_time(SECOND)
    assert len(fresh.switch.tables.mappings) == 0


def visited(lab: Lab) -> None:
    """Somebody outside has sent to what a is outside, from another port than it was asked at, and
    was answered."""
    udp(lab, lab.a)
    visit = IP(src=S1, dst=UPLINK_ADDRESS) / UDP(sport=99, dport=4000)
    only(lab.exchange(lab.outside, visit)["a"])
    answer = IP(src=lab.a.ip, dst=S1) / UDP(sport=4000, dport=99)
    only(lab.exchange(lab.a, answer)["outside"])


def test_visit_that_was_answered_holds_the_mapping() -> None:
    lab = quiet_lab()
    visited(lab)
    (mapping,) = restart(lab).switch.tables.mappings
    assert (mapping.holders, mapping.guests) == (2, 1)


def test_visit_goes_to_nobody_else() -> None:
    lab = quiet_lab()
    visited(lab)
    fresh = restart(lab, lambda new: new.map_statically(new.b, 4000, 4000))
    assert connections(fresh) == []


def test_answer_to_an_echo_request_finds_its_way() -> None:
    lab = quiet_lab()
    request = IP(src=lab.a.ip, dst=S1) / ICMP(type=8, id=9, seq=1)
    outside = only(lab.exchange(lab.a, request)["outside"])
    fresh = restart(lab)
    reply = IP(src=S1, dst=UPLINK_ADDRESS) / ICMP(type=0, id=outside[ICMP].id, seq=1)
    assert only(fresh.exchange(fresh.outside, reply)["a"])[ICMP].id == 9


def test_static_mapping_and_address_of_its_own_are_gone_on_with() -> None:
    def by_hand(lab: Lab) -> None:
        lab.map_statically(lab.a, 4000, 9000)
        lab.translate_one_to_one(lab.b, "203.0.113.7")

    lab = quiet_lab(also=("203.0.113.7",))
    by_hand(lab)
    udp(lab, lab.a)
    udp(lab, lab.b)
    fresh = restart(lab, by_hand, also=("203.0.113.7",))
    assert len(connections(fresh)) == 2
    assert len(connections(restart(lab, also=("203.0.113.7",)))) == 0


def test_snapshot_of_what_was_restored_is_the_same() -> None:
    lab = quiet_lab()
    lab.publish(8080, lab.b, 80)
    Conversation.outwards(lab).talks()
    Conversation.hairpinned(lab).talks()
    Conversation.inwards(lab).opens()
    udp(lab, lab.c)
    snapshot = saved(lab)
    fresh = quiet_lab(seed=7)
    fresh.publish(8080, fresh.b, 80)
    assert restore(fresh.switch.tables, snapshot, present(fresh), 0, fresh.now) == 4
    assert saved(fresh) == snapshot


# What is stale


def talking() -> Lab:
    """Outwards, and inwards by a published port."""
    lab = quiet_lab()
    lab.publish(8080, lab.b, 80)
    Conversation.outwards(lab).talks()
    Conversation.inwards(lab).talks()
    return lab


def without(name: str) -> Callable[[Lab], None]:
    return lambda lab: lab.detach(lab.hosts[name])


def published_to_c(lab: Lab) -> None:
    lab.publish(8080, lab.c, 80)


def published_away(lab: Lab) -> None:
    lab.publish(8080, lab.b, 80)
    lab.publish(5000, lab.c, 80)


def published_to_nobody(lab: Lab) -> None:
    lab.publish(8080, lab.b, 80)
    lab.detach(lab.b)


def forwarding_off(lab: Lab) -> None:
    lab.publish(8080, lab.b, 80)
    lab.switch.changes.set_forwarding(False, lab.now)


def spoken_for(lab: Lab) -> None:
    lab.publish(8080, lab.b, 80)
    Conversation.outwards(lab, lab.b).talks()


@pytest.mark.parametrize(
    ("after", "left"),
    [
        (lambda lab: lab.publish(8080, lab.b, 80), 2),
        (lambda lab: None, 1),
        (published_to_c, 1),
        (published_away, 1),
        (published_to_nobody, 1),
        (forwarding_off, 0),
        (without("a"), 0),
        (without("b"), 1),
        (spoken_for, 2),
    ],
    ids=[
        "nothing changed",
        "no publication",
        "published to another",
        "external port is published",
        "published to who is not there",
        "policy",
        "neither publication nor client",
        "no server",
        "external port is taken",
    ],
)
def test_what_does_not_hold_any_more_is_left_out(after: Callable[[Lab], None], left: int) -> None:
    fresh = restart(talking(), after)
    assert len(connections(fresh)) == left


def test_connection_whose_network_is_gone_or_has_another_address_is_left_out() -> None:
    lab = talking()
    snapshot = saved(lab)
    for name in ("front", "outside"):
        fresh = quiet_lab(seed=7)
        fresh.network(name).name = "other"
        tables = fresh.switch.tables
        assert restore(tables, snapshot, present(fresh) | present(lab), LATER, fresh.now) == 0
        assert len(tables.mappings) == 0
    for uplink in (None, Interface(MAC, IpInterface.parse("203.0.113.2/24"))):
        fresh = quiet_lab(seed=7)
        fresh.publish(8080, fresh.b, 80)
        outside = fresh.network("outside")
        fresh.switch.changes.set_interface(outside.number, uplink, outside.next_hop, fresh.now)
        assert restore(fresh.switch.tables, snapshot, present(fresh), LATER, fresh.now) == 0
        assert len(fresh.switch.tables.mappings) == 0


def test_connection_of_a_network_that_leaves_elsewhere_is_left_out() -> None:
    def elsewhere(lab: Lab) -> None:
        lab.network("front").uplink = 99

    lab = quiet_lab()
    Conversation.outwards(lab).talks()
    assert connections(restart(lab, elsewhere)) == []


def test_address_that_was_shown_outside_is_not_shown_any_more() -> None:
    shown = Translation(untranslated=(IpNetwork.parse("198.51.100.0/24"),))
    lab = quiet_lab(translation=shown)
    query = IP(src=lab.a.ip, dst=S2) / UDP(sport=4000, dport=7)
    assert only(lab.exchange(lab.a, query)["outside"])[IP].src == lab.a.ip
    assert len(connections(restart(lab, translation=shown))) == 1
    assert connections(restart(lab)) == []
    assert connections(restart(lab, without("a"), translation=shown)) == []


def test_full_table_takes_what_it_has_room_for() -> None:
    lab = quiet_lab()
    for port in range(4000, 4010):
        udp(lab, lab.a, port)
    fresh = restart(lab, limits=Limits(connections=4))
    assert len(connections(fresh)) == 4
    fresh.pass_time(20 * MINUTE)
    assert len(fresh.switch.tables.mappings) == 0
