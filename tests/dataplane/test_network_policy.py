"""What a network's own policy says about routed flows: internal, gateway modes, ip_forward, icc."""

from __future__ import annotations

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP, UDPerror
from scapy.packet import Packet

from tests.dataplane.conversation import S1, Conversation, quiet_lab
from tests.harness import UPLINK_ADDRESS, Host, Lab, only
from vswitch.dataplane.drops import DropReason
from vswitch.policy import GatewayMode, NetworkPolicy, PortPolicy, PortRole
from vswitch.translation import Filtering, Translation
from vswitch.wire.values import Protocol

NAT, UNPROTECTED, ROUTED = GatewayMode.NAT, GatewayMode.NAT_UNPROTECTED, GatewayMode.ROUTED


def lab_with(policy: NetworkPolicy, *, also_back: bool = False) -> Lab:
    """A lab in which b's UDP port 80 is published as 8080, and front has a policy of its own."""
    lab = quiet_lab(translation=Translation(filtering=Filtering.ENDPOINT_INDEPENDENT))
    lab.publish(8080, lab.b, 80, Protocol.UDP)
    for name in ("front", "back") if also_back else ("front",):
        lab.switch.changes.set_policy(lab.network(name).number, policy, lab.now)
    return lab


def mode(gateway_mode: GatewayMode) -> NetworkPolicy:
    return NetworkPolicy(gateway_mode=gateway_mode)


def say(
    lab: Lab, host: Host, to: str, dport: int = 7000, sport: int = 5000, source: str | None = None
) -> dict[str, list[Packet]]:
    packet = IP(src=source or host.ip, dst=to) / UDP(sport=sport, dport=dport) / b"x"
    return lab.exchange(host, packet)


def reached(heard: dict[str, list[Packet]]) -> set[str]:
    """Who got the datagram itself."""
    return {name for name, frames in heard.items() if any(UDP in frame for frame in frames)}


def is_prohibited(heard: list[Packet]) -> bool:
    """Whether the one frame is the gateway's word that a policy forbids it."""
    return (only(heard)[ICMP].type, only(heard)[ICMP].code) == (3, 13)


# internal


def test_internal_network_reaches_nothing_outside_of_it_and_is_told() -> None:
    lab = lab_with(NetworkPolicy(internal=True))
    for to in (S1, lab.c.ip):
        heard = say(lab, lab.a, to)
        assert reached(heard) == set()
        assert is_prohibited(heard["a"])
    assert lab.drops == {DropReason.NETWORK_INTERNAL: 2}


def test_nothing_reaches_an_internal_network() -> None:
    lab = lab_with(NetworkPolicy(internal=True))
    assert reached(say(lab, lab.outside, UPLINK_ADDRESS, 8080, source=S1)) == set()
    assert reached(say(lab, lab.c, UPLINK_ADDRESS, 8080)) == set()
    assert reached(say(lab, lab.c, lab.a.ip)) == set()
    assert set(lab.drops) == {DropReason.NETWORK_INTERNAL}


def test_internal_network_has_its_gateway_and_its_neighbours() -> None:
    lab = lab_with(NetworkPolicy(internal=True))
    ping = IP(src=lab.a.ip, dst="10.0.0.1") / ICMP(type=8, id=1)
    assert only(lab.exchange(lab.a, ping)["a"])[ICMP].type == 0
    direct = lab.routed(lab.a, IP(src=lab.a.ip, dst=lab.b.ip) / UDP(sport=1, dport=2))
    direct.dst = lab.b.mac
    lab.send(lab.a, direct)
    assert len(lab.received(lab.b)) == 1


# ip_forward


def test_forwarding_that_is_off_stops_what_passes_between_networks_and_outside() -> None:
    lab = lab_with(mode(UNPROTECTED), also_back=True)
    lab.switch.changes.set_forwarding(False, lab.now)
    assert is_prohibited(say(lab, lab.a, S1)["a"])
    assert is_prohibited(say(lab, lab.a, lab.c.ip)["a"])
    assert reached(say(lab, lab.outside, UPLINK_ADDRESS, 8080, source=S1)) == set()
    assert reached(say(lab, lab.c, UPLINK_ADDRESS, 8080)) == set()
    assert lab.drops == {DropReason.FORWARDING_OFF: 4}


