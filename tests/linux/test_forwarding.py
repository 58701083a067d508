"""Asking servers outside over real sockets: what the kernel and TLS have a say in."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import dns.flags
import dns.message
import dns.name
import pytest

from tests.linux.nameservers import (
    CERTIFICATES,
    LOOPBACK,
    PATIENCE,
    Run,
    addresses,
    conversing,
    is_silent,
    knows,
    runner,
    serving,
    sockets_open,
)
from vswitch.daemon.kernel.netns import Namespace
from vswitch.daemon.resolving.asking.by_datagram import MOST_SOCKETS
from vswitch.daemon.resolving.asking.forwarding import IN_FLIGHT, Forwarder
from vswitch.dataplane.responders.dns.outside.searching import Found
from vswitch.dataplane.responders.dns.party import Inquiry, Route
from vswitch.naming import Server

if TYPE_CHECKING:
    from collections.abc import Hashable

    from tests.linux.conftest import Namespaces

pytestmark = pytest.mark.linux

KNOWN = ["203.0.113.7"]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    return runner(request.param)


def inquiry(name: str, *servers: Server, origin: Hashable = None) -> Inquiry:
    wire = dns.name.from_text(name).to_wire()
    assert wire is not None
    return Inquiry(wire, 1, 1, False, False, Route(servers, origin=origin))


def answer(found: Found | None) -> list[str]:
    """The addresses in an answer, none where no server could say."""
    return [] if found is None else addresses(dns.message.from_wire(found.reply))


def test_each_query_goes_out_with_an_identifier_and_a_port_of_its_own(run: Run) -> None:
    async def main() -> None:
        with serving(knows) as server:
            forwarder = Forwarder(PATIENCE)
            for number in range(8):
                assert answer(await forwarder.ask(inquiry(f"{number}.", server.upstream))) == KNOWN
            assert len({query.id for query, _ in server.heard}) > 6
            assert len({port for _, port in server.heard}) > 6
            await forwarder.close()

    run(main)


def test_server_that_is_not_there_is_reported_by_the_kernel(run: Run) -> None:
    async def main() -> None:
        with serving(knows) as able, serving(is_silent) as gone:
            gone.close()
            forwarder = Forwarder(PATIENCE)
            found = await forwarder.ask(inquiry("example.org.", gone.upstream, able.upstream))
            assert answer(found) == KNOWN
            states = {each.place.server: each for each in forwarder.servers()}
            assert states[gone.upstream].is_down
            assert states[gone.upstream].trouble == "Connection refused"
            await forwarder.close()

    run(main)


def test_reply_from_another_address_is_ignored(run: Run) -> None:
    async def main() -> None:
        with socket.socket(type=socket.SOCK_DGRAM) as forger:

            def overtaken(query: dns.message.Message) -> list[dns.message.Message]:
                (forged,) = knows(query)
                forged.answer = [dns.rrset.from_text("example.org.", 60, "IN", "A", "192.0.2.66")]
                forger.sendto(forged.to_wire(), (str(LOOPBACK), server.heard[-1][1]))
                return knows(query)

            with serving(overtaken) as server:
                forger.bind(("127.0.0.2", server.upstream.port))
                forwarder = Forwarder(PATIENCE)
                found = await forwarder.ask(inquiry("example.org.", server.upstream))
                assert answer(found) == KNOWN
                await forwarder.close()

    run(main)


def test_answer_that_is_cut_short_is_asked_for_by_tcp(run: Run) -> None:
    def cuts(query: dns.message.Message) -> list[dns.message.Message]:
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.TC
        return [reply]

    async def main() -> None:
        with serving(cuts) as server, conversing(server, replies=1):
            forwarder = Forwarder(PATIENCE)
            assert answer(await forwarder.ask(inquiry("example.org.", server.upstream))) == KNOWN
            await forwarder.close()

    run(main)


@pytest.fixture
def trusting(monkeypatch: pytest.MonkeyPatch) -> None:
    """The host trusts who has signed the certificate of the tests' server."""
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATES / "server" / "ca.pem"))


@pytest.mark.usefixtures("trusting")
def test_many_queries_are_under_way_in_one_connection_of_tls(run: Run) -> None:
    async def main() -> None:
        with serving(is_silent) as server, conversing(server, 4, secured=True) as streams:
            private = server.upstream._replace(authenticated=str(LOOPBACK))
            forwarder = Forwarder(PATIENCE)
            for names in (("a.", "b."), ("c.", "d.")):
                asked = [forwarder.ask(inquiry(name, private)) for name in names]
                assert [answer(each) for each in await asyncio.gather(*asked)] == [KNOWN, KNOWN]
            assert [len(each) for each in streams.heard] == [4]
            assert server.heard == []
            await forwarder.close()

    run(main)


@pytest.mark.usefixtures("trusting")
def test_connection_that_the_server_closes_is_made_anew(run: Run) -> None:
    async def main() -> None:
        with serving(is_silent) as server, conversing(server, 1, secured=True) as streams:
            private = server.upstream._replace(authenticated=str(LOOPBACK))
            forwarder = Forwarder(PATIENCE)
            for name in ("a.", "b.", "c."):
                assert answer(await forwarder.ask(inquiry(name, private))) == KNOWN
            assert [len(each) for each in streams.heard] == [1, 1, 1]
            await forwarder.close()

    run(main)


@pytest.mark.parametrize("trusted", [True, False])
def test_server_that_can_not_prove_its_name_is_told_nothing(
    trusted: bool, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATES / "server" / "ca.pem"))
    name = "dns.example" if trusted else str(LOOPBACK)

    async def main() -> None:
        with serving(knows) as server, conversing(server, 1, secured=True) as streams:
            forwarder = Forwarder(PATIENCE)
            private = server.upstream._replace(authenticated=name)
            assert await forwarder.ask(inquiry("example.org.", private)) is None
            (state,) = forwarder.servers()
            assert state.trouble is not None
            assert state.trouble.startswith("its certificate is not good: ")
            assert [len(each) for each in streams.heard] == []
            assert server.heard == []
            await forwarder.close()

    run(main)


def test_server_of_a_namespace_is_asked_from_there_and_that_is_left(
    run: Run, namespaces: Namespaces
) -> None:
    inside = Namespace.named(namespaces.create())

    async def main() -> None:
        with serving(knows, inside) as server:
            before = sockets_open()
            forwarder = Forwarder(PATIENCE)
            for number in range(5):
                asked = inquiry(f"{number}.", server.upstream, origin=inside)
                assert answer(await forwarder.ask(asked)) == KNOWN
            assert len({port for _, port in server.heard}) > 3
            waits = forwarder.ask(inquiry("here.", server.upstream))
            assert await waits is None, "there is no such server outside"
            forwarder.leave(inside)
            assert sockets_open() == before
            await forwarder.close()

    run(main)


def test_ten_thousand_wait_for_a_dead_server_and_another_one_is_asked(run: Run) -> None:
    async def main() -> None:
        with serving(knows) as able, socket.socket(type=socket.SOCK_DGRAM) as dead:
            dead.bind((str(LOOPBACK), 0))
            silent = Server(LOOPBACK, dead.getsockname()[1])
            before = sockets_open()
            forwarder = Forwarder(6 * PATIENCE)
            waiting = [forwarder.ask(inquiry(f"{each}.", silent)) for each in range(IN_FLIGHT)]
            assert sockets_open() - before <= MOST_SOCKETS
            assert answer(await forwarder.ask(inquiry("example.org.", able.upstream))) == KNOWN
            assert not any(each.done() for each in waiting)
            await forwarder.close()
            assert sockets_open() == before

    run(main)
