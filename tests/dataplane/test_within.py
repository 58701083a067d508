"""Policy within one network: icc and links, isolated ports, filters on what is bridged."""

from __future__ import annotations

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP, fragment
from scapy.layers.inet6 import ICMPv6ND_NS, IPv6
from scapy.layers.l2 import ARP, Dot1AD, Dot1Q, Ether
from scapy.packet import Packet, Raw

from tests.dataplane.conversation import forget_received, ip, quiet_lab
from tests.harness import Host, Lab, only
from vswitch.dataplane.bridged import SILENCE
from vswitch.dataplane.drops import DropReason
from vswitch.dataplane.filters import FilterChain
from vswitch.policy import Action, Filter, Link, NetworkPolicy, PortPolicy, PortRole
from vswitch.wire.offload import HEADER_LENGTH
from vswitch.wire.values import IpNetwork, Protocol

BROADCAST = "ff:ff:ff:ff:ff:ff"
WITHIN = {"arrives": "front", "leaves": "front"}


def lab_with(*rules: Filter, **policy: bool) -> Lab:
    """A lab with a third endpoint d on front, where everybody knows everybody's station."""
    lab = quiet_lab()
    lab.add_host("d", "front", "10.0.0.4")
    for name in ("a", "b", "d"):
        host = lab.hosts[name]
        lab.send(host, lab.arp_request(host, "10.0.0.1"))
    number = lab.network("front").number
    lab.switch.changes.set_policy(number, NetworkPolicy(**policy), lab.now)
    lab.switch.changes.set_filters(rules, lab.now)
    forget_received(lab)
    return lab


def link(lab: Lab, parent: Host, child: Host, ports: range, protocol: int = Protocol.TCP) -> Link:
    made = Link(ip(parent.ip), ip(child.ip), protocol, ports)
    network = lab.network("front")
    before = [each for opened in network.links.values() for each in opened]
    lab.switch.changes.set_links(network.number, [*before, made])
    return made


def say(lab: Lab, host: Host, to: Host, payload: Packet, mac: str | None = None) -> set[str]:
    """Who hears a packet that `host` sends to a neighbour by itself."""
    lab.send(host, Ether(src=host.mac, dst=mac or to.mac) / IP(src=host.ip, dst=to.ip) / payload)
    return who_heard(lab)


def who_heard(lab: Lab) -> set[str]:
    return {name for name, host in lab.hosts.items() if lab.received(host)}


def syn(dport: int = 80, sport: int = 5000) -> Packet:
    return TCP(sport=sport, dport=dport, flags="S")


# icc


@pytest.mark.parametrize("payload", [syn(), UDP(sport=1, dport=2), ICMP(type=8), Raw(b"x")])
def test_endpoints_do_not_reach_each_other_where_icc_is_off(payload: Packet) -> None:
    lab = lab_with(icc=False)
    assert say(lab, lab.a, lab.b, payload) == set()
    assert lab.drops == {DropReason.ENDPOINTS_ISOLATED: 1}


@pytest.mark.parametrize(
    "frame",
    [
        Ether(dst=BROADCAST, type=0x88B5) / b"x",
        Ether(dst="33:33:00:00:00:01") / IPv6(src="fe80::1", dst="ff02::1") / ICMPv6ND_NS(),
        Ether(dst="02:66:00:00:00:01", type=0x88B5) / b"to nobody known",
        Ether(dst=BROADCAST) / Dot1Q(vlan=5) / IP() / UDP(),
    ],
    ids=["broadcast", "IPv6", "unknown", "tagged"],
)
def test_nothing_is_flooded_to_endpoints_where_icc_is_off(frame: Packet) -> None:
    lab = lab_with(icc=False)
    frame.src = lab.a.mac
    lab.send(lab.a, frame)
    assert who_heard(lab) == set()
    assert lab.drops == {DropReason.ENDPOINTS_ISOLATED: 1}


def test_neighbours_do_not_even_find_each_other_where_icc_is_off() -> None:
    lab = lab_with(icc=False)
    lab.send(lab.a, lab.arp_request(lab.a, lab.b.ip))
    assert who_heard(lab) == set()


def test_gateway_and_the_outside_are_reached_where_icc_is_off() -> None:
    lab = lab_with(icc=False)
    ping = IP(src=lab.a.ip, dst="10.0.0.1") / ICMP(type=8, id=1)
    assert only(lab.exchange(lab.a, ping)["a"])[ICMP].type == 0
    away = IP(src=lab.a.ip, dst="198.51.100.1") / UDP(sport=1, dport=2)
    assert len(lab.exchange(lab.a, away)["outside"]) == 1


