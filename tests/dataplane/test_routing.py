"""Routing: what is forwarded, what is refused and how, what the switch answers for itself."""

from __future__ import annotations

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPerror, IPOption, UDPerror
from scapy.layers.inet6 import IPv6
from scapy.packet import Packet, Raw

from tests.dataplane.conversation import S1, quiet_lab
from tests.harness import UPLINK_ADDRESS, Lab, assert_checksums_right, only
from vswitch.dataplane.drops import DropReason, Reason
from vswitch.dataplane.verdict import Fate
from vswitch.wire.malformed import Malformed
from vswitch.wire.values import Protocol


def out(lab: Lab, **fields: object) -> Packet:
    """A datagram of a to the outside."""
    return IP(**{"src": lab.a.ip, "dst": S1, **fields}) / UDP(sport=5000, dport=7000) / b"payload"


def nothing_was_sent(answers: dict[str, list[Packet]]) -> bool:
    return not any(answers.values())


def assert_error(error: Packet, source: str, to: Packet, kind: int, code: int) -> None:
    """An error in the switch's name that quotes a packet just as it was sent."""
    assert (error[IP].src, error[IP].dst) == (source, to[IP].src)
    assert (error[ICMP].type, error[ICMP].code) == (kind, code)
    quoted = error[ICMP].payload.original
    assert bytes(to[IP]).startswith(quoted)
    assert len(quoted) >= 28
    assert_checksums_right(error)


def test_packet_that_is_forwarded_loses_one_of_its_time_to_live() -> None:
    made = quiet_lab()
    answers = made.exchange(made.a, out(made, ttl=2, tos=0xB8, id=77, flags="DF"))
    packet = only(answers["outside"])
    assert (packet[IP].ttl, packet[IP].tos, packet[IP].id, packet[IP].flags) == (1, 0xB8, 77, "DF")
    assert (packet.src, packet.dst) == (made.outside.gateway_mac, made.outside.mac)
    assert_checksums_right(packet)


@pytest.mark.parametrize("ttl", [0, 1])
def test_time_to_live_that_ends_here_is_told_and_leaves_no_trace(ttl: int) -> None:
    made = quiet_lab()
    packet = out(made, ttl=ttl)
    answers = made.exchange(made.a, packet)
    assert_error(only(answers["a"]), "10.0.0.1", packet, 11, 0)
    assert answers["outside"] == []
    assert made.drops == {DropReason.TTL_EXPIRED: 1}
    assert len(made.switch.tables.mappings) == 0
    assert len(made.switch.tables.connections) == 0


def test_time_to_live_that_ends_on_the_way_in_is_told_in_the_uplinks_name() -> None:
    made = quiet_lab()
    made.publish(8080, made.b, 80, Protocol.UDP)
    packet = IP(src=S1, dst=UPLINK_ADDRESS, ttl=1) / UDP(sport=4000, dport=8080) / b"payload"
    answers = made.exchange(made.outside, packet)
    assert_error(only(answers["outside"]), UPLINK_ADDRESS, packet, 11, 0)
    assert answers["b"] == []
    assert len(made.switch.tables.connections) == 0


def test_known_flow_whose_time_to_live_ends_is_told_too() -> None:
    made = quiet_lab()
    for _ in range(2):
        made.exchange(made.a, out(made))
    packet = out(made, ttl=1)
    assert_error(only(made.exchange(made.a, packet)["a"]), "10.0.0.1", packet, 11, 0)


def test_packet_that_must_not_be_cut_is_answered_with_the_mtu() -> None:
    made = quiet_lab(uplink_mtu=1280)
    packet = IP(src=made.a.ip, dst=S1, flags="DF") / UDP(sport=5000, dport=7000) / bytes(1253)
    error = only(made.exchange(made.a, packet)["a"])
    assert_error(error, "10.0.0.1", packet, 3, 4)
    assert error[ICMP].nexthopmtu == 1280
    assert made.drops == {DropReason.TOO_BIG: 1}
    assert len(made.switch.tables.mappings) == 0
    assert len(made.switch.tables.connections) == 0


