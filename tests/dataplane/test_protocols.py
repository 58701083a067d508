"""Protocols beside TCP, UDP and echo: by their ports where they have some, else one per peer."""

from __future__ import annotations

import pytest
from scapy.layers.inet import ICMP, IP
from scapy.packet import Packet, Raw

from tests.dataplane.conversation import S1, S2, ip, quiet_lab
from tests.dataplane.corpus import OTHER_PROTOCOLS, WITH_PORTS, other, timestamp
from tests.harness import UPLINK_ADDRESS, Host, Lab, only
from vswitch.dataplane.drops import DropReason
from vswitch.units import MINUTE, SECOND
from vswitch.wire.checksum import ones_sum, pseudo_header_sum
from vswitch.wire.malformed import Malformed
from vswitch.wire.values import IpAddress, Protocol

WITHOUT_PORTS = [Protocol.GRE, Protocol.ESP]
CHECKSUM_AT = 6
"""Where UDP-Lite and DCCP have their checksum."""


def out(
    lab: Lab, host: Host, protocol: int, sport: int = 5000, to: str = S1
) -> dict[str, list[Packet]]:
    return lab.exchange(host, other(protocol, host.ip, to, sport, 7000))


def back(lab: Lab, protocol: int, port: int = 5000, source: str = S1) -> dict[str, list[Packet]]:
    return lab.exchange(lab.outside, other(protocol, source, UPLINK_ADDRESS, 7000, port))


def ports(packet: Packet) -> tuple[int, int]:
    payload = bytes(packet[IP].payload)
    return int.from_bytes(payload[:2], "big"), int.from_bytes(payload[2:4], "big")


@pytest.mark.parametrize("protocol", OTHER_PROTOCOLS)
def test_packet_goes_out_and_its_answer_comes_back(protocol: int) -> None:
    lab = quiet_lab()
    sent = only(out(lab, lab.a, protocol)["outside"])
    assert (sent[IP].src, sent[IP].dst, sent[IP].ttl) == (UPLINK_ADDRESS, S1, 63)
    seen = back(lab, protocol)
    assert only(seen["a"])[IP].dst == lab.a.ip
    assert seen["b"] == []
    if protocol in WITH_PORTS:
        assert ports(sent) == (5000, 7000)
        assert ports(only(back(lab, protocol)["a"])) == (7000, 5000)
    else:
        assert bytes(sent[IP].payload) == OTHER_PROTOCOLS[protocol]


@pytest.mark.parametrize("protocol", [Protocol.UDP_LITE, Protocol.DCCP])
def test_clash_gives_the_second_host_another_port(protocol: int) -> None:
    lab = quiet_lab()
    assert ports(only(out(lab, lab.a, protocol)["outside"]))[0] == 5000
    moved = ports(only(out(lab, lab.b, protocol)["outside"]))[0]
    assert moved != 5000
    assert only(back(lab, protocol, moved)["b"])[IP].dst == lab.b.ip
    assert ports(only(back(lab, protocol, moved)["b"])) == (7000, 5000)


def test_clash_of_sctp_is_refused_as_its_ports_stay() -> None:
    lab = quiet_lab()
    out(lab, lab.a, Protocol.SCTP)
    seen = out(lab, lab.b, Protocol.SCTP)
    assert (only(seen["b"])[ICMP].type, only(seen["b"])[ICMP].code) == (3, 13)
    assert seen["outside"] == []
    assert lab.drops == {DropReason.PORTS_EXHAUSTED: 1}
    assert len(out(lab, lab.b, Protocol.SCTP, 5001)["outside"]) == 1


def test_checksum_of_sctp_is_not_touched() -> None:
    """Its CRC covers no address."""
    lab = quiet_lab()
    before = other(Protocol.SCTP, lab.a.ip, S1, 5000, 7000)
    sent = only(lab.exchange(lab.a, before)["outside"])
    assert bytes(sent[IP].payload) == bytes(before[IP].payload)


