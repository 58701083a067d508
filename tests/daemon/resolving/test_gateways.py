"""Queries in frames, answered as at 127.0.0.11: by the same names, and by the same servers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import TYPE_CHECKING, cast

import dns.message
import dns.name
import dns.rrset
import pytest
from scapy.packet import Packet, Raw

from tests.daemon.resolving.asking import parties_of
from tests.harness import IP, TCP, UDP, Host, Lab, only
from vswitch.daemon.resolving.asking import forwarding
from vswitch.daemon.resolving.listening import gateways
from vswitch.daemon.resolving.listening.gateways import Gateways
from vswitch.daemon.resolving.listening.listeners import Resolver
from vswitch.daemon.resolving.listening.owntcp import OwnTcp
from vswitch.dataplane.responders.dns.outside.searching import Found
from vswitch.dataplane.responders.dns.party import Inquiry
from vswitch.naming import NameSettings, Server
from vswitch.network.inventory import Inventory
from vswitch.network.model import EndpointRequest, Network
from vswitch.units import Nanoseconds
from vswitch.wire.offload import HEADER_LENGTH
from vswitch.wire.values import IpAddress, IpNetwork

if TYPE_CHECKING:
    from vswitch.daemon.runtime import Runtime

FRONT = Network("front", IpNetwork.parse("10.0.0.0/16"), IpAddress.parse("10.0.0.1"))
BACK = Network("back", IpNetwork.parse("10.1.0.0/16"), IpAddress.parse("10.1.0.1"))
PATIENCE = 10.0

Story = Callable[["Scene"], Awaitable[None]]


class Clock:
    """What a runtime is asked for here."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def now(self) -> Nanoseconds:
        return self._lab.now

    def rearm(self) -> None:
        """There is no timer."""


