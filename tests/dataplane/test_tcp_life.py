"""The life of TCP connections through the whole switch: how they open, carry data and end."""

from __future__ import annotations

import pytest
from scapy.layers.inet import ICMP, IP, TCP

from tests.dataplane.conversation import (
    CLIENT_FIRST,
    SERVER_FIRST,
    Conversation,
    quiet_lab,
)
from tests.harness import UPLINK_ADDRESS, Lab, assert_checksums_right, only
from vswitch.dataplane.drops import DropReason
from vswitch.fastpath.states import State
from vswitch.translation import Translation
from vswitch.units import HOUR, MINUTE, SECOND


def state(lab: Lab) -> State:
    (connection,) = lab.switch.tables.connections
    return connection.state


def test_segments_leave_with_the_uplinks_address_and_all_else_as_it_was() -> None:
    made = quiet_lab()
    talk = Conversation.outwards(made).opens()
    sent = only(talk.client("PA", b"question", urgptr=7))
    assert (sent[IP].src, sent[TCP].sport) == (UPLINK_ADDRESS, 5000)
    assert (sent[TCP].seq, sent[TCP].ack) == (CLIENT_FIRST + 1, SERVER_FIRST + 1)
    assert (sent[TCP].flags, sent[TCP].urgptr, bytes(sent[TCP].payload)) == ("PA", 7, b"question")
    assert_checksums_right(sent)


def test_connection_opens_carries_data_and_closes() -> None:
    made = quiet_lab()
    talk = Conversation.outwards(made)
    only(talk.client("S"))
    assert state(made) is State.OPENING
    only(talk.server("SA"))
    assert state(made) is State.ESTABLISHED
    only(talk.client("A"))
    for _ in range(3):
        only(talk.client("PA", b"question"))
        only(talk.server("A"))
    only(talk.client("FA"))
    assert state(made) is State.ORIGINAL_CLOSED
    only(talk.server("PA", b"more"))
    only(talk.server("FA"))
    assert state(made) is State.CLOSING
    only(talk.client("A"))
    made.pass_time(4 * MINUTE + 1 * SECOND)
    assert len(made.switch.tables.connections) == 0


def test_server_may_close_first() -> None:
    made = quiet_lab()
    talk = Conversation.outwards(made).opens()
    only(talk.server("FA"))
    assert state(made) is State.REPLY_CLOSED
    only(talk.client("PA", b"more"))
    only(talk.client("FA"))
    assert state(made) is State.CLOSING


def test_connection_is_decided_about_once_and_the_rest_of_its_life_goes_the_short_way() -> None:
    made = quiet_lab()
    before, talk = made.hits(), Conversation.outwards(made)
    only(talk.client("S"))
    assert made.hits() == before
    only(talk.server("SA"))
    only(talk.client("A"))
    for _ in range(4):
        only(talk.client("PA", b"question"))
        only(talk.server("A"))
    for speak in (talk.client, talk.server):
        only(speak("FA"))
    only(talk.client("A"))
    assert state(made) is State.CLOSING
    assert made.hits() == before + 13


def test_reset_passes_and_shortens_the_life() -> None:
    made = quiet_lab()
    talk = Conversation.outwards(made).opens()
    only(talk.server("R"))
    assert state(made) is State.TRANSITORY
    made.pass_time(4 * MINUTE - 1 * SECOND)
    assert len(made.switch.tables.connections) == 1
    made.pass_time(2 * SECOND)
    assert len(made.switch.tables.connections) == 0


def test_reset_of_a_refusing_server_passes_and_ends_the_attempt() -> None:
    made = quiet_lab()
    talk = Conversation.outwards(made)
    only(talk.client("S"))
    only(talk.server("RA"))
    assert state(made) is State.TRANSITORY


def test_traffic_after_a_reset_revives_the_connection() -> None:
    """The reset may have been forged all the same (RFC 6146, 3.5.2.2)."""
    made = quiet_lab()
    talk = Conversation.outwards(made).talks()
    only(talk.server("R"))
    only(talk.client("A"))
    assert state(made) is State.ESTABLISHED
    made.pass_time(2 * HOUR)
    assert len(talk.server("A")) == 1


def test_tuple_is_used_again_after_its_end() -> None:
    made = quiet_lab()
    talk = Conversation.outwards(made).opens()
    talk.client("FA")
    talk.server("FA")
    again = Conversation.outwards(made)
    again.next = [70_000_000, 90_000_000]
    assert only(again.client("S"))[TCP].sport == 5000
    assert state(made) is State.OPENING
    only(again.server("SA"))
    assert state(made) is State.ESTABLISHED
    only(again.client("A"))
    only(again.client("FA"))
    assert state(made) is State.ORIGINAL_CLOSED
    assert len(made.switch.tables.connections) == 1


def test_simultaneous_open_passes() -> None:
    made = quiet_lab()
    talk = Conversation.outwards(made)
    only(talk.client("S"))
    only(talk.server("S"))
    only(talk.client("SA", seq=CLIENT_FIRST, ack=SERVER_FIRST + 1))
    only(talk.server("SA", seq=SERVER_FIRST, ack=CLIENT_FIRST + 1))
    assert state(made) is State.ESTABLISHED
    only(talk.client("PA", b"question"))
    only(talk.server("FA"))
    assert state(made) is State.REPLY_CLOSED


