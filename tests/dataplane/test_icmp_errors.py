"""ICMP errors about translated flows (RFC 5508), both ways, with what they quote."""

from __future__ import annotations

import pytest
from scapy.layers.inet import (
    ICMP,
    IP,
    TCP,
    UDP,
    ICMPerror,
    IPerror,
    IPOption,
    TCPerror,
    UDPerror,
)
from scapy.packet import Packet, Raw

from tests.harness import UPLINK_ADDRESS, Host, Lab, assert_checksums_right, only
from vswitch.dataplane.drops import DropReason
from vswitch.fastpath.states import State
from vswitch.units import SECOND
from vswitch.wire.malformed import Malformed
from vswitch.wire.values import Protocol

S1 = "198.51.100.1"
R = "198.51.100.99"
"""A router in the outside world."""

ERRORS = [(3, 0), (3, 1), (3, 3), (3, 4), (3, 13), (4, 0), (11, 0), (11, 1), (12, 0)]


def lab() -> Lab:
    made = Lab().meet_everyone()
    made.answering = True
    for host in made.hosts.values():
        made.received(host)
    return made


def sent_out(lab: Lab, transport: Packet, host: Host | None = None) -> Packet:
    """The IPv4 packet that leaves the uplink for one of a's."""
    host = host or lab.a
    packet = IP(src=host.ip, dst=S1, id=77) / transport
    return only(lab.exchange(host, packet)["outside"])[IP]


def question() -> Packet:
    return UDP(sport=5000, dport=7000) / b"question"


def error_about(quoted: Packet | bytes, kind: int = 3, code: int = 3, src: str = R) -> Packet:
    return IP(src=src, dst=UPLINK_ADDRESS) / ICMP(type=kind, code=code) / Raw(bytes(quoted))


def moved_port(lab: Lab) -> Packet:
    """a's question, sent while its port is taken by b, so that ports are rewritten too."""
    lab.exchange(lab.b, IP(src=lab.b.ip, dst="198.51.100.7") / UDP(sport=5000, dport=1) / b"x")
    sent = sent_out(lab, question())
    assert sent[UDP].sport != 5000
    return sent


@pytest.mark.parametrize(("kind", "code"), ERRORS)
def test_error_from_the_outside_reaches_the_sender_as_about_its_own_packet(
    kind: int, code: int
) -> None:
    made = lab()
    sent = moved_port(made)
    error = only(made.exchange(made.outside, error_about(sent, kind, code))["a"])
    assert (error[IP].src, error[IP].dst, error[IP].ttl) == (R, made.a.ip, 63)
    assert (error[ICMP].type, error[ICMP].code) == (kind, code)
    quoted = error[IPerror]
    assert (quoted.src, quoted.dst, quoted.id) == (made.a.ip, S1, 77)
    assert (quoted[UDPerror].sport, quoted[UDPerror].dport) == (5000, 7000)
    assert_checksums_right(error)


def test_quoted_checksum_becomes_that_of_the_original() -> None:
    made = lab()
    original = IP(bytes(IP(src=made.a.ip, dst=S1) / question()))
    sent = moved_port(made)
    error = only(made.exchange(made.outside, error_about(sent))["a"])
    assert error[UDPerror].chksum == original[UDP].chksum


def test_original_checksum_of_all_ones_is_quoted_as_such() -> None:
    """All ones and zero are equal as sums, but a zero would say that there is no checksum."""
    made = lab()
    bare = IP(bytes(IP(src=made.a.ip, dst=S1) / UDP(sport=5000, dport=7000) / b"\0\0"))
    transport = UDP(sport=5000, dport=7000) / bare[UDP].chksum.to_bytes(2, "big")
    assert IP(bytes(IP(src=made.a.ip, dst=S1) / transport))[UDP].chksum == 0xFFFF
    sent = sent_out(made, transport)
    error = only(made.exchange(made.outside, error_about(sent))["a"])
    assert error[UDPerror].chksum == 0xFFFF


