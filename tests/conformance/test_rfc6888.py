"""RFC 6888, carrier-grade NATs: what of it applies to a host; endpoints are the subscribers."""

from __future__ import annotations

from itertools import pairwise

import pytest
from scapy.layers.inet import GRE, ICMP, IP, TCP, UDP
from scapy.packet import Packet, Raw

from tests.conformance.packets import (
    S1,
    S2,
    A,
    B,
    X,
    assert_answered,
    assert_arrived,
    ip,
    is_let_in,
    lab,
    out,
    ping,
    rewritten,
    syn,
    udp,
)
from tests.conformance.requirements import Level, aside, requirement
from tests.harness import Lab, only
from vswitch.translation import Filtering, Limits, Outside, Quotas, Timeouts, Translation
from vswitch.units import SECOND
from vswitch.wire.values import IpNetwork

OTHERS = ("203.0.113.2", "203.0.113.3")


def external(made: Lab, name: str, sport: int, server: str = S1, dport: int = 7000) -> int:
    """The external port of a datagram of a host."""
    host = made.hosts[name]
    return out(made, host, udp(host.ip, sport, server, dport))[UDP].sport


def assert_refused(made: Lab, name: str, packet: Packet) -> None:
    """A packet goes nowhere, its sender is told, and it is counted once."""
    before = sum(made.drops.values())
    seen = made.exchange(made.hosts[name], packet)
    assert_answered(only(seen[name]), 3, 13, about=packet)
    assert seen["outside"] == []
    assert sum(made.drops.values()) == before + 1


@requirement("RFC 6888", "REQ-1", Level.MUST, "every protocol that is forwarded is translated")
def test_rfc6888_req1_every_protocol_that_is_forwarded_is_translated() -> None:
    made = lab()
    for packet in (udp(A, 5000, S1, 7000), syn(A, 5000, S1, 80), ping(A, S1)):
        assert_arrived(out(made, made.a, packet), packet, src=X)
    tunnel = ip(A, S1) / GRE() / IP(src="192.0.2.1", dst="192.0.2.2") / UDP()
    assert bytes(out(made, made.a, tunnel)[IP]) == rewritten(tunnel, src=X)
    for protocol in (2, 41, 51, 89, 103, 253):
        seen = made.exchange(made.a, ip(A, S1, proto=protocol) / Raw(bytes(40)))
        assert seen["outside"] == []
        assert (only(seen["a"])[ICMP].type, seen["a"][0][ICMP].code) == (3, 2)


@requirement("RFC 6888", "REQ-2", Level.MUST, "address pooling is paired")
def test_rfc6888_req2_flows_of_a_host_have_one_address_whatever_their_number() -> None:
    made = lab(also=OTHERS)
    addresses = {
        out(made, made.a, udp(A, 5000 + number, f"198.51.100.{number % 50 + 1}", 7000))[IP].src
        for number in range(200)
    }
    assert len(addresses) == 1


POOL = (range(1024, 1028), range(5000, 5003))


@requirement("RFC 6888", "REQ-3", Level.MUST, "any set of ports and addresses may be the pool")
def test_rfc6888_req3_ports_come_from_the_pool_and_nowhere_else() -> None:
    made = lab(outside=Outside(ports=POOL))
    chosen = [external(made, "a", 20_000 + number) for number in range(7)]
    assert sorted(chosen) == [port for part in POOL for port in part]
    assert_refused(made, "a", udp(A, 30_000, S1, 7000))


@requirement("RFC 6888", "REQ-3", Level.MUST, "any set of ports and addresses may be the pool")
def test_rfc6888_req3_every_address_of_the_uplink_is_used() -> None:
    made = lab(also=OTHERS)
    hosts = [made.add_host(f"h{number}", "front", f"10.0.1.{number}") for number in range(1, 31)]
    made.meet_everyone()
    for host in hosts:
        made.received(host)
    made.received(made.outside)
    addresses = {out(made, host, udp(host.ip, 5000, S1, 7000))[IP].src for host in hosts}
    assert addresses == {X, *OTHERS}


FOUR = Translation(quotas=Quotas(mappings=4))


@requirement("RFC 6888", "REQ-4", Level.MUST, "external ports per host are limited")
def test_rfc6888_req4_host_gets_no_more_ports_than_its_quota() -> None:
    made = lab(translation=FOUR)
    for port in range(4):
        external(made, "a", 5000 + port)
    assert_refused(made, "a", udp(A, 6000, S1, 7000))
    assert external(made, "b", 6000) == 6000
    assert external(made, "a", 5000, S2) == 5000


