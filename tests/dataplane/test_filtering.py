"""Who outside may send to a port that an endpoint has opened (RFC 4787, 5), through the switch."""

from __future__ import annotations

import pytest
from scapy.layers.inet import IP, TCP, UDP

from tests.dataplane.conversation import S1, S2, Conversation, quiet_lab
from tests.harness import UPLINK_ADDRESS, Lab, only
from vswitch.dataplane.drops import DropReason
from vswitch.translation import Filtering, Timeouts, Translation
from vswitch.units import SECOND

EVERYBODY = Filtering.ENDPOINT_INDEPENDENT
ADDRESSES = Filtering.ADDRESS_DEPENDENT
EXACTLY = Filtering.ADDRESS_AND_PORT_DEPENDENT


def lab(filtering: Filtering = ADDRESSES, **timeouts: int) -> Lab:
    """a:5000 has sent to S1:7000."""
    translation = Translation(filtering=filtering, timeouts=Timeouts(**timeouts))
    made = quiet_lab(translation=translation)
    asks(made, S1)
    return made


def asks(made: Lab, server: str, name: str = "a", port: int = 5000) -> int:
    """The external port of a datagram to port 7000 of a server."""
    host = made.hosts[name]
    packet = IP(src=host.ip, dst=server) / UDP(sport=port, dport=7000) / b"question"
    external: int = only(made.exchange(host, packet)["outside"])[UDP].sport
    return external


def is_let_in(made: Lab, server: str, sport: int, port: int = 5000) -> bool:
    packet = IP(src=server, dst=UPLINK_ADDRESS) / UDP(sport=sport, dport=port) / b"answer"
    return len(made.exchange(made.outside, packet)["a"]) == 1


@pytest.mark.parametrize(
    ("filtering", "another_port", "another_address"),
    [(EVERYBODY, True, True), (ADDRESSES, True, False), (EXACTLY, False, False)],
)
def test_filtering_lets_in_whom_it_says(
    filtering: Filtering, another_port: bool, another_address: bool
) -> None:
    for server, sport, expected in (
        (S1, 7000, True),
        (S1, 7001, another_port),
        (S2, 7000, another_address),
    ):
        made = lab(filtering)
        assert is_let_in(made, server, sport) is expected
        assert made.drops == ({} if expected else {DropReason.FILTERED: 1})


def test_addresses_are_filtered_by_default() -> None:
    assert Translation().filtering is ADDRESSES


@pytest.mark.parametrize("filtering", list(Filtering))
def test_filtering_goes_for_tcp_too(filtering: Filtering) -> None:
    made = quiet_lab(translation=Translation(filtering=filtering))
    Conversation.outwards(made).opens()
    for server, sport, expected in (
        (S1, 8000, filtering is not EXACTLY),
        (S2, 80, filtering is EVERYBODY),
    ):
        syn = IP(src=server, dst=UPLINK_ADDRESS) / TCP(sport=sport, dport=5000, flags="S", seq=9)
        assert (len(made.exchange(made.outside, syn)["a"]) == 1) is expected


def test_stranger_can_answer_once_the_endpoint_has_sent_to_its_address() -> None:
    made = lab()
    assert not is_let_in(made, S2, 9)
    asks(made, S2)
    assert is_let_in(made, S2, 9)


def test_who_was_let_in_can_be_answered_from_the_same_port() -> None:
    made = lab(EVERYBODY)
    assert is_let_in(made, S2, 9)
    packet = IP(src=made.a.ip, dst=S2) / UDP(sport=5000, dport=9) / b"answer"
    assert only(made.exchange(made.a, packet)["outside"])[UDP].sport == 5000


def test_who_was_let_in_and_not_answered_opens_nothing_for_others_of_its_address() -> None:
    """A contact is whom the inside takes part with."""
    made = lab(EVERYBODY)
    assert is_let_in(made, S2, 9)
    made.network("front").translation = Translation(filtering=ADDRESSES)
    assert not is_let_in(made, S2, 10)


def test_contact_ends_with_the_last_connection_to_its_address() -> None:
    made = lab(udp_unanswered=100 * SECOND)
    made.pass_time(60 * SECOND)
    asks(made, S2)
    made.pass_time(50 * SECOND)
    assert len(made.switch.tables.connections) == 1
    assert not is_let_in(made, S1, 7000)
    assert is_let_in(made, S2, 7000)


def test_nobody_gets_in_to_the_other_protocol_of_the_same_port() -> None:
    """RFC 7857, 5: a mapping of UDP admits no TCP."""
    made = lab(EVERYBODY)
    syn = IP(src=S1, dst=UPLINK_ADDRESS) / TCP(sport=7000, dport=5000, flags="S")
    assert made.exchange(made.outside, syn)["a"] == []
    assert made.drops == {DropReason.NOT_PUBLISHED: 1}


def test_stranger_keeps_no_mapping_open() -> None:
    """RFC 7857, 6: what was never answered holds nothing."""
    made = lab(EVERYBODY)
    for _ in range(4):
        made.pass_time(100 * SECOND)
        is_let_in(made, S2, 9)
    assert len(made.switch.tables.mappings) == 0
    assert len(made.switch.tables.connections) == 0


def test_static_mapping_lets_everybody_in_for_good() -> None:
    made = quiet_lab()
    made.map_statically(made.a, 5000, 6000)
    assert is_let_in(made, S1, 7000, 6000)
    made.pass_time(10_000 * SECOND)
    assert is_let_in(made, S2, 7000, 6000)
    assert asks(made, S1) == 6000


def test_network_is_no_filter_for_itself_and_one_for_the_others() -> None:
    made = lab()
    near = IP(src=made.b.ip, dst=UPLINK_ADDRESS) / UDP(sport=1, dport=5000) / b"x"
    assert len(made.exchange(made.b, near)["a"]) == 1
    far = IP(src=made.c.ip, dst=UPLINK_ADDRESS) / UDP(sport=1, dport=5000) / b"x"
    assert made.exchange(made.c, far)["a"] == []
    assert made.drops == {DropReason.FILTERED: 1}


def test_networks_that_filter_nothing_reach_each_other_through_the_uplink() -> None:
    made = lab(EVERYBODY)
    asks(made, S2, "c", 6000)
    there = IP(src=made.a.ip, dst=UPLINK_ADDRESS) / UDP(sport=5000, dport=6000) / b"x"
    seen = only(made.exchange(made.a, there)["c"])
    assert (seen[IP].src, seen[UDP].sport) == (UPLINK_ADDRESS, 5000)
    back = IP(src=made.c.ip, dst=UPLINK_ADDRESS) / UDP(sport=6000, dport=5000) / b"x"
    assert only(made.exchange(made.c, back)["a"])[IP].src == UPLINK_ADDRESS