def test_quoted_udp_without_a_checksum_stays_without() -> None:
    made = lab()
    sent = sent_out(made, UDP(sport=5000, dport=7000, chksum=0) / b"question")
    error = only(made.exchange(made.outside, error_about(sent))["a"])
    assert (error[UDPerror].sport, error[UDPerror].chksum) == (5000, 0)


def test_wrong_quoted_checksum_is_passed_on_wrong() -> None:
    made = lab()
    sent = moved_port(made)
    right = only(made.exchange(made.outside, error_about(sent))["a"])[UDPerror].chksum
    sent[UDP].chksum ^= 0x0100
    wrong = only(made.exchange(made.outside, error_about(sent))["a"])
    assert wrong[UDPerror].chksum != right
    assert wrong[UDPerror].sport == 5000


def test_tcp_error_reaches_the_client_and_ends_nothing() -> None:
    made = lab()
    sent = sent_out(made, TCP(sport=5000, dport=80, flags="S", seq=9))
    error = only(made.exchange(made.outside, error_about(sent, 3, 1))["a"])
    assert (error[IPerror].src, error[TCPerror].sport, error[TCPerror].seq) == (made.a.ip, 5000, 9)
    assert_checksums_right(error)
    (connection,) = made.switch.tables.connections
    assert connection.state is State.OPENING


def test_quote_of_eight_bytes_is_enough() -> None:
    made = lab()
    sent = sent_out(made, TCP(sport=5000, dport=80, flags="S", seq=9))
    error = only(made.exchange(made.outside, error_about(bytes(sent)[:28]))["a"])
    assert (error[IPerror].src, error[TCPerror].sport) == (made.a.ip, 5000)
    del error[ICMP].chksum
    assert IP(bytes(error[IP]))[ICMP].chksum == ICMP(bytes(error[ICMP])).chksum


@pytest.mark.parametrize("length", [27, 24, 20])
def test_quote_without_ports_is_dropped(length: int) -> None:
    made = lab()
    sent = sent_out(made, question())
    assert made.exchange(made.outside, error_about(bytes(sent)[:length]))["a"] == []
    assert made.drops == {DropReason.ICMP_ERROR_UNRELATED: 1}


def test_quote_with_ip_options_is_read_behind_them() -> None:
    made = lab()
    packet = IP(src=made.a.ip, dst=S1, options=[IPOption(b"\x94\x04\x00\x00")]) / question()
    sent = only(made.exchange(made.a, packet)["outside"])[IP]
    error = only(made.exchange(made.outside, error_about(sent))["a"])
    assert (error[IPerror].ihl, error[IPerror].src, error[UDPerror].sport) == (6, made.a.ip, 5000)
    assert_checksums_right(error)


def test_error_about_an_echo_finds_who_asked() -> None:
    made = lab()
    made.exchange(made.b, IP(src=made.b.ip, dst="198.51.100.7") / ICMP(type=8, id=9) / b"x")
    sent = sent_out(made, ICMP(type=8, id=9, seq=2) / b"ping")
    assert sent[ICMP].id != 9
    error = only(made.exchange(made.outside, error_about(sent, 11, 0))["a"])
    assert (error[IPerror].src, error[ICMPerror].id, error[ICMPerror].seq) == (made.a.ip, 9, 2)
    assert_checksums_right(error)


def test_extensions_behind_the_quote_are_untouched() -> None:
    """RFC 4884: a length in words, padding to 128 bytes, an MPLS object."""
    made = lab()
    sent = moved_port(made)
    extension = bytes.fromhex("2000000000080101") + b"\x00\x01\x02\x03"
    quoted = bytes(sent).ljust(128, b"\0") + extension
    packet = IP(src=R, dst=UPLINK_ADDRESS) / ICMP(type=11, code=0, length=32) / Raw(quoted)
    error = only(made.exchange(made.outside, IP(bytes(packet)))["a"])
    message = bytes(error[IP].payload)
    assert message[5] == 32
    assert message.endswith(extension)
    assert len(message) == 8 + 128 + 12
    again = ICMP(message)
    del again.chksum
    assert bytes(again) == message


