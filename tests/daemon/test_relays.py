"""What a client of the host gets of the service behind a published port."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from typing import cast

import pytest

from tests.daemon.hostside import (
    LOOPBACK,
    SERVICE,
    TCP,
    UDP,
    HostSide,
    ask,
    at,
    digest,
    free_port,
    play,
    service,
)
from vswitch.daemon.relays import refused, tcp, udp
from vswitch.translation import Terms
from vswitch.wire.values import IpAddress

heard: list[bytes] = []

MANY = 300


async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Ends its side at once, and listens on."""
    writer.write(b"greetings")
    writer.write_eof()
    heard.append(await reader.read())
    writer.close()


async def listen_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Says nothing before the client has ended."""
    heard.append(await reader.read())
    writer.close()


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


# TCP


def test_client_that_has_ended_its_side_still_gets_its_answer() -> None:
    async def story() -> None:
        port, data = free_port(TCP), b"question" * 100_000
        async with service(digest) as to:
            with HostSide().publishing(at(port, to)):
                assert await ask(port, data) == data[::-1]

    play(story)


def test_service_that_has_ended_its_side_still_hears_the_client() -> None:
    async def story() -> None:
        heard.clear()
        port = free_port(TCP)
        async with service(greet) as to:
            with HostSide().publishing(at(port, to)):
                reader, writer = await asyncio.open_connection(LOOPBACK, port)
                assert await reader.read() == b"greetings"
                writer.write(b"thanks")
                writer.close()
                while not heard:
                    await asyncio.sleep(0)
                assert heard == [b"thanks"]

    play(story)


def test_client_of_a_service_that_refuses_is_reset() -> None:
    async def story() -> None:
        port = free_port(TCP)
        publishing = HostSide().publishing(at(port, free_port(TCP)))
        with publishing, pytest.raises(ConnectionResetError):
            await ask(port, b"")

    play(story)


def test_client_of_an_endpoint_that_does_not_answer_is_reset(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tcp, "CONNECT_SECONDS", 0.05)

    async def story() -> None:
        port = free_port(TCP)
        with socket.socket() as deaf, socket.socket() as first:
            deaf.bind((SERVICE, 0))
            deaf.listen(0)
            first.connect(deaf.getsockname())
            publishing = HostSide().publishing(at(port, deaf.getsockname()[1]))
            with publishing, pytest.raises(ConnectionResetError):
                await ask(port, b"")

    play(story)


def test_client_that_breaks_off_breaks_the_service_off() -> None:
    async def story() -> None:
        broken = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"!")
            with pytest.raises(ConnectionResetError):
                await reader.read()
            writer.close()
            broken.set()

        port = free_port(TCP)
        async with service(serve) as to:
            with HostSide().publishing(at(port, to)):
                reader, writer = await asyncio.open_connection(LOOPBACK, port)
                assert await reader.read(1) == b"!"
                connection = writer.get_extra_info("socket")
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
                await broken.wait()

    play(story)


def test_service_that_is_slow_slows_the_client_down() -> None:
    """What neither side's kernel has room for is not taken from the client."""

    async def story() -> None:
        taking = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await taking.wait()
            writer.write(str(len(await reader.read())).encode())
            writer.close()

        port = free_port(TCP)
        async with service(serve) as to:
            with HostSide().publishing(at(port, to)), socket.socket() as client:
                client.connect((LOOPBACK, port))
                client.setblocking(False)
                sent = await fill(client)
                assert 0 < sent < MORE_THAN_THERE_IS_ROOM_FOR
                taking.set()
                client.shutdown(socket.SHUT_WR)
                answer = await asyncio.get_running_loop().sock_recv(client, 100)
                assert answer == str(sent).encode()

    play(story)


MORE_THAN_THERE_IS_ROOM_FOR = 256 * 1024 * 1024
"""Bytes: four kernel buffers have some megabytes each."""


async def fill(client: socket.socket) -> int:
    """Send until nobody takes any more; how many bytes that were."""
    sent, refused, chunk = 0, 0, bytes(1024 * 1024)
    while refused < 20 and sent < MORE_THAN_THERE_IS_ROOM_FOR:
        try:
            sent += client.send(chunk)
            refused = 0
        except BlockingIOError:
            refused += 1
            await asyncio.sleep(0.01)
    return sent


def test_many_clients_at_once_are_served_and_leave_nothing() -> None:
    async def story() -> None:
        heard.clear()
        port = free_port(TCP)
        async with service(listen_on) as to:
            with HostSide().publishing(at(port, to)):
                before = descriptors()
                clients = [await asyncio.open_connection(LOOPBACK, port) for _ in range(MANY)]
                for _, writer in clients:
                    writer.write(b"x")
                    writer.close()
                while len(heard) < MANY or descriptors() > before:
                    await asyncio.sleep(0.01)
                assert heard == [b"x"] * MANY

    play(story)


def test_who_finds_the_port_full_waits_until_somebody_leaves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tcp, "MOST_CLIENTS", 1)

    async def story() -> None:
        port = free_port(TCP)
        async with service(digest) as to:
            with HostSide().publishing(at(port, to)):
                _, first = await asyncio.open_connection(LOOPBACK, port)
                await asyncio.sleep(0.05)
                second = asyncio.create_task(ask(port, b"abc"))
                done, _ = await asyncio.wait([second], timeout=0.1)
                assert not done
                first.close()
                assert await second == b"cba"

    play(story)


