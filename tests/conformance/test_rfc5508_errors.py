"""RFC 5508, ICMP: errors about translated flows, in both directions (REQ-3 to REQ-7)."""

from __future__ import annotations

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption
from scapy.packet import Packet

from tests.conformance.packets import (
    S1,
    S2,
    A,
    B,
    R,
    X,
    assert_arrived,
    assert_error_arrived,
    error,
    into,
    is_let_in,
    lab,
    nothing,
    out,
    ping,
    pong,
    rewritten,
    syn,
    udp,
)
from tests.conformance.requirements import Level, requirement
from tests.harness import Lab, only
from vswitch.units import SECOND
from vswitch.wire.values import Protocol

FLOWS = {
    "UDP": (udp(A, 5000, S1, 7000), udp(B, 5000, S1, 7000)),
    "TCP": (syn(A, 5000, S1, 80), syn(B, 5000, S1, 80)),
    "ICMP": (ping(A, S1, 7), ping(B, S1, 7)),
}
"""A packet of a's, and one of b's that takes the external port before."""
flows = pytest.mark.parametrize("flow", FLOWS)


def sent(made: Lab, flow: str = "UDP") -> tuple[Packet, Packet]:
    """A packet of a's whose port is another outside, and what it looks like there."""
    packet, other = FLOWS[flow]
    out(made, made.b, other)
    seen = out(made, made.a, packet)[IP]
    assert bytes(seen) != rewritten(packet, src=X)
    return packet, seen


# Checks


@requirement("RFC 5508", "REQ-3", Level.SHOULD, "an error with a wrong checksum is dropped")
def test_rfc5508_req3_error_with_a_wrong_checksum_is_dropped() -> None:
    made = lab()
    _, seen = sent(made)
    damaged = bytearray(bytes(error(seen)))
    damaged[22] ^= 0x10
    assert nothing(into(made, IP(bytes(damaged))))
    assert sum(made.drops.values()) == 1


@requirement("RFC 5508", "REQ-3a", Level.SHOULD, "so is one that quotes a wrong header checksum")
def test_rfc5508_req3a_error_that_quotes_a_wrong_header_checksum_is_dropped() -> None:
    made = lab()
    _, seen = sent(made)
    quote = bytearray(bytes(seen))
    quote[10] ^= 0x10
    assert nothing(into(made, error(bytes(quote))))
    assert sum(made.drops.values()) == 1


@requirement("RFC 5508", "REQ-3b", Level.MUST, "quoted IP options are skipped")
def test_rfc5508_req3b_ports_are_found_behind_quoted_options() -> None:
    made = lab()
    out(made, made.b, udp(B, 5000, S1, 7000))
    packet = udp(A, 5000, S1, 7000, options=[IPOption(b"\x94\x04\x00\x00")])
    seen = out(made, made.a, packet)[IP]
    assert (seen.ihl, seen[UDP].sport == 5000) == (6, False)
    message = error(seen)
    assert_error_arrived(only(into(made, message)["a"]), message, rewritten(packet), dst=A)


@requirement("RFC 5508", "REQ-3c", Level.SHOULD, "quoted transport checksums are not checked")
@pytest.mark.parametrize("delta", [0x0001, 0x0100, 0x8000, 0x1234])
def test_rfc5508_req3c_wrong_quoted_checksum_passes_and_stays_wrong_by_the_same(delta: int) -> None:
    made = lab()
    packet, seen = sent(made)
    seen[UDP].chksum = (seen[UDP].chksum + delta) % 0xFFFF or 0xFFFF
    message = error(seen)
    quote = IP(rewritten(packet))
    quote[UDP].chksum = (quote[UDP].chksum + delta) % 0xFFFF or 0xFFFF
    assert_error_arrived(only(into(made, message)["a"]), message, bytes(quote), dst=A)


@requirement("RFC 5508", "REQ-3c", Level.SHOULD, "quoted transport checksums are not checked")
def test_rfc5508_req3c_quoted_checksum_of_zero_stays_zero() -> None:
    made = lab()
    out(made, made.b, udp(B, 5000, S1, 7000))
    packet = udp(A, 5000, S1, 7000)
    packet[UDP].chksum = 0
    message = error(out(made, made.a, packet)[IP])
    assert_error_arrived(only(into(made, message)["a"]), message, rewritten(packet), dst=A)


MPLS = bytes.fromhex("2000dd8b0008010100010001")
"""RFC 4884's extension header with one MPLS object of RFC 4950."""


@requirement("RFC 5508", "REQ-3d", Level.MUST, "extensions are no part of the quoted packet")
def test_rfc5508_req3d_extensions_and_padding_are_untouched() -> None:
    made = lab()
    packet, seen = sent(made)
    padding = bytes(128 - len(seen))
    message = error(bytes(seen) + padding + MPLS, 11, 0, length=32)
    arrived = only(into(made, message)["a"])
    assert_error_arrived(arrived, message, rewritten(packet) + padding + MPLS, dst=A)
    assert bytes(arrived[IP])[25] == 32


