"""The resolver at 127.0.0.11 of a real namespace, asked from inside, with servers outside."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rrset
import pytest
import uvloop

from vswitch.daemon.kernel import netns
from vswitch.daemon.kernel.journal import Journal
from vswitch.daemon.kernel.netns import Namespace
from vswitch.daemon.resolving.answering import IN_FLIGHT
from vswitch.daemon.resolving.conversations import Conversations
from vswitch.daemon.resolving.listeners import Resolver, ResolverError
from vswitch.dataplane.responders.dns.names import Host, Names
from vswitch.dataplane.responders.dns.party import Party, Route
from vswitch.naming import NameSettings, Server
from vswitch.wire.values import IpAddress

if TYPE_CHECKING:
    from tests.linux.conftest import Namespaces

pytestmark = pytest.mark.linux

WEB = Names([Host(("web",), "front", (IpAddress.parse("172.18.0.2"),))])
LOOPBACK = IpAddress.parse("127.0.0.1")
PATIENCE = 10.0
"""Seconds after which an answer counts as missing."""

Behaviour: TypeAlias = Callable[[dns.message.Message], list[dns.message.Message]]
Run: TypeAlias = Callable[[Callable[[], Awaitable[None]]], None]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a test's coroutine to its end on each of the event loops."""

    def run(main: Callable[[], Awaitable[None]]) -> None:
        async def awaited() -> None:
            await main()

        factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(awaited())

    return run


@pytest.fixture
def inside(namespaces: Namespaces) -> Namespace:
    return Namespace.named(namespaces.create())


def party(names: Callable[[], Names], *servers: Server) -> Party:
    """Who asks, and whom it asks outside."""
    return Party("app", names, lambda _: Route(servers))


