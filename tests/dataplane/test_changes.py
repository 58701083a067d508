"""What is changed while frames flow: exactly the flows concerned end, and at once."""

from __future__ import annotations

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.packet import Packet

from tests.dataplane.conversation import S1, S2, Conversation, forget_received, ip, quiet_lab
from tests.dataplane.corpus import other
from tests.harness import ROUTER, UPLINK_ADDRESS, Host, Lab, only
from vswitch.dataplane.drops import DropReason
from vswitch.dataplane.mappings import External, Internal
from vswitch.dataplane.publications import Publication
from vswitch.dataplane.switch import HIGHEST_NUMBER
from vswitch.dataplane.topology import Interface
from vswitch.devices.memory import MemoryDevice
from vswitch.translation import Filtering, Timeouts, Translation
from vswitch.units import SECOND
from vswitch.wire.values import IpInterface, IpNetwork, MacAddress, Protocol

FURTHER = "203.0.113.7"
NEW = "203.0.113.9"


def udp(
    lab: Lab, host: Host, sport: int, to: str = S1, dport: int = 7000
) -> dict[str, list[Packet]]:
    return lab.exchange(host, IP(src=host.ip, dst=to) / UDP(sport=sport, dport=dport) / b"x")


def into(
    lab: Lab, dport: int, to: str = UPLINK_ADDRESS, sport: int = 7000
) -> dict[str, list[Packet]]:
    packet = IP(src=S1, dst=to) / UDP(sport=sport, dport=dport) / b"x"
    return lab.exchange(lab.outside, packet)


class Crowd:
    """A lab in which everybody talks, and who has what connection."""

    def __init__(self, **kind: object) -> None:
        kind.setdefault("translation", Translation(filtering=Filtering.ENDPOINT_INDEPENDENT))
        self.lab = quiet_lab(**{"also": (FURTHER,), **kind})
        lab = self.lab
        self._numbers: dict[str, int] = {}
        self.publication = lab.publish(8080, lab.b, 80, Protocol.UDP)
        self._note("a out", udp(lab, lab.a, 5000)["outside"])
        self._note("b out", udp(lab, lab.b, 6000)["outside"])
        self._note("c out", udp(lab, lab.c, 6001)["outside"])
        self._note("to b's port", into(lab, 8080, sport=4000)["b"])
        self._note("to a's mapping", into(lab, self.external("a", 5000), sport=4001)["a"])
        self._note("a to b's port", udp(lab, lab.a, 5001, UPLINK_ADDRESS, 8080)["b"])
        self._note(
            "b to a's mapping", udp(lab, lab.b, 6000, UPLINK_ADDRESS, self.external("a", 5000))["a"]
        )
        gre = lab.exchange(lab.a, other(Protocol.GRE, lab.a.ip, S1, 0, 0))
        self._note("a's tunnel", gre["outside"])

    def external(self, name: str, port: int) -> int:
        internal = Internal(1, Protocol.UDP, ip(self.lab.hosts[name].ip), port)
        mapping = self.lab.switch.tables.mappings.of_internal(
            internal, self.lab.network("outside").number
        )
        assert mapping is not None
        return mapping.external.port

    def alive(self) -> set[str]:
        connections = self.lab.switch.tables.connections
        return {name for name, number in self._numbers.items() if connections.numbered(number)}

    @property
    def everybody(self) -> set[str]:
        return set(self._numbers)

    def _note(self, name: str, seen: list[Packet]) -> None:
        assert len(seen) == 1, name
        self._numbers[name] = len(self.lab.switch.tables.connections)


def publication(lab: Lab, port: int, to: Host) -> Publication:
    return Publication(Protocol.UDP, None, range(port, port + 1), 1, ip(to.ip), 80)


# Publications


def test_publishing_a_port_ends_what_was_mapped_to_it_and_nothing_else() -> None:
    crowd = Crowd()
    crowd.lab.switch.changes.publish(publication(crowd.lab, 5000, crowd.lab.b), crowd.lab.now)
    assert crowd.everybody - crowd.alive() == {"a out", "to a's mapping", "b to a's mapping"}


def test_publishing_a_port_that_nobody_has_ends_nothing() -> None:
    crowd = Crowd()
    crowd.lab.switch.changes.publish(publication(crowd.lab, 9999, crowd.lab.b), crowd.lab.now)
    assert crowd.alive() == crowd.everybody


