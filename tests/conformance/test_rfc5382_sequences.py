"""RFC 5382, REQ-2: every valid sequence of TCP segments passes, from either side.

Each is played out from the inside, in to a published port, and by a hairpin; `Talk` asserts of each
segment that the other end gets it with nothing changed but addresses, ports and time to live.
"""

from __future__ import annotations

import pytest

from tests.conformance.packets import WAYS, Talk, into, lab, nothing
from tests.conformance.requirements import Level, requirement
from vswitch.units import HOUR, SECOND

ways = pytest.mark.parametrize("way", WAYS)
valid = requirement("RFC 5382", "REQ-2", Level.MUST, "every valid sequence of segments passes")


@valid
@ways
@pytest.mark.parametrize("closer", [0, 1])
def test_rfc5382_req2_connection_opens_carries_data_and_closes(way: str, closer: int) -> None:
    talk = WAYS[way](lab()).opens()
    for _ in range(3):
        talk.says(0, "PA", b"question")
        talk.says(1, "A")
        talk.says(1, "PA", b"answer")
        talk.says(0, "A")
    talk.closes(closer)


@valid
@ways
@pytest.mark.parametrize("closer", [0, 1])
def test_rfc5382_req2_half_closed_connection_goes_on_the_other_way(way: str, closer: int) -> None:
    talk = WAYS[way](lab()).opens()
    talk.says(closer, "FA")
    talk.says(1 - closer, "A")
    for _ in range(3):
        talk.says(1 - closer, "PA", b"still talking")
        talk.says(closer, "A")
    talk.says(1 - closer, "FA")
    talk.says(closer, "A")


@valid
@ways
def test_rfc5382_req2_both_sides_may_close_at_once(way: str) -> None:
    talk = WAYS[way](lab()).opens()
    fins = [talk.segment(end, "FA") for end in (0, 1)]
    for end in (0, 1):
        talk.repeats(end, fins[end])
        talk.next[end] += 1
    talk.says(0, "A")
    talk.says(1, "A")


@valid
@ways
def test_rfc5382_req2_retransmissions_pass(way: str) -> None:
    talk = WAYS[way](lab())
    for end, flags, payload in (
        (0, "S", b""),
        (1, "SA", b""),
        (0, "A", b""),
        (0, "PA", b"question"),
        (1, "PA", b"answer"),
        (0, "FA", b""),
        (1, "FA", b""),
        (0, "A", b""),
    ):
        again = talk.segment(end, flags, payload)
        talk.says(end, flags, payload)
        for _ in range(2):
            talk.made.pass_time(3 * SECOND)
            talk.repeats(end, again)


@valid
@ways
@pytest.mark.parametrize("first", [1000, 2**32 - 20, 2**31 - 20])
def test_rfc5382_req2_sequence_numbers_may_wrap(way: str, first: int) -> None:
    talk = WAYS[way](lab(), first=first).opens()
    for _ in range(4):
        talk.says(0, "PA", b"ten bytes.")
        talk.says(1, "PA", b"ten bytes.")
    talk.closes()


@valid
@ways
def test_rfc5382_req2_segments_may_arrive_out_of_order(way: str) -> None:
    talk = WAYS[way](lab()).opens()
    early, late = talk.segment(0, "A", b"first "), talk.segment(0, "A", b"second", seq=1007)
    sack = [("NOP", None), ("NOP", None), ("SAck", (1007, 1013))]
    talk.repeats(0, late)
    talk.says(1, "A", ack=1001, options=sack)
    talk.repeats(0, early)
    talk.next[0] = 1013
    talk.says(1, "A")


@valid
@ways
def test_rfc5382_req2_keepalives_and_window_probes_pass(way: str) -> None:
    talk = WAYS[way](lab()).opens()
    talk.says(0, "PA", b"question")
    talk.says(1, "A", window=0)
    for end in (0, 1):
        talk.says(end, "A", seq=talk.next[end] - 1)
        talk.says(1 - end, "A")
        talk.says(end, "A", b"\0", seq=talk.next[end] - 1)
        talk.says(1 - end, "A")


