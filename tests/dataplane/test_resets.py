"""RSTs for the ends of connections that the switch has ended: who gets one, and that it is obeyed.

A reset is obeyed if its number is the one that its receiver expects next (RFC 5961, 3.2): what the
other end would have sent. The conversations here know that number.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scapy.layers.inet import IP, TCP
from scapy.packet import Packet

from tests.dataplane.conversation import S1, Conversation, End, forget_received, ip, quiet_lab
from tests.harness import ROUTER, UPLINK_ADDRESS, Host, Lab, assert_checksums_right, only
from vswitch.dataplane.topology import Interface
from vswitch.fastpath.states import State
from vswitch.translation import Translation
from vswitch.units import MINUTE
from vswitch.wire.values import IpInterface, IpNetwork, MacAddress

TELLS = Translation(resets=True)


def lab(translation: Translation = TELLS) -> Lab:
    return quiet_lab(translation=translation)


def end_all(made: Lab) -> None:
    """End every connection, as a change of the configuration does."""
    made.switch.changes.end(list(made.switch.tables.connections), made.now)


def reset_for(made: Lab, host: Host) -> Packet:
    """The one segment that a host has got, which is a reset with ACK and right checksums."""
    frame = only([each for each in made.received(host) if IP in each])
    assert frame[TCP].flags == "RA"
    assert (frame.src, frame.dst) == (host.gateway_mac, host.mac)
    assert_checksums_right(frame)
    return frame


def assert_obeyed(reset: Packet, talk: Conversation, end: int) -> None:
    """An end that gets this takes it for its peer's."""
    assert reset[TCP].seq == talk.next[1 - end]
    assert reset[TCP].ack == talk.next[end]
    speaker = talk._ends[end]
    assert (reset[IP].src, reset[TCP].sport) == speaker.peer
    assert (reset[IP].dst, reset[TCP].dport) == speaker.own


WAYS: dict[str, Callable[[Lab], Conversation]] = {
    "outwards": Conversation.outwards,
    "inwards": Conversation.inwards,
    "hairpinned": Conversation.hairpinned,
}


@pytest.mark.parametrize("way", WAYS)
def test_both_ends_get_a_reset_that_they_obey(way: str) -> None:
    made = lab()
    made.publish(8080, made.b, 80)
    talk = WAYS[way](made).talks()
    end_all(made)
    for end in (0, 1):
        assert_obeyed(reset_for(made, talk._ends[end].host), talk, end)
    assert len(made.switch.tables.connections) == 0


def test_number_is_the_one_behind_all_that_only_the_fast_path_saw() -> None:
    made = lab()
    talk = Conversation.outwards(made).talks()
    hits = made.hits()
    for _ in range(5):
        talk.server("PA", bytes(1000))
        talk.client("PA", bytes(10))
    assert made.hits() == hits + 10
    talk.server("A")
    talk.client("A")
    end_all(made)
    for end in (0, 1):
        assert_obeyed(reset_for(made, talk._ends[end].host), talk, end)


def test_data_that_was_not_acknowledged_yet_does_not_spoil_the_number() -> None:
    """Its receiver may not have it: what it expects is what it has acknowledged last."""
    made = lab()
    talk = Conversation.outwards(made).talks()
    talk.client("A")
    expected = talk.next[1]
    talk.server("PA", bytes(1000))
    end_all(made)
    assert reset_for(made, made.a)[TCP].seq == expected


@pytest.mark.parametrize("who", ["client", "server"])
def test_half_closed_connection_is_reset_too(who: str) -> None:
    made = lab()
    talk = Conversation.outwards(made).talks()
    speak, acknowledge = (
        (talk.client, talk.server) if who == "client" else (talk.server, talk.client)
    )
    speak("FA")
    acknowledge("A")
    end_all(made)
    for end in (0, 1):
        assert_obeyed(reset_for(made, talk._ends[end].host), talk, end)


@pytest.mark.parametrize("state", [State.OPENING, State.CLOSING, State.TRANSITORY])
def test_connection_that_is_not_open_is_not_reset(state: State) -> None:
    made = lab()
    talk = Conversation.outwards(made)
    if state is State.OPENING:
        talk.client("S")
    else:
        talk.opens()
        talk.client("FA" if state is State.CLOSING else "R")
    if state is State.CLOSING:
        talk.server("FA")
    end_all(made)
    assert [host.device.take() for host in (made.a, made.outside)] == [[], []]


def test_nobody_is_told_where_the_network_does_not_want_it() -> None:
    made = lab(Translation())
    Conversation.outwards(made).talks()
    end_all(made)
    assert [host.device.take() for host in (made.a, made.outside)] == [[], []]


def test_nobody_is_told_where_windows_are_not_followed() -> None:
    made = lab(Translation(resets=True, window_tracking=False))
    Conversation.outwards(made).talks()
    end_all(made)
    assert [host.device.take() for host in (made.a, made.outside)] == [[], []]


def test_connection_whose_time_is_over_ends_in_silence() -> None:
    made = lab()
    Conversation.outwards(made).talks()
    made.pass_time(125 * MINUTE)
    assert not [each for each in made.received(made.a) if TCP in each]
    assert not [each for each in made.received(made.outside) if TCP in each]


@pytest.mark.parametrize("end", [0, 1])
def test_end_whose_station_is_not_known_is_not_asked_for(end: int) -> None:
    made = lab()
    talk = Conversation.outwards(made).talks()
    network, address = (("front", made.a.ip), ("outside", ROUTER))[end]
    made.network(network).neighbours.forget(ip(address))
    end_all(made)
    assert made.received(talk._ends[end].host) == []
    assert_obeyed(reset_for(made, talk._ends[1 - end].host), talk, 1 - end)


# By what ends them


def test_peer_of_an_endpoint_that_leaves_is_told_and_the_endpoint_is_not() -> None:
    made = lab()
    talk = Conversation.outwards(made).talks()
    number = made.switch.tables.ports[made.a.port].network
    made.switch.changes.forget_address(number, ip(made.a.ip), made.now)
    assert_obeyed(reset_for(made, made.outside), talk, 1)
    assert made.received(made.a) == []


def test_both_ends_are_told_that_a_port_is_no_longer_published() -> None:
    made = lab()
    published = made.publish(8080, made.b, 80)
    talk = Conversation.inwards(made).talks()
    made.switch.changes.unpublish(published, made.now)
    assert_obeyed(reset_for(made, made.outside), talk, 0)
    assert_obeyed(reset_for(made, made.b), talk, 1)


def test_endpoint_is_told_of_a_new_address_and_nobody_in_the_name_of_the_old_one() -> None:
    made = lab()
    talk = Conversation.outwards(made).talks()
    mac, address = MacAddress.parse("02:00:00:00:00:fe"), IpInterface.parse("203.0.113.9/24")
    number = made.network("outside").number
    made.switch.changes.set_interface(number, Interface(mac, address), ip(ROUTER), made.now)
    assert_obeyed(reset_for(made, made.a), talk, 0)
    assert made.received(made.outside) == []


def test_untranslated_connection_is_reset_in_its_own_names() -> None:
    made = lab(Translation(resets=True, untranslated=(IpNetwork.parse("198.51.100.0/24"),)))
    client = End(made.a, (made.a.ip, 5000), (S1, 80))
    talk = Conversation(made, client, End(made.outside, (S1, 80), client.own)).talks()
    forget_received(made)
    end_all(made)
    for end in (0, 1):
        reset = reset_for(made, talk._ends[end].host)
        assert_obeyed(reset, talk, end)
        assert UPLINK_ADDRESS not in (reset[IP].src, reset[IP].dst)
