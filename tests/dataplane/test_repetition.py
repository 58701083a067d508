"""Connections that repeat an older one: what they are spared, and that nothing else comes of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP
from scapy.packet import Packet

from tests.dataplane.conversation import S1, S2, Conversation, ip, quiet_lab
from tests.harness import UPLINK_ADDRESS, Lab, only
from vswitch.dataplane import router
from vswitch.dataplane.drops import DropReason
from vswitch.dataplane.fdb import Station
from vswitch.dataplane.precedents import CAPACITY
from vswitch.translation import Quotas, Timeouts, Translation
from vswitch.units import SECOND
from vswitch.wire.values import MacAddress, Protocol

Item = TypeVar("Item")


@pytest.fixture
def routed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The ports of all frames that go through the stages of the router."""
    seen: list[int] = []
    route = router.route

    def note(walk: Any, tables: Any) -> Any:
        seen.append(walk.port.number)
        return route(walk, tables)

    monkeypatch.setattr(router, "route", note)
    return seen


def ask(lab: Lab, sport: int, server: str = S1, dport: int = 7000) -> Packet:
    packet = IP(src=lab.a.ip, dst=server) / UDP(sport=sport, dport=dport) / b"question"
    return only(lab.exchange(lab.a, packet)["outside"])


# What it spares


def test_same_server_is_asked_from_another_port_without_the_stages(routed: list[int]) -> None:
    lab = quiet_lab()
    first = ask(lab, 5000)
    assert len(routed) == 1
    second = ask(lab, 5001)
    assert len(routed) == 1
    assert (second[IP].src, second[UDP].sport) == (UPLINK_ADDRESS, 5001)
    second[UDP].sport = first[UDP].sport
    del second[UDP].chksum
    assert bytes(second.__class__(bytes(second))) == bytes(first)


def test_answer_to_it_is_expected(routed: list[int]) -> None:
    lab = quiet_lab()
    for sport in (5000, 5001):
        ask(lab, sport)
    before = lab.hits()
    back = IP(src=S1, dst=UPLINK_ADDRESS) / UDP(sport=7000, dport=5001) / b"answer"
    heard = only(lab.exchange(lab.outside, back)["a"])
    assert (heard[IP].dst, heard[UDP].dport) == (lab.a.ip, 5001)
    assert lab.hits() == before + 1
    assert len(routed) == 1


@pytest.mark.parametrize("way", [Conversation.outwards, Conversation.hairpinned])
def test_tcp_connection_that_repeats_is_followed_from_its_syn_to_its_end(
    way: Callable[..., Conversation], routed: list[int]
) -> None:
    lab = quiet_lab()
    lab.publish(8080, lab.b, 80)
    way(lab).talks()
    if way == Conversation.hairpinned:
        lab.switch.changes.end(list(lab.switch.tables.connections), lab.now)
        again = way(lab)
    else:
        again = way(lab, sport=5001)
    seen = len(routed)
    again.talks()
    for heard in (again.client("FA"), again.server("FA"), again.client("A")):
        assert len(heard) == 1
    states = [each.state.value for each in lab.switch.tables.connections]
    assert states[-1] == "closing"
    assert len(routed) == seen


def test_trail_names_the_connection_that_is_repeated() -> None:
    lab = quiet_lab()
    trails: list[str] = []

    class Listener:
        def hit(self, *_: object) -> None: ...
        def sent(self, *_: object) -> None: ...
        def decided(self, port: int, frame: object, verdict: Any, now: int) -> None:
            trails.append("; ".join(map(str, verdict.trail)))

    lab.switch.observe(Listener())
    ask(lab, 5000)
    ask(lab, 5001)
    assert trails[-1].endswith("a new connection, like 1 but for its source port")
    assert "5001" in trails[-1]


# What ends it


def a_change(name: str) -> Callable[[Lab], object]:
    return {
        "a port is published": lambda lab: lab.publish(8080, lab.b, 80),
        "a port is no longer published": lambda lab: lab.switch.changes.unpublish(
            lab.publish(8081, lab.b, 80), lab.now
        ),
        "a port is mapped by hand": lambda lab: lab.map_statically(lab.b, 4000, 4000),
        "an endpoint leaves": lambda lab: lab.switch.changes.forget_address(
            lab.network("front").number, ip(lab.b.ip), lab.now
        ),
        "an address stands for an endpoint": lambda lab: lab.translate_one_to_one(
            lab.b, "203.0.113.9"
        ),
        "the uplink has another presence": lambda lab: lab.switch.changes.set_interface(
            lab.network("outside").number,
            lab.network("outside").interface,
            lab.network("outside").next_hop,
            lab.now,
        ),
        "a station moves": lambda lab: lab.send(lab.b, lab.arp_request(lab.hosts["a"], "10.0.0.1")),
    }[name]