def test_published_port_is_given_to_nobody_from_then_on() -> None:
    lab = quiet_lab()
    udp(lab, lab.a, 5000)
    lab.publish(8080, lab.b, 80, Protocol.UDP)
    assert only(udp(lab, lab.a, 8080)["outside"])[UDP].sport != 8080


def test_withdrawing_a_publication_ends_what_came_in_by_it_and_nothing_else() -> None:
    crowd = Crowd()
    crowd.lab.switch.changes.unpublish(crowd.publication, crowd.lab.now)
    assert crowd.everybody - crowd.alive() == {"to b's port", "a to b's port"}


def test_withdrawing_a_publication_ends_a_hairpin_even_if_its_endpoint_has_nothing_else() -> None:
    lab = quiet_lab()
    published = lab.publish(8080, lab.b, 80, Protocol.UDP)
    udp(lab, lab.a, 5001, UPLINK_ADDRESS, 8080)
    lab.switch.changes.unpublish(published, lab.now)
    assert len(lab.switch.tables.connections) == 0


def test_withdrawn_port_may_be_given_away_again() -> None:
    lab = quiet_lab()
    published = lab.publish(8080, lab.b, 80, Protocol.UDP)
    assert only(udp(lab, lab.a, 8080)["outside"])[UDP].sport != 8080
    lab.switch.changes.unpublish(published, lab.now)
    assert only(udp(lab, lab.c, 8080)["outside"])[UDP].sport == 8080


# Static mappings


def test_static_mapping_leads_both_ways() -> None:
    lab = quiet_lab(translation=Translation(filtering=Filtering.ENDPOINT_INDEPENDENT))
    lab.map_statically(lab.a, 5000, 6000)
    assert only(into(lab, 6000)["a"])[UDP].dport == 5000
    assert only(udp(lab, lab.a, 5000)["outside"])[UDP].sport == 6000
    lab.pass_time(10_000 * SECOND)
    assert only(into(lab, 6000)["a"])[UDP].dport == 5000


def test_making_a_static_mapping_ends_what_had_either_of_its_ports_and_nothing_else() -> None:
    crowd = Crowd(also=())
    taken = crowd.external("b", 6000)
    crowd.lab.map_statically(crowd.lab.a, 5000, taken)
    gone = {"a out", "to a's mapping", "b to a's mapping", "b out"}
    assert crowd.everybody - crowd.alive() == gone
    assert only(udp(crowd.lab, crowd.lab.a, 5000)["outside"])[UDP].sport == taken
    assert only(udp(crowd.lab, crowd.lab.b, 6000)["outside"])[UDP].sport != taken


def test_ending_a_static_mapping_ends_the_connections_by_it() -> None:
    lab = quiet_lab()
    external = lab.map_statically(lab.a, 5000, 6000)
    udp(lab, lab.a, 5000)
    udp(lab, lab.a, 5001)
    lab.switch.changes.unmap_statically(external, lab.now)
    (left,) = lab.switch.tables.connections
    assert left.original.source_port == 5001
    assert not any(into(lab, 6000).values())


def test_mapping_that_was_not_made_by_hand_is_not_ended_by_hand() -> None:
    lab = quiet_lab()
    udp(lab, lab.a, 5000)
    external = External(Protocol.UDP, ip(UPLINK_ADDRESS), 5000)
    lab.switch.changes.unmap_statically(external, lab.now)
    assert len(lab.switch.tables.connections) == 1


def test_static_mapping_to_somebody_elses_address_is_refused() -> None:
    lab = quiet_lab()
    internal = Internal(1, Protocol.UDP, ip(lab.a.ip), 5000)
    with pytest.raises(ValueError, match=r"198\.51\.100\.1 is no address of the switch"):
        lab.switch.changes.map_statically(internal, External(Protocol.UDP, ip(S1), 1), lab.now)


# One address for one endpoint


