"""Published ports at the loopback: what a client of the host gets of the service behind them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from typing import cast

import pytest

from vswitch.daemon import hostlistener
from vswitch.daemon.hostlistener import LOOPBACK, HostListeners
from vswitch.daemon.uplinks import PortTakenError
from vswitch.network.model import Endpoint, EndpointKind, Membership, PortRange, Publication
from vswitch.wire.values import IpAddress, MacAddress, Protocol

PATIENCE = 10.0
"""Seconds after which what is awaited counts as missing."""

SERVICE = "127.0.0.2"
"""Stands for an endpoint's address."""

TCP, UDP = Protocol.TCP, Protocol.UDP


def endpoint(*published: Publication) -> Endpoint:
    return Endpoint(
        "web",
        EndpointKind.TAP,
        None,
        (Membership("front", IpAddress.parse(SERVICE), MacAddress.parse("02:00:00:00:00:02")),),
        publications=published,
    )


def free_port(protocol: Protocol) -> int:
    """A port that nobody has on any address just now."""
    kind = socket.SOCK_STREAM if protocol is TCP else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("", 0))
        port: int = probe.getsockname()[1]
        return port


def at(port: int, to: int, protocol: Protocol = TCP, address: str | None = None) -> Publication:
    host = None if address is None else IpAddress.parse(address)
    return Publication(protocol, host, PortRange(port, port), PortRange(to, to))


