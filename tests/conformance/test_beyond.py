"""Beyond the RFCs: what is known to leak, to be hijacked or to go stale elsewhere (X1 to X7).

That no inside address is ever seen outside, and nothing gets in unasked, the lab asserts of every
frame of every test. Here are the packets that other NATs are known to let slip.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scapy.layers.inet import GRE, ICMP, IP, TCP, UDP, in4_chksum
from scapy.layers.sctp import SCTP, SCTPChunkData
from scapy.packet import Packet, Raw

from tests.conformance.packets import (
    GATEWAY,
    S1,
    S2,
    A,
    B,
    Talk,
    X,
    assert_answered,
    assert_arrived,
    error,
    into,
    ip,
    is_let_in,
    lab,
    nothing,
    out,
    ping,
    rewritten,
    syn,
    udp,
)
from tests.conformance.requirements import Level, requirement
from tests.harness import Lab, only
from vswitch.units import SECOND
from vswitch.wire.values import IpAddress, Protocol

# X1: what is not tracked is not forwarded as it is

leaks = requirement("beyond", "X1", Level.MUST, "what can not be translated never leaves as it is")


def tcp(flags: str | int, sport: int = 5000, **fields: object) -> Packet:
    return ip(A, S1) / TCP(sport=sport, dport=80, flags=flags, **fields)


DROPPED = {
    "UDP length beyond the packet": ip(A, S1) / UDP(sport=5000, dport=7, len=90) / Raw(b"x"),
    "UDP length below 8": ip(A, S1) / UDP(sport=5000, dport=7, len=7) / Raw(b"x"),
    "UDP header cut short": ip(A, S1, proto=17) / Raw(b"\x13\x88\0\7\0"),
    "TCP header cut short": ip(A, S1, proto=6) / Raw(bytes(TCP(sport=5000, dport=80))[:19]),
    "TCP data offset beyond the packet": tcp("S", dataofs=15),
    "ICMP header cut short": ip(A, S1, proto=1) / Raw(b"\x08\0\0\0"),
    "ICMP with a wrong checksum": ping(A, S1, chksum=0x1234),
    "RST of nothing": tcp("R"),
    "FIN of nothing": tcp("FA"),
    "SYN,ACK of nothing": tcp("SA"),
    "ACK of nothing": tcp("A"),
    "data of nothing": tcp("PA") / Raw(b"data"),
    "no flags": tcp(0),
    "all flags": tcp("FSRPAU"),
    "XMAS": tcp("FPU"),
    "SYN and FIN": tcp("SF"),
    "SYN and RST": tcp("SR"),
    "router solicitation": ping(A, S1, type=10),
    "error about nothing": error(udp(S1, 7000, A, 5000), source=A, to=S1),
    "SCTP header cut short": ip(A, S1, proto=132) / Raw(b"\x13\x88\0\7"),
    "UDP-Lite header cut short": ip(A, S1, proto=136) / Raw(b"\x13\x88\0\7"),
    "DCCP header cut short": ip(A, S1, proto=33) / Raw(b"\x13\x88\0\7"),
}


@leaks
@pytest.mark.parametrize("what", DROPPED)
def test_beyond_x1_untranslatable_packet_is_dropped_under_a_reason(what: str) -> None:
    made = lab()
    assert made.exchange(made.a, DROPPED[what])["outside"] == []
    assert sum(made.drops.values()) == 1


def wrong_by(packet: Packet, delta: int) -> Packet:
    made = IP(bytes(packet))
    made.payload.chksum = (made.payload.chksum + delta) % 0xFFFF or 0xFFFF
    return made


@leaks
@pytest.mark.parametrize("packet", [udp(A, 5000, S1, 7000), syn(A, 5000, S1, 80)])
@pytest.mark.parametrize("delta", [1, 0x0100, 0xFFFE])
def test_beyond_x1_wrong_checksum_is_translated_and_stays_wrong_by_the_same(
    packet: Packet, delta: int
) -> None:
    made = lab()
    for _ in range(3):
        seen = out(made, made.a, wrong_by(packet, delta))
        expected = wrong_by(IP(rewritten(packet, src=X)), delta)
        assert bytes(seen[IP]) == bytes(expected)


@leaks
@pytest.mark.parametrize("surplus", [b"\0", b"surplus", bytes(range(64))])
def test_beyond_x1_bytes_behind_a_datagram_are_carried_unchanged(surplus: bytes) -> None:
    """RFC 9868: the checksum is that of the UDP length."""
    made = lab()
    plain, expected = udp(A, 5000, S1, 7000), IP(rewritten(udp(A, 5000, S1, 7000), src=X))
    packets = [IP(bytes(one)) for one in (plain, expected)]
    for packet in packets:
        packet.len += len(surplus)
        del packet.chksum
    seen = out(made, made.a, IP(bytes(packets[0]) + surplus))
    assert bytes(seen[IP]) == bytes(IP(bytes(packets[1]) + surplus))


@leaks
@pytest.mark.parametrize("end", [0, 1])
@pytest.mark.parametrize("flags", ["PA", "R", "RA", "A", "FA"])
def test_beyond_x1_segment_out_of_the_window_is_translated(end: int, flags: str) -> None:
    talk = Talk.outwards(lab()).opens()
    talk.says(end, flags, seq=(talk.next[end] + 2_000_000_000) % 2**32)
    talk.says(0, "PA", b"and the connection goes on")


# X2: nobody reaches an inside address from outside


@requirement("beyond", "X2", Level.MUST, "inside addresses can not be reached from outside")
@pytest.mark.parametrize("target", [A, GATEWAY, "10.1.0.1", "10.0.0.99", "192.0.2.7"])
@pytest.mark.parametrize("known", [False, True])
def test_beyond_x2_inside_address_is_not_reached_from_outside(target: str, known: bool) -> None:
    made = lab()
    made.publish(80, made.a, 80, Protocol.TCP)
    if known:
        out(made, made.a, udp(A, 5000, S1, 7000))
    for packet in (udp(S1, 7000, target, 5000), syn(S1, 80, target, 80), ping(S1, target)):
        assert nothing(into(made, packet))
    assert sum(made.drops.values()) == 3


# X3: other protocols


def with_ports(protocol: int, source: str, sport: int, destination: str, dport: int) -> Packet:
    """A packet of UDP-Lite or DCCP, whose checksum is right."""
    ports = sport.to_bytes(2, "big") + dport.to_bytes(2, "big")
    rest = {136: b"\0\0\0\0", 33: b"\x04\0\0\0\0\1\0\0\0\0\0\0"}[protocol] + b"payload"
    header = ip(source, destination, proto=protocol)
    summed = in4_chksum(protocol, IP(bytes(header)), ports + rest).to_bytes(2, "big")
    return header / Raw(ports + rest[:2] + summed + rest[4:])


others = requirement("beyond", "X3", Level.MUST, "other protocols are translated, or refused aloud")


@others
@pytest.mark.parametrize("protocol", [136, 33])
def test_beyond_x3_udp_lite_and_dccp_are_translated_by_port(protocol: int) -> None:
    made = lab()
    seen = out(made, made.a, with_ports(protocol, A, 5000, S1, 7000))
    assert bytes(seen[IP].payload) == bytes(with_ports(protocol, X, 5000, S1, 7000).payload)
    clashed = bytes(out(made, made.b, with_ports(protocol, B, 5000, S1, 7000))[IP].payload)
    port = int.from_bytes(clashed[:2], "big")
    assert port != 5000
    assert clashed == bytes(with_ports(protocol, X, port, S1, 7000).payload)
    back = only(into(made, with_ports(protocol, S1, 7000, X, port))["b"])
    assert bytes(back[IP].payload) == bytes(with_ports(protocol, S1, 7000, B, 5000).payload)


def sctp(source: str, sport: int, destination: str, dport: int) -> Packet:
    chunk = SCTPChunkData(data=b"payload")
    return ip(source, destination) / SCTP(sport=sport, dport=dport, tag=7) / chunk


@others
def test_beyond_x3_sctp_is_translated_with_its_port_or_refused() -> None:
    """Its checksum is a CRC over the ports: another port would cost a pass over the packet."""
    made = lab()
    packet = sctp(A, 5000, S1, 80)
    assert bytes(out(made, made.a, packet)[IP]) == rewritten(packet, src=X)
    answer = sctp(S1, 80, X, 5000)
    assert bytes(only(into(made, answer)["a"])[IP]) == rewritten(answer, dst=A)
    second = sctp(B, 5000, S1, 80)
    seen = made.exchange(made.b, second)
    assert_answered(only(seen["b"]), 3, 13, about=second)
    assert seen["outside"] == []
    assert bytes(out(made, made.b, sctp(B, 5001, S1, 80))[IP]) == rewritten(
        sctp(B, 5001, S1, 80), src=X
    )


def tunnelled(protocol: int, source: str, destination: str) -> Packet:
    if protocol == 47:
        return ip(source, destination) / GRE() / IP(src="192.0.2.1", dst="192.0.2.2") / UDP()
    return ip(source, destination, proto=protocol) / Raw(b"\0\0\x10\1\0\0\0\1" + bytes(32))


@others
@pytest.mark.parametrize("protocol", [47, 50])
def test_beyond_x3_tunnel_has_one_endpoint_for_each_peer(protocol: int) -> None:
    made = lab()
    packet, answer = tunnelled(protocol, A, S1), tunnelled(protocol, S1, X)
    assert bytes(out(made, made.a, packet)[IP]) == rewritten(packet, src=X)
    assert bytes(only(into(made, answer)["a"])[IP]) == rewritten(answer, dst=A)
    second = tunnelled(protocol, B, S1)
    seen = made.exchange(made.b, second)
    assert_answered(only(seen["b"]), 3, 13, about=second)
    assert seen["outside"] == []
    elsewhere = tunnelled(protocol, B, S2)
    assert bytes(out(made, made.b, elsewhere)[IP]) == rewritten(elsewhere, src=X)
    assert nothing(into(made, tunnelled(protocol, "198.51.100.77", X)))


@others
@pytest.mark.parametrize("protocol", [2, 4, 41, 51, 89, 255])
def test_beyond_x3_protocol_that_can_not_be_translated_is_refused_aloud(protocol: int) -> None:
    made = lab()
    packet = ip(A, S1, proto=protocol) / Raw(bytes(40))
    seen = made.exchange(made.a, packet)
    assert_answered(only(seen["a"]), 3, 2, about=packet)
    assert seen["outside"] == []
    assert nothing(into(made, ip(S1, X, proto=protocol) / Raw(bytes(40))))


# X4: martians

MARTIANS = {
    "to loopback": udp(A, 5000, "127.0.0.1", 7000),
    "to this network": udp(A, 5000, "0.1.2.3", 7000),
    "to everybody": udp(A, 5000, "255.255.255.255", 7000),
    "to a group": udp(A, 5000, "224.0.0.251", 7000),
    "to the subnet's broadcast": udp(A, 5000, "203.0.113.255", 7000),
    "from loopback": udp("127.0.0.1", 5000, S1, 7000),
    "from this network": udp("0.0.0.0", 5000, S1, 7000),
    "from everybody": udp("255.255.255.255", 5000, S1, 7000),
    "from a group": udp("224.0.0.251", 5000, S1, 7000),
    "from the uplink's address": udp(X, 5000, S1, 7000),
    "from the gateway": udp(GATEWAY, 5000, S1, 7000),
    "from another network inside": udp("10.1.0.2", 5000, S1, 7000),
    "from somewhere outside": udp("8.8.8.8", 5000, S1, 7000),
    "to itself": udp(A, 5000, A, 5000),
}


@requirement("beyond", "X4", Level.MUST, "martians and foreign sources never leave (BCP 38)")
@pytest.mark.parametrize("what", MARTIANS)
def test_beyond_x4_martian_never_leaves(what: str) -> None:
    made = lab()
    assert nothing(made.exchange(made.a, MARTIANS[what]))
    assert sum(made.drops.values()) == 1


@requirement("beyond", "X4", Level.MUST, "martians and foreign sources never leave (BCP 38)")
@pytest.mark.parametrize("source", [A, GATEWAY, "10.1.0.9", X, "127.0.0.1", "0.0.0.0", "224.0.0.1"])
def test_beyond_x4_sender_outside_with_an_address_of_ours_is_refused(source: str) -> None:
    made = lab()
    made.publish(8080, made.b, 80, Protocol.UDP)
    assert nothing(into(made, udp(source, 4000, X, 8080)))
    assert sum(made.drops.values()) == 1


# X5: port zero


@requirement("beyond", "X5", Level.SHOULD, "port 0: valid as a UDP source, never allocated")
def test_beyond_x5_source_port_zero_gets_a_port() -> None:
    made = lab()
    seen = out(made, made.a, udp(A, 0, S1, 7000))
    assert 1 <= seen[UDP].sport <= 1023
    assert_arrived(seen, udp(A, 0, S1, 7000), src=X, sport=seen[UDP].sport)
    answer = udp(S1, 7000, X, seen[UDP].sport)
    assert_arrived(only(into(made, answer)["a"]), answer, dst=A, dport=0)


@requirement("beyond", "X5", Level.SHOULD, "port 0: valid as a UDP source, never allocated")
@pytest.mark.parametrize(
    "packet", [udp(A, 5000, S1, 0), syn(A, 0, S1, 80), syn(A, 5000, S1, 0)], ids=str
)
def test_beyond_x5_other_ports_zero_are_dropped(packet: Packet) -> None:
    made = lab()
    assert nothing(made.exchange(made.a, packet))
    assert sum(made.drops.values()) == 1


# X6: port shadowing

Make = Callable[[str, int, str, int], Packet]
transports = pytest.mark.parametrize(
    ("make", "protocol"), [(udp, Protocol.UDP), (syn, Protocol.TCP)], ids=["UDP", "TCP"]
)
shadowing = requirement("beyond", "X6", Level.MUST, "published ports are never given to others")


@shadowing
@transports
@pytest.mark.parametrize("early", [False, True])
def test_beyond_x6_published_port_is_not_given_to_another_host(
    make: Make, protocol: Protocol, early: bool
) -> None:
    made = lab()
    if early:
        assert out(made, made.a, make(A, 5000, S1, 4444)).sport == 5000
    made.publish(8080, made.b, 80, protocol)
    assert out(made, made.a, make(A, 8080, S1, 4444)).sport != 8080
    client = make(S1, 4444, X, 8080)
    seen = into(made, client)
    assert_arrived(only(seen["b"]), client, dst=B, dport=80)
    assert seen["a"] == []


@shadowing
@transports
def test_beyond_x6_port_that_a_host_has_is_taken_back_by_publishing_it(
    make: Make, protocol: Protocol
) -> None:
    made = lab()
    assert out(made, made.a, make(A, 8080, S1, 4444)).sport == 8080
    made.publish(8080, made.b, 80, protocol)
    client = make(S1, 4444, X, 8080)
    assert_arrived(only(into(made, client)["b"]), client, dst=B, dport=80)
    assert out(made, made.a, make(A, 8080, S1, 4445)).sport != 8080


@shadowing
def test_beyond_x6_static_mapping_is_open_and_not_given_to_another_host() -> None:
    made = lab()
    made.map_statically(made.b, 80, 8080)
    assert out(made, made.a, udp(A, 8080, S1, 4444))[UDP].sport != 8080
    for _ in range(2):
        stranger = udp(S2, 4444, X, 8080)
        assert_arrived(only(into(made, stranger)["b"]), stranger, dst=B, dport=80)
        made.pass_time(1000 * SECOND)
    assert out(made, made.a, udp(A, 8080, S2, 9))[UDP].sport != 8080
    assert out(made, made.b, udp(B, 80, S2, 9))[UDP].sport == 8080


@shadowing
def test_beyond_x6_address_of_one_host_is_not_used_for_another() -> None:
    other = "203.0.113.2"
    made = lab(also=(other,))
    made.translate_one_to_one(made.b, other)
    for name in "acd":
        host = made.hosts[name]
        assert {
            out(made, host, udp(host.ip, 5000 + number, S1, 7000))[IP].src for number in range(8)
        } == {X}
    packet = udp(B, 5000, S1, 7000)
    assert_arrived(out(made, made.b, packet), packet, src=other)
    client = syn(S2, 4000, other, 22)
    assert_arrived(only(into(made, client)["b"]), client, dst=B)


# X7: nothing stale

stale = requirement("beyond", "X7", Level.MUST, "changes hold from the next packet on")


def asks(made: Lab, server: str = S1) -> dict[str, list[Packet]]:
    return into(made, udp(server, 9, X, 7777))


@stale
def test_beyond_x7_silence_before_publishing_is_not_remembered() -> None:
    made = lab()
    assert nothing(asks(made))
    made.publish(7777, made.b, 7, Protocol.UDP)
    assert len(asks(made)["b"]) == 1


@stale
def test_beyond_x7_port_that_is_pointed_elsewhere_leads_there_at_once() -> None:
    made = lab()
    publication = made.publish(7777, made.b, 7, Protocol.UDP)
    for _ in range(3):
        assert len(asks(made)["b"]) == 1
    made.switch.changes.unpublish(publication, made.now)
    made.publish(7777, made.c, 7, Protocol.UDP)
    seen = asks(made)
    assert len(seen["c"]) == 1
    assert seen["b"] == []


@stale
def test_beyond_x7_port_that_is_no_longer_published_lets_nobody_in() -> None:
    made = lab()
    publication = made.publish(7777, made.b, 7, Protocol.UDP)
    for _ in range(3):
        asks(made)
        made.exchange(made.b, udp(B, 7, S1, 9))
    made.switch.changes.unpublish(publication, made.now)
    assert nothing(asks(made))


@stale
def test_beyond_x7_flows_of_a_host_that_is_gone_end_and_no_others() -> None:
    made = lab()
    for name, port in (("a", 5000), ("b", 6000)):
        host = made.hosts[name]
        for _ in range(2):
            assert out(made, host, udp(host.ip, port, S1, 7000))[UDP].sport == port
    made.switch.changes.forget_address(made.network("front").number, IpAddress.parse(A), made.now)
    assert nothing(into(made, udp(S1, 7000, X, 5000)))
    assert is_let_in(made, udp(S1, 7000, X, 6000), "b")


@stale
def test_beyond_x7_hairpin_to_a_port_that_is_published_since_leads_to_the_publication() -> None:
    made = lab()
    assert out(made, made.a, udp(A, 7777, S1, 7000))[UDP].sport == 7777
    assert len(made.exchange(made.b, udp(B, 6000, X, 7777))["a"]) == 1
    made.publish(7777, made.c, 7, Protocol.UDP)
    seen = made.exchange(made.b, udp(B, 6000, X, 7777))
    assert len(seen["c"]) == 1
    assert seen["a"] == []
    assert ICMP not in seen["c"][0]