@pytest.mark.parametrize(
    "change",
    [
        "a port is published",
        "a port is no longer published",
        "a port is mapped by hand",
        "an endpoint leaves",
        "an address stands for an endpoint",
        "the uplink has another presence",
        "a station moves",
    ],
)
def test_next_connection_goes_through_all_stages_after(change: str, routed: list[int]) -> None:
    lab = quiet_lab(also=("203.0.113.9",))
    ask(lab, 5000)
    a_change(change)(lab)
    lab.send(lab.a, lab.arp_request(lab.a, "10.0.0.1"))
    before = len(routed)
    ask(lab, 5001)
    assert len(routed) == before + 1


@pytest.mark.parametrize(
    "other",
    [
        lambda lab: IP(src=lab.a.ip, dst=S2) / UDP(sport=5001, dport=7000),
        lambda lab: IP(src=lab.a.ip, dst=S1) / UDP(sport=5001, dport=7001),
        lambda lab: IP(src=lab.a.ip, dst=S1, ttl=1) / UDP(sport=5001, dport=7000),
        lambda lab: IP(src=lab.a.ip, dst=S1) / UDP(sport=5001, dport=7000) / bytes(1473),
        lambda lab: IP(src=lab.a.ip, dst=S1, options=b"\1\1\1\1") / UDP(sport=5001, dport=7000),
    ],
    ids=["another server", "another port", "no time to live", "too long", "options"],
)
def test_frame_that_is_unlike_goes_through_all_stages(
    other: Callable[[Lab], Packet], routed: list[int]
) -> None:
    lab = quiet_lab()
    ask(lab, 5000)
    lab.exchange(lab.a, other(lab))
    assert len(routed) == 2


@pytest.mark.parametrize("flags", ["A", "SA", "FA", "R", "PA"])
def test_segment_that_begins_nothing_begins_nothing(flags: str) -> None:
    lab = quiet_lab()
    Conversation.outwards(lab).opens()
    stray = IP(src=lab.a.ip, dst=S1) / TCP(sport=5001, dport=80, flags=flags)
    assert lab.exchange(lab.a, stray)["outside"] == []
    assert len(lab.switch.tables.connections) == 1


def test_station_that_was_forgotten_is_learnt_again() -> None:
    lab = quiet_lab()
    ask(lab, 5000)
    fdb = lab.network("front").fdb
    station = Station(0, MacAddress.parse(lab.a.mac))
    fdb.forget_port(lab.a.port)
    ask(lab, 5001)
    assert fdb.where(station) == lab.a.port


# What is its own


def test_port_of_the_switch_leads_to_whoever_has_it_by_then() -> None:
    lab = quiet_lab(translation=Translation(timeouts=Timeouts(hold_down=0)))
    d = lab.add_host("d", "front", "10.0.0.4")
    lab.send(d, lab.arp_request(d, "10.0.0.1"))
    lab.received(d)

    def say(who: str, sport: int, server: str, dport: int) -> dict[str, list[Packet]]:
        packet = IP(src=lab.hosts[who].ip, dst=server) / UDP(sport=sport, dport=dport)
        return lab.exchange(lab.hosts[who], packet)

    say("a", 5000, S1, 7000)
    assert len(say("b", 6000, UPLINK_ADDRESS, 5000)["a"]) == 1
    (mapping,) = (each for each in lab.switch.tables.mappings if each.external.port == 5000)
    lab.switch.changes.release(mapping, lab.now)
    say("d", 5000, S1, 7000)
    heard = say("b", 6001, UPLINK_ADDRESS, 5000)
    assert (len(heard["a"]), len(heard["d"])) == (0, 1)


def test_answer_whose_program_is_gone_begins_nothing() -> None:
    lab = quiet_lab()
    lab.publish(8080, lab.b, 80, Protocol.UDP)
    inward = IP(src=S1, dst=UPLINK_ADDRESS) / UDP(sport=7000, dport=8080)
    assert len(lab.exchange(lab.outside, inward)["b"]) == 1
    outward = IP(src=lab.b.ip, dst=S1) / UDP(sport=5000, dport=7000)
    assert len(lab.exchange(lab.b, outward)["outside"]) == 1
    for connection in lab.switch.tables.connections:
        for key in filter(None, connection.keys):
            lab.switch.fastpath.remove(key)
    answer = IP(src=lab.b.ip, dst=S1) / UDP(sport=80, dport=7000)
    sent = only(lab.exchange(lab.b, answer)["outside"])
    assert (sent[IP].src, sent[UDP].sport) == (UPLINK_ADDRESS, 8080)
    assert len(lab.switch.tables.connections) == 2


def test_quota_holds_for_connections_that_repeat() -> None:
    lab = quiet_lab(translation=Translation(quotas=Quotas(mappings=2)))
    for sport in (5000, 5001):
        ask(lab, sport)
    packet = IP(src=lab.a.ip, dst=S1) / UDP(sport=5002, dport=7000)
    assert lab.exchange(lab.a, packet)["outside"] == []
    assert lab.drops[DropReason.MAPPING_QUOTA] == 1


def test_mapping_that_is_used_again_is_refreshed() -> None:
    lab = quiet_lab()
    ask(lab, 5000, S1)
    ask(lab, 5001, S2)
    lab.pass_time(10 * SECOND)
    ask(lab, 5000, S2)
    refreshed = {each.internal.port: each.last_outbound for each in lab.switch.tables.mappings}
    assert refreshed == {5000: lab.now, 5001: lab.now - 10 * SECOND}