def test_forwarding_that_is_off_stops_exactly_that() -> None:
    lab = lab_with(NetworkPolicy())
    lab.switch.changes.set_forwarding(False, lab.now)
    assert reached(say(lab, lab.a, UPLINK_ADDRESS, 8080)) == {"b"}
    ping = IP(src=S1, dst=UPLINK_ADDRESS) / ICMP(type=8, id=1)
    assert only(lab.exchange(lab.outside, ping)["outside"])[ICMP].type == 0


def test_turning_forwarding_off_ends_what_lives_by_it_and_on_again_is_as_before() -> None:
    lab = lab_with(NetworkPolicy())
    talk = Conversation.outwards(lab).talks()
    say(lab, lab.a, UPLINK_ADDRESS, 8080)
    lab.switch.changes.set_forwarding(False, lab.now)
    (left,) = lab.switch.tables.connections
    assert left.original.destination_port == 8080
    assert talk.client("PA", b"hello?") == []
    lab.switch.changes.set_forwarding(True, lab.now)
    Conversation.outwards(lab, sport=5001).talks()


# Gateway modes


@pytest.mark.parametrize(
    ("gateway_mode", "open_port", "shut_port", "published"),
    [(NAT, 0, 0, 1), (UNPROTECTED, 1, 1, 1), (ROUTED, 1, 0, 0)],
)
def test_mode_says_who_gets_in_from_outside(
    gateway_mode: GatewayMode, open_port: int, shut_port: int, published: int
) -> None:
    for to, port, expected in (
        ("10.0.0.3", 80, open_port),
        ("10.0.0.3", 81, shut_port),
        (UPLINK_ADDRESS, 8080, published),
    ):
        lab = lab_with(mode(gateway_mode))
        heard = say(lab, lab.outside, to, port, source=S1)
        assert (len(heard["b"]), heard["outside"]) == (expected, [])
        assert lab.drops == ({} if expected else {DropReason.NOT_PUBLISHED: 1})


@pytest.mark.parametrize(
    ("gateway_mode", "open_port", "shut_port"),
    [(NAT, 0, 0), (UNPROTECTED, 1, 1), (ROUTED, 1, 0)],
)
def test_mode_says_who_gets_in_from_another_network(
    gateway_mode: GatewayMode, open_port: int, shut_port: int
) -> None:
    for port, expected in ((80, open_port), (81, shut_port)):
        lab = lab_with(mode(gateway_mode))
        heard = say(lab, lab.c, lab.b.ip, port)
        assert len(heard["b"]) == expected
        if not expected:
            assert is_prohibited(heard["c"])
            assert lab.drops == {DropReason.NETWORKS_ISOLATED: 1}


def test_answers_go_straight_back() -> None:
    for host_name, source in (("outside", S1), ("c", "10.1.0.2")):
        lab = lab_with(mode(UNPROTECTED))
        seen = only(say(lab, lab.hosts[host_name], lab.b.ip, source=source)["b"])
        assert (seen[IP].src, seen[IP].dst) == (source, lab.b.ip)
        back = say(lab, lab.b, source, 5000, 7000)
        assert only(back[host_name])[IP].src == lab.b.ip
        assert lab.hits() > 0


def test_network_that_is_reached_unprotected_is_hidden_where_it_begins_itself() -> None:
    lab = lab_with(mode(UNPROTECTED))
    assert only(say(lab, lab.a, S1)["outside"])[IP].src == UPLINK_ADDRESS


def test_routed_network_shows_its_addresses() -> None:
    lab = lab_with(mode(ROUTED))
    assert only(say(lab, lab.a, S1)["outside"])[IP].src == lab.a.ip
    back = IP(src=S1, dst=lab.a.ip) / UDP(sport=7000, dport=5000)
    assert len(lab.exchange(lab.outside, back)["a"]) == 1
    assert len(lab.switch.tables.mappings) == 0


def test_routed_network_answers_pings_from_everywhere() -> None:
    for name, source in (("outside", S1), ("c", "10.1.0.2")):
        lab = lab_with(mode(ROUTED))
        ping = IP(src=source, dst=lab.a.ip) / ICMP(type=8, id=3)
        assert only(lab.exchange(lab.hosts[name], ping)["a"])[IP].src == source