@valid
@ways
def test_rfc5382_req2_options_and_rare_flags_pass_unchanged(way: str) -> None:
    talk = WAYS[way](lab())
    times = ("Timestamp", (1, 0))
    opening = [("MSS", 1460), ("SAckOK", b""), times, ("NOP", None), ("WScale", 7)]
    cookie = [(34, b"\x01\x02\x03\x04\x05\x06\x07\x08"), ("NOP", None), ("NOP", None)]
    talk.says(0, "SEC", options=opening)
    talk.says(1, "SAE", options=opening)
    talk.says(0, "A", options=[("NOP", None), ("NOP", None), times])
    talk.says(0, "PAU", b"urgent", urgptr=6, options=[("NOP", None), ("NOP", None), times])
    talk.says(1, "AE", options=[("NOP", None), ("NOP", None), times])
    talk.says(0, "PAC", b"more", options=cookie)


@valid
@ways
def test_rfc5382_req2_syn_may_carry_data(way: str) -> None:
    """TCP Fast Open (RFC 7413): data with the SYN, and with the answer to it."""
    talk = WAYS[way](lab())
    cookie = [(34, b"\x01\x02\x03\x04\x05\x06\x07\x08"), ("NOP", None), ("NOP", None)]
    talk.says(0, "S", b"GET / HTTP/1.0\r\n\r\n", options=cookie)
    talk.says(1, "SA", b"HTTP/1.0 200 OK\r\n")
    talk.says(0, "A")
    talk.closes()


@valid
@ways
def test_rfc5382_req2_full_scaled_window_may_be_in_flight(way: str) -> None:
    talk = WAYS[way](lab())
    for end, flags in ((0, "S"), (1, "SA")):
        talk.says(end, flags, options=[("MSS", 1460), ("NOP", None), ("WScale", 8)])
    talk.says(0, "A", window=0xFFFF)
    talk.says(1, "A", window=0xFFFF)
    start = talk.next[0]
    for offset in range(0, 0xFFFF << 8, 1_048_576):
        talk.says(0, "A", bytes(1000), seq=(start + offset) % 2**32)


@valid
@ways
@pytest.mark.parametrize("end", [0, 1])
def test_rfc5382_req2_reset_passes(way: str, end: int) -> None:
    talk = WAYS[way](lab()).opens()
    talk.says(end, "R")


@valid
@ways
def test_rfc5382_req2_refusal_passes(way: str) -> None:
    talk = WAYS[way](lab())
    talk.says(0, "S")
    talk.says(1, "RA", seq=0)


@valid
@ways
def test_rfc5382_req2_tuple_of_a_closed_connection_opens_again(way: str) -> None:
    talk = WAYS[way](lab()).opens().closes()
    talk.made.pass_time(2 * SECOND)
    talk.next = [90_000_000, 95_000_000]
    talk.opens().says(0, "PA", b"question")


@requirement("RFC 5382", "REQ-2a", Level.MUST, "simultaneous open")
@pytest.mark.parametrize("first", [0, 1])
def test_rfc5382_req2a_both_sides_may_open_at_once(first: int) -> None:
    made = lab()
    talk = Talk.outwards(made)
    syns = [talk.segment(end, "S") for end in (0, 1)]
    if first == 1:
        assert nothing(into(made, syns[1]))
        made.pass_time(1 * SECOND)
    talk.repeats(0, syns[0])
    talk.repeats(1, syns[1])
    talk.repeats(0, talk.segment(0, "SA", ack=talk.next[1] + 1))
    talk.repeats(1, talk.segment(1, "SA", ack=talk.next[0] + 1))
    talk.next = [number + 1 for number in talk.next]
    talk.says(0, "PA", b"question")
    talk.says(1, "PA", b"answer")
    made.pass_time(2 * HOUR)
    talk.says(0, "PA", b"and so on")
