"""Answering the host: names of all networks, and nothing that could come around."""

from __future__ import annotations

import asyncio
import socket
import subprocess
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, suppress
from random import Random

import dns.asyncquery
import dns.flags
import dns.message
import dns.rcode
import pytest
import uvloop

from tests.daemon.resolving.asking import parties_of
from vswitch.daemon.messages.dns import Outcome
from vswitch.daemon.resolving.asking.routes import NOWHERE
from vswitch.daemon.resolving.listening.hostnames import HostNames, Place
from vswitch.daemon.resolving.listening.listeners import Resolver, ResolverError
from vswitch.dataplane.responders.dns.inside.names import Names
from vswitch.dataplane.responders.dns.party import Party
from vswitch.naming import NameSettings, Server
from vswitch.network.inventory import Inventory
from vswitch.network.model import EndpointRequest, Network
from vswitch.wire.values import IpAddress, IpNetwork

FRONT = Network("front", IpNetwork.parse("172.18.0.0/16"), IpAddress.parse("172.18.0.1"))
BACK = Network("back", IpNetwork.parse("172.19.0.0/16"), IpAddress.parse("172.19.0.1"))
LOOPBACK, OTHER_LOOPBACK = IpAddress.parse("127.0.0.1"), IpAddress.parse("127.0.0.2")
PATIENCE = 10.0

Story = Callable[["Listening"], Awaitable[None]]


class Listening:
    """A switch's side, with `web` on front and back and `vault` on back, and its client."""

    def __init__(self, server: Server) -> None:
        self.inventory = Inventory((FRONT, BACK), (), Random(1))
        self.inventory.add_endpoint(EndpointRequest("web", "front"))
        self.inventory.add_endpoint(EndpointRequest("vault", "back"))
        self.resolver = Resolver(lambda: 0, NameSettings())
        parties = parties_of(self.inventory, server)
        self.names = HostNames(self.resolver, parties, self.inventory)

    async def ask(
        self, place: Place, name: str, kind: str = "A", *, by_stream: bool = False
    ) -> dns.message.Message:
        query, (address, port) = dns.message.make_query(name, kind), place
        ask = dns.asyncquery.tcp if by_stream else dns.asyncquery.udp
        return await ask(query, str(address), timeout=PATIENCE, port=port)


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def play(request: pytest.FixtureRequest) -> Callable[[Story], None]:
    """Tell a story whose servers outside must never be asked."""

    async def run(story: Story) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outside:
            outside.bind(("127.0.0.1", 0))
            outside.setblocking(False)
            listening = Listening(Server(LOOPBACK, outside.getsockname()[1]))
            try:
                async with asyncio.timeout(PATIENCE):
                    await story(listening)
            finally:
                await listening.names.close()
            with pytest.raises(BlockingIOError):
                outside.recv(512)

    def play(story: Story) -> None:
        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(run(story))

    return play


@pytest.fixture
def place() -> Place:
    """A port of the loopback's that is free."""
    return LOOPBACK, free_port()


def free_port() -> int:
    while True:
        with ExitStack() as undo:
            by_stream = undo.enter_context(socket.create_server(("127.0.0.1", 0)))
            port: int = by_stream.getsockname()[1]
            with suppress(OSError):
                by_datagram = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                undo.enter_context(by_datagram).bind(("127.0.0.1", port))
                return port


def addresses(message: dns.message.Message) -> list[str]:
    return [str(item) for rrset in message.answer for item in rrset]


@pytest.mark.parametrize("by_stream", [False, True], ids=["udp", "tcp"])
def test_names_of_all_networks_are_known(
    play: Callable[[Story], None], place: Place, by_stream: bool
) -> None:
    async def story(listening: Listening) -> None:
        await listening.names.follow(place)
        for name in ("web", "web.front", "VAULT.back"):
            assert addresses(await listening.ask(place, name, by_stream=by_stream))
        backwards = await listening.ask(place, "2.0.18.172.in-addr.arpa", "PTR")
        assert addresses(backwards) == ["web.front."]

    play(story)