def test_packet_of_just_the_mtu_is_forwarded() -> None:
    made = quiet_lab(uplink_mtu=1280)
    packet = IP(src=made.a.ip, dst=S1, flags="DF") / UDP(sport=5000, dport=7000) / bytes(1252)
    assert len(only(made.exchange(made.a, packet)["outside"])[IP]) == 1280


def test_mtu_holds_for_the_later_frames_of_a_flow_as_well() -> None:
    made = quiet_lab(uplink_mtu=1280)
    for _ in range(2):
        made.exchange(made.a, out(made))
    packet = IP(src=made.a.ip, dst=S1, flags="DF") / UDP(sport=5000, dport=7000) / bytes(1253)
    answers = made.exchange(made.a, packet)
    assert_error(only(answers["a"]), "10.0.0.1", packet, 3, 4)
    assert answers["outside"] == []


def test_long_packet_is_quoted_up_to_576_bytes() -> None:
    made = quiet_lab()
    packet = IP(src=made.a.ip, dst="10.1.0.2") / UDP(sport=5000, dport=7000) / bytes(1000)
    error = only(made.exchange(made.a, packet)["a"])
    assert len(error[IP]) == 576
    assert_error(error, "10.0.0.1", packet, 3, 13)


@pytest.mark.parametrize("target", ["10.1.0.2", "10.1.200.200"])
def test_networks_are_isolated_and_say_so(target: str) -> None:
    made = quiet_lab()
    packet = out(made, dst=target)
    answers = made.exchange(made.a, packet)
    assert_error(only(answers["a"]), "10.0.0.1", packet, 3, 13)
    assert answers["c"] == []
    assert made.drops == {DropReason.NETWORKS_ISOLATED: 1}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"src": S1}, DropReason.LAND),
        ({"dst": "10.0.0.2"}, DropReason.LAND),
        ({"src": "127.0.0.1"}, DropReason.MARTIAN_SOURCE),
        ({"src": "0.0.0.0"}, DropReason.MARTIAN_SOURCE),
        ({"src": "0.1.2.3"}, DropReason.MARTIAN_SOURCE),
        ({"src": "224.0.0.1"}, DropReason.MARTIAN_SOURCE),
        ({"src": "255.255.255.255"}, DropReason.MARTIAN_SOURCE),
        ({"src": "10.0.0.1"}, DropReason.MARTIAN_SOURCE),
        ({"src": UPLINK_ADDRESS}, DropReason.MARTIAN_SOURCE),
        ({"src": "8.8.8.8"}, DropReason.SOURCE_NOT_IN_SUBNET),
        ({"src": "10.1.0.2"}, DropReason.SOURCE_NOT_IN_SUBNET),
        ({"dst": "127.0.0.1"}, DropReason.MARTIAN_DESTINATION),
        ({"dst": "0.0.0.0"}, DropReason.MARTIAN_DESTINATION),
        ({"dst": "0.1.2.3"}, DropReason.MARTIAN_DESTINATION),
        ({"dst": "224.0.0.251"}, DropReason.MARTIAN_DESTINATION),
        ({"dst": "255.255.255.255"}, DropReason.MARTIAN_DESTINATION),
        ({"dst": "10.0.255.255"}, DropReason.MARTIAN_DESTINATION),
        ({"dst": "10.1.255.255"}, DropReason.MARTIAN_DESTINATION),
        ({"dst": "203.0.113.255"}, DropReason.MARTIAN_DESTINATION),
        ({"options": [IPOption(b"\x83\x07\x04\xc6\x33\x64\x02\x00")]}, DropReason.SOURCE_ROUTE),
        ({"options": [IPOption(b"\x01\x89\x07\x04\xc6\x33\x64\x02")]}, DropReason.SOURCE_ROUTE),
        ({"options": [IPOption(b"\x1e\x00\x83\x07\x04\xc6\x33\x64")]}, DropReason.BAD_OPTIONS),
        ({"options": [IPOption(b"\x1e\x01\x83\x07\x04\xc6\x33\x64")]}, DropReason.BAD_OPTIONS),
        ({"options": [IPOption(b"\x1e\x09\x04\x00")]}, DropReason.BAD_OPTIONS),
        ({"chksum": 0x1234}, Malformed.IPV4_BAD_CHECKSUM),
        ({"version": 5}, Malformed.IPV4_BAD_VERSION),
        ({"ihl": 4}, Malformed.IPV4_BAD_HEADER_LENGTH),
        ({"len": 2000}, Malformed.IPV4_BAD_TOTAL_LENGTH),
    ],
)
def test_packet_that_may_not_be_routed_is_dropped_in_silence(
    fields: dict[str, object], reason: Reason
) -> None:
    made = quiet_lab()
    answers = made.exchange(made.a, out(made, **fields))
    assert made.drops == {reason: 1}
    assert nothing_was_sent(answers)


