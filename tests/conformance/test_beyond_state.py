"""Beyond the RFCs, state: which port, TCP's edges, exhaustion, another external address."""

from __future__ import annotations

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.packet import Packet

from tests.conformance.packets import (
    S1,
    S2,
    A,
    B,
    Talk,
    X,
    assert_answered,
    assert_arrived,
    into,
    is_let_in,
    lab,
    nothing,
    out,
    ping,
    syn,
    udp,
)
from tests.conformance.requirements import Level, requirement
from tests.harness import ROUTER, Lab, assert_checksums_right, only
from vswitch.dataplane.topology import Interface
from vswitch.translation import Limits, Outside, Translation
from vswitch.units import HOUR, MINUTE, SECOND
from vswitch.wire.values import IpAddress, IpInterface, MacAddress

OTHER = "203.0.113.9"

ports = requirement("beyond", "ports", Level.SHOULD, "the known port, else the same, else any")


def external(made: Lab, name: str, sport: int, server: str = S1) -> int:
    host = made.hosts[name]
    return out(made, host, udp(host.ip, sport, server, 7000))[UDP].sport


@ports
@pytest.mark.parametrize("port", [1, 53, 1023, 1024, 32768, 65535])
def test_beyond_ports_free_one_is_preserved_for_every_protocol(port: int) -> None:
    made = lab()
    assert external(made, "a", port) == port
    assert out(made, made.a, syn(A, port, S1, 80))[TCP].sport == port
    assert out(made, made.a, ping(A, S1, port))[ICMP].id == port


@ports
def test_beyond_ports_known_one_is_kept_although_the_preferred_one_is_free_again() -> None:
    made = lab()
    assert external(made, "a", 5000) == 5000
    clashed = external(made, "b", 5000)
    assert clashed != 5000
    for _ in range(10):
        made.pass_time(100 * SECOND)
        assert external(made, "b", 5000) == clashed


@ports
def test_beyond_ports_come_from_the_range_that_is_configured() -> None:
    made = lab(outside=Outside(ports=(range(50_000, 50_100),)))
    for number in range(20):
        assert external(made, "a", 5000 + number) in range(50_000, 50_100)


@ports
def test_beyond_ports_of_one_seed_are_the_same_again() -> None:
    def chosen(seed: int) -> list[int]:
        made = lab(seed=seed, outside=Outside(ports=(range(50_000, 60_000),)))
        return [external(made, "a", 5000 + number) for number in range(10)]

    assert chosen(3) == chosen(3)
    assert chosen(3) != chosen(4)


# TCP

edges = requirement(
    "beyond", "TCP edges", Level.SHOULD, "what is out of the window changes nothing"
)
ESTABLISHED = 2 * HOUR + 4 * MINUTE
FAR = 2_000_000_000


def lives(talk: Talk) -> bool:
    """Whether a connection that is not used lives on as an established one."""
    talk.made.pass_time(4 * MINUTE + SECOND)
    return talk.passes(1)


@edges
@pytest.mark.parametrize("end", [0, 1])
def test_beyond_tcp_edges_exact_reset_ends_a_connection(end: int) -> None:
    talk = Talk.outwards(lab()).opens()
    talk.says(end, "R")
    assert not lives(talk)


@edges
@pytest.mark.parametrize("end", [0, 1])
@pytest.mark.parametrize("distance", [1, 100, 5000, FAR, -FAR, -100_000])
@pytest.mark.parametrize("flags", ["R", "RA"])
def test_beyond_tcp_edges_inexact_reset_is_translated_and_ends_nothing(
    flags: str, distance: int, end: int
) -> None:
    """RFC 5961: the receiver answers one in the window with a challenge, and goes on."""
    talk = Talk.outwards(lab()).opens()
    talk.says(end, flags, seq=(talk.next[end] + distance) % 2**32)
    assert lives(talk)


@requirement(
    "beyond", "TCP edges", Level.SHOULD, "unless windows are not tracked", "window_tracking = false"
)
def test_beyond_tcp_edges_any_reset_ends_a_connection_where_windows_are_not_tracked() -> None:
    talk = Talk.outwards(lab(translation=Translation(window_tracking=False))).opens()
    talk.says(1, "R", seq=(talk.next[1] + FAR) % 2**32)
    assert not lives(talk)