def test_address_stands_for_one_endpoint_in_everything() -> None:
    lab = quiet_lab(also=(FURTHER,))
    lab.translate_one_to_one(lab.a, FURTHER)
    sent = only(udp(lab, lab.a, 5000)["outside"])
    assert (sent[IP].src, sent[UDP].sport) == (FURTHER, 5000)
    echo = only(lab.exchange(lab.a, IP(src=lab.a.ip, dst=S1) / ICMP(type=8, id=7))["outside"])
    assert (echo[IP].src, echo[ICMP].id) == (FURTHER, 7)
    assert only(into(lab, 9, FURTHER)["a"])[UDP].dport == 9
    syn = IP(src=S2, dst=FURTHER) / TCP(sport=1, dport=22, flags="S")
    assert only(lab.exchange(lab.outside, syn)["a"])[TCP].dport == 22
    ping = IP(src=S2, dst=FURTHER) / ICMP(type=8, id=3)
    assert only(lab.exchange(lab.outside, ping)["a"])[ICMP].id == 3
    gre = only(lab.exchange(lab.outside, other(Protocol.GRE, S2, FURTHER, 0, 0))["a"])
    assert gre[IP].dst == lab.a.ip


def test_address_that_stands_for_one_endpoint_is_given_to_nobody_else() -> None:
    lab = quiet_lab(also=(FURTHER,))
    lab.translate_one_to_one(lab.a, FURTHER)
    for host in (lab.b, lab.c):
        for port in (5000, 5001):
            assert only(udp(lab, host, port)["outside"])[IP].src == UPLINK_ADDRESS


def test_endpoint_with_its_own_address_is_reached_by_it_from_the_inside() -> None:
    lab = quiet_lab(also=(FURTHER,))
    lab.translate_one_to_one(lab.a, FURTHER)
    seen = only(udp(lab, lab.b, 6000, FURTHER, 9)["a"])
    assert (seen[IP].src, seen[UDP].dport) == (UPLINK_ADDRESS, 9)
    back = IP(src=lab.a.ip, dst=UPLINK_ADDRESS) / UDP(sport=9, dport=seen[UDP].sport)
    assert only(lab.exchange(lab.a, back)["b"])[IP].src == FURTHER


def test_giving_an_endpoint_an_address_ends_what_both_had_and_nothing_else() -> None:
    crowd = Crowd()
    crowd.lab.translate_one_to_one(crowd.lab.a, FURTHER)
    concerned = {"a out", "to a's mapping", "a to b's port", "b to a's mapping", "a's tunnel"}
    on_the_address = {
        name for name in ("b out", "c out") if crowd_address(crowd, name[0]) == FURTHER
    }
    assert crowd.everybody - crowd.alive() == concerned | on_the_address


def crowd_address(crowd: Crowd, name: str) -> str:
    host = crowd.lab.hosts[name]
    account = crowd.lab.switch.tables.accounts.find(
        crowd.lab.switch.tables.ports[host.port].network, ip(host.ip)
    )
    assert account is not None
    return str(account.paired[crowd.lab.network("outside").number])


def test_whoever_had_the_address_before_gets_another() -> None:
    lab = quiet_lab(also=(FURTHER,))
    sources = {host.name: only(udp(lab, host, 5000)["outside"])[IP].src for host in (lab.a, lab.b)}
    assert sources == {"a": UPLINK_ADDRESS, "b": FURTHER}
    lab.publish(8080, lab.b, 80, Protocol.UDP)
    assert len(into(lab, 8080)["b"]) == 1
    lab.translate_one_to_one(lab.c, FURTHER)
    assert only(udp(lab, lab.b, 5000)["outside"])[IP].src == UPLINK_ADDRESS
    assert only(into(lab, 5000, FURTHER)["c"])[IP].dst == lab.c.ip


def test_tunnel_of_somebody_else_on_that_address_ends() -> None:
    """It has no port, and so no mapping that could be looked for."""
    lab = quiet_lab(also=(FURTHER,), translation=Translation(external=ip(FURTHER)))
    gre = other(Protocol.GRE, lab.b.ip, S1, 0, 0)
    assert only(lab.exchange(lab.b, gre)["outside"])[IP].src == FURTHER
    lab.translate_one_to_one(lab.a, FURTHER)
    seen = lab.exchange(lab.outside, other(Protocol.GRE, S1, FURTHER, 0, 0))
    assert (len(seen["a"]), seen["b"]) == (1, [])


def test_taking_the_address_away_ends_all_connections_of_the_endpoint() -> None:
    lab = quiet_lab(also=(FURTHER,))
    lab.translate_one_to_one(lab.a, FURTHER)
    udp(lab, lab.a, 5000)
    udp(lab, lab.b, 6000, FURTHER, 9)
    udp(lab, lab.c, 5000)
    lab.switch.changes.forget_one_to_one(ip(FURTHER), lab.now)
    (left,) = lab.switch.tables.connections
    assert left.original.source == ip(lab.c.ip)
    assert not any(into(lab, 9, FURTHER).values())
    assert only(udp(lab, lab.a, 5000)["outside"])[IP].src != lab.a.ip


