"""Queries by TCP at a gateway: what gets to the listener, and what the listener gets to whom."""

from __future__ import annotations

import pytest
from scapy.packet import Packet

from tests.dataplane.oracle import GATEWAY, OTHER_GATEWAY, Oracle
from tests.harness import ARP, IP, TCP, UDP, Ether, Host, Lab, assert_checksums_right, only
from vswitch.dataplane.drops import DropReason
from vswitch.dataplane.listening import MOST_EARLY
from vswitch.dataplane.verdict import Fate
from vswitch.devices.memory import MemoryDevice
from vswitch.network.names import is_name
from vswitch.wire.offload import HEADER_LENGTH, Offloads
from vswitch.wire.values import MacAddress

STATION = "02:00:00:00:99:01"


def new_lab() -> Lab:
    lab = Lab().meet_everyone()
    lab.switch.tables.queries.front = Oracle()
    lab.switch.tables.listening.is_possible = True
    for host in lab.hosts.values():
        lab.received(host)
    return lab


def listen(lab: Lab) -> Host:
    """Let there be a listener; frames that waited for it come in again."""
    device = MemoryDevice("names", Offloads.ALL)
    port = lab.switch.add_listener(device, MacAddress.parse(STATION))
    lab.switch.decide(lab.switch.tables.listening.take_early(), lab.now)
    return Host("names", STATION, "", port.number, device, STATION)


@pytest.fixture
def lab() -> Lab:
    return new_lab()


def segment(lab: Lab, host: Host, flags: str = "S", to: str = GATEWAY, port: int = 53) -> Packet:
    return lab.routed(host, IP(src=host.ip, dst=to) / TCP(sport=4000, dport=port, flags=flags))


def said(source: str, to: str, port: int = 53, flags: str = "SA") -> Packet:
    """What the listener's TCP sends: its station is the only one that it knows."""
    packet = IP(src=source, dst=to) / TCP(sport=port, dport=4000, flags=flags)
    return Ether(src=STATION, dst=STATION) / packet


def test_segments_pass_to_the_listener_and_back(lab: Lab) -> None:
    listener = listen(lab)
    lab.send(lab.a, segment(lab, lab.a))
    frame = only(lab.received(listener))
    assert (frame.dst, frame[IP].src, frame[IP].dst) == (STATION, lab.a.ip, GATEWAY)
    assert (frame[TCP].sport, frame[TCP].dport, frame[IP].ttl) == (4000, 53, 64)
    assert_checksums_right(frame)
    lab.send(listener, said(GATEWAY, lab.a.ip))
    answer = only(lab.received(lab.a))
    assert (answer.src, answer.dst) == (lab.a.gateway_mac, lab.a.mac)
    assert (answer[IP].src, answer[TCP].flags) == (GATEWAY, "SA")
    assert lab.received(lab.b) == []
    assert not len(lab.switch.tables.connections)


def test_each_network_has_its_own_gateway_there(lab: Lab) -> None:
    listener = listen(lab)
    lab.send(lab.c, segment(lab, lab.c, to=OTHER_GATEWAY))
    assert only(lab.received(listener))[IP].src == lab.c.ip
    lab.send(listener, said(OTHER_GATEWAY, lab.c.ip))
    assert only(lab.received(lab.c))[IP].src == OTHER_GATEWAY
    lab.send(lab.c, segment(lab, lab.c, to=GATEWAY))
    assert lab.received(listener) == []


def test_first_segment_waits_until_there_is_a_listener(lab: Lab) -> None:
    lab.send(lab.a, segment(lab, lab.a))
    assert lab.switch.counters.fates[Fate.WAITING] == 1
    assert lab.switch.news.is_any
    assert lab.switch.tables.listening.is_wanted
    assert only(lab.received(listen(lab)))[IP].src == lab.a.ip
    assert not lab.switch.news.is_any


def test_as_much_waits_as_there_is_room_for(lab: Lab) -> None:
    for _ in range(MOST_EARLY + 5):
        lab.send(lab.a, segment(lab, lab.a))
    assert len(lab.received(listen(lab))) == MOST_EARLY


def test_what_waits_goes_with_its_port(lab: Lab) -> None:
    lab.send(lab.a, segment(lab, lab.a))
    lab.send(lab.b, segment(lab, lab.b))
    lab.detach(lab.a)
    assert only(lab.received(listen(lab)))[IP].src == lab.b.ip


