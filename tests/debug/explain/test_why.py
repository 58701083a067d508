"""The reasons of a live connection, as its table entries tell them."""

from __future__ import annotations

from tests.debug.explain.test_tracing import known
from tests.harness import ICMP, IP, ROUTER, TCP, UDP, UPLINK_ADDRESS, Lab
from vswitch.dataplane.conntrack import Connection
from vswitch.debug.explain.why import STATES, Why, usage, why
from vswitch.fastpath.states import State
from vswitch.units import SECOND

OUTSIDE = "198.51.100.7"


def reasons(lab: Lab, number: int = 1) -> Why:
    connection = _connection(lab, number)
    return why(lab.switch, connection, known(lab), lab.now)


def _connection(lab: Lab, number: int = 1) -> Connection:
    connection = lab.switch.tables.connections.numbered(number)
    assert connection is not None
    return connection


def out(lab: Lab, flags: str) -> None:
    lab.exchange(lab.a, IP(src=lab.a.ip, dst=OUTSIDE) / _segment(40000, 443, flags))


def back(lab: Lab, flags: str) -> None:
    lab.exchange(lab.outside, IP(src=OUTSIDE, dst=UPLINK_ADDRESS) / _segment(443, 40000, flags))


def _segment(sport: int, dport: int, flags: str) -> TCP:
    """What an end sends that has sent nothing but its SYN before."""
    sequence = 0 if "S" in flags else 1
    return TCP(sport=sport, dport=dport, flags=flags, seq=sequence, ack=1 if "A" in flags else 0)


def test_connection_out_is_allowed_by_policy_and_translated_by_its_mapping() -> None:
    lab = Lab().meet_everyone()
    out(lab, "S")
    lab.pass_time(5 * SECOND)
    told = reasons(lab)
    assert (told.flow, told.protocol, told.state) == (1, "tcp", "opening")
    assert told.began[0] == "by a (10.0.0.2 on front), 5 s ago"
    assert told.allowed == (
        "policy: front is an inside network, which may begin connections to outside",
        f"mapping: port 40000 of a (10.0.0.2 on front) is port 40000 of {UPLINK_ADDRESS} for "
        "everyone",
    )
    assert told.original == (
        f"comes in on front as 10.0.0.2:40000 > {OUTSIDE}:443",
        f"goes out on outside as {UPLINK_ADDRESS}:40000 > {OUTSIDE}:443",
        f"source 10.0.0.2:40000 becomes {UPLINK_ADDRESS}:40000",
        f"next hop {ROUTER} is at {lab.outside.mac}",
    )
    assert told.reply[2:] == (
        f"destination {UPLINK_ADDRESS}:40000 becomes 10.0.0.2:40000",
        f"next hop 10.0.0.2 is at {lab.a.mac}",
    )


def test_mapping_that_is_shared_says_with_how_many() -> None:
    lab = Lab().meet_everyone()
    for last in (7, 8, 9):
        lab.exchange(lab.a, IP(src=lab.a.ip, dst=f"198.51.100.{last}") / UDP(sport=5, dport=53))
    assert reasons(lab).allowed[1].endswith(", shared with 2 other connections")


def test_connection_in_is_allowed_by_its_publication() -> None:
    lab = Lab().meet_everyone()
    lab.publish(8080, lab.b, 80, count=10)
    lab.exchange(lab.outside, IP(src=OUTSIDE, dst=UPLINK_ADDRESS) / TCP(sport=4000, dport=8082))
    told = reasons(lab)
    assert told.began[0].startswith(f"by {OUTSIDE} on outside")
    assert told.allowed == (
        "publication: port 8082/tcp of every address of the switch leads to b (10.0.0.3 on front), "
        "port 82",
    )
    assert "at once where b is detached" in told.ends
    assert "at once where its port is no longer published" in told.ends


def test_hairpin_by_a_mapping_names_both_mappings() -> None:
    lab = Lab().meet_everyone()
    lab.exchange(lab.a, IP(src=lab.a.ip, dst=OUTSIDE) / UDP(sport=5000, dport=53))
    lab.exchange(lab.b, IP(src=lab.b.ip, dst=UPLINK_ADDRESS) / UDP(sport=6000, dport=5000))
    first, second = reasons(lab, 2).allowed
    assert first.startswith("hairpin: port 5000 of a (10.0.0.2 on front) is port 5000")
    assert second.startswith("mapping: port 6000 of b (10.0.0.3 on front) is port 6000")
    assert len(reasons(lab, 2).original[2].split(", ")) == 2