def test_other_options_are_forwarded_as_they_are() -> None:
    made = quiet_lab()
    packet = out(made, options=[IPOption(b"\x94\x04\x00\x00")])
    sent = only(made.exchange(made.a, packet)["outside"])
    assert bytes(sent[IP])[20:24] == b"\x94\x04\x00\x00"
    assert sent[IP].src == UPLINK_ADDRESS
    assert_checksums_right(sent)


@pytest.mark.parametrize(
    ("transport", "reason"),
    [
        (TCP(sport=1, dport=2, flags="SF"), DropReason.BAD_TCP_FLAGS),
        (TCP(sport=1, dport=2, flags="SR"), DropReason.BAD_TCP_FLAGS),
        (TCP(sport=1, dport=2, flags=0), DropReason.BAD_TCP_FLAGS),
        (TCP(sport=1, dport=2, flags="PU"), DropReason.BAD_TCP_FLAGS),
        (TCP(sport=0, dport=2, flags="S"), DropReason.PORT_ZERO),
        (TCP(sport=1, dport=0, flags="S"), DropReason.PORT_ZERO),
        (TCP(sport=1, dport=2, flags="S", dataofs=4), Malformed.TCP_BAD_DATA_OFFSET),
        (UDP(sport=1, dport=0), DropReason.PORT_ZERO),
        (UDP(sport=1, dport=2, len=7), Malformed.UDP_BAD_LENGTH),
        (UDP(sport=1, dport=2, len=90), Malformed.UDP_BAD_LENGTH),
        (Raw(b"short"), Malformed.TRUNCATED_UDP),
        (TCP(sport=1, dport=2, flags="F"), DropReason.BAD_TCP_FLAGS),
        (TCP(sport=1, dport=2, flags="FPU"), DropReason.BAD_TCP_FLAGS),
        (ICMP(type=9), DropReason.ICMP_NOT_TRANSLATED),
        (ICMP(type=10), DropReason.ICMP_NOT_TRANSLATED),
        (ICMP(type=40), DropReason.ICMP_NOT_TRANSLATED),
        (ICMP(type=200), DropReason.ICMP_NOT_TRANSLATED),
        (ICMP(type=8, code=3), DropReason.ICMP_NOT_TRANSLATED),
    ],
)
def test_transport_that_can_not_be_translated_never_leaves(
    transport: Packet, reason: Reason
) -> None:
    made = quiet_lab()
    proto = {TCP: 6, ICMP: 1}.get(type(transport), 17)
    answers = made.exchange(made.a, IP(src=made.a.ip, dst=S1, proto=proto) / transport)
    assert made.drops == {reason: 1}
    assert nothing_was_sent(answers)


@pytest.mark.parametrize("protocol", [0, 3, 4, 41, 51, 89, 112, 254, 255])
def test_protocol_that_can_not_be_translated_never_leaves_and_its_sender_is_told(
    protocol: int,
) -> None:
    made = quiet_lab()
    packet = IP(src=made.a.ip, dst=S1, proto=protocol) / Raw(bytes(40))
    answers = made.exchange(made.a, packet)
    assert_error(only(answers["a"]), "10.0.0.1", packet, 3, 2)
    assert answers["outside"] == []
    assert made.drops == {DropReason.PROTOCOL_NOT_TRANSLATED: 1}


def test_protocol_that_can_not_be_translated_is_not_answered_to_the_outside() -> None:
    made = quiet_lab()
    packet = IP(src=S1, dst=UPLINK_ADDRESS, proto=89) / Raw(bytes(40))
    assert nothing_was_sent(made.exchange(made.outside, packet))
    assert made.drops == {DropReason.PROTOCOL_NOT_TRANSLATED: 1}