class Serving:
    """A DNS server on the daemon's side; `heard` is what came, and from which port."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.heard: list[tuple[dns.message.Message, int]] = []
        self._behaviour = behaviour
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((str(LOOPBACK), 0))
        self.upstream = Server(LOOPBACK, self._socket.getsockname()[1])
        self._stream = socket.create_server((str(LOOPBACK), self.upstream.port))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stopper:
            stopper.sendto(b"", (str(LOOPBACK), self.upstream.port))
        self._thread.join(PATIENCE)
        self._socket.close()
        self._stream.close()

    def serve_one_stream(self, reply: Callable[[dns.message.Message], dns.message.Message]) -> None:
        """Answer one query by TCP, in a thread."""

        def serve() -> None:
            connection, _ = self._stream.accept()
            with connection:
                query, _ = dns.query.receive_tcp(connection)
                dns.query.send_tcp(connection, reply(query))

        threading.Thread(target=serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            octets, client = self._socket.recvfrom(4096)
            if not octets:
                return
            query = dns.message.from_wire(octets)
            self.heard.append((query, client[1]))
            for reply in self._behaviour(query):
                self._socket.sendto(reply.to_wire(), client)


@contextmanager
def serving(behaviour: Behaviour) -> Iterator[Serving]:
    with closing(Serving(behaviour)) as server:
        yield server


def knows(query: dns.message.Message) -> list[dns.message.Message]:
    reply = dns.message.make_response(query)
    name = query.question[0].name
    reply.answer.append(dns.rrset.from_text(name, 60, "IN", "A", "203.0.113.7"))
    return [reply]


def fails(query: dns.message.Message) -> list[dns.message.Message]:
    reply = dns.message.make_response(query)
    reply.set_rcode(dns.rcode.SERVFAIL)
    return [reply]


def denies(query: dns.message.Message) -> list[dns.message.Message]:
    reply = dns.message.make_response(query)
    reply.set_rcode(dns.rcode.NXDOMAIN)
    return [reply]


def is_silent(query: dns.message.Message) -> list[dns.message.Message]:
    return []


async def ask(
    inside: Namespace, name: str, identifier: int | None = None, *, by_stream: bool = False
) -> dns.message.Message:
    """Ask as a program in the namespace does. dnspython checks identifier, question and source."""
    query = dns.message.make_query(name, "A", id=identifier)

    def in_there() -> dns.message.Message:
        way = dns.query.tcp if by_stream else dns.query.udp
        return way(query, "127.0.0.11", timeout=PATIENCE)

    return await asyncio.to_thread(netns.run, in_there, inside)


def addresses(reply: dns.message.Message) -> list[str]:
    return [record.to_text() for rrset in reply.answer for record in rrset]


def sockets_open() -> int:
    targets = []
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            targets.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        except FileNotFoundError:
            continue
    return sum(target.startswith("socket:") for target in targets)


def test_long_answer_is_cut_in_a_datagram_and_whole_by_tcp(run: Run, inside: Namespace) -> None:
    crowd = [IpAddress.parse(f"172.18.1.{number}") for number in range(1, 201)]
    pool = Names([Host(("pool",), "front", tuple(crowd))])

    async def main() -> None:
        resolver = Resolver(time.monotonic_ns, NameSettings())
        await resolver.attach(inside, party(lambda: pool))
        cut = await ask(inside, "pool")
        assert cut.flags & dns.flags.TC
        assert len(addresses(cut)) < len(crowd)
        whole = await ask(inside, "pool", by_stream=True)
        assert set(addresses(whole)) == {str(each) for each in crowd}
        await resolver.close()

    run(main)


def test_server_that_cuts_its_answer_is_asked_again_by_tcp(run: Run, inside: Namespace) -> None:
    def cuts(query: dns.message.Message) -> list[dns.message.Message]:
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.TC
        return [reply]

    async def main() -> None:
        with serving(cuts) as server:
            server.serve_one_stream(lambda query: knows(query)[0])
            resolver = Resolver(time.monotonic_ns, NameSettings())
            await resolver.attach(inside, party(lambda: WEB, server.upstream))
            whole = await ask(inside, "example.org")
            assert addresses(whole) == ["203.0.113.7"]
            await resolver.close()

    run(main)


def test_listening_that_fails_halfway_leaves_no_socket(
    run: Run, inside: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object) -> None:
        raise OSError("no more")

    monkeypatch.setattr(Conversations, "begin", refuse)

    async def main() -> None:
        resolver = Resolver(time.monotonic_ns, NameSettings())
        before = sockets_open()
        with pytest.raises(OSError, match="no more"):
            await resolver.attach(inside, party(lambda: WEB))
        assert sockets_open() == before
        await resolver.close()

    run(main)


def test_endpoint_is_answered_inside_from_the_names_of_the_moment(
    run: Run, inside: Namespace
) -> None:
    async def main() -> None:
        views = [WEB]
        resolver = Resolver(time.monotonic_ns, NameSettings())
        await resolver.attach(inside, party(lambda: views[0]))
        assert addresses(await ask(inside, "WEB")) == ["172.18.0.2"]
        views[0] = Names([Host(("web",), "front", (IpAddress.parse("172.18.0.9"),))])
        assert addresses(await ask(inside, "web")) == ["172.18.0.9"]
        await resolver.close()

    run(main)


def test_unknown_name_is_asked_outside(run: Run, inside: Namespace) -> None:
    async def main() -> None:
        with serving(knows) as server:
            resolver = Resolver(time.monotonic_ns, NameSettings())
            await resolver.attach(inside, party(lambda: WEB, server.upstream))
            assert addresses(await ask(inside, "example.org")) == ["203.0.113.7"]
            assert addresses(await ask(inside, "web")) == ["172.18.0.2"]
            assert [str(query.question[0].name) for query, _ in server.heard] == ["example.org."]
            await resolver.close()

    run(main)


def test_each_query_goes_out_with_a_fresh_identifier_and_port(run: Run, inside: Namespace) -> None:
    async def main() -> None:
        with serving(knows) as server:
            resolver = Resolver(time.monotonic_ns, NameSettings())
            await resolver.attach(inside, party(lambda: WEB, server.upstream))
            for number in range(8):
                await ask(inside, f"{number}.example.org", identifier=7)
            assert len({query.id for query, _ in server.heard}) > 1
            assert len({port for _, port in server.heard}) > 1
            await resolver.close()

    run(main)


@pytest.mark.parametrize("first", [fails, is_silent, None])
def test_next_server_is_asked_where_one_cannot_say(
    first: Behaviour | None, run: Run, inside: Namespace
) -> None:
    """None is a server that is not there: the kernel says so."""

    async def main() -> None:
        with serving(first or is_silent) as unable, serving(knows) as able:
            if first is None:
                unable.close()
            resolver = Resolver(time.monotonic_ns, NameSettings(), timeout=0.2)
            await resolver.attach(inside, party(lambda: WEB, unable.upstream, able.upstream))
            assert addresses(await ask(inside, "example.org")) == ["203.0.113.7"]
            await resolver.close()

    run(main)


def test_name_that_does_not_exist_is_a_final_answer(run: Run, inside: Namespace) -> None:
    async def main() -> None:
        with serving(denies) as first, serving(knows) as second:
            resolver = Resolver(time.monotonic_ns, NameSettings())
            await resolver.attach(inside, party(lambda: WEB, first.upstream, second.upstream))
            assert (await ask(inside, "example.org")).rcode() == dns.rcode.NXDOMAIN
            assert second.heard == []
            await resolver.close()

    run(main)


@pytest.mark.parametrize("servers", [0, 2])
def test_client_is_told_when_no_server_can_say(servers: int, run: Run, inside: Namespace) -> None:
    async def main() -> None:
        with serving(fails) as server:
            resolver = Resolver(time.monotonic_ns, NameSettings())
            await resolver.attach(inside, party(lambda: WEB, *[server.upstream] * servers))
            assert (await ask(inside, "example.org")).rcode() == dns.rcode.SERVFAIL
            assert len(server.heard) == servers
            await resolver.close()

    run(main)


def test_forged_replies_are_passed_over(run: Run, inside: Namespace) -> None:
    def forges(query: dns.message.Message) -> list[dns.message.Message]:
        (wrong_identifier,) = knows(query)
        wrong_identifier.id ^= 1
        wrong_identifier.answer = [dns.rrset.from_text("example.org.", 60, "IN", "A", "192.0.2.66")]
        wrong_question = dns.message.make_response(
            dns.message.make_query("example.com", "A", id=query.id)
        )
        return [wrong_identifier, wrong_question, *knows(query)]

    async def main() -> None:
        with serving(forges) as server:
            resolver = Resolver(time.monotonic_ns, NameSettings())
            await resolver.attach(inside, party(lambda: WEB, server.upstream))
            assert addresses(await ask(inside, "example.org")) == ["203.0.113.7"]
            await resolver.close()

    run(main)


def test_garbage_does_not_stop_the_answers(run: Run, inside: Namespace) -> None:
    def throw_garbage() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as thrower:
            for garbage in (b"", b"\0" * 11, b"\xff" * 600, b"\x12\x34\x01" + b"\xc0" * 40):
                thrower.sendto(garbage, ("127.0.0.11", 53))

    async def main() -> None:
        resolver = Resolver(time.monotonic_ns, NameSettings())
        await resolver.attach(inside, party(lambda: WEB))
        await asyncio.to_thread(netns.run, throw_garbage, inside)
        assert addresses(await ask(inside, "web")) == ["172.18.0.2"]
        await resolver.close()

    run(main)


def test_endpoint_that_asks_without_end_is_refused_and_let_go(run: Run, inside: Namespace) -> None:
    excess = 5

    def flood() -> list[int]:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.settimeout(PATIENCE)
            for number in range(IN_FLIGHT + excess):
                query = dns.message.make_query(f"{number}.example.org", "A")
                asking.sendto(query.to_wire(), ("127.0.0.11", 53))
            replies = [asking.recv(512) for _ in range(excess)]
        return [dns.message.from_wire(reply).rcode() for reply in replies]

    async def main() -> None:
        with serving(is_silent) as server:
            before = sockets_open()
            resolver = Resolver(time.monotonic_ns, NameSettings(), timeout=PATIENCE)
            await resolver.attach(inside, party(lambda: WEB, server.upstream))
            assert await asyncio.to_thread(netns.run, flood, inside) == [dns.rcode.REFUSED] * excess
            assert addresses(await ask(inside, "web")) == ["172.18.0.2"]
            await resolver.detach(inside)
            assert sockets_open() == before

    run(main)


def test_namespace_is_let_go_of_when_detached(run: Run, inside: Namespace) -> None:
    async def main() -> None:
        resolver = Resolver(time.monotonic_ns, NameSettings())
        before = sockets_open()
        await resolver.attach(inside, party(lambda: WEB))
        with pytest.raises(ResolverError) as refusal:
            await resolver.attach(inside, party(lambda: WEB))
        assert str(refusal.value) == (
            f"cannot listen at 127.0.0.11:53 in {inside}: Address already in use"
        )
        await resolver.detach(inside)
        await resolver.detach(inside)
        assert sockets_open() == before
        await resolver.attach(inside, party(lambda: WEB))
        await resolver.close()
        assert sockets_open() == before

    run(main)


def test_namespace_that_is_missing_is_the_reason_given(run: Run) -> None:
    async def main() -> None:
        with pytest.raises(ResolverError, match=r"^namespace missing does not exist$"):
            await Resolver(time.monotonic_ns, NameSettings()).attach(
                Namespace.named("missing"), party(lambda: WEB)
            )

    run(main)


def test_c_library_in_the_namespace_finds_the_endpoint(
    run: Run, inside: Namespace, namespaces: Namespaces, tmp_path: Path
) -> None:
    name = str(inside.name)

    async def main() -> None:
        resolver = Resolver(time.monotonic_ns, NameSettings())
        await resolver.attach(inside, party(lambda: WEB))
        found = await asyncio.to_thread(namespaces.run, name, "getent", "hosts", "web")
        assert found.stdout.split() == ["172.18.0.2", "web"]
        await resolver.close()

    with closing(Journal.open("lab", tmp_path)) as journal:
        found = Path("/etc/netns", name, "resolv.conf")
        journal.write_file(found, "nameserver 127.0.0.11\noptions ndots:0\n")
        try:
            run(main)
        finally:
            journal.sweep()
    assert not found.parent.exists()