def play(story: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(PATIENCE):
            await story()

    asyncio.run(bounded())


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def service(handler: Handler) -> AsyncIterator[int]:
    """A TCP service at the endpoint's address; the answer is its port."""
    server = await asyncio.start_server(handler, SERVICE, 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def digest(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers with what came, backwards, when the client has ended."""
    writer.write((await reader.read())[::-1])
    writer.close()


async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Ends its side at once, and listens on."""
    writer.write(b"greetings")
    writer.write_eof()
    heard.append(await reader.read())
    writer.close()


heard: list[bytes] = []


def test_client_that_has_ended_its_side_still_gets_its_answer() -> None:
    async def story() -> None:
        port, data = free_port(TCP), b"question" * 100_000
        async with service(digest) as to:
            with HostListeners().listening(endpoint(at(port, to))):
                reader, writer = await asyncio.open_connection(LOOPBACK, port)
                writer.write(data)
                writer.write_eof()
                assert await reader.read() == data[::-1]
                writer.close()

    play(story)


def test_service_that_has_ended_its_side_still_hears_the_client() -> None:
    async def story() -> None:
        heard.clear()
        port = free_port(TCP)
        async with service(greet) as to:
            with HostListeners().listening(endpoint(at(port, to))):
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
        listening = HostListeners().listening(endpoint(at(port, free_port(TCP))))
        with listening, pytest.raises(ConnectionResetError):
            await read_from(port)

    play(story)


async def read_from(port: int) -> bytes:
    """All that is said at a port. How far a client comes before it is reset, is the kernel's."""
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    with closing(writer):
        return await reader.read()


def test_connections_end_with_the_publication() -> None:
    async def story() -> None:
        port, listeners = free_port(TCP), HostListeners()
        async with service(digest) as to:
            with listeners.listening(endpoint(at(port, to))):
                reader, writer = await asyncio.open_connection(LOOPBACK, port)
                writer.write(b"half a question")
                await writer.drain()
                await asyncio.sleep(0.05)
                listeners.follow(endpoint())
                with pytest.raises(ConnectionResetError):
                    await reader.read()
                with pytest.raises(ConnectionRefusedError):
                    await asyncio.open_connection(LOOPBACK, port)
                writer.close()

    play(story)


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


async def asks(client: socket.socket, port: int, data: bytes) -> tuple[str, str]:
    """The port that the service sees, and what came back from where it was sent to."""
    loop = asyncio.get_running_loop()
    await loop.sock_sendto(client, data, (LOOPBACK, port))
    answer, sender = await loop.sock_recvfrom(client, 1000)
    assert sender == (LOOPBACK, port)
    seen, _, text = answer.decode().partition(" ")
    return seen, text


def test_clients_of_udp_are_told_apart_and_answered_from_where_they_asked() -> None:
    async def story() -> None:
        port = free_port(UDP)
        async with echo() as to:
            with (
                HostListeners().listening(endpoint(at(port, to, UDP))),
                udp_client() as one,
                udp_client() as other,
            ):
                first, text = await asks(one, port, b"hello")
                assert text == "hello"
                assert await asks(one, port, b"again") == (first, "again")
                second, _ = await asks(other, port, b"hello")
                assert second != first

    play(story)


def test_client_of_udp_that_is_silent_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hostlistener, "UDP_IDLE_SECONDS", 0.05)

    async def story() -> None:
        port = free_port(UDP)
        async with echo() as to:
            with HostListeners().listening(endpoint(at(port, to, UDP))), udp_client() as client:
                first, _ = await asks(client, port, b"hello")
                while (await asks(client, port, b"again"))[0] == first:
                    await asyncio.sleep(0.1)

    play(story)


def test_client_that_is_silent_for_longest_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hostlistener, "MOST_UDP_CLIENTS", 1)

    async def story() -> None:
        port = free_port(UDP)
        async with echo() as to:
            with (
                HostListeners().listening(endpoint(at(port, to, UDP))),
                udp_client() as one,
                udp_client() as other,
            ):
                await asks(one, port, b"hello")
                assert (await asks(other, port, b"hello"))[1] == "hello"
                assert (await asks(one, port, b"hello"))[1] == "hello"

    play(story)


@pytest.mark.parametrize("protocol", [TCP, UDP])
def test_port_of_a_program_is_refused_and_nothing_else_changes(protocol: Protocol) -> None:
    async def story() -> None:
        kind = socket.SOCK_STREAM if protocol is TCP else socket.SOCK_DGRAM
        with socket.socket(socket.AF_INET, kind) as program:
            program.bind((LOOPBACK, 0))
            if protocol is TCP:
                program.listen()
            taken, before, fresh = program.getsockname()[1], free_port(TCP), free_port(TCP)
            listeners, name = HostListeners(), protocol.name.lower()
            async with service(digest) as to:
                kept = at(before, to)
                with listeners.listening(endpoint(kept)):
                    with pytest.raises(PortTakenError) as refused:
                        listeners.follow(endpoint(kept, at(fresh, to), at(taken, 80, protocol)))
                    text = f"failed to bind host port 0.0.0.0:{taken}/{name}"
                    assert str(refused.value) == f"{text}: address already in use"
                    with pytest.raises(ConnectionRefusedError):
                        await asyncio.open_connection(LOOPBACK, fresh)
                    _, writer = await asyncio.open_connection(LOOPBACK, before)
                    writer.close()

    play(story)


def test_what_is_published_on_one_address_is_not_at_the_loopback() -> None:
    async def story() -> None:
        port = free_port(TCP)
        listening = HostListeners().listening(endpoint(at(port, 80, address="198.51.100.2")))
        with listening, pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(LOOPBACK, port)

    play(story)


def test_what_is_published_on_a_loopback_address_is_there_alone() -> None:
    async def story() -> None:
        port = free_port(TCP)
        async with service(digest) as to:
            with HostListeners().listening(endpoint(at(port, to, address="127.0.0.3"))):
                reader, writer = await asyncio.open_connection("127.0.0.3", port)
                writer.write_eof()
                assert await reader.read() == b""
                writer.close()
                with pytest.raises(ConnectionRefusedError):
                    await asyncio.open_connection(LOOPBACK, port)

    play(story)


def test_endpoint_that_is_not_listened_for_is_not_followed() -> None:
    async def story() -> None:
        port = free_port(TCP)
        HostListeners().follow(endpoint(at(port, 80)))
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(LOOPBACK, port)

    play(story)