def test_address_that_was_taken_away_is_for_everybody_again() -> None:
    lab = quiet_lab(also=(FURTHER,))
    for host in (lab.a, lab.b, lab.c):
        udp(lab, host, 5000)
    lab.translate_one_to_one(lab.a, FURTHER)
    lab.switch.changes.forget_one_to_one(ip(FURTHER), lab.now)
    sources = {only(udp(lab, host, 5000)["outside"])[IP].src for host in (lab.a, lab.b, lab.c)}
    assert sources == {UPLINK_ADDRESS, FURTHER}


# Endpoints


def test_endpoint_that_leaves_takes_along_what_it_had_to_do_with_and_nothing_else() -> None:
    crowd = Crowd()
    crowd.lab.detach(crowd.lab.a)
    assert crowd.alive() == {"b out", "c out", "to b's port"}


def test_endpoint_that_leaves_leaves_nothing_behind() -> None:
    lab = quiet_lab()
    Conversation.outwards(lab).opens()
    udp(lab, lab.a, 5000)
    lab.map_statically(lab.a, 5005, 6005)
    lab.detach(lab.a)
    tables = lab.switch.tables
    assert (len(tables.connections), len(tables.mappings), len(tables.accounts)) == (0, 0, 0)
    assert (len(lab.switch.fastpath), lab.windows()) == (0, [])
    assert ip("10.0.0.2") not in {each.address for each in lab.network("front").neighbours}


def test_who_gets_the_address_next_hears_nothing_meant_for_the_one_before() -> None:
    """The stale UDP flow that every Docker user knows."""
    crowd = Crowd()
    lab = crowd.lab
    external = crowd.external("a", 5000)
    lab.detach(lab.a)
    again = lab.add_host("again", "front", "10.0.0.2")
    lab.send(again, lab.arp_request(again, "10.0.0.1"))
    forget_received(lab)
    for sport in (7000, 4001):
        assert not any(into(lab, external, sport=sport).values())
    lab.publish(9090, again, 90, Protocol.UDP)
    assert len(into(lab, 9090)["again"]) == 1


def test_frame_that_waits_for_an_endpoint_that_leaves_is_dropped_and_counted() -> None:
    lab = quiet_lab()
    lab.publish(8080, lab.b, 80, Protocol.UDP)
    lab.network("front").neighbours.forget(ip(lab.b.ip))
    into(lab, 8080)
    lab.switch.changes.forget_address(1, ip(lab.b.ip), lab.now)
    assert lab.drops == {DropReason.ENDED_WHILE_WAITING: 1}


# The uplink's address


def readdress(lab: Lab, address: str | None, *also: str) -> None:
    """Give the uplink another address, or take it away."""
    interface = None
    if address is not None:
        further = tuple(ip(each) for each in also)
        mac = MacAddress.parse("02:00:00:00:00:fe")
        interface = Interface(mac, IpInterface.parse(f"{address}/24"), further)
    number = lab.network("outside").number
    lab.switch.changes.set_interface(number, interface, ip(ROUTER), lab.now)


def test_new_address_ends_what_was_translated_to_the_old_one() -> None:
    crowd = Crowd(also=())
    readdress(crowd.lab, NEW)
    assert crowd.alive() == set()
    assert len(crowd.lab.switch.tables.mappings) == 0
    assert only(udp(crowd.lab, crowd.lab.a, 5000)["outside"])[IP].src == NEW
    assert not any(into(crowd.lab, 5000).values())


def test_new_address_leads_to_what_is_published() -> None:
    crowd = Crowd(also=())
    readdress(crowd.lab, NEW)
    assert len(into(crowd.lab, 8080, NEW)["b"]) == 1


def test_address_that_is_kept_keeps_what_is_translated_to_it() -> None:
    crowd = Crowd()
    lab = crowd.lab
    lost = {name for name in "abc" if crowd_address(crowd, name) == FURTHER}
    readdress(lab, UPLINK_ADDRESS)
    assert {name for name in "abc" if f"{name} out" not in crowd.alive()} == lost
    assert "to b's port" in crowd.alive()