def test_echo_is_told_with_its_identifier() -> None:
    lab = Lab().meet_everyone()
    lab.exchange(lab.a, IP(src=lab.a.ip, dst=OUTSIDE) / ICMP(type=8, id=77))
    told = reasons(lab)
    assert told.original[2] == f"source 10.0.0.2 id 77 becomes {UPLINK_ADDRESS} id 77"
    assert told.reply[2] == f"destination {UPLINK_ADDRESS} id 77 becomes 10.0.0.2 id 77"
    assert "identifier 77" in told.allowed[1]


def test_next_states_are_those_of_the_state_machine() -> None:
    lab = Lab().meet_everyone()
    out(lab, "S")
    assert f"SYN from {OUTSIDE}: established" in reasons(lab).next_states
    back(lab, "SA")
    assert set(reasons(lab).next_states) == {
        "FIN from a: original closed",
        f"FIN from {OUTSIDE}: reply closed",
        "RST from a: transitory",
        f"RST from {OUTSIDE}: transitory",
    }
    out(lab, "R")
    assert "any other segment from a: established" in reasons(lab).next_states


def test_datagrams_wait_for_an_answer_and_then_for_nothing() -> None:
    lab = Lab().meet_everyone()
    lab.exchange(lab.a, IP(src=lab.a.ip, dst=OUTSIDE) / UDP(sport=5, dport=53))
    assert reasons(lab).next_states == (f"a frame from {OUTSIDE}: answered",)
    lab.exchange(lab.outside, IP(src=OUTSIDE, dst=UPLINK_ADDRESS) / UDP(sport=53, dport=5))
    assert (reasons(lab).state, reasons(lab).next_states) == ("answered", ())


def test_end_comes_with_silence_and_a_frame_of_the_fast_path_puts_it_off() -> None:
    lab = Lab().meet_everyone()
    packet = IP(src=lab.a.ip, dst=OUTSIDE) / UDP(sport=5, dport=53)
    lab.exchange(lab.a, packet)
    lab.pass_time(100 * SECOND)
    assert reasons(lab).ends[0] == "in 200 s, if nothing more is seen of it"
    hits = lab.hits()
    lab.exchange(lab.a, packet)
    assert lab.hits() == hits + 1
    told = reasons(lab)
    assert told.ends[0] == "in 300 s, if nothing more is seen of it"
    assert told.ends[2] == "the last one came 0 s ago; frames until now: 2"
    expires = usage(lab.switch, _connection(lab)).expires
    lab.pass_time(expires - lab.now - 1)
    assert len(lab.switch.tables.connections) == 1
    lab.pass_time(1)
    assert len(lab.switch.tables.connections) == 0


def test_programs_are_told_by_direction_with_what_they_carried() -> None:
    lab = Lab().meet_everyone()
    out(lab, "S")
    assert [each.frames for each in reasons(lab).kept] == [0, 0]
    back(lab, "SA")
    for _ in range(3):
        out(lab, "A")
        back(lab, "PA")
    kept = {each.direction: each for each in reasons(lab).kept}
    assert list(kept) == ["original", "reply"]
    assert (kept["original"].port, kept["original"].frames) == ("a", 3)
    assert (kept["reply"].port, kept["reply"].frames) == ("outside", 4)
    assert kept["original"].tcp_flags == ("ACK",)
    assert kept["reply"].tcp_flags == ("SYN", "PSH", "ACK")
    assert kept["original"].bytes == 3 * len(_frame(lab))


def _frame(lab: Lab) -> bytes:
    return bytes(lab.routed(lab.a, IP(src=lab.a.ip, dst=OUTSIDE) / _segment(40000, 443, "A")))


def test_every_state_has_words() -> None:
    assert set(STATES) == set(State)


def test_asking_for_reasons_changes_nothing() -> None:
    lab = Lab().meet_everyone()
    out(lab, "S")
    assert reasons(lab) == reasons(lab)