def test_promiscuous_port_reaches_everybody_and_is_reached_by_all() -> None:
    for policy in ({"icc": False}, {"isolated_ports": True}):
        lab = lab_with(Filter(Action.DROP, **WITHIN), **policy)
        host = lab.hosts["d"]
        lab.switch.changes.set_port_policy(host.port, PortPolicy(PortRole.PROMISCUOUS))
        assert say(lab, lab.a, host, syn()) == {"d"}
        assert say(lab, host, lab.a, syn()) == {"a"}
        lab.send(lab.a, lab.arp_request(lab.a, "10.0.0.99"))
        assert who_heard(lab) == {"d"}
        before = lab.hits()
        say(lab, lab.a, host, UDP())
        assert lab.hits() == before + 1


def test_turning_icc_off_stops_what_the_fast_path_has_carried() -> None:
    lab = lab_with()
    for _ in range(3):
        assert say(lab, lab.a, lab.b, UDP()) == {"b"}
    assert lab.hits() > 0
    number = lab.network("front").number
    lab.switch.changes.set_policy(number, NetworkPolicy(icc=False), lab.now)
    assert say(lab, lab.a, lab.b, UDP()) == set()
    lab.switch.changes.set_policy(number, NetworkPolicy(), lab.now)
    assert say(lab, lab.a, lab.b, UDP()) == {"b"}


# Links


def test_link_opens_exactly_the_exposed_ports_from_parent_to_child() -> None:
    lab = lab_with(icc=False)
    link(lab, lab.a, lab.b, range(80, 82))
    for host, to, payload, expected in (
        (lab.a, lab.b, syn(80), {"b"}),
        (lab.a, lab.b, syn(81), {"b"}),
        (lab.a, lab.b, syn(82), set()),
        (lab.a, lab.b, UDP(sport=1, dport=80), set()),
        (lab.a, lab.b, ICMP(type=8), set()),
        (lab.hosts["d"], lab.b, syn(80), set()),
        (lab.a, lab.hosts["d"], syn(80), set()),
        (lab.b, lab.a, syn(80), set()),
        (lab.b, lab.a, syn(5000, 80), set()),
    ):
        assert say(lab, host, to, payload) == expected, payload.summary()


def test_child_answers_its_parent() -> None:
    lab = lab_with(icc=False)
    link(lab, lab.a, lab.b, range(80, 81))
    say(lab, lab.a, lab.b, syn())
    assert say(lab, lab.b, lab.a, TCP(sport=80, dport=5000, flags="SA")) == {"a"}
    lab.pass_time(3 * SILENCE)
    assert say(lab, lab.b, lab.a, TCP(sport=80, dport=5000, flags="A")) == {"a"}


def test_error_about_a_flow_by_a_link_comes_back_and_no_other() -> None:
    lab = lab_with(icc=False)
    link(lab, lab.a, lab.b, range(53, 54), Protocol.UDP)
    sent = IP(src=lab.a.ip, dst=lab.b.ip) / UDP(sport=5000, dport=53)
    say(lab, lab.a, lab.b, sent.payload)
    error = ICMP(type=3, code=3) / sent
    assert say(lab, lab.b, lab.a, error) == {"a"}
    assert say(lab, lab.b, lab.hosts["d"], error) == set()
    error[UDP].sport = 5001
    assert say(lab, lab.b, lab.a, error) == set()


def test_linked_endpoints_find_each_other_by_arp() -> None:
    lab = lab_with(icc=False)
    link(lab, lab.a, lab.b, range(80, 81))
    for host, to, expected in ((lab.a, lab.b, {"b", "d"}), (lab.b, lab.a, {"a", "d"})):
        lab.send(host, lab.arp_request(host, to.ip))
        assert who_heard(lab) == expected
    answer = ARP(op=2, hwsrc=lab.b.mac, psrc=lab.b.ip, hwdst=lab.a.mac, pdst=lab.a.ip)
    lab.send(lab.b, Ether(src=lab.b.mac, dst=lab.a.mac) / answer)
    assert who_heard(lab) == {"a"}


def test_link_that_goes_takes_its_flows_along() -> None:
    lab = lab_with(icc=False)
    link(lab, lab.a, lab.b, range(80, 81))
    kept = link(lab, lab.hosts["d"], lab.b, range(80, 81))
    for parent in (lab.a, lab.hosts["d"]):
        say(lab, parent, lab.b, syn())
    lab.switch.changes.set_links(lab.network("front").number, [kept])
    answer = TCP(sport=80, dport=5000, flags="SA")
    assert say(lab, lab.b, lab.a, answer) == set()
    assert say(lab, lab.b, lab.hosts["d"], answer) == {"d"}
    lab.detach(lab.hosts["d"])
    assert lab.network("front").links == {}