def summed(packet: Packet) -> int:
    """The sum of a packet's payload and pseudo header: all ones where the checksum is right."""
    payload = bytes(packet[IP].payload)
    ends = IpAddress.parse(packet[IP].src), IpAddress.parse(packet[IP].dst)
    pseudo = pseudo_header_sum(*ends, packet[IP].proto, len(payload))
    return ones_sum(pseudo.to_bytes(2, "big") + payload + bytes(len(payload) % 2))


@pytest.mark.parametrize("protocol", [Protocol.UDP_LITE, Protocol.DCCP])
def test_checksum_follows_the_addresses_and_ports(protocol: int) -> None:
    lab = quiet_lab()
    out(lab, lab.b, protocol)
    packet = other(protocol, lab.a.ip, S1, 5000, 7000)
    header = bytearray(bytes(packet[IP].payload))
    header[CHECKSUM_AT : CHECKSUM_AT + 2] = b"\0\0"
    whole = IP(src=lab.a.ip, dst=S1, proto=protocol) / Raw(bytes(header))
    header[CHECKSUM_AT : CHECKSUM_AT + 2] = (0xFFFF - summed(IP(bytes(whole)))).to_bytes(2, "big")
    whole = IP(src=lab.a.ip, dst=S1, proto=protocol) / Raw(bytes(header))
    assert summed(IP(bytes(whole))) == 0xFFFF
    sent = only(lab.exchange(lab.a, whole)["outside"])
    assert ports(sent)[0] != 5000
    assert summed(sent) == 0xFFFF


@pytest.mark.parametrize("protocol", WITHOUT_PORTS)
def test_second_host_with_the_same_peer_is_told_that_it_is_taken(protocol: int) -> None:
    lab = quiet_lab()
    out(lab, lab.a, protocol)
    seen = out(lab, lab.b, protocol)
    assert (only(seen["b"])[ICMP].type, only(seen["b"])[ICMP].code) == (3, 13)
    assert lab.drops == {DropReason.PEER_TAKEN: 1}
    assert only(back(lab, protocol)["a"])[IP].dst == lab.a.ip
    assert len(out(lab, lab.b, protocol, to=S2)["outside"]) == 1
    assert only(back(lab, protocol, source=S2)["b"])[IP].dst == lab.b.ip


@pytest.mark.parametrize("protocol", WITHOUT_PORTS)
def test_peer_is_free_again_after_ten_minutes_of_silence(protocol: int) -> None:
    lab = quiet_lab()
    out(lab, lab.a, protocol)
    lab.pass_time(10 * MINUTE - 1 * SECOND)
    assert only(out(lab, lab.b, protocol)["b"])[ICMP].code == 13
    lab.pass_time(1 * SECOND)
    assert len(out(lab, lab.b, protocol)["outside"]) == 1


@pytest.mark.parametrize("protocol", WITHOUT_PORTS)
def test_stranger_does_not_get_in(protocol: int) -> None:
    lab = quiet_lab()
    out(lab, lab.a, protocol)
    assert not any(back(lab, protocol, source=S2).values())
    assert lab.drops == {DropReason.NOT_PUBLISHED: 1}


def test_tunnel_has_the_address_of_its_endpoints_other_flows() -> None:
    lab = quiet_lab(also=("203.0.113.7",))
    for host in (lab.a, lab.b):
        datagram = only(out(lab, host, Protocol.UDP_LITE)["outside"])
        tunnel = only(out(lab, host, Protocol.GRE, to=S2 if host is lab.b else S1)["outside"])
        assert datagram[IP].src == tunnel[IP].src


@pytest.mark.parametrize("protocol", WITH_PORTS)
def test_header_that_is_cut_short_is_refused(protocol: int) -> None:
    lab = quiet_lab()
    packet = IP(src=lab.a.ip, dst=S1, proto=protocol) / Raw(b"\x13\x88\x1b\x58\0\0\0")
    assert not any(lab.exchange(lab.a, packet).values())
    assert lab.drops == {Malformed.TRUNCATED_TRANSPORT: 1}


