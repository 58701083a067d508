"""Networks that come and go while the switch runs: what goes with one, and what stays."""

from __future__ import annotations

import pytest
from scapy.layers.inet import ICMP, IP, UDP
from scapy.packet import Packet

from tests.dataplane.conversation import S1, Conversation, forget_received, ip, quiet_lab
from tests.harness import UPLINK_ADDRESS, Host, Lab, only
from vswitch.dataplane.drops import DropReason
from vswitch.dataplane.topology import Interface, Network, Side
from vswitch.translation import Filtering, Translation
from vswitch.units import SECOND
from vswitch.wire.values import IpInterface, MacAddress, Protocol

BACK = 2
"""The number of network `back`, on which c is."""


def udp(lab: Lab, host: Host, to: str = S1, dport: int = 7000) -> dict[str, list[Packet]]:
    return lab.exchange(host, IP(src=host.ip, dst=to) / UDP(sport=5000, dport=dport) / b"x")


def remove_back(lab: Lab) -> None:
    if "c" in lab.hosts:
        lab.detach(lab.c)
    lab.switch.remove_network(BACK, lab.now)


def add_network(lab: Lab, name: str, address: str) -> Network:
    """A network inside, with the gateway that is said."""
    mac = MacAddress.parse("02:00:00:00:09:01")
    interface = Interface(mac, IpInterface.parse(address))
    number = lab.switch.new_network_number()
    network = Network(number, name, Side.INSIDE, interface, None, 1500)
    lab.switch.add_network(network)
    lab._networks[name] = network
    return network


def test_flows_of_a_network_end_with_it_and_no_others() -> None:
    lab = quiet_lab()
    for host in (lab.a, lab.c):
        udp(lab, host)
    lab.switch.remove_port(lab.c.port)
    lab.switch.remove_network(BACK, lab.now)
    (left,) = lab.switch.tables.connections
    assert left.original.source == ip(lab.a.ip)
    (mapping,) = lab.switch.tables.mappings
    assert mapping.internal.network != BACK
    assert len(lab.switch.tables.accounts) == 1


def test_flow_of_another_network_that_led_there_ends() -> None:
    lab = quiet_lab(translation=Translation(filtering=Filtering.ENDPOINT_INDEPENDENT))
    lab.publish(8080, lab.c, 80, Protocol.UDP)
    only(udp(lab, lab.a, UPLINK_ADDRESS, 8080)["c"])
    lab.switch.remove_port(lab.c.port)
    lab.switch.remove_network(BACK, lab.now)
    assert len(lab.switch.tables.connections) == 0
    assert BACK not in {account.network for account in lab.switch.tables.accounts}


def test_transfer_of_another_network_goes_on_by_its_program() -> None:
    lab = quiet_lab()
    conversation = Conversation.outwards(lab)
    conversation.talks()
    misses = sum(lab.switch.counters.fates.values())
    add_network(lab, "more", "10.9.0.1/24")
    lab.switch.remove_network(lab.network("more").number, lab.now)
    assert len(conversation.client("PA", b"and")) == 1
    assert len(conversation.server("A")) == 1
    assert sum(lab.switch.counters.fates.values()) == misses


def test_gateway_of_a_network_is_gone_with_it() -> None:
    lab = quiet_lab()
    remove_back(lab)
    tables = lab.switch.tables
    assert tables.owner(ip("10.1.0.1")) is None
    assert tables.connected(ip("10.1.0.2")) is None
    assert [each.name for each in tables.networks.values()] == ["front", "outside"]


def test_frame_that_waits_on_a_network_that_goes_is_dropped_and_counted() -> None:
    lab = quiet_lab()
    lab.publish(8080, lab.c, 80, Protocol.UDP)
    lab.network("back").neighbours.forget(ip(lab.c.ip))
    into = IP(src=S1, dst=UPLINK_ADDRESS) / UDP(sport=5000, dport=8080) / b"x"
    lab.exchange(lab.outside, into)
    lab.switch.remove_port(lab.c.port)
    lab.switch.remove_network(BACK, lab.now)
    assert lab.drops == {DropReason.ENDED_WHILE_WAITING: 1}
    lab.pass_time(10 * SECOND)


def test_network_with_a_port_is_not_removed() -> None:
    lab = quiet_lab()
    for name in ("back", "outside"):
        with pytest.raises(ValueError, match=f"network {name} is in use"):
            lab.switch.remove_network(lab.network(name).number, lab.now)
    assert len(lab.switch.tables.networks) == 3


def test_network_outside_takes_along_what_was_translated_to_it_and_nothing_else() -> None:
    lab = quiet_lab()
    lab.exchange(lab.a, IP(src=lab.a.ip, dst=S1) / UDP(sport=5000, dport=7000) / b"x")
    number = lab.network("outside").number
    lab.switch.remove_port(lab.outside.port)
    lab.switch.remove_network(number, lab.now)
    tables = lab.switch.tables
    assert (len(tables.connections), len(tables.mappings), tables.uplink) == (0, 0, None)
    seen = lab.exchange(lab.a, IP(src=lab.a.ip, dst=S1) / UDP(sport=5000, dport=7000) / b"x")
    assert only(seen["a"])[ICMP].type == 3


def test_subnet_that_is_free_again_serves_the_next_network() -> None:
    lab = quiet_lab()
    remove_back(lab)
    forget_received(lab)
    network = add_network(lab, "again", "10.1.0.1/16")
    assert network.number > BACK
    host = lab.add_host("d", "again", "10.1.0.2")
    lab.send(host, lab.arp_request(host, "10.1.0.1"))
    assert only(lab.received(host)).psrc == "10.1.0.1"
    assert only(udp(lab, host)["outside"])[IP].src == UPLINK_ADDRESS


def test_network_that_nobody_is_on_asks_for_no_time() -> None:
    lab = quiet_lab()
    lab.pass_time(3600 * SECOND)
    quiet = lab.switch.next_deadline()
    network = add_network(lab, "more", "10.9.0.1/24")
    station = MacAddress.parse("02:00:00:00:09:02")
    network.neighbours.learn(ip("10.9.0.2"), station, lab.now, add=True)
    assert lab.switch.next_deadline() == quiet


def test_network_that_everybody_has_left_ages_and_then_sleeps_until_somebody_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lab = quiet_lab()
    udp(lab, lab.c)
    back = lab.network("back")
    assert len(back.neighbours) == 1
    lab.switch.remove_port(lab.c.port)
    del lab.hosts["c"]
    lab.pass_time(3600 * SECOND)
    assert len(back.neighbours) == 0
    with monkeypatch.context() as nobody_looks:
        nobody_looks.setattr(back, "neighbours", None)
        lab.switch.next_deadline()
        lab.switch.tick(lab.now)
    lab.answering = False
    host = lab.add_host("d", "back", "10.1.0.9")
    lab.send(host, lab.arp_request(host, "10.1.0.1"))
    assert len(back.neighbours) == 1
    lab.pass_time(3600 * SECOND)
    assert len(back.neighbours) == 0
