"""The switch as a bridge: learning, flooding, ageing, moves, VLANs, what is never forwarded."""

from __future__ import annotations

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6NDOptSrcLLAddr, IPv6
from scapy.layers.l2 import LLC, Dot1Q, Ether
from scapy.packet import Packet, Raw

from tests.harness import Host, Lab, only
from vswitch.dataplane.drops import DropReason
from vswitch.dataplane.fdb import AGEING, ForwardingDatabase, Station
from vswitch.dataplane.verdict import Fate
from vswitch.units import SECOND
from vswitch.wire.malformed import Malformed
from vswitch.wire.offload import HEADER_LENGTH
from vswitch.wire.values import MacAddress

BROADCAST = "ff:ff:ff:ff:ff:ff"


def frame(source: Host, destination: str, payload: bytes = b"hello") -> Packet:
    return Ether(src=source.mac, dst=destination, type=0x88B5) / Raw(payload)


def lab_with_d() -> Lab:
    """A third endpoint on front, so that a flood differs from a frame to one port."""
    lab = Lab()
    lab.add_host("d", "front", "10.0.0.4")
    return lab


def who_received(lab: Lab) -> set[str]:
    return {name for name, host in lab.hosts.items() if lab.received(host)}


def where(lab: Lab, mac: str, vlan: int = 0) -> int | None:
    return lab.network("front").fdb.where(Station(vlan, MacAddress.parse(mac)))


def test_frame_to_an_unknown_station_is_flooded_in_its_network_only() -> None:
    lab = lab_with_d()
    lab.send(lab.a, frame(lab.a, lab.b.mac))
    assert who_received(lab) == {"b", "d"}
    assert lab.switch.counters.fates[Fate.FLOODED] == 1


def test_frame_to_a_learned_station_leaves_by_its_port_alone() -> None:
    lab = lab_with_d()
    lab.send(lab.b, frame(lab.b, BROADCAST))
    who_received(lab)
    lab.send(lab.a, frame(lab.a, lab.b.mac))
    assert who_received(lab) == {"b"}


def test_bridged_frame_is_not_changed_by_a_bit() -> None:
    lab = Lab()
    sent = frame(lab.a, lab.b.mac, bytes(range(100)))
    lab.send(lab.a, sent)
    assert lab.received_raw(lab.b) == [bytes(HEADER_LENGTH) + bytes(sent)]


def test_broadcast_reaches_every_other_port_of_the_network() -> None:
    lab = lab_with_d()
    lab.send(lab.a, frame(lab.a, BROADCAST))
    assert who_received(lab) == {"b", "d"}


def test_group_address_is_flooded_even_by_a_station_that_is_known() -> None:
    lab = lab_with_d()
    for _ in range(2):
        lab.send(lab.a, frame(lab.a, "33:33:00:00:00:01"))
        assert who_received(lab) == {"b", "d"}


def test_later_frames_of_a_pair_are_finished_by_the_fast_path() -> None:
    lab = Lab()
    lab.send(lab.b, frame(lab.b, BROADCAST))
    before = lab.hits()
    for _ in range(5):
        lab.send(lab.a, frame(lab.a, lab.b.mac))
    assert lab.hits() - before == 4
    assert len(lab.received(lab.b)) == 5


def test_frame_to_a_station_on_its_own_port_is_dropped() -> None:
    lab = Lab()
    neighbour = "02:00:00:00:00:77"
    lab.send(lab.a, Ether(src=neighbour, dst=BROADCAST, type=0x88B5) / b"x")
    who_received(lab)
    lab.send(lab.a, frame(lab.a, neighbour))
    assert lab.drops == {DropReason.SAME_PORT: 1}
    assert who_received(lab) == set()


def test_flood_on_a_network_with_one_port_has_nowhere_to_go() -> None:
    lab = Lab()
    lab.send(lab.c, frame(lab.c, BROADCAST))
    assert lab.drops == {DropReason.NO_OTHER_PORT: 1}


def test_station_that_moves_gets_its_frames_at_the_new_port_at_once() -> None:
    lab = lab_with_d()
    lab.send(lab.b, frame(lab.b, BROADCAST))
    for _ in range(3):
        lab.send(lab.a, frame(lab.a, lab.b.mac))
    assert who_received(lab) == {"a", "b", "d"}
    lab.send(lab.hosts["d"], frame(lab.b, BROADCAST))
    who_received(lab)
    lab.send(lab.a, frame(lab.a, lab.b.mac))
    assert who_received(lab) == {"d"}


