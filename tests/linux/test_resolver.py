"""The resolver at 127.0.0.11 of a real namespace, asked from inside, with servers outside."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import pytest

from tests.linux.nameservers import (
    PATIENCE,
    Run,
    addresses,
    fails,
    is_silent,
    knows,
    runner,
    serving,
    sockets_open,
)
from vswitch.daemon.kernel import netns
from vswitch.daemon.kernel.journal import Journal
from vswitch.daemon.kernel.netns import Namespace
from vswitch.daemon.resolving.listening.conversations import Conversations
from vswitch.daemon.resolving.listening.listeners import Resolver, ResolverError
from vswitch.dataplane.responders.dns.inside.names import Host, Names
from vswitch.dataplane.responders.dns.party import Party, Route
from vswitch.naming import NameSettings, Server
from vswitch.wire.values import IpAddress

if TYPE_CHECKING:
    from tests.linux.conftest import Namespaces

pytestmark = pytest.mark.linux

WEB = Names([Host(("web",), "front", (IpAddress.parse("172.18.0.2"),))])


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    return runner(request.param)


@pytest.fixture
def inside(namespaces: Namespaces) -> Namespace:
    return Namespace.named(namespaces.create())


def party(names: Callable[[], Names], *servers: Server) -> Party:
    """Who asks, and whom it asks outside."""
    return Party("app", names, lambda _: Route(servers))


async def ask(
    inside: Namespace, name: str, identifier: int | None = None, *, by_stream: bool = False
) -> dns.message.Message:
    """Ask as a program in the namespace does. dnspython checks identifier, question and source."""
    query = dns.message.make_query(name, "A", id=identifier)

    def in_there() -> dns.message.Message:
        way = dns.query.tcp if by_stream else dns.query.udp
        return way(query, "127.0.0.11", timeout=PATIENCE)

    return await asyncio.to_thread(netns.run, in_there, inside)


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
        assert sorted(addresses(whole)) == sorted(map(str, crowd))
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
            (name,) = {query.question[0].name for query, _ in server.heard}
            assert name == dns.name.from_text("example.org.")
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


def test_client_is_told_when_no_server_can_say(run: Run, inside: Namespace) -> None:
    async def main() -> None:
        with serving(fails) as server:
            resolver = Resolver(time.monotonic_ns, NameSettings())
            await resolver.attach(inside, party(lambda: WEB, server.upstream))
            assert (await ask(inside, "example.org")).rcode() == dns.rcode.SERVFAIL
            assert len(server.heard) == 1
            await resolver.close()

    run(main)


def test_names_of_ours_are_answered_while_others_wait_for_a_dead_server(
    run: Run, inside: Namespace
) -> None:
    many = 100

    async def main() -> None:
        with serving(is_silent) as server:
            before = sockets_open()
            resolver = Resolver(time.monotonic_ns, NameSettings(), patience=PATIENCE)
            await resolver.attach(inside, party(lambda: WEB, server.upstream))
            await asyncio.to_thread(netns.run, partial(flood, many), inside)
            async with asyncio.timeout(PATIENCE):
                while len({query.question[0].name for query, _ in server.heard}) < many:
                    await asyncio.sleep(0.01)
            assert addresses(await ask(inside, "web")) == ["172.18.0.2"]
            await resolver.detach(inside)
            assert sockets_open() == before
            await resolver.close()

    def flood(number: int) -> None:
        with socket.socket(type=socket.SOCK_DGRAM) as asking:
            for each in range(number):
                query = dns.message.make_query(f"{each}.example.org", "A")
                asking.sendto(query.to_wire(), ("127.0.0.11", 53))

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