def test_ipv6_to_the_gateway_is_not_routed() -> None:
    made = quiet_lab()
    made.send(made.a, made.routed(made.a, IPv6(src="fd00::2", dst="2001:db8::1") / UDP()))
    assert made.drops == {DropReason.NOT_ROUTED: 1}


# From the outside


@pytest.mark.parametrize("target", ["10.0.0.2", "10.0.0.1", "10.1.0.1", "10.1.0.2", "10.0.0.99"])
@pytest.mark.parametrize(
    "transport",
    [
        UDP(sport=4000, dport=8080),
        TCP(sport=4000, dport=8080, flags="S"),
        ICMP(type=8, id=1),
    ],
)
def test_inside_address_can_not_be_reached_from_the_outside(target: str, transport: Packet) -> None:
    """Not even the gateways', and not by a published port either (X2)."""
    made = quiet_lab()
    made.publish(8080, made.b, 80, Protocol.UDP)
    made.publish(8080, made.b, 80, Protocol.TCP)
    answers = made.exchange(made.outside, IP(src=S1, dst=target) / transport)
    assert made.drops == {DropReason.NOT_PUBLISHED: 1}
    assert nothing_was_sent(answers)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("10.0.0.2", DropReason.MARTIAN_SOURCE),
        ("10.1.0.1", DropReason.MARTIAN_SOURCE),
        ("127.0.0.1", DropReason.MARTIAN_SOURCE),
        (UPLINK_ADDRESS, DropReason.LAND),
    ],
)
def test_outside_sender_with_an_address_of_ours_is_refused(source: str, reason: Reason) -> None:
    made = quiet_lab()
    made.publish(8080, made.b, 80, Protocol.UDP)
    packet = IP(src=source, dst=UPLINK_ADDRESS) / UDP(sport=4000, dport=8080)
    assert nothing_was_sent(made.exchange(made.outside, packet))
    assert made.drops == {reason: 1}


def test_switch_is_no_way_from_the_outside_to_the_outside() -> None:
    made = quiet_lab()
    packet = IP(src=S1, dst="192.0.2.1") / UDP(sport=4000, dport=53)
    assert nothing_was_sent(made.exchange(made.outside, packet))
    assert made.drops == {DropReason.NOT_PUBLISHED: 1}


@pytest.mark.parametrize("transport", [UDP(sport=4, dport=9), TCP(sport=4, dport=9, flags="S")])
def test_unpublished_port_is_silent_towards_the_outside(transport: Packet) -> None:
    made = quiet_lab()
    answers = made.exchange(made.outside, IP(src=S1, dst=UPLINK_ADDRESS) / transport)
    assert nothing_was_sent(answers)
    assert made.drops == {DropReason.NOT_PUBLISHED: 1}


# The switch itself


@pytest.mark.parametrize("target", ["10.0.0.1", "10.1.0.1", UPLINK_ADDRESS])
def test_switch_answers_an_echo_to_each_of_its_addresses(target: str) -> None:
    made = quiet_lab()
    packet = IP(src=made.a.ip, dst=target, ttl=1) / ICMP(type=8, id=9, seq=3) / b"are you there"
    reply = only(made.exchange(made.a, packet)["a"])
    assert (reply[IP].src, reply[IP].dst) == (target, made.a.ip)
    assert (reply[ICMP].type, reply[ICMP].id, reply[ICMP].seq) == (0, 9, 3)
    assert bytes(reply[ICMP].payload) == b"are you there"
    assert_checksums_right(reply)


def test_uplink_answers_an_echo_from_the_outside() -> None:
    made = quiet_lab()
    packet = IP(src=S1, dst=UPLINK_ADDRESS) / ICMP(type=8, id=9) / b"ping"
    reply = only(made.exchange(made.outside, packet)["outside"])
    assert (reply[IP].src, reply[ICMP].type) == (UPLINK_ADDRESS, 0)


def test_echo_with_a_wrong_checksum_is_not_answered() -> None:
    made = quiet_lab()
    packet = IP(src=made.a.ip, dst="10.0.0.1") / ICMP(type=8, id=9, chksum=1) / b"ping"
    assert nothing_was_sent(made.exchange(made.a, packet))
    assert made.drops == {Malformed.ICMP_BAD_CHECKSUM: 1}


