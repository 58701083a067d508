"""An endpoint that is attached is announced: the others and the switch know its station."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from scapy.layers.l2 import ARP, Ether

from tests.harness import Lab
from vswitch.daemon.attaching.announcing import INTERVAL_SECONDS, MESSAGES, Announcement
from vswitch.dataplane.topology import Interface
from vswitch.network.model import Network
from vswitch.units import Nanoseconds
from vswitch.wire.values import IpAddress, IpInterface, IpNetwork, MacAddress

FRONT = Network("front", IpNetwork.parse("10.0.0.0/24"), IpAddress.parse("10.0.0.1"))
NEW = MacAddress.parse("02:00:00:00:00:99")


@dataclass
class Clock:
    """Stands for the runtime and for the event loop: what was asked to be called, and when."""

    lab: Lab
    later: list[tuple[float, Callable[[], None]]] = field(default_factory=list)
    cancelled: int = 0

    def now(self) -> Nanoseconds:
        return self.lab.now

    def rearm(self) -> None:
        return

    def call_later(self, delay: float, callback: Callable[[], None]) -> Clock:
        self.later.append((delay, callback))
        return self

    def cancel(self) -> None:
        self.cancelled += 1

    def tick(self) -> None:
        _, callback = self.later.pop()
        callback()


@pytest.fixture
def lab() -> Lab:
    return Lab().meet_everyone()


@pytest.fixture
def clock(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock(lab)
    monkeypatch.setattr(asyncio, "get_running_loop", lambda: clock)
    return clock


def announce(lab: Lab, clock: Clock) -> Announcement:
    """`a` comes back as another station with the same address."""
    own = Interface(NEW, IpInterface(IpAddress.parse(lab.a.ip), FRONT.subnet))
    port = lab.switch.tables.ports[lab.a.port]
    for host in lab.hosts.values():
        host.device.sent.clear()
    return Announcement(lab.switch, clock, own, port)  # type: ignore[arg-type]


def heard(lab: Lab, name: str) -> list[ARP]:
    frames = [Ether(bytes(frame)[10:]) for frame in lab.hosts[name].device.sent]
    return [frame[ARP] for frame in frames if ARP in frame]


def test_the_others_hear_who_has_the_address_and_nobody_elsewhere_does(
    lab: Lab, clock: Clock
) -> None:
    announce(lab, clock)
    (message,) = heard(lab, "b")
    assert (message.op, message.hwsrc, message.hwdst) == (1, str(NEW), "00:00:00:00:00:00")
    assert message.psrc == message.pdst == lab.a.ip
    assert heard(lab, "a") == heard(lab, "c") == heard(lab, "outside") == []


def test_the_switch_itself_knows_the_new_station(lab: Lab, clock: Clock) -> None:
    announce(lab, clock)
    network = lab.network("front")
    ports = {entry.station.mac: entry.port for entry in network.fdb}
    assert ports[NEW] == lab.a.port
    known = {str(entry.address): entry.mac for entry in network.neighbours}
    assert known[lab.a.ip] == NEW


def test_it_is_said_as_often_as_docker_says_it(lab: Lab, clock: Clock) -> None:
    announce(lab, clock)
    for _ in range(MESSAGES - 1):
        assert [delay for delay, _ in clock.later] == [INTERVAL_SECONDS]
        clock.tick()
    assert clock.later == []
    assert len(heard(lab, "b")) == MESSAGES


def test_endpoint_that_leaves_is_announced_no_more(lab: Lab, clock: Clock) -> None:
    announce(lab, clock).end()
    assert clock.cancelled == 1