def test_link_that_opens_a_flow_stands_in_the_trail() -> None:
    lab = lab_with(icc=False)
    link(lab, lab.a, lab.b, range(80, 90))
    packet = IP(src=lab.a.ip, dst=lab.b.ip) / syn(85)
    frame = Ether(src=lab.a.mac, dst=lab.b.mac) / packet
    raw = bytearray(bytes(HEADER_LENGTH) + bytes(frame))
    trail = [str(each) for each in lab.switch.trace(lab.a.port, raw, lab.now).trail]
    assert f"link {lab.a.ip} > {lab.b.ip} tcp port 80-89 opens this" in trail


def test_links_that_are_the_same_as_before_end_nothing() -> None:
    lab = lab_with()
    link(lab, lab.a, lab.b, range(80, 81))
    for _ in range(2):
        say(lab, lab.a, lab.b, syn())
    before = lab.hits()
    links = [each for opened in lab.network("front").links.values() for each in opened]
    lab.switch.changes.set_links(lab.network("front").number, links)
    say(lab, lab.a, lab.b, syn())
    assert lab.hits() == before + 1


def test_network_that_gets_the_number_of_one_that_is_gone_knows_none_of_its_flows() -> None:
    lab = lab_with(icc=False)
    link(lab, lab.a, lab.b, range(80, 81))
    say(lab, lab.a, lab.b, syn())
    bridged, number = lab.switch.tables.bridged, lab.network("front").number
    assert len(bridged) == 1
    for host in list(lab.hosts.values()):
        if lab.switch.tables.ports[host.port].network == number:
            lab.switch.remove_port(host.port)
    lab.switch.remove_network(number, lab.now)
    assert len(bridged) == 0


def test_fragments_pass_between_linked_endpoints_alone() -> None:
    lab = lab_with(icc=False)
    link(lab, lab.a, lab.b, range(53, 54), Protocol.UDP)
    for dport, to, expected in ((53, lab.b, 3), (54, lab.b, 2), (53, lab.hosts["d"], 0)):
        whole = IP(src=lab.a.ip, dst=to.ip, id=7) / UDP(sport=1, dport=dport) / bytes(3000)
        heard = 0
        for piece in fragment(whole, 1400):
            lab.send(lab.a, Ether(src=lab.a.mac, dst=to.mac) / piece)
            heard += len(lab.received(to))
        assert heard == expected


def test_fragment_that_would_overwrite_ports_is_dropped() -> None:
    lab = lab_with(icc=False)
    link(lab, lab.a, lab.b, range(80, 81))
    tiny = IP(src=lab.a.ip, dst=lab.b.ip, frag=1, proto=6) / Raw(bytes(64))
    lab.send(lab.a, Ether(src=lab.a.mac, dst=lab.b.mac) / tiny)
    assert lab.received(lab.b) == []
    assert lab.drops == {DropReason.FRAGMENT_OVERLAP: 1}


# Isolated ports


def test_isolated_port_reaches_no_other_and_is_reached_by_none() -> None:
    lab = lab_with(Filter(Action.ACCEPT, **WITHIN))
    lab.switch.changes.set_port_policy(lab.a.port, PortPolicy(PortRole.ISOLATED))
    assert say(lab, lab.a, lab.b, syn()) == set()
    assert say(lab, lab.b, lab.a, syn()) == set()
    assert say(lab, lab.b, lab.hosts["d"], syn()) == {"d"}
    lab.send(lab.a, lab.arp_request(lab.a, lab.b.ip))
    lab.send(lab.b, lab.arp_request(lab.b, "10.0.0.99"))
    assert who_heard(lab) == {"d"}
    assert lab.drops == {DropReason.PORT_ISOLATED: 3}


def test_others_of_the_network_keep_their_programs_beside_an_isolated_port() -> None:
    lab = lab_with()
    lab.switch.changes.set_port_policy(lab.a.port, PortPolicy(PortRole.ISOLATED))
    before = lab.hits()
    for _ in range(3):
        say(lab, lab.b, lab.hosts["d"], UDP())
    assert lab.hits() == before + 2


def test_network_of_isolated_ports_has_no_neighbours() -> None:
    lab = lab_with(isolated_ports=True)
    link(lab, lab.a, lab.b, range(80, 81))
    assert say(lab, lab.a, lab.b, syn()) == set()
    assert lab.drops == {DropReason.PORT_ISOLATED: 1}


# Filters


def test_filter_that_names_one_network_twice_is_about_what_is_bridged() -> None:
    rule = Filter(Action.DROP, protocol=6, ports=(range(80, 81),), **WITHIN)
    lab = lab_with(rule)
    assert say(lab, lab.a, lab.b, syn(80)) == set()
    assert say(lab, lab.a, lab.b, syn(81)) == {"b"}
    assert lab.drops == {DropReason.FILTER_DROPPED: 1}