class Scene:
    """A lab whose endpoints `a` and `b` on front have names, and a server outside that knows
    `far.example` when it is let."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lab = Lab().meet_everyone()
        self.inventory = Inventory((FRONT, BACK), (), Random(1))
        for name in ("a", "b"):
            self.inventory.add_endpoint(EndpointRequest(name, "front"))
        self.inventory.add_endpoint(EndpointRequest("c", "back"))
        self.parties = parties_of(self.inventory, Server(IpAddress.parse("192.0.2.53")))
        for name in ("a", "b", "c"):
            self.parties.of(name, None)
        self.runtime = Clock(self.lab)
        self.resolver = Resolver(self.runtime.now, NameSettings())
        self.gateways = Gateways(
            self.lab.switch, cast("Runtime", self.runtime), self.resolver, self.parties
        )
        self.asked: list[Inquiry] = []
        self.may_answer = asyncio.Event()
        monkeypatch.setattr(forwarding.Forwarder, "ask", self._ask)
        for host in self.lab.hosts.values():
            self.lab.received(host)

    async def _ask(self, inquiry: Inquiry) -> Found | None:
        self.asked.append(inquiry)
        await self.may_answer.wait()
        name, _ = dns.name.from_wire(inquiry.name, 0)
        reply = dns.message.make_response(dns.message.make_query(name, "A"))
        reply.answer.append(dns.rrset.from_text(name, 60, "IN", "A", "203.0.113.80"))
        return Found(reply.to_wire(), Server(IpAddress.parse("203.0.113.53")))

    def query(self, host: Host, name: str, sport: int = 4000) -> Packet:
        gateway = self.lab.gateway_of(host)
        octets = dns.message.make_query(name, "A", id=7).to_wire()
        datagram = UDP(sport=sport, dport=53) / Raw(octets)
        return self.lab.routed(host, IP(src=host.ip, dst=gateway) / datagram)

    def ask(self, host: Host, name: str) -> None:
        self.lab.send(host, self.query(host, name))
        if self.lab.switch.news.is_any:
            self.gateways.take_news()

    def heard(self, host: Host) -> dns.message.Message:
        """The one answer that a host has got."""
        return dns.message.from_wire(bytes(only(self.lab.received(host))[UDP].payload))

    async def answered(self) -> None:
        """Let the server answer, and all that waits for it be told."""
        self.may_answer.set()
        async with asyncio.timeout(PATIENCE):
            while len(self.lab.switch.tables.queries):
                await asyncio.sleep(0)

    def trail(self, host: Host, name: str) -> str:
        frame = bytearray(HEADER_LENGTH) + bytes(self.query(host, name))
        return str(self.lab.switch.trace(host.port, frame, self.lab.now).trail[-1])


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Callable[[Story], None]:
    async def run(story: Story) -> None:
        scene = Scene(monkeypatch)
        async with asyncio.timeout(PATIENCE):
            await story(scene)
        await scene.gateways.close()

    return lambda story: asyncio.run(run(story))


def addresses(message: dns.message.Message) -> list[str]:
    assert message.id == 7
    return [str(item) for rrset in message.answer for item in rrset]


def test_names_are_answered_in_the_walk_and_again_from_what_is_kept(
    play: Callable[[Story], None],
) -> None:
    async def story(scene: Scene) -> None:
        for _ in range(2):
            scene.ask(scene.lab.a, "b.front")
            assert addresses(scene.heard(scene.lab.a)) == ["10.0.0.3"]
        scene.inventory.remove_endpoint("b")
        scene.ask(scene.lab.a, "b.front")
        assert scene.lab.received(scene.lab.a) == []
        assert len(scene.lab.switch.tables.queries) == 1

    play(story)


def test_what_servers_know_is_told_when_they_have_said_it(play: Callable[[Story], None]) -> None:
    async def story(scene: Scene) -> None:
        scene.ask(scene.lab.a, "far.example")
        assert scene.lab.received(scene.lab.a) == []
        await scene.answered()
        assert addresses(scene.heard(scene.lab.a)) == ["203.0.113.80"]
        assert [inquiry.name for inquiry in scene.asked] == [b"\3far\7example\0"]
        assert [str(each) for each in scene.asked[0].route.servers] == ["192.0.2.53"]

    play(story)


def test_who_has_gone_meanwhile_is_told_nothing(play: Callable[[Story], None]) -> None:
    async def story(scene: Scene) -> None:
        a = scene.lab.a
        scene.ask(a, "far.example")
        scene.lab.detach(a)
        scene.inventory.remove_endpoint("a")
        await scene.answered()
        assert scene.lab.received(a) == []

    play(story)


def test_station_that_is_no_endpoint_may_ask_too(play: Callable[[Story], None]) -> None:
    async def story(scene: Scene) -> None:
        stranger = scene.lab.add_host("stranger", "front", "10.0.0.77")
        scene.ask(stranger, "b")
        assert addresses(scene.heard(stranger)) == ["10.0.0.3"]

    play(story)


def test_each_network_is_asked_for_its_own_names(play: Callable[[Story], None]) -> None:
    async def story(scene: Scene) -> None:
        scene.ask(scene.lab.c, "c")
        assert addresses(scene.heard(scene.lab.c)) == ["10.1.0.2"]
        scene.ask(scene.lab.c, "b")
        assert scene.lab.received(scene.lab.c) == []

    play(story)


def test_trace_tells_who_would_answer_and_asks_nobody(play: Callable[[Story], None]) -> None:
    async def story(scene: Scene) -> None:
        words = "a query for B.front A, answered from names"
        assert scene.trail(scene.lab.a, "B.front") == words
        words = "a query for far.example A, asked of servers"
        assert scene.trail(scene.lab.a, "far.example") == words
        assert not scene.lab.switch.news.is_any
        assert scene.asked == []

    play(story)


def test_answering_of_who_has_gone_is_not_kept_for_ever(play: Callable[[Story], None]) -> None:
    async def story(scene: Scene) -> None:
        for number in range(20):
            name = f"guest{number}"
            request = EndpointRequest(name, "front", address=IpAddress.parse("10.0.0.77"))
            scene.inventory.add_endpoint(request)
            scene.parties.of(name, None)
            host = scene.lab.add_host(name, "front", "10.0.0.77")
            scene.ask(host, "b")
            assert addresses(scene.heard(host)) == ["10.0.0.3"]
            scene.lab.detach(host)
            scene.inventory.remove_endpoint(name)
        assert len(scene.gateways._answering) <= 2

    play(story)


def test_who_could_not_listen_tries_again_after_a_while(
    play: Callable[[Story], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[str] = []

    def refuse() -> None:
        tries.append("refused")
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(OwnTcp, "make", refuse)
    monkeypatch.setattr(gateways, "AGAIN_SECONDS", 0.0)

    async def story(scene: Scene) -> None:
        a = scene.lab.a
        for number in (1, 2):
            syn = TCP(sport=4000 + number, dport=53, flags="S")
            scene.lab.send(a, scene.lab.routed(a, IP(src=a.ip, dst="10.0.0.1") / syn))
            scene.gateways.take_news()
            while len(tries) < number or scene.gateways._making is not None:
                await asyncio.sleep(0)

    play(story)
    assert tries == ["refused", "refused"]
