"""Servers that do strange things with the connections to them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from random import Random

import pytest
import uvloop

from tests.dataplane.responders.dns.outside import inquiry
from vswitch.daemon.resolving.asking import by_stream
from vswitch.daemon.resolving.asking.by_stream import ByStream
from vswitch.dataplane.responders.dns.outside.attempt import Attempt, Way, Why
from vswitch.dataplane.responders.dns.outside.searching import Search
from vswitch.dataplane.responders.dns.outside.servers import Health, Place
from vswitch.naming import Server
from vswitch.units import Nanoseconds
from vswitch.wire.values import IpAddress

PATIENCE = 10.0

Behaviour = Callable[[asyncio.StreamWriter], Awaitable[None]]


class Losing:
    """Whoever waits for an attempt, and is told that it is lost."""

    def __init__(self) -> None:
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def hear(self, attempt: Attempt, reply: bytes, now: Nanoseconds) -> bool:
        return False

    def lose(self, attempt: Attempt, why: str, now: Nanoseconds) -> None:
        self.lost.set_result(why)


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def lose(request: pytest.FixtureRequest) -> Callable[[Behaviour], tuple[str, int]]:
    """Why what is said to a server is lost that behaves so, and after how many connections."""

    async def main(behaviour: Behaviour) -> tuple[str, int]:
        made = 0

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal made
            made += 1
            await reader.readexactly(2)
            try:
                await behaviour(writer)
            finally:
                writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as serving:
            port = serving.sockets[0].getsockname()[1]
            health = Health(Place(Server(IpAddress.parse("127.0.0.1"), port)), lambda _: None)
            search, losing = Search(inquiry(), (health,), 0), Losing()
            carrier = ByStream(Random(1), time.monotonic_ns)
            attempt = Attempt(search, health, Way.STREAM, Why.TURN, 0, losing)
            attempt.octets = b"a query"
            async with asyncio.timeout(PATIENCE):
                carrier.send(attempt)
                why = await losing.lost
            await carrier.close()
            return why, made

    def lose(behaviour: Behaviour) -> tuple[str, int]:
        with asyncio.Runner(loop_factory=request.param) as runner:
            return runner.run(main(behaviour))

    return lose


def test_query_is_sent_once_more_where_a_connection_ends_that_has_worked(
    lose: Callable[[Behaviour], tuple[str, int]],
) -> None:
    async def says_something_else(writer: asyncio.StreamWriter) -> None:
        writer.write(b"\0\2??")

    why, connections = lose(says_something_else)
    assert why == "the connection was closed"
    assert connections <= 2


def test_server_that_says_an_octet_at_a_time_does_not_answer(
    lose: Callable[[Behaviour], tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(by_stream, "MUTE_SECONDS", 0.2)

    async def dribbles(writer: asyncio.StreamWriter) -> None:
        while not writer.is_closing():
            writer.write(b"\1")
            await asyncio.sleep(0.02)

    assert lose(dribbles) == ("it does not answer", 1)
