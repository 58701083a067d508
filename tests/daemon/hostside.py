"""A host on the network of an endpoint, with no network under them: what is published is at the
host's own addresses, and leads to services at an address of the loopback, which stands for the
host's port."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from itertools import cycle
from random import Random

from vswitch import assembly
from vswitch.daemon.hostlistener import HostListeners
from vswitch.daemon.runtime import Runtime
from vswitch.dataplane.drops import Reason
from vswitch.dataplane.switch import Switch
from vswitch.devices.memory import MemoryDevice
from vswitch.network.inventory import Inventory
from vswitch.network.model import DEFAULT_NETWORK, Endpoint, EndpointKind, Membership
from vswitch.network.ports import PortRange, Publication
from vswitch.translation import OPEN_TO_ALL, Terms
from vswitch.wire.values import IpAddress, MacAddress, Protocol

PATIENCE = 10.0
"""Seconds after which what is awaited counts as missing."""

LOOPBACK = "127.0.0.1"

SERVICE = "127.0.0.2"
"""Stands for an endpoint's address."""

TCP, UDP = Protocol.TCP, Protocol.UDP

_WEB = MacAddress.parse("02:00:00:00:00:02")
_HOST = MacAddress.parse("02:00:00:00:00:01")


class HostSide:
    """A switch, its host, and the endpoint `web`. Make one within the event loop."""

    def __init__(self) -> None:
        bridge = replace(DEFAULT_NETWORK, host=True)
        self.switch = Switch(Random(1), fast_path="reference")
        inventory = Inventory((bridge,), (), Random(1))
        self.number = assembly.add_inside(self.switch, inventory, bridge, {}).number
        self.port = self.switch.add_host_port("lo", self.number, MemoryDevice("host"), _HOST).number
        self.runtime = Runtime(self.switch, lambda _: None, self._take_ended)
        self._listeners = HostListeners(self.switch, self.runtime)
        self._endpoint = endpoint()

    @contextmanager
    def publishing(self, *published: Publication) -> Iterator[None]:
        """As long as this lasts, `web` publishes that, or what `follow` says."""
        self._endpoint = endpoint(*published)
        with self._listeners.listening(self._endpoint, self.number):
            assembly.expose(self.switch, self._endpoint, self.number, self.runtime.now())
            yield

    def follow(self, *published: Publication) -> None:
        """Let `web` publish that instead."""
        self._listeners.follow(endpoint(*published), self.number)
        now = self.runtime.now()
        assembly.conceal(self.switch, self._endpoint, self.number, now)
        self._endpoint = endpoint(*published)
        assembly.expose(self.switch, self._endpoint, self.number, now)

    @property
    def refused(self) -> dict[Reason, int]:
        """Clients that were refused, as the host's port counts them."""
        return dict(self.switch.counters.port_drops.get(self.port, {}))

    def _take_ended(self) -> None:
        ended = self.switch.news.take_ended_publications()
        left = [
            each
            for each in self._endpoint.publications
            if assembly.publication(each, self._endpoint, self.number) not in ended
        ]
        self._endpoint = endpoint(*left)
        self._listeners.follow(self._endpoint, self.number)


def endpoint(*published: Publication) -> Endpoint:
    return Endpoint(
        "web",
        EndpointKind.TAP,
        None,
        (Membership("bridge", IpAddress.parse(SERVICE), _WEB),),
        publications=published,
    )


_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_PORTS = cycle(range(10_000 + 1_000 * _WORKER, 11_000 + 1_000 * _WORKER))
"""Of this process's tests: the kernel gives none of them away, nor do others that run beside."""


def free_port(protocol: Protocol) -> int:
    """A port that nobody has on any address just now."""
    kind = socket.SOCK_STREAM if protocol is TCP else socket.SOCK_DGRAM
    for port in _PORTS:
        with socket.socket(socket.AF_INET, kind) as probe, suppress(OSError):
            probe.bind(("", port))
            return port
    raise AssertionError("no port is free")


def at(
    port: int,
    to: int,
    protocol: Protocol = TCP,
    address: str | None = None,
    terms: Terms = OPEN_TO_ALL,
) -> Publication:
    host = None if address is None else IpAddress.parse(address)
    return Publication(protocol, host, PortRange(port, port), PortRange(to, to), terms)


def play(story: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(PATIENCE):
            await story()

    asyncio.run(bounded())


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def service(handler: Handler) -> AsyncIterator[int]:
    """A TCP service at the endpoint's address; the answer is its port."""
    server = await asyncio.start_server(handler, SERVICE, 0, backlog=1000)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def digest(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers with what came, backwards, when the client has ended."""
    writer.write((await reader.read())[::-1])
    writer.close()


async def ask(port: int, question: bytes, address: str = LOOPBACK) -> bytes:
    """What the service behind a port answers to a whole question."""
    reader, writer = await asyncio.open_connection(address, port)
    try:
        writer.write(question)
        writer.write_eof()
        return await reader.read()
    finally:
        writer.close()