@pytest.mark.parametrize("protocol", WITH_PORTS)
@pytest.mark.parametrize("sport", [0, 5000])
def test_port_zero_is_refused(protocol: int, sport: int) -> None:
    lab = quiet_lab()
    packet = other(protocol, lab.a.ip, S1, sport, 0 if sport else 7000)
    assert not any(lab.exchange(lab.a, packet).values())
    assert lab.drops == {DropReason.PORT_ZERO: 1}


@pytest.mark.parametrize("protocol", [Protocol.UDP_LITE, Protocol.SCTP])
def test_published_port_leads_in(protocol: int) -> None:
    lab = quiet_lab()
    lab.publish(5000, lab.b, 5000, protocol)
    assert ports(only(back(lab, protocol)["b"])) == (7000, 5000)
    answer = other(protocol, lab.b.ip, S1, 5000, 7000)
    assert only(lab.exchange(lab.b, answer)["outside"])[IP].src == UPLINK_ADDRESS


@pytest.mark.parametrize("protocol", OTHER_PROTOCOLS)
def test_errors_about_it_reach_its_sender(protocol: int) -> None:
    lab = quiet_lab()
    if protocol not in WITHOUT_PORTS and protocol != Protocol.SCTP:
        out(lab, lab.b, protocol)
    sent = only(out(lab, lab.a, protocol)["outside"])
    error = (
        IP(src="198.51.100.99", dst=UPLINK_ADDRESS) / ICMP(type=3, code=3) / Raw(bytes(sent[IP]))
    )
    seen = only(lab.exchange(lab.outside, error)["a"])
    quoted = IP(bytes(seen[ICMP].payload))
    original = other(protocol, lab.a.ip, S1, 5000, 7000)
    original.ttl = 63
    assert (quoted.src, quoted.dst) == (lab.a.ip, S1)
    assert bytes(quoted) == bytes(original)


@pytest.mark.parametrize(("ask", "answer"), [(13, 14), (15, 16), (17, 18)])
def test_further_queries_of_icmp_are_translated_by_their_identifier(ask: int, answer: int) -> None:
    lab = quiet_lab()

    def query(kind: int, identifier: int) -> ICMP:
        message = timestamp(kind) if kind in (13, 14) else ICMP(type=kind, seq=1)
        message.id = identifier
        return message

    ids = {}
    for host in (lab.a, lab.b):
        seen = lab.exchange(host, IP(src=host.ip, dst=S1) / query(ask, 10))
        ids[host.name] = only(seen["outside"])[ICMP].id
    assert ids["a"] == 10 != ids["b"]
    reply = IP(src=S1, dst=UPLINK_ADDRESS) / query(answer, ids["b"])
    seen = lab.exchange(lab.outside, reply)
    assert only(seen["b"])[ICMP].id == 10
    assert seen["a"] == []


def test_kinds_of_query_are_answered_by_their_own_kind_alone() -> None:
    lab = quiet_lab()
    lab.exchange(lab.a, IP(src=lab.a.ip, dst=S1) / ICMP(type=8, id=10))
    reply = IP(src=S1, dst=UPLINK_ADDRESS) / timestamp(14)
    assert lab.exchange(lab.outside, reply)["a"] == []


def test_inside_endpoint_reaches_a_published_port_of_each_protocol_by_the_uplink() -> None:
    lab = quiet_lab()
    lab.publish(7000, lab.b, 7000, Protocol.SCTP)
    seen = only(out(lab, lab.a, Protocol.SCTP, to=UPLINK_ADDRESS)["b"])
    assert (seen[IP].src, ports(seen)) == (UPLINK_ADDRESS, (5000, 7000))
    answer = other(Protocol.SCTP, lab.b.ip, UPLINK_ADDRESS, 7000, 5000)
    assert only(lab.exchange(lab.b, answer)["a"])[IP].src == UPLINK_ADDRESS
    assert ip(UPLINK_ADDRESS) in {c.original.destination for c in lab.switch.tables.connections}
