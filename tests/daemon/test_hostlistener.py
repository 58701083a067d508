"""Published ports as the host itself sees them: where they are, for whom, and for how long."""

from __future__ import annotations

import asyncio
import socket

import pytest

from tests.daemon.hostside import (
    LOOPBACK,
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
from vswitch.daemon.exposure import PortTakenError
from vswitch.dataplane.drops import DropReason
from vswitch.network.ports import PortRange, Publication
from vswitch.translation import Terms
from vswitch.units import SECOND
from vswitch.wire.values import IpNetwork, Protocol


async def refuses(port: int, address: str = LOOPBACK) -> None:
    """Nobody listens at a port."""
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(address, port)


async def resets(port: int) -> None:
    """Whoever comes to a port is sent away. How far it comes before that, is the kernel's."""
    with pytest.raises(ConnectionResetError):
        await ask(port, b"abc")


# Where it is


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2", "127.0.1.1"])
def test_what_is_published_on_every_address_is_at_each_of_the_hosts(address: str) -> None:
    async def story() -> None:
        port = free_port(TCP)
        async with service(digest) as to:
            with HostSide().publishing(at(port, to)):
                assert await ask(port, b"abc", address) == b"cba"

    play(story)


def test_what_is_published_on_one_address_is_there_alone() -> None:
    async def story() -> None:
        port = free_port(TCP)
        async with service(digest) as to:
            with HostSide().publishing(at(port, to, address="127.0.0.3")):
                assert await ask(port, b"abc", "127.0.0.3") == b"cba"
                await refuses(port)

    play(story)


def test_address_that_the_host_has_not_may_be_published_on() -> None:
    async def story() -> None:
        port = free_port(TCP)
        with HostSide().publishing(at(port, 80, address="198.51.100.2")):
            await refuses(port)

    play(story)


def test_each_port_of_a_run_leads_to_its_own() -> None:
    async def story() -> None:
        port = free_port(TCP)
        async with service(digest) as to:
            run = Publication(TCP, None, PortRange(port - 1, port), PortRange(to - 1, to))
            with HostSide().publishing(run):
                assert await ask(port, b"abc") == b"cba"
                await resets(port - 1)

    play(story)


def test_endpoint_that_is_not_listened_for_is_not_followed() -> None:
    async def story() -> None:
        port = free_port(TCP)
        HostSide().follow(at(port, 80))
        await refuses(port)

    play(story)


def test_nobody_is_led_elsewhere_where_the_hosts_port_is_gone() -> None:
    async def story() -> None:
        port, host = free_port(TCP), HostSide()
        async with service(digest) as to:
            with host.publishing(at(port, to, terms=Terms(is_for_one=True))):
                host.switch.remove_port(host.port)
                await resets(port)
                await asyncio.sleep(0)
                await refuses(port)

    play(story)


# Whose it is


@pytest.mark.parametrize("protocol", [TCP, UDP])
@pytest.mark.parametrize("address", ["0.0.0.0", LOOPBACK, "127.0.0.9"])
def test_port_of_a_program_is_refused_and_nothing_else_changes(
    protocol: Protocol, address: str
) -> None:
    async def story() -> None:
        with program(protocol, address) as taken:
            first, before, fresh = taken.getsockname()[1] - 1, free_port(TCP), free_port(TCP)
            host, name = HostSide(), protocol.name.lower()
            run = Publication(protocol, None, PortRange(first, first + 1), PortRange(80, 81))
            async with service(digest) as to:
                kept = at(before, to)
                with host.publishing(kept):
                    with pytest.raises(PortTakenError) as refused:
                        host.follow(kept, at(fresh, to), run)
                    text = f"failed to bind host port 0.0.0.0:{first + 1}/{name}"
                    assert str(refused.value) == f"{text}: address already in use"
                    await refuses(fresh)
                    await refuses(first)
                    assert await ask(before, b"abc") == b"cba"

    play(story)


def program(protocol: Protocol, address: str) -> socket.socket:
    """A program's socket, with a port."""
    kind = socket.SOCK_STREAM if protocol is TCP else socket.SOCK_DGRAM
    taken = socket.socket(socket.AF_INET, kind)
    taken.bind((address, 0))
    if protocol is TCP:
        taken.listen()
    return taken


def test_program_may_have_the_port_on_another_address() -> None:
    async def story() -> None:
        with program(TCP, LOOPBACK) as taken:
            port = taken.getsockname()[1]
            with HostSide().publishing(at(port, 80, address="127.0.0.9")):
                await resets_or_answers("127.0.0.9", port)

    async def resets_or_answers(address: str, port: int) -> None:
        with pytest.raises(ConnectionResetError):
            await ask(port, b"", address)

    play(story)


# On which terms


LOCAL, ELSEWHERE = IpNetwork.parse("127.0.0.0/8"), IpNetwork.parse("192.0.2.0/24")


def test_client_is_held_against_the_sources_with_the_hosts_address() -> None:
    async def story() -> None:
        near, far, host = free_port(TCP), free_port(TCP), HostSide()
        async with service(digest) as to:
            ours = at(near, to, terms=Terms(sources=(LOCAL,)))
            with host.publishing(ours, at(far, to, terms=Terms(sources=(ELSEWHERE,)))):
                assert await ask(near, b"abc") == b"cba"
                assert host.refused == {}
                await resets(far)
                assert host.refused == {DropReason.SOURCE_NOT_ALLOWED: 1}

    play(story)


def test_what_lasts_for_a_time_is_gone_then() -> None:
    async def story() -> None:
        port, host = free_port(TCP), HostSide()
        async with service(digest) as to:
            with host.publishing(at(port, to, terms=Terms(lasts=3600 * SECOND))):
                reader, writer = await asyncio.open_connection(LOOPBACK, port)
                writer.write(b"half a question")
                await writer.drain()
                host.switch.changes.expire_publications(host.runtime.now() + 3600 * SECOND)
                host.runtime.tell_news()
                with pytest.raises(ConnectionResetError):
                    await reader.read()
                await refuses(port)
                writer.close()

    play(story)


def test_what_is_for_one_is_gone_when_that_has_left() -> None:
    async def story() -> None:
        port, host = free_port(TCP), HostSide()
        async with service(digest) as to:
            with host.publishing(at(port, to, terms=Terms(is_for_one=True))):
                reader, writer = await asyncio.open_connection(LOOPBACK, port)
                writer.write(b"abc")
                await resets(port)
                assert host.refused == {DropReason.PUBLICATION_USED_UP: 1}
                writer.write_eof()
                assert await reader.read() == b"cba"
                writer.close()
                while len(host.switch.tables.publications):
                    await asyncio.sleep(0)
                await refuses(port)

    play(story)


def test_rate_holds_for_the_host_too() -> None:
    async def story() -> None:
        port, host = free_port(TCP), HostSide()
        async with service(digest) as to:
            with host.publishing(at(port, to, terms=Terms(per_second=1))):
                assert await ask(port, b"abc") == b"cba"
                await resets(port)
                assert host.refused == {DropReason.PUBLICATION_RATE: 1}

    play(story)


def test_connections_end_with_the_publication() -> None:
    async def story() -> None:
        port, host = free_port(TCP), HostSide()
        async with service(digest) as to:
            with host.publishing(at(port, to)):
                reader, writer = await asyncio.open_connection(LOOPBACK, port)
                writer.write(b"half a question")
                await writer.drain()
                await asyncio.sleep(0.05)
                host.follow()
                with pytest.raises(ConnectionResetError):
                    await reader.read()
                await refuses(port)
                writer.close()

    play(story)
