"""The tables of a switch as rows: what a user reads about traffic that has passed."""

from __future__ import annotations

from tests.harness import ARP, ICMP, IP, ROUTER, TCP, UDP, UPLINK_ADDRESS, Ether, Lab
from vswitch.daemon import views
from vswitch.daemon.messages import FlowRow
from vswitch.units import SECOND


def _only_flow(lab: Lab) -> FlowRow:
    [row] = views.flows(lab.switch, lab.now)
    return row


def test_new_switch_has_ports_and_nothing_else() -> None:
    lab = Lab()
    assert [row.name for row in views.ports(lab.switch)] == ["a", "b", "c", "outside"]
    assert views.fdb(lab.switch) == []
    assert views.neighbours(lab.switch) == []
    assert views.flows(lab.switch, lab.now) == []


def test_port_counts_what_it_received_and_sent() -> None:
    lab = Lab()
    request = lab.arp_request(lab.a, "10.0.0.1")
    lab.send(lab.a, request)
    [reply] = lab.received_raw(lab.a)
    row = views.ports(lab.switch)[0]
    assert (row.name, row.network, row.device) == ("a", "front", "memory")
    assert (row.received_frames, row.received_bytes) == (1, len(bytes(request)))
    assert (row.sent_frames, row.sent_bytes) == (1, len(reply) - 10)
    assert (row.lost, row.drops) == ({}, {})


def test_port_tells_why_its_frames_were_dropped() -> None:
    lab = Lab()
    lab.send(lab.a, b"\xff")
    lab.send(lab.a, b"\xff")
    row = views.ports(lab.switch)[0]
    assert row.drops == {"truncated_ethernet": 2}


def test_port_names_the_offloads_of_its_device() -> None:
    [row, *_] = views.ports(Lab().switch)
    assert {"checksum", "tso4", "tso6"} <= set(row.offloads)
    assert "all" not in row.offloads


def test_station_is_on_the_port_that_it_spoke_from() -> None:
    lab = Lab().meet_everyone()
    rows = {row.mac: (row.network, row.port, row.recent) for row in views.fdb(lab.switch)}
    assert rows[lab.a.mac] == ("front", "a", True)
    assert rows[lab.c.mac] == ("back", "c", True)


def test_neighbour_that_is_asked_for_has_no_station_yet() -> None:
    lab = Lab()
    lab.send(lab.a, lab.routed(lab.a, IP(src=lab.a.ip, dst=ROUTER) / UDP(sport=5, dport=7)))
    asked = {row.address: row for row in views.neighbours(lab.switch)}[ROUTER]
    assert (asked.network, asked.mac, asked.waiting) == ("outside", None, 1)

    lab.send(lab.outside, Ether(dst=_asker(lab)) / _reply(lab))
    known = {row.address: row for row in views.neighbours(lab.switch)}[ROUTER]
    assert (known.mac, known.waiting) == (lab.outside.mac, 0)
    assert known.state != asked.state


def test_connection_out_shows_its_source_translated() -> None:
    lab = Lab().meet_everyone()
    lab.exchange(lab.a, IP(src=lab.a.ip, dst=ROUTER) / UDP(sport=5000, dport=7))
    row = _only_flow(lab)
    assert (row.protocol, row.network) == ("udp", "front")
    assert row.original == f"{lab.a.ip}:5000 > {ROUTER}:7"
    assert row.translation == f"source {UPLINK_ADDRESS}:5000"
    assert row.reply == f"{ROUTER}:7 > {UPLINK_ADDRESS}:5000"


def test_connection_in_shows_its_destination_translated() -> None:
    lab = Lab().meet_everyone()
    lab.publish(8080, lab.a, 80)
    lab.exchange(lab.outside, IP(src=ROUTER, dst=UPLINK_ADDRESS) / TCP(sport=4000, dport=8080))
    row = _only_flow(lab)
    assert (row.protocol, row.network) == ("tcp", "outside")
    assert row.original == f"{ROUTER}:4000 > {UPLINK_ADDRESS}:8080"
    assert row.translation == f"destination {lab.a.ip}:80"


