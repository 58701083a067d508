"""Queries by TCP: one or many of a client, slow clients, silent ones, and too many."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, cast

import pytest
import uvloop

from vswitch.daemon.resolving.listening import conversations
from vswitch.daemon.resolving.listening.conversations import (
    MOST_CLIENTS,
    MOST_UNREAD,
    Conversations,
    Ends,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from vswitch.daemon.resolving.answering import Answering

PATIENCE = 10.0

Place = tuple[str, int]
Story = Callable[[Place], Awaitable[None]]


class Echo:
    """Answers each query with itself; `later` is answered when there is another one, and `much` is
    so with much."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Callable[[bytes], None], bytes]] = []

    def answer(self, query: bytes, reply: Callable[[bytes], None], *, by_stream: bool) -> None:
        assert by_stream
        if query in (b"later", b"much"):
            self.waiting.append((reply, b"at last" if query == b"later" else b"x" * 65_535))
            return
        if query == b"nothing":
            return
        reply(query)
        for each, answer in self.waiting:
            each(answer)
        self.waiting.clear()


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def play(request: pytest.FixtureRequest) -> Callable[[Story], None]:
    async def run(story: Story) -> None:
        listening = socket.create_server(("127.0.0.1", 0))
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        hearing = Conversations(lambda _: cast("Answering", echo))
        echo = Echo()
        await hearing.begin(listening)
        async with asyncio.timeout(PATIENCE):
            await story(listening.getsockname())
            await hearing.close()

    def play(story: Story) -> None:
        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(cast("Coroutine[None, None, None]", run(story)))

    return play


@asynccontextmanager
async def client(
    place: Place,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(*place)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


def silent_reader(place: Place) -> socket.socket:
    """A client for which the kernel takes little before it reads."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    client.connect(place)
    client.setblocking(False)
    return client


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


def framed(*messages: bytes) -> bytes:
    return b"".join(len(each).to_bytes(2, "big") + each for each in messages)


def test_queries_of_one_connection_are_answered_as_they_can_be(
    play: Callable[[Story], None],
) -> None:
    async def story(place: Place) -> None:
        async with client(place) as (reader, writer):
            writer.write(framed(b"later", b"one"))
            expected = framed(b"one", b"at last")
            assert await reader.readexactly(len(expected)) == expected
            writer.write(framed(b"x" * 65_535))
            assert await reader.readexactly(65_537) == framed(b"x" * 65_535)

    play(story)


def test_who_asks_no_more_is_answered_and_left(play: Callable[[Story], None]) -> None:
    async def story(place: Place) -> None:
        async with client(place) as (reader, writer), client(place) as (_, other):
            writer.write(framed(b"later"))
            writer.write_eof()
            await asyncio.sleep(0.05)
            other.write(framed(b"one"))
            assert await reader.read() == framed(b"at last")

    play(story)


@pytest.mark.parametrize("said", [b"", b"\0", framed(b"query")[:-1], framed(b"nothing")])
def test_who_says_no_whole_query_for_a_while_is_left(
    play: Callable[[Story], None], monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    monkeypatch.setattr(conversations, "IDLE_SECONDS", 0.1)

    async def story(place: Place) -> None:
        async with client(place) as (reader, writer):
            writer.write(said)
            assert await reader.read() == b""

    play(story)


@pytest.mark.parametrize("ends", [True, False], ids=["asks no more", "says nothing"])
def test_who_does_not_read_is_left_with_what_it_was_told(
    play: Callable[[Story], None], monkeypatch: pytest.MonkeyPatch, ends: bool
) -> None:
    monkeypatch.setattr(conversations, "IDLE_SECONDS", 0.2)

    async def story(place: Place) -> None:
        with silent_reader(place) as client:
            before = descriptors()
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(client, framed(*(b"x" * 16_384 for _ in range(4))))
            if ends:
                client.shutdown(socket.SHUT_WR)
            await until(lambda: descriptors() == before + 1)
            await until(lambda: descriptors() == before)

    play(story)


def test_who_reads_nothing_of_much_is_left_at_once(play: Callable[[Story], None]) -> None:
    async def story(place: Place) -> None:
        with silent_reader(place) as client:
            loop, read = asyncio.get_running_loop(), 0
            await loop.sock_sendall(client, framed(*[b"much"] * 64, b"x"))
            with suppress(ConnectionError):
                while octets := await loop.sock_recv(client, 65_536):
                    read += len(octets)
            assert 0 < read < MOST_UNREAD

    play(story)


def test_who_comes_at_the_end_is_left() -> None:
    """However far it has come: between its connection and its first query are some turns."""

    async def story() -> None:
        for turns in range(6):
            listening = socket.create_server(("127.0.0.1", 0))
            hearing = Conversations(lambda _: cast("Answering", Echo()))
            await hearing.begin(listening)
            with socket.create_connection(listening.getsockname()) as client:
                for _ in range(turns):
                    await asyncio.sleep(0)
                await hearing.close()
                client.setblocking(False)
                with suppress(ConnectionError):
                    assert await asyncio.get_running_loop().sock_recv(client, 1) == b""

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(asyncio.wait_for(story(), PATIENCE))


def test_one_client_too_many_is_left_and_those_before_are_heard(
    play: Callable[[Story], None],
) -> None:
    async def story(place: Place) -> None:
        async with client(place) as (first, ask):
            others = [await asyncio.open_connection(*place) for _ in range(MOST_CLIENTS)]
            ask.write(framed(b"one"))
            assert await first.readexactly(5) == framed(b"one")
            last, _ = others[-1]
            with suppress(ConnectionError):
                assert await last.read() == b""
            for _, writer in others:
                writer.transport.abort()

    play(story)


def test_who_is_heard_is_left_at_the_end(play: Callable[[Story], None]) -> None:
    async def story(place: Place) -> None:
        _, writer = await asyncio.open_connection(*place)
        writer.write(framed(b"later"))
        await asyncio.sleep(0.05)

    play(story)


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_of_one_address_so_many_are_heard_and_another_one_still(
    loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def story() -> None:
        asked: list[Ends] = []

        def who(ends: Ends) -> Answering:
            asked.append(ends)
            return cast("Answering", Echo())

        listening = socket.create_server(("127.0.0.1", 0))
        place = listening.getsockname()
        hearing = Conversations(who, most_of_one=2)
        await hearing.begin(listening)
        others = [await asyncio.open_connection(*place) for _ in range(2)]
        for reader, writer in others:
            writer.write(framed(b"one"))
            assert await reader.readexactly(5) == framed(b"one")
        third, _ = await asyncio.open_connection(*place)
        with suppress(ConnectionError):
            assert await third.read() == b""
        other, writer = await asyncio.open_connection(*place, local_addr=("127.0.0.2", 0))
        writer.write(framed(b"two"))
        assert await other.readexactly(5) == framed(b"two")
        assert asked == [Ends("127.0.0.1", "127.0.0.1")] * 2 + [Ends("127.0.0.1", "127.0.0.2")]
        await hearing.close()

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(asyncio.wait_for(story(), PATIENCE))


def test_who_listens_anew_listens_there_no_more_where_it_did(play: Callable[[Story], None]) -> None:
    async def story(_: Place) -> None:
        hearing = Conversations(lambda _: cast("Answering", Echo()))
        first, second = (socket.create_server(("127.0.0.1", 0)) for _ in range(2))
        places = first.getsockname(), second.getsockname()
        await hearing.begin(first)
        await hearing.begin(second)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*places[0])
        _, writer = await asyncio.open_connection(*places[1])
        writer.close()
        await hearing.close()

    play(story)