@requirement("RFC 6888", "REQ-4", Level.MUST, "external ports per host are limited")
def test_rfc6888_req4_quota_counts_ports_and_not_destinations() -> None:
    made = lab(translation=FOUR)
    for number in range(100):
        assert external(made, "a", 5000, f"198.51.100.{number + 1}") == 5000
    assert external(made, "a", 5001) == 5001


@requirement("RFC 6888", "REQ-4", Level.MUST, "external ports per host are limited")
def test_rfc6888_req4_port_that_is_given_back_counts_no_more() -> None:
    made = lab(translation=FOUR)
    for port in range(4):
        external(made, "a", 5000 + port)
    made.pass_time(301 * SECOND)
    assert external(made, "a", 6000) == 6000


@requirement("RFC 6888", "REQ-4a", Level.MUST, "the limit is configurable", "quotas.mappings")
@pytest.mark.parametrize("limit", [1, 2, 8])
def test_rfc6888_req4a_limit_is_configurable(limit: int) -> None:
    made = lab(translation=Translation(quotas=Quotas(mappings=limit)))
    for port in range(limit):
        external(made, "a", 5000 + port)
    assert_refused(made, "a", udp(A, 6000, S1, 7000))


aside(
    "RFC 6888",
    "REQ-4b",
    Level.MAY,
    "limits may be separate for each protocol",
    "not followed: one limit for all says how much a host may take",
)

SLOW = "quotas.connections_per_second"


@requirement("RFC 6888", "REQ-4c", Level.RECOMMENDED, "the rate of new flows is limited", SLOW)
def test_rfc6888_req4c_rate_of_new_flows_is_limited() -> None:
    quotas = Quotas(connections_per_second=10)
    made = lab(translation=Translation(quotas=quotas))
    for port in range(10):
        external(made, "a", 5000 + port)
    assert_refused(made, "a", udp(A, 6000, S1, 7000))
    assert external(made, "a", 5000) == 5000
    assert external(made, "b", 6000) == 6000
    made.pass_time(1 * SECOND)
    assert external(made, "a", 6001) == 6001


FEW = "quotas.connections"


@requirement("RFC 6888", "REQ-5", Level.SHOULD, "state per host and mapping is limited")
def test_rfc6888_req5_sessions_of_a_host_are_limited_and_its_mapping_stays() -> None:
    made = lab(translation=Translation(quotas=Quotas(connections=50)))
    for number in range(200):
        made.exchange(made.a, udp(A, 5000, f"198.51.100.{number + 1}", 7000))
    assert len(made.switch.tables.connections) == 50
    assert external(made, "b", 5000) != 5000
    made.pass_time(301 * SECOND)
    assert external(made, "a", 5000) == 5000


@requirement("RFC 6888", "REQ-5a", Level.SHOULD, "the limit is configurable", FEW)
@pytest.mark.parametrize("limit", [1, 5])
def test_rfc6888_req5a_limit_is_configurable(limit: int) -> None:
    made = lab(translation=Translation(quotas=Quotas(connections=limit)))
    for number in range(limit):
        out(made, made.a, udp(A, 5000 + number, S1, 7000))
        assert is_let_in(made, udp(S1, 7000, X, 5000 + number))
    assert_refused(made, "a", udp(A, 6000, S1, 7000))


@requirement("RFC 6888", "REQ-5b", Level.SHOULD, "so is the rate of new state", SLOW)
def test_rfc6888_req5b_rate_of_new_state_is_limited() -> None:
    quotas = Quotas(connections_per_second=10)
    made = lab(translation=Translation(quotas=quotas))
    for number in range(100):
        made.exchange(made.a, udp(A, 5000, f"198.51.100.{number + 1}", 7000))
    assert len(made.switch.tables.connections) == 10


@requirement(
    "RFC 6888", "REQ-6", Level.MUST, "translation can be off by destination", "untranslated"
)
def test_rfc6888_req6_destination_can_be_left_untranslated() -> None:
    made = lab(translation=Translation(untranslated=(IpNetwork.parse("192.0.2.0/24"),)))
    plain = udp(A, 5000, "192.0.2.7", 7000)
    made.a.device.feed(bytes(10) + bytes(made.routed(made.a, plain)))
    made.switch.serve(made.a.port, made.now)
    assert_arrived(only(made.received(made.outside)), plain)
    translated = udp(A, 5000, S1, 7000)
    assert_arrived(out(made, made.a, translated), translated, src=X)