@pytest.mark.parametrize(
    ("name", "code", "outcome"),
    [
        ("debian.org", dns.rcode.REFUSED, Outcome.NOT_OURS),
        ("web.nowhere", dns.rcode.REFUSED, Outcome.NOT_OURS),
        ("9.9.9.9.in-addr.arpa", dns.rcode.REFUSED, Outcome.NOT_OURS),
        ("nobody.front", dns.rcode.NXDOMAIN, Outcome.NAMES),
        ("vault.front", dns.rcode.NXDOMAIN, Outcome.NAMES),
        ("web.FRONT.", dns.rcode.NOERROR, Outcome.NAMES),
        ("front", dns.rcode.NOERROR, Outcome.NAMES),
        ("9.9.18.172.in-addr.arpa", dns.rcode.NXDOMAIN, Outcome.NAMES),
        ("18.172.in-addr.arpa", dns.rcode.NOERROR, Outcome.NAMES),
    ],
)
def test_what_is_nobodys_is_refused_and_below_a_network_it_does_not_exist(
    play: Callable[[Story], None],
    place: Place,
    name: str,
    code: dns.rcode.Rcode,
    outcome: Outcome,
) -> None:
    async def story(listening: Listening) -> None:
        await listening.names.follow(place)
        for by_stream in (False, True):
            reply = await listening.ask(place, name, by_stream=by_stream)
            assert reply.rcode() == code
            assert reply.question
        assert listening.resolver.queries.outcomes == {outcome: 2}

    play(story)


def test_host_is_not_told_that_others_have_nobody_to_ask(
    play: Callable[[Story], None], place: Place
) -> None:
    async def story(listening: Listening) -> None:
        await listening.names.follow(place)
        told: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        alone = Party("alone", lambda: Names(()), lambda _: NOWHERE)
        query = dns.message.make_query("debian.org", "A").to_wire()
        listening.resolver.answering(alone).answer(query, told.set_result)
        assert dns.message.from_wire(await told).rcode() == dns.rcode.SERVFAIL
        assert (await listening.ask(place, "debian.org")).rcode() == dns.rcode.REFUSED

    play(story)


def test_who_comes_is_known_at_once(play: Callable[[Story], None], place: Place) -> None:
    async def story(listening: Listening) -> None:
        await listening.names.follow(place)
        assert (await listening.ask(place, "app.front")).rcode() == dns.rcode.NXDOMAIN
        listening.inventory.add_endpoint(EndpointRequest("app", "front"))
        assert addresses(await listening.ask(place, "app.front")) == ["172.18.0.3"]

    play(story)


def test_place_is_followed(play: Callable[[Story], None], place: Place) -> None:
    async def story(listening: Listening) -> None:
        other = (OTHER_LOOPBACK, place[1])
        await listening.names.follow(place)
        await listening.names.follow(other)
        assert addresses(await listening.ask(other, "web"))
        assert is_free(place)
        await listening.names.follow(None)
        assert is_free(other)

    play(story)


def test_port_that_is_taken_is_refused_in_a_line_and_nothing_has_changed(
    play: Callable[[Story], None], place: Place
) -> None:
    async def story(listening: Listening) -> None:
        await listening.names.follow(place)
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            with socket.socket(socket.AF_INET, kind) as taken:
                taken.bind((str(OTHER_LOOPBACK), 0))
                port = taken.getsockname()[1]
                words = f"cannot listen at 127.0.0.2:{port} for the host's queries: Address already"
                if kind == socket.SOCK_STREAM:
                    taken.listen()
                with pytest.raises(ResolverError, match=words):
                    await listening.names.follow((OTHER_LOOPBACK, port))
        assert addresses(await listening.ask(place, "web"))

    play(story)


def is_free(place: Place) -> bool:
    address, port = place
    with ExitStack() as undo:
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            probe = undo.enter_context(socket.socket(socket.AF_INET, kind))
            probe.setsockopt(
                socket.SOL_SOCKET, socket.SO_REUSEADDR, int(kind == socket.SOCK_STREAM)
            )
            try:
                probe.bind((str(address), port))
            except OSError:
                return False
    return True


@pytest.mark.parametrize("transport", ["+notcp", "+tcp"])
def test_dig_is_content_with_what_it_is_told(
    play: Callable[[Story], None], place: Place, transport: str
) -> None:
    async def dig(*question: str) -> str:
        where = (f"@{place[0]}", "-p", str(place[1]), transport, "+tries=1", "+time=5")
        asking = await asyncio.create_subprocess_exec(
            "dig", *where, *question, stdout=subprocess.PIPE
        )
        said, _ = await asking.communicate()
        return said.decode()

    async def story(listening: Listening) -> None:
        await listening.names.follow(place)
        assert await dig("+short", "web.front") == "172.18.0.2\n"
        assert await dig("+short", "-x", "172.18.0.2") == "web.front.\n"
        for name, status in (("debian.org", "REFUSED"), ("nobody.front", "NXDOMAIN")):
            said = await dig(name)
            assert f"status: {status}" in said
            assert ";; WARNING" not in said

    play(story)