# From the outside


@requirement("RFC 5508", "REQ-4", Level.SHOULD, "from outside about no mapping: dropped")
@flows
def test_rfc5508_req4_error_from_outside_about_nothing_known_is_dropped(flow: str) -> None:
    made = lab()
    packet, _ = FLOWS[flow]
    assert nothing(into(made, error(rewritten(packet, src=X))))
    assert sum(made.drops.values()) == 1


@requirement("RFC 5508", "REQ-4", Level.SHOULD, "from outside about no mapping: dropped")
def test_rfc5508_req4_error_about_a_flow_that_has_ended_is_dropped() -> None:
    made = lab()
    _, seen = sent(made)
    made.pass_time(500 * SECOND)
    assert nothing(into(made, error(seen)))


@requirement("RFC 5508", "REQ-4", Level.SHOULD, "from outside about no mapping: dropped")
@pytest.mark.parametrize("length", [0, 10, 20, 24, 27])
def test_rfc5508_req4_error_that_quotes_too_little_is_dropped(length: int) -> None:
    made = lab()
    _, seen = sent(made)
    assert nothing(into(made, error(bytes(seen)[:length])))


@requirement("RFC 5508", "REQ-4", Level.SHOULD, "from outside about no mapping: dropped")
@pytest.mark.parametrize("kind", [3, 5, 11])
def test_rfc5508_req4_error_about_an_error_is_dropped(kind: int) -> None:
    made = lab()
    _, seen = sent(made)
    assert nothing(into(made, error(error(seen, kind, 1, source=X, to=S1))))


@requirement("RFC 5508", "REQ-4", Level.SHOULD, "from outside about no mapping: dropped")
def test_rfc5508_req4_error_about_a_later_fragment_is_dropped_whatever_it_looks_like() -> None:
    made = lab()
    _, seen = sent(made)
    seen.flags, seen.frag = 0, 10
    del seen.chksum
    assert nothing(into(made, error(seen)))


@requirement("RFC 5508", "REQ-4a", Level.MUST, "else the quote is reverted to what was sent")
@flows
@pytest.mark.parametrize("quoted", [8, 13, 20, 100])
def test_rfc5508_req4a_quote_is_reverted_to_what_was_sent(flow: str, quoted: int) -> None:
    made = lab()
    packet, seen = sent(made, flow)
    message = error(bytes(seen)[: 20 + quoted])
    quote = rewritten(packet)[: 20 + quoted]
    assert_error_arrived(only(into(made, message)["a"]), message, quote, dst=A)


@requirement("RFC 5508", "REQ-4b", Level.MUST, "type, code and what belongs to them are kept")
@pytest.mark.parametrize(
    ("kind", "code", "fields"),
    [
        (3, 1, {}),
        (3, 4, {"nexthopmtu": 1280}),
        (4, 0, {}),
        (11, 0, {}),
        (11, 1, {}),
        (12, 0, {"ptr": 20}),
    ],
)
@flows
def test_rfc5508_req4b_type_and_code_are_kept(
    flow: str, kind: int, code: int, fields: dict[str, int]
) -> None:
    made = lab()
    packet, seen = sent(made, flow)
    message = error(seen, kind, code, **fields)
    assert_error_arrived(only(into(made, message)["a"]), message, rewritten(packet), dst=A)


@requirement("RFC 5508", "REQ-4c", Level.MUST, "it goes to the source of the reverted quote")
@flows
def test_rfc5508_req4c_error_goes_to_who_sent_the_quoted_packet(flow: str) -> None:
    made = lab()
    _, seen = sent(made, flow)
    arrived = into(made, error(seen))
    assert only(arrived["a"])[IP].dst == A
    assert arrived["b"] == []


# From the inside


def answered(made: Lab) -> tuple[Packet, bytes]:
    """What S1 has sent to a's mapping, and how it came to a."""
    port = out(made, made.a, udp(A, 5000, S1, 7000))[UDP].sport
    packet = udp(S1, 7000, X, port, b"answer")
    return packet, bytes(only(into(made, packet)["a"])[IP])


@requirement("RFC 5508", "REQ-5", Level.SHOULD, "from inside about no mapping: dropped, no leak")
def test_rfc5508_req5_error_from_inside_about_nothing_known_is_dropped() -> None:
    made = lab()
    for quoted in (udp(S1, 7000, A, 5000), syn(S1, 80, A, 5000), pong(S1, A, 7)):
        assert nothing(made.exchange(made.a, error(quoted, source=A, to=S1)))
    assert sum(made.drops.values()) == 3


@requirement("RFC 5508", "REQ-5a", Level.MUST, "else the quote is reverted to what came")
@pytest.mark.parametrize("clash", [False, True])
def test_rfc5508_req5a_quote_is_reverted_to_what_came(clash: bool) -> None:
    made = lab()
    if clash:
        out(made, made.b, udp(B, 5000, S1, 7000))
    packet, quoted = answered(made)
    message = error(quoted, source=A, to=S1)
    seen = out(made, made.a, message)
    assert_error_arrived(seen, message, rewritten(packet), src=X)