def test_port_is_closed_where_nobody_can_listen(lab: Lab) -> None:
    lab.send(lab.a, segment(lab, lab.a))
    lab.switch.tables.listening.give_up()
    assert not lab.switch.news.is_any
    assert lab.switch.tables.listening.take_early() == []
    lab.send(lab.a, segment(lab, lab.a))
    assert only(lab.received(lab.a))[TCP].flags == "RA"
    assert lab.drops == {DropReason.NO_SERVICE: 1}


def test_listener_that_goes_leaves_nothing_and_can_be_made_again(lab: Lab) -> None:
    before = set(lab.switch.tables.networks)
    listen(lab)
    lab.switch.remove_listener(lab.now)
    assert set(lab.switch.tables.networks) == before
    lab.send(lab.a, segment(lab, lab.a))
    assert only(lab.received(listen(lab)))[IP].src == lab.a.ip


def test_asking_what_would_happen_wants_no_listener(lab: Lab) -> None:
    frame = bytearray(HEADER_LENGTH) + bytes(segment(lab, lab.a))
    assert lab.switch.trace(lab.a.port, frame, lab.now).fate is Fate.WAITING
    assert not lab.switch.news.is_any


@pytest.mark.parametrize("port", [22, 80, 853])
def test_no_other_port_leads_to_the_listener(lab: Lab, port: int) -> None:
    listener = listen(lab)
    lab.send(lab.a, segment(lab, lab.a, port=port))
    assert lab.received(listener) == []
    assert lab.drops == {DropReason.NO_SERVICE: 1}


@pytest.mark.parametrize(
    "frame",
    [
        said(GATEWAY, "10.0.0.2", port=80),
        said(GATEWAY, "10.1.0.2"),
        said(GATEWAY, "203.0.113.254"),
        said(GATEWAY, GATEWAY),
        said("10.0.0.3", "10.0.0.2"),
        said("203.0.113.1", "203.0.113.254"),
        Ether(src=STATION, dst=STATION) / IP(src=GATEWAY, dst="10.0.0.2") / UDP(sport=53, dport=1),
        Ether(src=STATION, dst="ff:ff:ff:ff:ff:ff") / ARP(psrc=GATEWAY, pdst="10.0.0.2"),
    ],
    ids=lambda frame: frame.summary(),
)
def test_listener_reaches_nobody_but_in_its_gateways_name_on_that_network(
    lab: Lab, frame: Packet
) -> None:
    lab.send(listen(lab), frame)
    assert lab.drops == {DropReason.NOT_FOR_US: 1}
    assert all(lab.received(host) == [] for host in lab.hosts.values())


def test_listener_says_nothing_for_a_gateway_that_does_not_answer(lab: Lab) -> None:
    listener = listen(lab)
    lab.switch.changes.set_answering(lab.network("front").number, answers=False)
    lab.send(listener, said(GATEWAY, lab.a.ip))
    assert lab.drops == {DropReason.NOT_FOR_US: 1}


def test_station_of_who_asks_is_noted_but_none_is_replaced() -> None:
    lab = Lab()
    lab.switch.tables.queries.front = Oracle()
    listener = listen(lab)
    lab.send(lab.a, segment(lab, lab.a))
    lab.send(listener, said(GATEWAY, lab.a.ip))
    assert only(lab.received(lab.a)).dst == lab.a.mac
    impostor = segment(lab, lab.a)
    impostor.src = lab.b.mac
    lab.send(lab.b, impostor)
    lab.received(lab.a)
    lab.send(listener, said(GATEWAY, lab.a.ip))
    assert only(lab.received(lab.a)).dst == lab.a.mac


def test_station_that_is_not_known_any_more_is_asked_for(lab: Lab) -> None:
    listener = listen(lab)
    lab.send(listener, said(GATEWAY, "10.0.0.77"))
    assert lab.drops == {DropReason.NEIGHBOUR_UNREACHABLE: 1}
    assert only(lab.received(lab.a))[ARP].pdst == "10.0.0.77"


def test_listener_has_no_name_that_a_user_could_give(lab: Lab) -> None:
    listener = listen(lab)
    port = lab.switch.tables.ports[listener.port]
    network = lab.switch.tables.networks[port.network]
    assert not is_name(port.name)
    assert not is_name(network.name)
    lab.send(lab.a, lab.arp_request(lab.a, "10.0.0.3"))
    assert lab.received(listener) == []