def test_next_hop_mtu_is_passed_on() -> None:
    made = lab()
    sent = sent_out(made, question())
    packet = IP(src=R, dst=UPLINK_ADDRESS)
    packet /= ICMP(type=3, code=4, nexthopmtu=1280) / Raw(bytes(sent))
    error = only(made.exchange(made.outside, packet)["a"])
    assert error[ICMP].nexthopmtu == 1280


def test_error_about_an_answer_leaves_in_the_uplinks_name() -> None:
    made = lab()
    external = moved_port(made)[UDP].sport
    answer = IP(src=S1, dst=UPLINK_ADDRESS) / UDP(sport=7000, dport=external) / b"answer"
    arrived = only(made.exchange(made.outside, answer)["a"])[IP]
    error = IP(src=made.a.ip, dst=S1) / ICMP(type=3, code=3) / Raw(bytes(arrived))
    out = only(made.exchange(made.a, error)["outside"])
    assert (out[IP].src, out[IP].dst, out[IP].ttl) == (UPLINK_ADDRESS, S1, 63)
    assert (out[IPerror].src, out[IPerror].dst) == (S1, UPLINK_ADDRESS)
    assert (out[UDPerror].sport, out[UDPerror].dport) == (7000, external)
    assert_checksums_right(out)


def test_error_of_an_inner_router_leaves_in_the_uplinks_name_too() -> None:
    made = lab()
    sent_out(made, question())
    answer = IP(src=S1, dst=UPLINK_ADDRESS) / UDP(sport=7000, dport=5000) / b"answer"
    arrived = only(made.exchange(made.outside, answer)["a"])[IP]
    error = IP(src="10.0.0.77", dst=S1) / ICMP(type=3, code=1) / Raw(bytes(arrived))
    assert only(made.exchange(made.b, error)["outside"])[IP].src == UPLINK_ADDRESS


def test_error_of_a_published_endpoint_names_the_published_port() -> None:
    made = lab()
    made.publish(8080, made.b, 80, Protocol.UDP)
    packet = IP(src=S1, dst=UPLINK_ADDRESS) / UDP(sport=4000, dport=8080) / b"question"
    arrived = only(made.exchange(made.outside, packet)["b"])[IP]
    error = IP(src=made.b.ip, dst=S1) / ICMP(type=3, code=3) / Raw(bytes(arrived))
    out = only(made.exchange(made.b, error)["outside"])
    assert (out[IP].src, out[IPerror].dst) == (UPLINK_ADDRESS, UPLINK_ADDRESS)
    assert (out[IPerror].src, out[UDPerror].dport) == (S1, 8080)
    assert_checksums_right(out)


def test_error_about_a_hairpinned_packet_comes_from_the_uplink() -> None:
    """RFC 5508, REQ-7."""
    made = lab()
    made.publish(8080, made.b, 80, Protocol.UDP)
    packet = IP(src=made.a.ip, dst=UPLINK_ADDRESS) / UDP(sport=5000, dport=8080) / b"question"
    arrived = only(made.exchange(made.a, packet)["b"])[IP]
    error = IP(src=made.b.ip, dst=UPLINK_ADDRESS) / ICMP(type=3, code=3) / Raw(bytes(arrived))
    back = only(made.exchange(made.b, error)["a"])
    assert (back[IP].src, back[IP].dst) == (UPLINK_ADDRESS, made.a.ip)
    assert (back[IPerror].src, back[IPerror].dst) == (made.a.ip, UPLINK_ADDRESS)
    assert (back[UDPerror].sport, back[UDPerror].dport) == (5000, 8080)
    assert_checksums_right(back)


# What does not pass