@pytest.mark.parametrize("names", [{}, {"arrives": "front"}, {"leaves": "front"}])
def test_filter_that_does_not_is_about_what_is_routed_alone(names: dict[str, str]) -> None:
    lab = lab_with(Filter(Action.DROP, **names))
    before = lab.hits()
    for _ in range(3):
        assert say(lab, lab.a, lab.b, UDP()) == {"b"}
    assert lab.hits() == before + 2


def test_answer_passes_where_the_question_did(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    judge = FilterChain.judge_within

    def note(chain: FilterChain, flow: object) -> object:
        asked.append(flow)
        return judge(chain, flow)  # type: ignore[arg-type]

    monkeypatch.setattr(FilterChain, "judge_within", note)
    lab = lab_with(Filter(Action.DROP, source=(IpNetwork.parse("10.0.0.3/32"),), **WITHIN))
    asked.clear()
    assert say(lab, lab.a, lab.b, syn()) == {"b"}
    for _ in range(3):
        assert say(lab, lab.a, lab.b, TCP(sport=5000, dport=80, flags="A")) == {"b"}
        assert say(lab, lab.b, lab.a, TCP(sport=80, dport=5000, flags="SA")) == {"a"}
    assert len(asked) == 1
    assert say(lab, lab.b, lab.a, syn(22)) == set()


def test_flow_that_a_new_filter_is_about_ends_and_no_other() -> None:
    lab = lab_with(Filter(Action.DROP, protocol=17, **WITHIN))
    for dport in (80, 81):
        say(lab, lab.a, lab.b, syn(dport))
    rule = Filter(Action.DROP, protocol=6, ports=(range(80, 81),), **WITHIN)
    lab.switch.changes.add_filter(rule, lab.now, before=1)
    assert say(lab, lab.b, lab.a, TCP(sport=80, dport=5000, flags="SA")) == set()
    assert say(lab, lab.a, lab.b, syn(80)) == set()
    assert say(lab, lab.b, lab.a, TCP(sport=81, dport=5000, flags="SA")) == {"a"}


def test_rejected_syn_of_a_neighbour_is_refused_in_the_others_name() -> None:
    lab = lab_with(Filter(Action.REJECT, protocol=6, **WITHIN))
    lab.send(lab.a, Ether(src=lab.a.mac, dst=lab.b.mac) / IP(src=lab.a.ip, dst=lab.b.ip) / syn())
    heard = only(lab.received(lab.a))
    assert (heard.src, heard[IP].src, str(heard[TCP].flags)) == (lab.b.mac, lab.b.ip, "RA")
    assert lab.received(lab.b) == []


def test_accept_opens_what_icc_shuts() -> None:
    to_b = (IpNetwork.parse("10.0.0.3/32"),)
    rule = Filter(Action.ACCEPT, protocol=17, destination=to_b, **WITHIN)
    lab = lab_with(rule, icc=False)
    assert say(lab, lab.a, lab.b, UDP(sport=1, dport=2)) == {"b"}
    assert say(lab, lab.a, lab.b, syn()) == set()
    lab.send(lab.a, lab.arp_request(lab.a, lab.b.ip))
    assert who_heard(lab) == {"b", "d"}
    lab.send(lab.a, lab.arp_request(lab.a, "10.0.0.4"))
    assert who_heard(lab) == set()


def test_filter_is_not_deaf_to_priority_tags_nor_blind_to_tags_in_tags() -> None:
    lab = lab_with(Filter(Action.DROP, protocol=6, **WITHIN))
    packet = IP(src=lab.a.ip, dst=lab.b.ip) / syn()
    lab.send(lab.a, Ether(src=lab.a.mac, dst=lab.b.mac) / Dot1Q(vlan=0, prio=3) / packet)
    for outer in (Dot1Q(vlan=0), Dot1AD(vlan=0)):
        lab.send(lab.a, Ether(src=lab.a.mac, dst=lab.b.mac) / outer / Dot1Q(vlan=0) / packet)
    assert lab.received(lab.b) == []
    assert lab.drops == {DropReason.FILTER_DROPPED: 1, DropReason.TAG_IN_TAG: 2}


def test_filter_of_no_ends_is_about_every_protocol_and_arp_is_none() -> None:
    lab = lab_with(Filter(Action.DROP, **WITHIN))
    frame = Ether(src=lab.a.mac, dst=lab.b.mac)
    lab.send(lab.a, frame / IPv6(src="fe80::1", dst="fe80::2") / UDP())
    assert lab.received(lab.b) == []
    lab.send(lab.a, lab.arp_request(lab.a, lab.b.ip))
    assert who_heard(lab) == {"b", "d"}