def test_further_address_ends_nothing() -> None:
    crowd = Crowd()
    readdress(crowd.lab, UPLINK_ADDRESS, FURTHER, NEW)
    assert crowd.alive() == crowd.everybody


def test_address_that_comes_back_finds_its_flows() -> None:
    crowd = Crowd(also=())
    readdress(crowd.lab, None)
    assert crowd.alive() == crowd.everybody
    assert udp(crowd.lab, crowd.lab.a, 5000)["outside"] == []
    readdress(crowd.lab, UPLINK_ADDRESS)
    assert crowd.alive() == crowd.everybody
    assert len(into(crowd.lab, 5000)["a"]) == 1


def test_port_whose_rest_ends_while_the_address_is_away_is_given_away_again() -> None:
    times = Timeouts(udp_unanswered=120 * SECOND, udp_mapping=120 * SECOND)
    lab = quiet_lab(translation=Translation(timeouts=times))
    udp(lab, lab.a, 5000)
    readdress(lab, None)
    lab.pass_time(300 * SECOND)
    readdress(lab, UPLINK_ADDRESS)
    forget_received(lab)
    assert only(udp(lab, lab.b, 5000)["outside"])[UDP].sport == 5000


def test_address_that_is_gone_refuses_nothing_in_its_name() -> None:
    lab = quiet_lab()
    lab.exchange(lab.outside, IP(src=S1, dst=UPLINK_ADDRESS) / TCP(sport=1, dport=9, flags="S"))
    readdress(lab, NEW)
    lab.pass_time(10 * SECOND)
    assert [packet for packet in lab.received(lab.outside) if IP in packet] == []


def test_untranslated_flow_has_nothing_to_do_with_the_uplinks_address() -> None:
    lab = quiet_lab(translation=Translation(untranslated=(IpNetwork.parse("198.51.100.0/24"),)))
    udp(lab, lab.a, 5000)
    readdress(lab, NEW)
    assert len(lab.switch.tables.connections) == 1
    assert only(udp(lab, lab.a, 5000)["outside"])[IP].src == lab.a.ip


# Numbers


def test_ports_and_networks_come_and_go_more_often_than_there_are_numbers() -> None:
    lab = quiet_lab()
    switch = lab.switch
    switch._last_port = switch._last_network = HIGHEST_NUMBER - 1
    taken = set(switch.tables.ports)
    numbers = []
    for _ in range(4):
        port = switch.add_port("e", lab.network("front").number, MemoryDevice("e"))
        numbers.append(port.number)
        switch.remove_port(port.number)
    fresh = [number for number in range(1, 20) if number not in taken]
    assert numbers == [HIGHEST_NUMBER, *fresh[:3]]
    assert switch.new_network_number() == HIGHEST_NUMBER
    assert switch.new_network_number() not in {HIGHEST_NUMBER, *switch.tables.networks}


# How a network is translated


def test_filtering_that_changes_holds_for_mappings_that_are_there() -> None:
    lab = quiet_lab(translation=Translation(filtering=Filtering.ENDPOINT_INDEPENDENT))
    external = only(udp(lab, lab.a, 5000)["outside"])[UDP].sport
    strict = Translation(filtering=Filtering.ADDRESS_AND_PORT_DEPENDENT)
    lab.switch.changes.set_translation(1, strict, lab.now)
    assert into(lab, external, sport=9999)["a"] == []
    assert len(into(lab, external, sport=7000)["a"]) == 1
    assert len(lab.switch.tables.connections) == 1


def test_timeouts_that_change_hold_for_connections_that_are_there() -> None:
    lab = quiet_lab()
    udp(lab, lab.a, 5000)
    udp(lab, lab.c, 5000)
    brief = Translation(timeouts=Timeouts(udp_unanswered=20 * SECOND, udp=20 * SECOND))
    lab.switch.changes.set_translation(1, brief, lab.now)
    udp(lab, lab.a, 5000)
    lab.pass_time(60 * SECOND)
    (left,) = lab.switch.tables.connections
    assert left.original.source == ip(lab.c.ip)


def test_network_leads_out_by_another_uplink_from_then_on() -> None:
    lab = quiet_lab()
    udp(lab, lab.a, 5000)
    lab.switch.changes.set_uplink(1, 99)
    assert udp(lab, lab.a, 6000)["outside"] == []
    assert len(udp(lab, lab.c, 6000)["outside"]) == 1