@edges
def test_beyond_tcp_edges_fins_out_of_the_window_end_nothing() -> None:
    talk = Talk.outwards(lab()).opens()
    for end in (0, 1):
        talk.says(end, "FA", seq=(talk.next[end] + FAR) % 2**32)
    assert lives(talk)


@edges
@pytest.mark.parametrize("known", [False, True])
def test_beyond_tcp_edges_data_out_of_the_window_keeps_nothing_alive(known: bool) -> None:
    talk = Talk.outwards(lab()).opens()
    for end in (0, 1, 0, 1) if known else ():
        talk.says(end, "PA", b"data")
    for _ in range(2):
        talk.made.pass_time(ESTABLISHED // 2 - SECOND)
        for end in (0, 1):
            talk.says(end, "PA", b"forged", seq=(talk.next[end] + FAR) % 2**32)
    talk.made.pass_time(3 * SECOND)
    assert not talk.passes(1)


@edges
def test_beyond_tcp_edges_connection_is_not_picked_up_in_the_middle() -> None:
    made = lab()
    talk = Talk.outwards(made)
    for end, flags in ((0, "A"), (0, "PA"), (1, "PA")):
        assert not talk.passes(end, flags)
    assert sum(made.drops.values()) == 3
    assert len(made.switch.tables.mappings) == 0


@edges
@pytest.mark.parametrize("end", ["FIN", "RST", "refused"])
def test_beyond_tcp_edges_tuple_of_an_ended_connection_is_used_again(end: str) -> None:
    talk = Talk.outwards(lab())
    if end == "refused":
        talk.says(0, "S")
        talk.says(1, "RA", seq=0)
    elif end == "RST":
        talk.opens().says(1, "R")
    else:
        talk.opens().closes()
    talk.made.pass_time(1 * SECOND)
    talk.next = [80_000_000, 90_000_000]
    talk.opens().says(0, "PA", b"question")
    assert lives(talk)


@edges
def test_beyond_tcp_edges_new_syn_after_a_reset_has_all_the_time_to_be_answered() -> None:
    talk = Talk.outwards(lab()).opens()
    talk.says(1, "R")
    talk.made.pass_time(200 * SECOND)
    talk.next = [80_000_000, 90_000_000]
    talk.says(0, "S")
    talk.made.pass_time(200 * SECOND)
    talk.says(1, "SA")


@edges
def test_beyond_tcp_edges_repeated_syn_keeps_one_mapping() -> None:
    made = lab()
    talk = Talk.outwards(made)
    packet = talk.segment(0, "S")
    for _ in range(5):
        talk.repeats(0, packet)
        made.pass_time(3 * SECOND)
    assert len(made.switch.tables.mappings) == len(made.switch.tables.connections) == 1


# Exhaustion

full = requirement("beyond", "exhaustion", Level.MUST, "limits hurt who reaches them, aloud")


@full
def test_beyond_exhaustion_port_that_has_rested_is_given_again() -> None:
    made = lab(outside=Outside(ports=(range(50_000, 50_004),)))
    for number in range(4):
        external(made, "a", 5000 + number)
    packet = udp(B, 6000, S1, 7000)
    assert_answered(only(made.exchange(made.b, packet)["b"]), 3, 13, about=packet)
    made.pass_time(301 * SECOND)
    assert made.exchange(made.b, packet)["outside"] == []
    made.pass_time(120 * SECOND)
    assert external(made, "b", 6000) in range(50_000, 50_004)


@full
def test_beyond_exhaustion_scan_of_one_host_takes_no_live_connection_of_another() -> None:
    made = lab(limits=Limits(connections=100))
    made.publish(8080, made.b, 80)
    talk = Talk.outwards(made).opens()
    for port in range(300):
        made.exchange(made.hosts["d"], syn("10.0.0.4", 40_000, S2, 1 + port))
    talk.says(0, "PA", b"question")
    talk.says(1, "PA", b"answer")
    assert len(made.switch.tables.connections) <= 100


@full
def test_beyond_exhaustion_flood_of_syns_from_outside_takes_no_live_connection() -> None:
    made = lab(limits=Limits(connections=100))
    talk = Talk.outwards(made).opens()
    made.publish(8080, made.b, 80)
    for port in range(300):
        into(made, syn(S2, 10_000 + port, X, 8080))
    talk.says(0, "PA", b"question")
    talk.says(1, "PA", b"answer")
    assert len(made.switch.tables.connections) <= 100


@full
def test_beyond_exhaustion_host_that_is_full_gives_up_what_nobody_has_answered() -> None:
    made = lab(limits=Limits(connections=10))
    for number in range(9):
        external(made, "a", 5000 + number)
        assert is_let_in(made, udp(S1, 7000, X, 5000 + number))
    assert external(made, "a", 6000) == 6000
    assert external(made, "a", 6001) == 6001
    assert not is_let_in(made, udp(S1, 7001, X, 4999))
    for number in range(9):
        assert is_let_in(made, udp(S1, 7000, X, 5000 + number))


# Another address

moved = requirement("beyond", "address change", Level.MUST, "flows end with the external address")


def give(made: Lab, address: str | None) -> None:
    """Let the uplink have another address, or none for now."""
    interface = None
    if address is not None:
        mac = MacAddress.parse(made.outside.gateway_mac)
        interface = Interface(mac, IpInterface.parse(f"{address}/24"))
    number = made.network("outside").number
    made.switch.changes.set_interface(number, interface, IpAddress.parse(ROUTER), made.now)


def resets(made: Lab, name: str) -> list[Packet]:
    return [frame for frame in made.received(made.hosts[name]) if TCP in frame]


@moved
def test_beyond_address_change_ends_the_flows_of_the_old_address() -> None:
    made = lab()
    talk = Talk.outwards(made).opens()
    for _ in range(2):
        external(made, "a", 5000)
    give(made, OTHER)
    assert nothing(into(made, udp(S1, 7000, X, 5000)))
    assert not talk.passes(0)
    assert len(made.switch.tables.connections) == len(made.switch.tables.mappings) == 0
    packet = udp(A, 5000, S1, 7000)
    assert_arrived(out(made, made.a, packet), packet, src=OTHER)


@moved
def test_beyond_address_change_ends_what_came_in_by_the_old_address() -> None:
    made = lab()
    talk = Talk.inwards(made).opens()
    give(made, OTHER)
    for end in (0, 1):
        assert not talk.passes(end)
    assert len(made.switch.tables.connections) == 0
    client = syn(S2, 4000, OTHER, 8080)
    assert_arrived(only(into(made, client)["b"]), client, dst=B, dport=80)


@moved
def test_beyond_address_change_that_brings_the_same_address_back_ends_nothing() -> None:
    made = lab()
    talk = Talk.outwards(made).opens()
    give(made, None)
    assert not talk.passes(0)
    made.pass_time(5 * SECOND)
    give(made, X)
    talk.says(0, "PA", b"question")
    talk.says(1, "PA", b"answer")


@requirement("beyond", "address change", Level.MUST, "and TCP's ends are told", "resets = true")
def test_beyond_address_change_resets_tcp_where_that_is_chosen() -> None:
    made = lab(translation=Translation(resets=True))
    talk = Talk.outwards(made).opens()
    talk.says(0, "PA", b"question")
    talk.says(1, "PA", b"answer")
    talk.says(0, "A")
    give(made, OTHER)
    reset = only(resets(made, "a"))
    assert (reset[IP].src, reset[TCP].sport, reset[TCP].dport) == (S1, 80, 5000)
    assert "R" in reset[TCP].flags
    assert reset[TCP].seq == talk.next[1]
    assert_checksums_right(reset)


@moved
def test_beyond_address_change_is_silent_otherwise() -> None:
    made = lab()
    Talk.outwards(made).opens()
    give(made, OTHER)
    assert resets(made, "a") == []