@requirement("RFC 6888", "REQ-7", Level.RECOMMENDED, "filtering: address-dependent at the most")
def test_rfc6888_req7_filtering_is_no_stricter_than_address_dependent() -> None:
    made = lab()
    external(made, "a", 5000)
    assert is_let_in(made, udp(S1, 7001, X, 5000))


@requirement(
    "RFC 6888", "REQ-7", Level.RECOMMENDED, "or everybody", "filtering = endpoint-independent"
)
def test_rfc6888_req7_filtering_can_be_endpoint_independent() -> None:
    made = lab(translation=Translation(filtering=Filtering.ENDPOINT_INDEPENDENT))
    external(made, "a", 5000)
    assert is_let_in(made, udp(S2, 7001, X, 5000))


@requirement("RFC 6888", "REQ-8", Level.SHOULD, "a freed port rests for 120 s")
def test_rfc6888_req8_freed_port_rests_before_another_host_gets_it() -> None:
    made = lab()
    assert external(made, "a", 5000) == 5000
    made.pass_time(300 * SECOND + 119 * SECOND)
    assert external(made, "b", 5000) != 5000
    made.pass_time(2 * SECOND)
    assert external(made, "d", 5000) == 5000


@requirement("RFC 6888", "REQ-8", Level.SHOULD, "a freed port rests for 120 s")
def test_rfc6888_req8_host_that_had_it_gets_it_back_at_once() -> None:
    made = lab()
    assert external(made, "a", 5000) == 5000
    made.pass_time(301 * SECOND)
    assert external(made, "a", 5000) == 5000


@requirement("RFC 6888", "REQ-8", Level.SHOULD, "a freed port rests for 120 s")
@pytest.mark.parametrize("inside", ["the same port", "that port itself"])
def test_rfc6888_req8_host_gets_back_a_port_that_was_drawn_for_it(inside: str) -> None:
    made = lab()
    assert external(made, "d", 5000) == 5000
    drawn = external(made, "a", 5000)
    made.pass_time(301 * SECOND)
    assert external(made, "a", 5000 if inside == "the same port" else drawn) == drawn


@requirement("RFC 6888", "REQ-8", Level.SHOULD, "for as long as one likes", "hold_down = 30s")
def test_rfc6888_req8_rest_is_configurable() -> None:
    made = lab(translation=Translation(timeouts=Timeouts(hold_down=30 * SECOND)))
    assert external(made, "a", 5000) == 5000
    made.pass_time(329 * SECOND)
    assert external(made, "b", 5000) != 5000
    made.pass_time(2 * SECOND)
    assert external(made, "d", 5000) == 5000


aside(
    "RFC 6888",
    "REQ-9",
    Level.MUST,
    "hosts control their mappings by a protocol (PCP)",
    "does not apply: here the subscriber himself configures published ports and static mappings",
)
aside(
    "RFC 6888",
    "REQ-10",
    Level.SHOULD,
    "manageable by standards (NAT-MIB)",
    "not followed: it is managed by its configuration and its control socket",
)

# REQ-11: what becomes of a flow for which there is no room


@requirement("RFC 6888", "REQ-11a", Level.MUST, "what can not be mapped is dropped")
def test_rfc6888_req11a_packet_that_can_not_be_mapped_is_dropped() -> None:
    made = lab(outside=Outside(ports=(range(5000, 5002),)))
    external(made, "a", 5000)
    external(made, "b", 5001)
    for packet in (udp(A, 6000, S1, 7000), udp(B, 6000, S1, 7000)):
        assert made.exchange(made.hosts["ab"[packet.src == B]], packet)["outside"] == []


@requirement("RFC 6888", "REQ-11b", Level.SHOULD, "and its sender is told (3/13: RFC 5508 REQ-8)")
def test_rfc6888_req11b_sender_is_told() -> None:
    made = lab(outside=Outside(ports=(range(5000, 5002),)))
    external(made, "a", 5000)
    external(made, "b", 5001)
    for name, packet in (("a", udp(A, 6000, S1, 7000)), ("b", udp(B, 6000, S1, 7000))):
        assert_refused(made, name, packet)


