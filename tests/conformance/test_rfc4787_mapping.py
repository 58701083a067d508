"""RFC 4787, UDP: mappings, ports, timers, hairpins (REQ-1 to REQ-7 and REQ-9 to REQ-11)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP

from tests.conformance.packets import (
    S1,
    S2,
    S3,
    A,
    B,
    C,
    X,
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
from tests.conformance.requirements import Level, aside, requirement
from tests.harness import Lab, only
from vswitch.network import networks
from vswitch.network.configuration import config
from vswitch.translation import Filtering, Refresh, Timeouts, Translation
from vswitch.units import SECOND
from vswitch.wire.values import IpNetwork

SECOND_ADDRESS = "203.0.113.2"


def external(made: Lab, name: str, sport: int, server: str = S1, dport: int = 7000) -> int:
    """The external port of a datagram of a host."""
    host = made.hosts[name]
    return out(made, host, udp(host.ip, sport, server, dport))[UDP].sport


flows = st.lists(
    st.tuples(
        st.sampled_from("abcd"),
        st.sampled_from([80, 81, 5000, 5001]),
        st.sampled_from([S1, S2, S3]),
        st.sampled_from([7000, 7001]),
    ),
    min_size=1,
    max_size=12,
)


@requirement("RFC 4787", "REQ-1", Level.MUST, "mapping is endpoint-independent")
def test_rfc4787_req1_mapping_is_endpoint_independent() -> None:
    made = lab()
    assert external(made, "c", 5000, S3, 9) == 5000
    ports = {
        external(made, "a", 5000, server, port)
        for server, port in ((S1, 7000), (S1, 7001), (S2, 7000), (S3, 9))
    }
    assert len(ports) == 1
    assert ports != {5000}


@requirement("RFC 4787", "REQ-1", Level.MUST, "mapping is endpoint-independent")
@settings(max_examples=25)
@given(flows=flows)
def test_rfc4787_req1_external_port_depends_on_the_inside_endpoint_alone(
    flows: list[tuple[str, int, str, int]],
) -> None:
    made = lab()
    known: dict[tuple[str, int], int] = {}
    for name, port, server, server_port in flows:
        chosen = external(made, name, port, server, server_port)
        assert known.setdefault((name, port), chosen) == chosen
    assert len(set(known.values())) == len(known)


@requirement("RFC 4787", "REQ-2", Level.RECOMMENDED, "all of a host's flows have one address")
def test_rfc4787_req2_address_pooling_is_paired() -> None:
    made = lab(also=(SECOND_ADDRESS,))
    for name in "abcd":
        host = made.hosts[name]
        addresses = set()
        for number in range(20):
            server = f"198.51.100.{number + 1}"
            addresses.add(out(made, host, udp(host.ip, 5000 + number, server, 7000))[IP].src)
            addresses.add(out(made, host, syn(host.ip, 6000 + number, server, 80))[IP].src)
            addresses.add(out(made, host, ping(host.ip, server, 100 + number))[IP].src)
        assert len(addresses) == 1
        assert addresses <= {X, SECOND_ADDRESS}


@requirement("RFC 4787", "REQ-3", Level.MUST, "no two hosts share an external port")
def test_rfc4787_req3_ports_are_not_overloaded() -> None:
    made = lab()
    assert external(made, "a", 5000, S1, 7000) == 5000
    others = [external(made, name, 5000, S3, 9) for name in "bcd"]
    assert len({5000, *others}) == 4


@requirement("RFC 4787", "REQ-3a", Level.RECOMMENDED, "ports below 1024 stay below, others above")
@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("port", [1, 80, 512, 1023, 1024, 5000, 65535])
def test_rfc4787_req3a_port_stays_in_its_range(port: int, seed: int) -> None:
    made = lab(seed=seed)
    assert external(made, "a", port) == port
    clashed = external(made, "b", port)
    assert clashed != port
    assert (1 <= clashed <= 1023) == (port <= 1023)


@requirement("RFC 4787", "REQ-4", Level.RECOMMENDED, "an even port stays even, an odd one odd")
@pytest.mark.parametrize("port", range(5000, 5020))
def test_rfc4787_req4_parity_is_preserved(port: int) -> None:
    made = lab(seed=port)
    assert external(made, "a", port) == port
    clashed = {external(made, name, port) for name in "bcd"}
    assert {one % 2 for one in clashed} == {port % 2}


@requirement("RFC 4787", "REQ-5", Level.MUST, "a mapping lives two minutes at least")
def test_rfc4787_req5_answer_after_nearly_two_minutes_is_let_in() -> None:
    made = lab()
    external(made, "a", 5000)
    made.pass_time(119 * SECOND)
    assert is_let_in(made, udp(S1, 7000, X, 5000))


SHORT = Translation(timeouts=Timeouts(udp_short=30 * SECOND))


@requirement("RFC 4787", "REQ-5a", Level.MAY, "DNS may have a shorter timer", "udp_short = 30s")
def test_rfc4787_req5a_well_known_ports_may_have_a_shorter_timer() -> None:
    made = lab(translation=SHORT)
    external(made, "a", 5000, S1, 53)
    external(made, "b", 6000, S1, 7000)
    made.pass_time(31 * SECOND)
    assert not is_let_in(made, udp(S1, 53, X, 5000))
    assert is_let_in(made, udp(S1, 7000, X, 6000), "b")


@requirement("RFC 4787", "REQ-5b", Level.MAY, "the timer is configurable", "udp = 200s")
def test_rfc4787_req5b_timer_is_configurable() -> None:
    timer = 200 * SECOND
    timeouts = Timeouts(udp=timer, udp_unanswered=timer, udp_mapping=timer)
    for age, alive in ((199, True), (201, False)):
        made = lab(translation=Translation(timeouts=timeouts))
        external(made, "a", 5000)
        made.pass_time(age * SECOND)
        assert is_let_in(made, udp(S1, 7000, X, 5000)) is alive


@requirement("RFC 4787", "REQ-5c", Level.RECOMMENDED, "the default is five minutes or more")
@pytest.mark.parametrize("dport", [7000, 53])
@pytest.mark.parametrize("answered", [False, True])
@pytest.mark.parametrize(("age", "alive"), [(299, True), (301, False)])
def test_rfc4787_req5c_default_is_five_minutes(
    age: int, alive: bool, answered: bool, dport: int
) -> None:
    made = lab()
    external(made, "a", 5000, S1, dport)
    if answered:
        assert is_let_in(made, udp(S1, dport, X, 5000))
    made.pass_time(age * SECOND)
    assert is_let_in(made, udp(S1, dport, X, 5000)) is alive


@requirement("RFC 4787", "REQ-6", Level.MUST, "outbound packets refresh the mapping")
@pytest.mark.parametrize("refresh", Refresh)
def test_rfc4787_req6_outbound_packets_refresh(refresh: Refresh) -> None:
    made = lab(translation=Translation(refresh=refresh))
    for _ in range(4):
        assert external(made, "a", 5000) == 5000
        made.pass_time(290 * SECOND)
    assert is_let_in(made, udp(S1, 7000, X, 5000))


@requirement("RFC 4787", "REQ-6a", Level.MAY, "inbound packets may refresh it too")
def test_rfc4787_req6a_inbound_packets_refresh() -> None:
    made = lab()
    external(made, "a", 5000)
    for _ in range(4):
        made.pass_time(290 * SECOND)
        assert is_let_in(made, udp(S1, 7000, X, 5000))


@requirement("RFC 4787", "REQ-6a", Level.MAY, "or not, where that is chosen", "refresh = outbound")
def test_rfc4787_req6a_inbound_packets_do_not_refresh_where_they_must_not() -> None:
    made = lab(translation=Translation(refresh=Refresh.OUTBOUND))
    external(made, "a", 5000)
    for _ in range(2):
        made.pass_time(145 * SECOND)
        assert is_let_in(made, udp(S1, 7000, X, 5000))
    made.pass_time(11 * SECOND)
    assert not is_let_in(made, udp(S1, 7000, X, 5000))


CONFLICT = """
name = "lab"
[uplink]
interface = "up0"
address = "10.0.0.77/24"
[networks.front]
subnet = "10.0.0.0/24"
"""


@requirement("RFC 4787", "REQ-7", Level.MUST, "inside and outside subnets do not conflict")
def test_rfc4787_req7_conflict_of_subnets_is_refused_in_words() -> None:
    with pytest.raises(config.ConfigurationError, match=r"10\.0\.0\.0/24"):
        config.parse(CONFLICT, "lab.toml")
    config.parse(CONFLICT.replace("10.0.0.77", "10.0.1.77"), "lab.toml")


@requirement("RFC 4787", "REQ-7", Level.MUST, "inside and outside subnets do not conflict")
def test_rfc4787_req7_subnet_that_is_learned_later_is_checked_too() -> None:
    text = CONFLICT.replace('"10.0.0.77/24"', '"dhcp"')
    configuration = config.parse(text, "lab.toml")
    assert networks.overlapping(IpNetwork.parse("10.0.0.0/8"), configuration.networks) == (
        "10.0.0.0/24 of network front",
    )
    assert networks.overlapping(IpNetwork.parse("192.0.2.0/24"), configuration.networks) == ()


@requirement("RFC 4787", "REQ-9", Level.MUST, "hairpinning: inside hosts meet by external ports")
@pytest.mark.parametrize("client", ["a", "b"])
def test_rfc4787_req9_hairpin_reaches_the_mapping(client: str) -> None:
    made = lab()
    port = external(made, "b", 6000)
    host = made.hosts[client]
    packet = udp(host.ip, 5000, X, port)
    seen = made.exchange(host, packet)
    assert_arrived(only(seen["b"]), packet, src=X, dst=B, sport=5000, dport=6000)
    assert seen["outside"] == []


aside(
    "RFC 4787",
    "REQ-9, isolated",
    Level.MUST,
    "and so do hosts of networks that are isolated from each other",
    "not followed: isolation comes first, and filtering is for them as for the outside",
)


@requirement("RFC 4787", "REQ-9", Level.MUST, "hairpinning: inside hosts meet by external ports")
@pytest.mark.parametrize(
    ("filtering", "arrives"),
    [(Filtering.ENDPOINT_INDEPENDENT, 1), (Filtering.ADDRESS_DEPENDENT, 0)],
)
def test_rfc4787_req9_hosts_of_isolated_networks_are_filtered_as_the_outside_is(
    filtering: Filtering, arrives: int
) -> None:
    made = lab(translation=Translation(filtering=filtering))
    port = external(made, "c", 5000)
    assert len(made.exchange(made.b, udp(B, 6000, X, port))["c"]) == arrives


@requirement("RFC 4787", "REQ-9a", Level.MUST, "hairpinned packets carry the external source")
def test_rfc4787_req9a_hairpinned_packet_has_the_external_source_address_and_port() -> None:
    made = lab()
    external(made, "c", 5000)
    mine, theirs = external(made, "a", 5000), external(made, "b", 6000)
    assert mine != 5000
    packet = udp(A, 5000, X, theirs)
    there = only(made.exchange(made.a, packet)["b"])
    assert_arrived(there, packet, src=X, dst=B, sport=mine, dport=6000)
    answer = udp(B, 6000, X, mine)
    back = only(made.exchange(made.b, answer)["a"])
    assert_arrived(back, answer, src=X, dst=A, sport=theirs, dport=5000)


PAYLOADS = {
    "SIP": (5060, b"INVITE sip:b@198.51.100.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.2:5060\r\n\r\n"),
    "TFTP": (69, b"\0\1boot\0octet\0"),
    "RTSP": (554, b"SETUP rtsp://198.51.100.1/ RTSP/1.0\r\nTransport: client_port=10-11\r\n\r\n"),
}


@requirement("RFC 4787", "REQ-10", Level.SHOULD, "UDP ALGs are off: payloads are not touched")
@pytest.mark.parametrize("name", PAYLOADS)
def test_rfc4787_req10_payload_is_not_touched(name: str) -> None:
    made = lab()
    port, payload = PAYLOADS[name]
    packet = udp(A, port, S1, port, payload)
    assert_arrived(out(made, made.a, packet), packet, src=X)
    answer = udp(S1, port, X, port, payload)
    assert_arrived(only(into(made, answer)["a"]), answer, dst=A)


aside(
    "RFC 4787",
    "REQ-10a",
    Level.RECOMMENDED,
    "each ALG can be switched by itself",
    "does not apply: there are no ALGs",
)

events = st.permutations(
    ["knock S1", "knock S2", "knock S3", "knock inside", "clash", "ping", "TCP", "wait"]
)


@requirement("RFC 4787", "REQ-11", Level.MUST, "behaviour never depends on order, time or load")
@settings(max_examples=40)
@given(order=events)
def test_rfc4787_req11_translation_and_filtering_do_not_depend_on_what_was_before(
    order: list[str],
) -> None:
    made = lab()
    for event in order:
        _happens(made, event)
    assert external(made, "a", 5000, S2) == 5000
    assert external(made, "a", 5000, S1) == 5000
    assert is_let_in(made, udp(S1, 7000, X, 5000))
    assert is_let_in(made, udp(S2, 7000, X, 5000))
    assert not is_let_in(made, udp(S3, 7000, X, 5000))


def _happens(made: Lab, event: str) -> None:
    """Something that must make no difference to a's port 5000."""
    match event.split():
        case ["knock", "inside"]:
            assert ICMP in only(made.exchange(made.b, udp(B, 5000, X, 5000))["b"])
        case ["knock", server]:
            assert nothing(into(made, udp({"S1": S1, "S2": S2, "S3": S3}[server], 7000, X, 5000)))
        case ["clash"]:
            assert out(made, made.c, udp(C, 6000, S1, 7000))[UDP].sport == 6000
        case ["ping"]:
            assert out(made, made.b, ping(B, S1, 5000))[ICMP].id == 5000
        case ["TCP"]:
            assert out(made, made.b, syn(B, 5000, S1, 80))[TCP].sport == 5000
        case _:
            made.pass_time(10 * SECOND)