def test_station_that_moved_stays_at_the_new_port_when_the_table_ages() -> None:
    """What the fast path has seen before the move must not bring the station back."""
    lab = lab_with_d()
    lab.send(lab.b, frame(lab.b, BROADCAST))
    lab.send(lab.a, frame(lab.a, BROADCAST))
    lab.pass_time(1 * SECOND)
    for _ in range(3):
        lab.send(lab.b, frame(lab.b, lab.a.mac))
    lab.pass_time(1 * SECOND)
    lab.send(lab.hosts["d"], frame(lab.b, BROADCAST))
    who_received(lab)
    lab.pass_time(AGEING // 2)
    assert where(lab, lab.b.mac) == lab.hosts["d"].port
    lab.send(lab.a, frame(lab.a, lab.b.mac))
    assert who_received(lab) == {"d"}


def test_silent_station_is_forgotten_within_the_ageing_time() -> None:
    lab = lab_with_d()
    lab.send(lab.b, frame(lab.b, BROADCAST))
    lab.pass_time(AGEING // 2 - 1 * SECOND)
    assert where(lab, lab.b.mac) == lab.b.port
    lab.pass_time(AGEING // 2 + 1 * SECOND)
    assert where(lab, lab.b.mac) is None
    who_received(lab)
    lab.send(lab.a, frame(lab.a, lab.b.mac))
    assert who_received(lab) == {"b", "d"}


def test_station_whose_program_aged_out_is_flooded_again() -> None:
    """The receiver is silent: the sender's cached program must not outlive its FDB entry."""
    lab = lab_with_d()
    lab.send(lab.b, frame(lab.b, BROADCAST))
    for _ in range(40):
        lab.send(lab.a, frame(lab.a, lab.b.mac))
        lab.pass_time(10 * SECOND)
    who_received(lab)
    lab.send(lab.a, frame(lab.a, lab.b.mac))
    assert who_received(lab) == {"b", "d"}


def test_station_that_only_the_fast_path_hears_does_not_age_out() -> None:
    lab = Lab()
    lab.send(lab.b, frame(lab.b, BROADCAST))
    lab.send(lab.a, frame(lab.a, BROADCAST))
    for _ in range(90):
        lab.send(lab.a, frame(lab.a, lab.b.mac))
        lab.send(lab.b, frame(lab.b, lab.a.mac))
        lab.pass_time(10 * SECOND)
    assert lab.hits() > 150
    assert where(lab, lab.a.mac) == lab.a.port
    assert where(lab, lab.b.mac) == lab.b.port


def test_full_table_costs_the_port_that_fills_it() -> None:
    lab = lab_with_d()
    lab.network("front").fdb = ForwardingDatabase(capacity=16)
    lab.send(lab.b, frame(lab.b, BROADCAST))
    for number in range(100):
        invented = f"02:66:00:00:00:{number:02x}"
        lab.send(lab.a, Ether(src=invented, dst=lab.b.mac, type=0x88B5) / b"x")
    who_received(lab)
    lab.send(lab.hosts["d"], frame(lab.hosts["d"], lab.b.mac))
    assert who_received(lab) == {"b"}
    assert len(lab.network("front").fdb) == 16


def test_removed_port_is_neither_sent_to_nor_remembered() -> None:
    lab = lab_with_d()
    lab.send(lab.b, frame(lab.b, BROADCAST))
    for _ in range(2):
        lab.send(lab.a, frame(lab.a, lab.b.mac))
    who_received(lab)
    lab.switch.remove_port(lab.b.port)
    lab.send(lab.a, frame(lab.a, lab.b.mac))
    assert who_received(lab) == {"d"}
    assert where(lab, lab.b.mac) is None


def test_vlans_are_bridged_apart() -> None:
    lab = lab_with_d()
    lab.send(lab.b, Ether(src=lab.b.mac, dst=BROADCAST) / Dot1Q(vlan=10, type=0x88B5) / b"x")
    who_received(lab)
    tagged = Ether(src=lab.a.mac, dst=lab.b.mac) / Dot1Q(vlan=10, type=0x88B5) / b"x"
    lab.send(lab.a, tagged)
    assert [bytes(packet) for packet in lab.received(lab.b)] == [bytes(tagged)]
    assert who_received(lab) == set()
    lab.send(lab.a, Ether(src=lab.a.mac, dst=lab.b.mac) / Dot1Q(vlan=20, type=0x88B5) / b"x")
    assert who_received(lab) == {"b", "d"}
    lab.send(lab.a, frame(lab.a, lab.b.mac))
    assert who_received(lab) == {"b", "d"}


def test_tagged_frame_to_the_gateway_is_not_routed() -> None:
    lab = Lab().meet_everyone()
    packet = Dot1Q(vlan=5) / IP(src=lab.a.ip, dst="198.51.100.1") / UDP()
    lab.send(lab.a, Ether(src=lab.a.mac, dst=lab.a.gateway_mac) / packet)
    assert lab.drops == {DropReason.NOT_ROUTED: 1}


def test_ipv6_neighbour_discovery_works_between_endpoints() -> None:
    lab = lab_with_d()
    solicitation = (
        Ether(src=lab.a.mac, dst="33:33:ff:00:00:03")
        / IPv6(src="fd00::2", dst="ff02::1:ff00:3")
        / ICMPv6ND_NS(tgt="fd00::3")
        / ICMPv6NDOptSrcLLAddr(lladdr=lab.a.mac)
    )
    lab.send(lab.a, solicitation)
    assert bytes(only(lab.received(lab.b))) == bytes(solicitation)
    who_received(lab)
    advertisement = (
        Ether(src=lab.b.mac, dst=lab.a.mac)
        / IPv6(src="fd00::3", dst="fd00::2")
        / ICMPv6ND_NA(tgt="fd00::3", S=1)
    )
    lab.send(lab.b, advertisement)
    assert bytes(only(lab.received(lab.a))) == bytes(advertisement)
    assert who_received(lab) == set()


def test_frames_without_an_ethertype_are_bridged_as_they_are() -> None:
    lab = Lab()
    sent = Ether(bytes(Ether(src=lab.a.mac, dst=lab.b.mac, type=8) / LLC() / b"spam!"))
    lab.send(lab.a, sent)
    assert bytes(only(lab.received(lab.b))) == bytes(sent)


@pytest.mark.parametrize(
    ("source", "destination", "reason"),
    [
        ("03:00:00:00:00:01", BROADCAST, DropReason.SOURCE_IS_GROUP),
        (BROADCAST, BROADCAST, DropReason.SOURCE_IS_GROUP),
        ("00:00:00:00:00:00", BROADCAST, DropReason.SOURCE_IS_ZERO),
        ("02:00:00:00:00:01", "01:80:c2:00:00:00", DropReason.LINK_LOCAL_GROUP),
        ("02:00:00:00:00:01", "01:80:c2:00:00:0e", DropReason.LINK_LOCAL_GROUP),
    ],
)
def test_frame_that_no_bridge_forwards_is_dropped_and_teaches_nothing(
    source: str, destination: str, reason: DropReason
) -> None:
    lab = Lab()
    lab.send(lab.a, Ether(src=source, dst=destination, type=0x88B5) / b"x")
    assert lab.drops == {reason: 1}
    assert who_received(lab) == set()
    assert where(lab, source) is None


def test_group_beyond_the_reserved_sixteen_is_flooded() -> None:
    lab = Lab()
    lab.send(lab.a, frame(lab.a, "01:80:c2:00:00:20"))
    assert who_received(lab) == {"b"}


@pytest.mark.parametrize(
    ("cut", "reason"), [(13, Malformed.TRUNCATED_ETHERNET), (17, Malformed.TRUNCATED_VLAN)]
)
def test_frame_shorter_than_its_header_is_dropped(cut: int, reason: Malformed) -> None:
    lab = Lab()
    tagged = Ether(src=lab.a.mac, dst=lab.b.mac) / Dot1Q(vlan=10) / b"payload"
    lab.send(lab.a, bytes(tagged)[:cut])
    assert lab.drops == {reason: 1}


def test_frame_from_the_outside_for_another_station_is_not_let_in() -> None:
    lab = Lab()
    for destination in (lab.a.mac, BROADCAST, "02:00:00:00:99:99"):
        lab.send(lab.outside, frame(lab.outside, destination))
    assert lab.drops == {DropReason.NOT_FOR_US: 3}
    assert who_received(lab) == set()


def test_frame_to_its_own_sender_is_dropped() -> None:
    lab = Lab()
    lab.send(lab.a, frame(lab.a, lab.a.mac))
    assert lab.drops == {DropReason.SAME_PORT: 1}


def test_drops_are_counted_by_port_too() -> None:
    lab = Lab()
    lab.send(lab.a, frame(lab.a, "01:80:c2:00:00:00"))
    assert lab.switch.counters.port_drops[lab.a.port] == {DropReason.LINK_LOCAL_GROUP: 1}