@requirement("RFC 6888", "REQ-11c", Level.SHOULD, "and it is counted under its own name")
def test_rfc6888_req11c_every_limit_is_counted_under_its_own_name() -> None:
    labs = [
        lab(outside=Outside(ports=(range(5000, 5001),))),
        lab(translation=Translation(quotas=Quotas(mappings=1))),
        lab(translation=Translation(quotas=Quotas(connections=1))),
        lab(translation=Translation(quotas=Quotas(connections_per_second=1))),
        lab(limits=Limits(connections=1)),
    ]
    reasons = set()
    for made in labs:
        external(made, "a", 5000)
        assert is_let_in(made, udp(S1, 7000, X, 5000))
        made.exchange(made.a, udp(A, 5001, S1, 7000))
        (reason,) = made.drops
        assert made.drops[reason] == 1
        reasons.add(reason)
    assert len(reasons) == len(labs)


@requirement("RFC 6888", "REQ-11d", Level.MUST, "no live mapping goes to make room")
def test_rfc6888_req11d_host_that_floods_takes_nothing_from_another() -> None:
    made = lab(limits=Limits(connections=64))
    external(made, "b", 6000)
    assert is_let_in(made, udp(S1, 7000, X, 6000), "b")
    for number in range(200):
        made.exchange(made.a, syn(A, 10_000 + number, S1, 80))
    assert is_let_in(made, udp(S1, 7000, X, 6000), "b")
    assert external(made, "b", 6000) == 6000


@requirement("RFC 6888", "REQ-11d", Level.MUST, "no live mapping goes to make room")
def test_rfc6888_req11d_quota_of_one_host_leaves_room_for_a_new_flow_of_another() -> None:
    quotas = Quotas(mappings=20, connections=20)
    made = lab(translation=Translation(quotas=quotas), limits=Limits(connections=64))
    for number in range(100):
        made.exchange(made.a, udp(A, 10_000 + number, S1, 7000))
    assert external(made, "b", 6000) == 6000
    assert is_let_in(made, udp(S1, 7000, X, 6000), "b")


@requirement("RFC 6888", "REQ-11d", Level.MUST, "no live mapping goes to make room")
def test_rfc6888_req11d_live_flows_of_the_host_itself_stay() -> None:
    made = lab(translation=FOUR)
    for port in range(4):
        external(made, "a", 5000 + port)
        assert is_let_in(made, udp(S1, 7000, X, 5000 + port))
    for number in range(20):
        assert_refused(made, "a", udp(A, 6000 + number, S1, 7000))
    for port in range(4):
        assert is_let_in(made, udp(S1, 7000, X, 5000 + port))


# Logs and ports

aside(
    "RFC 6888",
    "REQ-12",
    Level.SHOULD,
    "destinations are not logged",
    "does not apply: no flow is logged; captures and the flight recorder are asked for",
)


@requirement("RFC 6888", "REQ-13", Level.SHOULD, "every port of the pool is used")
def test_rfc6888_req13_pool_is_used_to_its_last_port() -> None:
    made = lab(outside=Outside(ports=(range(40_000, 40_064),)))
    chosen = set()
    for number in range(64):
        chosen.add(external(made, "abcd"[number % 4], 20_000 + number))
    assert chosen == set(range(40_000, 40_064))
    assert_refused(made, "a", udp(A, 30_000, S1, 7000))


aside(
    "RFC 6888",
    "REQ-14",
    Level.SHOULD,
    "ports are given so that logs are small",
    "does not apply: no allocation is logged",
)


@requirement("RFC 6888", "REQ-15", Level.SHOULD, "ports are hard to guess")
def test_rfc6888_req15_ports_are_spread_evenly_and_in_no_order() -> None:
    made = lab(outside=Outside(ports=(range(32_768, 65_536),)))
    chosen = [external(made, "a", 1024 + number) for number in range(256)]
    counts = [sum(port % 32_768 // 2048 == part for port in chosen) for part in range(16)]
    expected = len(chosen) / 16
    chi_squared = sum((count - expected) ** 2 / expected for count in counts)
    assert chi_squared < 37.7, "as uneven as one of a thousand draws"
    rising = sum(after > before for before, after in pairwise(chosen))
    assert 90 < rising < 166


@requirement("RFC 6888", "REQ-15", Level.SHOULD, "ports are hard to guess")
def test_rfc6888_req15_tcp_ports_that_clash_are_spread_too() -> None:
    made = lab()
    chosen = set()
    for number in range(64):
        out(made, made.b, syn(B, 20_000 + number, S1, 80))
        chosen.add(out(made, made.a, syn(A, 20_000 + number, S1, 80))[TCP].sport // 8192)
    assert chosen == set(range(8))