def test_precedents_are_bounded() -> None:
    lab = quiet_lab()
    precedents = lab.switch.tables.precedents
    ask(lab, 5000)
    (only_one,) = precedents._precedents.values()
    for number in range(CAPACITY):
        precedents.keep(number.to_bytes(4, "big"), only_one)
    assert len(precedents) == CAPACITY


def test_endpoint_that_comes_to_talk_to_itself_repeats_nothing() -> None:
    """Both directions of it have one key: nothing is expected of who has begun already."""
    lab = quiet_lab()
    Conversation.outwards(lab).opens()
    for sport in (1000, 5000):
        to_itself = IP(src=lab.a.ip, dst=UPLINK_ADDRESS) / TCP(sport=sport, dport=5000, flags="S")
        lab.exchange(lab.a, to_itself)
    *_, itself = lab.switch.tables.connections
    assert itself.original == itself.reply
    assert itself.keys[1] is None


# That nothing else comes of it


class Unvaried(Random):
    """Draws the first of whatever there is, however often it is asked."""

    def choice(self, seq: Sequence[Item]) -> Item:  # type: ignore[override]
        return seq[0]

    def randrange(self, *_: Any) -> int:  # type: ignore[override]
        return 0


def _datagram(who: str, sport: int, server: str, dport: int) -> Callable[[Lab], object]:
    return lambda lab: lab.exchange(
        lab.hosts[who],
        IP(src=lab.hosts[who].ip, dst=server) / UDP(sport=sport, dport=dport) / b"question",
    )


def _segment(who: str, sport: int, server: str, dport: int, flags: str) -> Callable[[Lab], object]:
    syn = [("MSS", 1460), ("WScale", 7)] if "S" in flags else []
    return lambda lab: lab.exchange(
        lab.hosts[who],
        IP(src=lab.hosts[who].ip, dst=server)
        / TCP(sport=sport, dport=dport, flags=flags, seq=sport, options=syn),
    )


def _inward(protocol: type[Packet], sport: int, dport: int) -> Callable[[Lab], object]:
    return lambda lab: lab.exchange(
        lab.outside,
        IP(src=S1, dst=UPLINK_ADDRESS) / protocol(sport=sport, dport=dport),
    )


def _pass(seconds: int) -> Callable[[Lab], object]:
    return lambda lab: lab.pass_time(seconds * SECOND)


def _publish(protocol: int, host_port: int) -> Callable[[Lab], object]:
    def change(lab: Lab) -> None:
        found = lab.switch.tables.publications.find(
            protocol, lab.switch.tables.uplink.interface.address.address, host_port
        )
        if found is None:
            lab.publish(host_port, lab.b, 80, protocol)
        else:
            lab.switch.changes.unpublish(found, lab.now)

    return change


WHO = st.sampled_from(["a", "a", "b"])
SOURCE_PORTS = st.sampled_from([0, 1000, 5000, 5001])
SERVERS = st.sampled_from([S1, S2, UPLINK_ADDRESS])
PORTS = st.sampled_from([8080, 5000])
STEPS = st.one_of(
    st.builds(_datagram, WHO, SOURCE_PORTS, SERVERS, PORTS),
    st.builds(_segment, WHO, SOURCE_PORTS, SERVERS, PORTS, st.sampled_from(["S", "S", "A", "R"])),
    st.builds(_inward, st.sampled_from([UDP, TCP]), SOURCE_PORTS, PORTS),
    st.builds(_pass, st.sampled_from([1, 40, 160])),
    st.builds(_publish, st.sampled_from([Protocol.TCP, Protocol.UDP]), st.just(8080)),
)


@settings(max_examples=200)
@given(steps=st.lists(STEPS, min_size=6, max_size=30))
def test_everything_comes_out_as_if_there_were_no_precedents(
    steps: list[Callable[[Lab], object]],
) -> None:
    quotas = Translation(quotas=Quotas(mappings=5, connections=6))
    following, forgetful = (quiet_lab(translation=quotas) for _ in range(2))
    for lab in (following, forgetful):
        lab.switch.tables.random = Unvaried()
    for step in steps:
        forgetful.switch.tables.precedents.forget()
        assert heard(step(following)) == heard(step(forgetful))
        assert known(following) == known(forgetful)


def heard(received: object) -> object:
    if not isinstance(received, dict):
        return None
    return {name: [bytes(each) for each in frames] for name, frames in received.items()}


def known(lab: Lab) -> object:
    """All that a frame can have changed."""
    tables = lab.switch.tables
    return (
        [
            (c.number, c.original, c.reply, c.state, c.frames, c.bytes, c.last_seen, c.keys)
            for c in tables.connections
        ],
        {(m.internal, m.external, m.holders, m.guests, m.last_outbound) for m in tables.mappings},
        {(each.address, each.connections, each.mappings) for each in tables.accounts},
        lab.drops,
        [list(network.fdb) for network in tables.networks.values()],
        lab.hits(),
        lab.windows(),
    )