def test_routed_network_reaches_what_others_publish_by_its_own_address() -> None:
    lab = lab_with(NetworkPolicy())
    lab.switch.changes.set_policy(lab.network("back").number, mode(ROUTED), lab.now)
    assert only(say(lab, lab.c, UPLINK_ADDRESS, 8080)["b"])[IP].src == lab.c.ip
    assert only(say(lab, lab.b, lab.c.ip, 5000, 80)["c"])[IP].src == UPLINK_ADDRESS


def test_error_from_outside_finds_the_routed_sender() -> None:
    lab = lab_with(mode(ROUTED))
    sent = only(say(lab, lab.a, S1)["outside"])
    error = IP(src=S1, dst=lab.a.ip) / ICMP(type=3, code=3) / sent[IP]
    heard = only(lab.exchange(lab.outside, error)["a"])
    assert heard[UDPerror].sport == 5000


def test_network_that_is_to_be_hidden_again_loses_what_shows_it() -> None:
    lab = lab_with(mode(ROUTED))
    say(lab, lab.a, S1)
    say(lab, lab.outside, lab.b.ip, 80, source=S1)
    lab.switch.changes.set_policy(lab.network("front").number, mode(NAT), lab.now)
    assert len(lab.switch.tables.connections) == 0
    assert only(say(lab, lab.a, S1)["outside"])[IP].src == UPLINK_ADDRESS


def test_mode_that_lets_more_in_ends_nothing() -> None:
    lab = lab_with(mode(NAT))
    say(lab, lab.a, S1)
    say(lab, lab.outside, UPLINK_ADDRESS, 8080, source=S1)
    lab.switch.changes.set_policy(lab.network("front").number, mode(UNPROTECTED), lab.now)
    assert len(lab.switch.tables.connections) == 2


def test_port_that_is_no_longer_published_is_shut_on_a_routed_network() -> None:
    lab = lab_with(mode(ROUTED))
    (publication,) = lab.switch.tables.publications
    assert reached(say(lab, lab.outside, lab.b.ip, 80, source=S1)) == {"b"}
    say(lab, lab.b, S1)
    lab.switch.changes.unpublish(publication, lab.now)
    assert [each.original.source_port for each in lab.switch.tables.connections] == [5000]
    (left,) = lab.switch.tables.connections
    assert str(left.original.source) == lab.b.ip
    assert reached(say(lab, lab.outside, lab.b.ip, 80, source=S1)) == set()


# icc, where the switch routes


def test_gateway_is_no_way_around_icc() -> None:
    lab = lab_with(NetworkPolicy(icc=False))
    assert reached(say(lab, lab.a, lab.b.ip)) == set()
    assert lab.drops == {DropReason.NETWORKS_ISOLATED: 1}


def test_external_port_of_a_neighbour_is_no_way_around_icc() -> None:
    lab = lab_with(NetworkPolicy(icc=False))
    say(lab, lab.b, S1, sport=6000)
    assert reached(say(lab, lab.a, UPLINK_ADDRESS, 6000)) == set()
    assert lab.drops == {DropReason.ENDPOINTS_ISOLATED: 1}


def test_published_port_is_open_to_neighbours_whatever_icc_says() -> None:
    for policy in (NetworkPolicy(icc=False), NetworkPolicy(isolated_ports=True)):
        lab = lab_with(policy)
        assert reached(say(lab, lab.a, UPLINK_ADDRESS, 8080)) == {"b"}


def test_isolated_endpoints_reach_the_outside() -> None:
    lab = lab_with(NetworkPolicy(isolated_ports=True))
    lab.switch.changes.set_port_policy(lab.b.port, PortPolicy(PortRole.ISOLATED))
    for host in (lab.a, lab.b):
        assert reached(say(lab, host, S1)) == {"outside"}


def test_rst_of_a_connection_that_policy_ends_is_sent_where_that_is_wanted() -> None:
    lab = quiet_lab(translation=Translation(resets=True))
    Conversation.outwards(lab).talks()
    lab.switch.changes.set_forwarding(False, lab.now)
    for host in (lab.a, lab.outside):
        assert "R" in str(only(lab.received(host))[TCP].flags)