def test_hairpin_shows_both_translated() -> None:
    lab = Lab().meet_everyone()
    lab.publish(8080, lab.a, 80)
    lab.exchange(lab.b, IP(src=lab.b.ip, dst=UPLINK_ADDRESS) / TCP(sport=4000, dport=8080))
    row = _only_flow(lab)
    assert row.translation == f"source {UPLINK_ADDRESS}:4000, destination {lab.a.ip}:80"


def test_mapping_is_kept_by_its_connections_and_then_by_its_own_time() -> None:
    lab = Lab().meet_everyone()
    lab.exchange(lab.a, IP(src=lab.a.ip, dst=ROUTER) / UDP(sport=5000, dport=7))
    [row] = views.mappings(lab.switch, lab.now)
    assert (row.protocol, row.network) == ("udp", "front")
    assert (row.inside, row.outside) == (f"{lab.a.ip}:5000", f"{UPLINK_ADDRESS}:5000")
    assert (row.connections, row.is_static, row.expires_in_seconds) == (1, False, None)


def test_mapping_by_hand_is_told_from_others() -> None:
    lab = Lab().meet_everyone()
    lab.map_statically(lab.b, 6000, 7000)
    [row] = views.mappings(lab.switch, lab.now)
    assert (row.inside, row.outside) == (f"{lab.b.ip}:6000", f"{UPLINK_ADDRESS}:7000")
    assert (row.connections, row.is_static) == (0, True)


def test_echo_shows_its_identifier_in_place_of_ports() -> None:
    lab = Lab().meet_everyone()
    lab.exchange(lab.a, IP(src=lab.a.ip, dst=ROUTER) / ICMP(type=8, id=77))
    row = _only_flow(lab)
    assert (row.protocol, row.original) == ("icmp", f"{lab.a.ip} > {ROUTER} id 77")
    assert row.translation == f"source {UPLINK_ADDRESS}:77"


def test_time_passes_for_a_flow_until_a_frame_of_it_comes() -> None:
    lab = Lab().meet_everyone()
    packet = IP(src=lab.a.ip, dst=ROUTER) / UDP(sport=5000, dport=7)
    answer = IP(src=ROUTER, dst=UPLINK_ADDRESS) / UDP(sport=7, dport=5000)
    lab.exchange(lab.a, packet)
    lab.exchange(lab.outside, answer)
    whole = _only_flow(lab).expires_in_seconds

    lab.pass_time(10 * SECOND)
    row = _only_flow(lab)
    assert (row.idle_seconds, row.expires_in_seconds) == (10, whole - 10)

    lab.exchange(lab.a, packet)
    row = _only_flow(lab)
    assert (row.idle_seconds, row.expires_in_seconds) == (0, whole)


def test_flow_counts_its_frames_in_both_directions_whoever_carried_them() -> None:
    lab = Lab().meet_everyone()
    packet = IP(src=lab.a.ip, dst=ROUTER) / UDP(sport=5000, dport=7) / b"12345"
    answer = IP(src=ROUTER, dst=UPLINK_ADDRESS) / UDP(sport=7, dport=5000) / b"1234567"
    for _ in range(3):
        lab.exchange(lab.a, packet)
        lab.exchange(lab.outside, answer)
    row = _only_flow(lab)
    assert 0 < lab.hits() < row.frames
    assert row.frames == 6
    assert row.bytes == 3 * (len(bytes(Ether() / packet)) + len(bytes(Ether() / answer)))


def _asker(lab: Lab) -> str:
    """The station that asked for the router by ARP."""
    question = next(frame for frame in lab.received(lab.outside) if ARP in frame)
    source: str = question.src
    return source


def _reply(lab: Lab) -> ARP:
    outside = lab.outside
    return ARP(op=2, hwsrc=outside.mac, psrc=outside.ip, pdst=UPLINK_ADDRESS)