def test_connection_in_silence_is_broken_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp, "IDLE_SECONDS", 0.05)

    async def story() -> None:
        port = free_port(TCP)
        async with service(digest) as to:
            with HostSide().publishing(at(port, to)):
                reader, writer = await asyncio.open_connection(LOOPBACK, port)
                with pytest.raises(ConnectionResetError):
                    await reader.read()
                writer.close()

    play(story)


def test_descriptors_that_run_out_are_waited_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tcp, "NO_DESCRIPTOR_SECONDS", 0.05)

    async def story() -> None:
        port = free_port(TCP)
        async with service(digest) as to:
            with HostSide().publishing(at(port, to)):
                with socket.socket() as client, no_descriptors():
                    client.connect((LOOPBACK, port))
                    while "nobody is accepted for a while: " not in caplog.text:
                        await asyncio.sleep(0)
                assert await ask(port, b"abc") == b"cba"

    play(story)


@contextmanager
def no_descriptors() -> Iterator[None]:
    """This process can open nothing more."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors(), limits[1]))
    hoard: list[int] = []
    try:
        with suppress(OSError):
            while True:
                hoard.append(os.dup(0))
        yield
    finally:
        for each in hoard:
            os.close(each)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


# UDP


class Echo(asyncio.DatagramProtocol):
    """Answers each datagram with the client's port, a space, and the datagram."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._transport.sendto(f"{addr[1]} ".encode() + data, addr)


@asynccontextmanager
async def echo() -> AsyncIterator[int]:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Echo, local_addr=(SERVICE, 0))
    with closing(transport):
        yield transport.get_extra_info("sockname")[1]


def udp_client() -> socket.socket:
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    client.bind((LOOPBACK, 0))
    return client


async def asks(
    client: socket.socket, port: int, data: bytes, address: str = LOOPBACK
) -> tuple[str, str]:
    """The port that the service sees, and what came back from where it was sent to."""
    loop = asyncio.get_running_loop()
    await loop.sock_sendto(client, data, (address, port))
    answer, sender = await loop.sock_recvfrom(client, 1000)
    assert sender == (address, port)
    seen, _, text = answer.decode().partition(" ")
    return seen, text


def test_clients_of_udp_are_told_apart_and_answered_from_where_they_asked() -> None:
    async def story() -> None:
        port = free_port(UDP)
        async with echo() as to:
            with (
                HostSide().publishing(at(port, to, UDP)),
                udp_client() as one,
                udp_client() as other,
            ):
                first, text = await asks(one, port, b"hello")
                assert text == "hello"
                assert await asks(one, port, b"again") == (first, "again")
                second, _ = await asks(other, port, b"hello")
                third, _ = await asks(one, port, b"hello", "127.0.0.9")
                assert len({first, second, third}) == 3

    play(story)


def test_client_of_udp_that_is_silent_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(udp, "IDLE_SECONDS", 0.05)

    async def story() -> None:
        port = free_port(UDP)
        async with echo() as to:
            with HostSide().publishing(at(port, to, UDP)), udp_client() as client:
                first, _ = await asks(client, port, b"hello")
                while (await asks(client, port, b"again"))[0] == first:
                    await asyncio.sleep(0.1)

    play(story)


def test_client_that_is_silent_for_longest_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(udp, "MOST_CLIENTS", 1)

    async def story() -> None:
        port = free_port(UDP)
        async with echo() as to:
            with (
                HostSide().publishing(at(port, to, UDP)),
                udp_client() as one,
                udp_client() as other,
            ):
                await asks(one, port, b"hello")
                assert (await asks(other, port, b"hello"))[1] == "hello"
                assert (await asks(one, port, b"hello"))[1] == "hello"

    play(story)


def test_client_of_udp_is_told_that_the_service_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []

    def tell(client: tuple[IpAddress, int], asked: tuple[IpAddress, int]) -> None:
        told.append(f"{client[0]}:{client[1]} asked {asked[0]}:{asked[1]}")

    monkeypatch.setattr(refused, "tell", tell)

    async def story() -> None:
        port = free_port(UDP)
        with HostSide().publishing(at(port, free_port(UDP), UDP)), udp_client() as client:
            client.sendto(b"hello", ("127.0.0.9", port))
            while not told:
                await asyncio.sleep(0)
            own = client.getsockname()[1]
            assert told == [f"{LOOPBACK}:{own} asked 127.0.0.9:{port}"]

    play(story)


def test_terms_hold_for_each_client_of_udp() -> None:
    async def story() -> None:
        port = free_port(UDP)
        async with echo() as to:
            terms = Terms(is_for_one=True)
            with (
                HostSide().publishing(at(port, to, UDP, terms=terms)),
                udp_client() as one,
                udp_client() as other,
            ):
                first, _ = await asks(one, port, b"hello")
                other.sendto(b"hello", (LOOPBACK, port))
                assert await asks(one, port, b"again") == (first, "again")
                with pytest.raises(BlockingIOError):
                    other.recv(100)

    play(story)


def test_nothing_is_left_of_clients_when_it_is_over() -> None:
    async def story() -> None:
        to_tcp, to_udp, host = free_port(TCP), free_port(UDP), HostSide()
        async with echo() as to, service(listen_on) as also:
            before = descriptors()
            with host.publishing(at(to_udp, to, UDP), at(to_tcp, also)), udp_client() as client:
                await asks(client, to_udp, b"hello")
                for _ in range(20):
                    _, writer = await asyncio.open_connection(LOOPBACK, to_tcp)
                    writer.write(b"x")
                    writer.close()
            while descriptors() > before:
                await asyncio.sleep(0.01)

    play(story)