def test_echo_reply_that_nobody_asked_for_is_dropped() -> None:
    made = quiet_lab()
    packet = IP(src=made.a.ip, dst="10.0.0.1") / ICMP(type=0, id=9) / b"ping"
    assert nothing_was_sent(made.exchange(made.a, packet))
    assert made.drops == {DropReason.NO_CONNECTION: 1}


@pytest.mark.parametrize("target", ["10.0.0.1", UPLINK_ADDRESS])
def test_closed_tcp_port_of_the_gateway_resets(target: str) -> None:
    made = quiet_lab()
    syn = IP(src=made.a.ip, dst=target) / TCP(sport=5000, dport=22, flags="S", seq=1000)
    reset = only(made.exchange(made.a, syn)["a"])
    assert (reset[IP].src, reset[TCP].sport, reset[TCP].dport) == (target, 22, 5000)
    assert (reset[TCP].flags, reset[TCP].seq, reset[TCP].ack) == ("RA", 0, 1001)
    assert_checksums_right(reset)
    assert made.drops == {DropReason.NO_SERVICE: 1}


def test_stray_segment_is_reset_with_the_number_it_expects() -> None:
    made = quiet_lab()
    stray = IP(src=made.a.ip, dst="10.0.0.1")
    stray /= TCP(sport=5000, dport=22, flags="A", seq=1, ack=77)
    reset = only(made.exchange(made.a, stray)["a"])
    assert (reset[TCP].flags, reset[TCP].seq) == ("R", 77)


def test_reset_acknowledges_the_syn_and_its_data() -> None:
    made = quiet_lab()
    stray = IP(src=made.a.ip, dst="10.0.0.1")
    stray /= TCP(sport=5000, dport=22, flags="S", seq=1000) / b"12345"
    reset = only(made.exchange(made.a, stray)["a"])
    assert (reset[TCP].flags, reset[TCP].ack) == ("RA", 1006)


def test_reset_is_never_answered() -> None:
    made = quiet_lab()
    packet = IP(src=made.a.ip, dst="10.0.0.1") / TCP(sport=5000, dport=22, flags="R")
    assert nothing_was_sent(made.exchange(made.a, packet))
    assert made.drops == {DropReason.NO_SERVICE: 1}


def test_closed_udp_port_of_the_gateway_is_unreachable() -> None:
    made = quiet_lab()
    packet = IP(src=made.a.ip, dst="10.0.0.1") / UDP(sport=5000, dport=69) / b"hello"
    error = only(made.exchange(made.a, packet)["a"])
    assert_error(error, "10.0.0.1", packet, 3, 3)
    assert error[IPerror][UDPerror].dport == 69


def test_without_an_address_on_the_uplink_the_world_is_unreachable() -> None:
    made = quiet_lab()
    made.switch.changes.set_interface(made.network("outside").number, None, None, made.now)
    packet = out(made)
    assert_error(only(made.exchange(made.a, packet)["a"]), "10.0.0.1", packet, 3, 0)
    assert made.drops == {DropReason.NO_ROUTE: 1}


def test_outside_network_without_a_router_reaches_its_own_subnet_only() -> None:
    made = quiet_lab()
    made.network("outside").next_hop = None
    packet = out(made)
    assert_error(only(made.exchange(made.a, packet)["a"]), "10.0.0.1", packet, 3, 0)
    near = out(made, dst=made.outside.ip)
    assert only(made.exchange(made.a, near)["outside"])[IP].dst == made.outside.ip


def test_fates_are_counted() -> None:
    made = quiet_lab()
    before = made.switch.counters.fates.copy()
    made.exchange(made.a, out(made))
    made.exchange(made.a, IP(src=made.a.ip, dst="10.0.0.1") / ICMP(type=8) / b"x")
    made.exchange(made.a, out(made, ttl=1))
    made.exchange(made.a, out(made, dst="10.1.0.2"))
    counted = made.switch.counters.fates - before
    assert counted == {Fate.FORWARDED: 1, Fate.ANSWERED: 1, Fate.DROPPED: 2}