@pytest.mark.parametrize("flags", ["A", "PA", "FA", "R", "RA", "SA"])
def test_segment_in_the_middle_of_nothing_is_dropped_and_opens_nothing(flags: str) -> None:
    made = quiet_lab()
    assert Conversation.outwards(made).client(flags) == []
    assert made.drops == {DropReason.NO_CONNECTION: 1}
    assert len(made.switch.tables.connections) == 0
    assert len(made.switch.tables.mappings) == 0


def test_connect_to_a_silent_server_is_forgotten_after_four_minutes() -> None:
    made = quiet_lab()
    talk = Conversation.outwards(made)
    only(talk.client("S"))
    made.pass_time(4 * MINUTE - 1 * SECOND)
    assert len(talk.server("SA")) == 1
    again = quiet_lab()
    talk = Conversation.outwards(again)
    only(talk.client("S"))
    again.pass_time(4 * MINUTE + 1 * SECOND)
    assert talk.server("SA") == []


def test_keepalive_after_two_hours_still_passes() -> None:
    made = quiet_lab()
    talk = Conversation.outwards(made).talks()
    for _ in range(3):
        made.pass_time(2 * HOUR)
        assert len(talk.client("A", seq=talk.next[0] - 1, ack=talk.next[1])) == 1
        assert len(talk.server("A")) == 1
    assert state(made) is State.ESTABLISHED


# Segments that do not fit (RFC 5961)


def test_reset_with_a_guessed_number_passes_and_changes_nothing() -> None:
    made = quiet_lab()
    talk = Conversation.outwards(made).talks()
    for distance in (1, 5000, -5000, 2**31):
        guess = (talk.next[1] + distance) % 2**32
        assert only(talk.server("R", seq=guess))[TCP].seq == guess
        assert state(made) is State.ESTABLISHED


def test_fin_outside_the_window_passes_and_closes_nothing() -> None:
    made = quiet_lab()
    talk = Conversation.outwards(made).talks()
    far = (talk.next[1] + 2**30) % 2**32
    only(talk.server("FA", seq=far, ack=talk.next[0]))
    assert state(made) is State.ESTABLISHED


def test_data_outside_the_window_passes_and_keeps_nothing_alive() -> None:
    made = quiet_lab()
    talk = Conversation.outwards(made).talks()
    hits = made.hits()
    made.pass_time(123 * MINUTE)
    far = (talk.next[1] + 2**30) % 2**32
    only(talk.server("PA", b"blind", seq=far, ack=talk.next[0]))
    assert made.hits() == hits
    made.pass_time(2 * MINUTE)
    assert len(made.switch.tables.connections) == 0


def test_syn_in_the_middle_of_a_connection_passes_and_changes_nothing() -> None:
    made = quiet_lab()
    talk = Conversation.outwards(made).talks()
    for speak in (talk.client, talk.server):
        only(speak("S", seq=42))
        assert state(made) is State.ESTABLISHED
    assert len(talk.client("PA", b"still here")) == 1
    only(talk.server("R"))
    assert state(made) is State.TRANSITORY


def test_answer_to_a_syn_that_acknowledges_something_else_establishes_nothing() -> None:
    made = quiet_lab()
    talk = Conversation.outwards(made)
    only(talk.client("S"))
    only(talk.server("SA", ack=CLIENT_FIRST + 2))
    assert state(made) is State.OPENING
    only(talk.server("SA"))
    assert state(made) is State.ESTABLISHED


def test_without_window_tracking_any_segment_counts() -> None:
    made = quiet_lab(translation=Translation(window_tracking=False))
    talk = Conversation.outwards(made).talks()
    only(talk.server("R", seq=12345))
    assert state(made) is State.TRANSITORY
    assert made.windows() == []


def test_window_goes_with_its_connection() -> None:
    made = quiet_lab()
    Conversation.outwards(made).opens()
    assert made.windows() == [1]
    made.pass_time(125 * MINUTE)
    assert made.windows() == []


# What no TCP sends


@pytest.mark.parametrize("flags", ["SF", "SR", "FR", "F", "", "PU", "SFPU"])
def test_contradictory_flags_are_dropped_in_the_middle_of_a_connection_too(flags: str) -> None:
    made = quiet_lab()
    talk = Conversation.outwards(made).talks()
    assert talk.client(flags, seq=talk.next[0]) == []
    assert made.drops == {DropReason.BAD_TCP_FLAGS: 1}
    assert state(made) is State.ESTABLISHED


def test_error_about_a_segment_reaches_the_client_and_ends_nothing() -> None:
    """RFC 5382, REQ-10."""
    made = quiet_lab()
    talk = Conversation.outwards(made)
    sent = only(talk.client("S"))
    for code in (1, 3):
        error = IP(src="198.51.100.99", dst=UPLINK_ADDRESS) / ICMP(type=3, code=code) / sent[IP]
        assert len(made.exchange(made.outside, error)["a"]) == 1
    assert state(made) is State.OPENING
    only(talk.server("SA"))
    assert state(made) is State.ESTABLISHED