def test_error_about_an_unknown_flow_is_dropped_in_both_directions() -> None:
    made = lab()
    stranger = IP(src=UPLINK_ADDRESS, dst=S1) / UDP(sport=999, dport=7000) / b"x"
    assert not any(made.exchange(made.outside, error_about(stranger)).values())
    inner = IP(src=S1, dst=made.a.ip) / UDP(sport=7000, dport=999) / b"x"
    error = IP(src=made.a.ip, dst=S1) / ICMP(type=3, code=3) / Raw(bytes(inner))
    assert not any(made.exchange(made.a, error).values())
    assert made.drops == {DropReason.ICMP_ERROR_UNRELATED: 2}


def test_error_from_the_inside_about_ones_own_packet_is_dropped() -> None:
    made = lab()
    sent_out(made, question())
    own = IP(src=made.a.ip, dst=S1) / question()
    error = IP(src=made.a.ip, dst=S1) / ICMP(type=3, code=3) / Raw(bytes(own))
    assert not any(made.exchange(made.a, error).values())
    assert made.drops == {DropReason.ICMP_ERROR_UNRELATED: 1}


def test_damaged_error_is_dropped() -> None:
    made = lab()
    sent = sent_out(made, question())
    damaged = error_about(sent)
    damaged[ICMP].chksum = 0x1234
    made.exchange(made.outside, damaged)
    sent.chksum ^= 1
    answers = made.exchange(made.outside, error_about(sent))
    assert answers["a"] == []
    assert made.drops == {Malformed.ICMP_BAD_CHECKSUM: 1, Malformed.IPV4_BAD_CHECKSUM: 1}


def test_error_about_an_error_is_dropped() -> None:
    made = lab()
    sent = sent_out(made, question())
    nested = IP(src=UPLINK_ADDRESS, dst=S1) / ICMP(type=3, code=3) / Raw(bytes(sent))
    assert not any(made.exchange(made.outside, error_about(nested)).values())
    assert made.drops == {DropReason.ICMP_ERROR_UNRELATED: 1}


def test_error_about_a_later_fragment_is_dropped() -> None:
    made = lab()
    sent = sent_out(made, question())
    sent.frag = 10
    del sent.chksum
    assert not any(made.exchange(made.outside, error_about(sent)).values())
    assert made.drops == {DropReason.ICMP_ERROR_UNRELATED: 1}


def test_redirect_is_not_passed_on() -> None:
    made = lab()
    sent = sent_out(made, question())
    assert not any(made.exchange(made.outside, error_about(sent, 5, 1)).values())
    assert made.drops == {DropReason.ICMP_NOT_TRANSLATED: 1}


def test_error_whose_time_to_live_ends_is_not_answered() -> None:
    made = lab()
    packet = error_about(sent_out(made, question()))
    packet.ttl = 1
    assert not any(made.exchange(made.outside, packet).values())
    assert made.drops == {DropReason.TTL_EXPIRED: 1}


def test_errors_keep_no_connection_alive_and_end_none() -> None:
    """RFC 5508, REQ-6."""
    made = lab()
    sent = sent_out(made, question())
    made.pass_time(200 * SECOND)
    for kind, code in ERRORS:
        assert len(made.exchange(made.outside, error_about(sent, kind, code))["a"]) == 1
    answer = IP(src=S1, dst=UPLINK_ADDRESS) / UDP(sport=7000, dport=5000) / b"answer"
    made.pass_time(99 * SECOND)
    assert len(made.switch.tables.connections) == 1
    made.pass_time(2 * SECOND)
    assert made.exchange(made.outside, answer)["a"] == []


def test_error_that_waits_for_a_station_is_delivered_later() -> None:
    made = lab()
    sent = sent_out(made, question())
    made.network("front").neighbours.forget(
        next(iter(made.switch.tables.connections)).original.source
    )
    made.send(made.outside, made.routed(made.outside, error_about(sent)))
    made.pass_time(2 * SECOND)
    assert ICMP in only([packet for packet in made.received(made.a) if IP in packet])