@requirement("RFC 5508", "REQ-5a", Level.MUST, "else the quote is reverted to what came")
@pytest.mark.parametrize("protocol", [Protocol.UDP, Protocol.TCP])
def test_rfc5508_req5a_error_of_a_published_endpoint_names_the_published_port(
    protocol: Protocol,
) -> None:
    made = lab()
    made.publish(8080, made.b, 80, protocol)
    packet = {Protocol.UDP: udp, Protocol.TCP: syn}[protocol](S1, 4000, X, 8080)
    quoted = bytes(only(into(made, packet)["b"])[IP])
    message = error(quoted, 3, 13, source=B, to=S1)
    seen = out(made, made.b, message)
    assert_error_arrived(seen, message, rewritten(packet), src=X)


@requirement("RFC 5508", "REQ-5b", Level.MUST, "type and code are kept")
@pytest.mark.parametrize(("kind", "code"), [(3, 1), (3, 3), (3, 13), (11, 1), (12, 0)])
def test_rfc5508_req5b_type_and_code_are_kept(kind: int, code: int) -> None:
    made = lab()
    _, quoted = answered(made)
    seen = out(made, made.a, error(quoted, kind, code, source=A, to=S1))
    assert (seen[ICMP].type, seen[ICMP].code) == (kind, code)


@requirement("RFC 5508", "REQ-5c", Level.MUST, "its source becomes the external address")
@pytest.mark.parametrize("router", [A, B, "10.0.0.77"])
def test_rfc5508_req5c_source_becomes_the_external_address(router: str) -> None:
    made = lab()
    packet, quoted = answered(made)
    message = error(quoted, 11, 0, source=router, to=S1)
    seen = out(made, made.hosts["b"], message)
    assert_error_arrived(seen, message, rewritten(packet), src=X)


# No effect, and hairpins


@requirement("RFC 5508", "REQ-6", Level.MUST, "errors neither refresh nor end a query's session")
@pytest.mark.parametrize("side", ["outside", "inside"])
def test_rfc5508_req6_error_neither_refreshes_nor_ends_a_session(side: str) -> None:
    for age, alive in ((19, True), (21, False)):
        made = lab()
        seen = out(made, made.a, ping(A, S1))[IP]
        if side == "outside":
            message = error(seen, 11, 0)
        else:
            message = error(rewritten(pong(S1, X), dst=A), 3, 3, source=A, to=S1)
        made.pass_time(40 * SECOND)
        sender = made.outside if side == "outside" else made.a
        assert any(made.exchange(sender, message).values())
        made.pass_time(age * SECOND)
        assert is_let_in(made, pong(S1, X)) is alive


def hairpinned(made: Lab) -> tuple[Packet, bytes, int]:
    """What a has sent to b's external port, how it came to b, and a's external port."""
    out(made, made.hosts["d"], udp("10.0.0.4", 5000, S2, 7000))
    mine = out(made, made.a, udp(A, 5000, S1, 7000))[UDP].sport
    theirs = out(made, made.b, udp(B, 6000, S1, 7000))[UDP].sport
    packet = udp(A, 5000, X, theirs)
    seen = only(made.exchange(made.a, packet)["b"])
    assert_arrived(seen, packet, src=X, dst=B, sport=mine, dport=6000)
    return packet, bytes(seen[IP]), mine


@requirement("RFC 5508", "REQ-7", Level.MUST, "hairpinned errors are translated")
def test_rfc5508_req7_hairpinned_error_comes_from_the_external_address() -> None:
    made = lab()
    packet, quoted, mine = hairpinned(made)
    assert mine != 5000
    message = error(quoted, source=B, to=X)
    seen = made.exchange(made.b, message)
    assert seen["outside"] == []
    assert_error_arrived(only(seen["a"]), message, rewritten(packet), src=X, dst=A)


@requirement("RFC 5508", "REQ-7", Level.MUST, "hairpinned errors are translated")
def test_rfc5508_req7_error_of_a_published_endpoint_reaches_the_inside_client() -> None:
    made = lab()
    made.publish(8080, made.b, 80, Protocol.TCP)
    packet = syn(A, 5000, X, 8080)
    seen = only(made.exchange(made.a, packet)["b"])
    assert seen[TCP].dport == 80
    message = error(bytes(seen[IP]), 3, 13, source=B, to=X)
    back = only(made.exchange(made.b, message)["a"])
    assert_error_arrived(back, message, rewritten(packet), src=X, dst=A)


@requirement("RFC 5508", "REQ-7a", Level.MUST, "they go to the source of the reverted quote")
def test_rfc5508_req7a_destination_is_the_source_of_the_reverted_quote() -> None:
    made = lab()
    _, quoted, _ = hairpinned(made)
    seen = only(made.exchange(made.b, error(quoted, source=B, to=X))["a"])
    quote = IP(bytes(seen[ICMP].payload))
    assert seen[IP].dst == quote.src == A
    assert seen[IP].src != R
