"""Held ports: taken for everybody else, and silent."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.linux.test_guard_ways import (
    HOST,
    Knock,
    World,
    knock_by_segment,
    knock_by_tcp,
    knock_by_udp,
)
from vswitch.daemon.guard.holds import Held, HoldError
from vswitch.wire.values import IpAddress, Protocol

if TYPE_CHECKING:
    from tests.linux.conftest import Namespaces

pytestmark = pytest.mark.linux

PORT = 8080
ADDRESS = IpAddress.parse(HOST)
ANY = IpAddress.parse("0.0.0.0")
TYPES = {Protocol.TCP: socket.SOCK_STREAM, Protocol.UDP: socket.SOCK_DGRAM}

EACH = pytest.mark.parametrize("protocol", TYPES, ids=["tcp", "udp"])
KNOCKS = pytest.mark.parametrize(
    ("protocol", "knock"),
    [
        (Protocol.TCP, knock_by_tcp),
        (Protocol.TCP, knock_by_segment),
        (Protocol.UDP, knock_by_udp),
    ],
    ids=["SYN", "segment", "UDP"],
)

HOLDING = """
import resource, signal, sys
from vswitch.daemon.guard.holds import Holds, TooManyHolds
from vswitch.wire.values import IpAddress, Protocol

soft, hard, ports = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
holds = Holds()
try:
    holds.hold(Protocol.UDP, IpAddress.parse("0.0.0.0"), range(20000, 20000 + ports))
except TooManyHolds as error:
    print(error)
else:
    print(len(holds), "held, limit", resource.getrlimit(resource.RLIMIT_NOFILE)[0], flush=True)
    signal.pause()
"""


@pytest.fixture
def world(namespaces: Namespaces, tmp_path: Path) -> Iterator[World]:
    with closing(World(namespaces, tmp_path)) as made:
        yield made


def hold(world: World, protocol: Protocol, address: IpAddress, *ports: int) -> None:
    world.on_host(lambda: world.holds.hold(protocol, address, ports))


def listening(world: World) -> str:
    return world.namespaces.run(world.host, "ss", "-H", "-tulnp").stdout


@KNOCKS
@pytest.mark.parametrize("address", [ADDRESS, ANY], ids=["one address", "any address"])
def test_kernel_is_silent_on_a_held_port_and_the_switch_sees_the_frame(
    world: World, protocol: Protocol, knock: Knock, address: IpAddress
) -> None:
    hold(world, protocol, address, PORT)
    assert world.answers_to(knock, PORT) == []
    assert world.is_seen(PORT)


@KNOCKS
def test_kernel_is_not_silent_once_it_is_released(
    world: World, protocol: Protocol, knock: Knock
) -> None:
    hold(world, protocol, ADDRESS, PORT)
    world.holds.release(protocol, ADDRESS, [PORT])
    assert len(world.answers_to(knock, PORT)) == 1


@EACH
def test_nothing_is_queued_for_a_hold(world: World, protocol: Protocol) -> None:
    hold(world, protocol, ADDRESS, PORT)
    for knock in (knock_by_tcp, knock_by_udp):
        world.answers_to(knock, PORT)
    (line,) = [line for line in listening(world).splitlines() if f":{PORT} " in line]
    assert line.split()[2] == "0"


@EACH
@pytest.mark.parametrize("option", [None, socket.SO_REUSEADDR, socket.SO_REUSEPORT])
@pytest.mark.parametrize("address", [HOST, "0.0.0.0"])
def test_other_program_is_told_that_the_port_is_in_use(
    world: World, protocol: Protocol, option: int | None, address: str
) -> None:
    hold(world, protocol, ADDRESS, PORT)
    other = world.socket(world.host, TYPES[protocol])
    if option is not None:
        other.setsockopt(socket.SOL_SOCKET, option, 1)
    with pytest.raises(OSError, match="in use") as refusal:
        other.bind((address, PORT))
    assert refusal.value.errno == errno.EADDRINUSE


@EACH
def test_held_port_is_seen_with_the_switch_as_its_owner(world: World, protocol: Protocol) -> None:
    hold(world, protocol, ADDRESS, PORT)
    (line,) = [line for line in listening(world).splitlines() if f"{HOST}:{PORT} " in line]
    assert line.startswith(protocol.name.lower())
    assert f"pid={os.getpid()}," in line


@EACH
def test_port_of_another_program_is_refused_in_dockers_words(
    world: World, protocol: Protocol
) -> None:
    other = world.socket(world.host, TYPES[protocol])
    other.bind((HOST, PORT))
    if protocol is Protocol.TCP:
        other.listen()
    with pytest.raises(HoldError) as refusal:
        hold(world, protocol, ANY, PORT)
    assert str(refusal.value) == (
        f"failed to bind host port 0.0.0.0:{PORT}/{protocol.name.lower()}: address already in use"
    )
    assert refusal.value.what == Held(protocol, ANY, PORT)
    assert refusal.value.is_taken


def test_port_of_another_protocol_or_address_is_another_port(world: World) -> None:
    world.socket(world.host, socket.SOCK_DGRAM).bind((HOST, PORT))
    world.socket(world.host, socket.SOCK_DGRAM).bind(("127.0.0.1", PORT + 1))
    hold(world, Protocol.TCP, ADDRESS, PORT)
    hold(world, Protocol.UDP, ADDRESS, PORT + 1)
    assert len(world.holds) == 2


def test_program_that_listens_on_every_ipv6_address_has_the_port_too(world: World) -> None:
    other = world.on_host(lambda: socket.socket(socket.AF_INET6, socket.SOCK_STREAM))
    with other:
        other.bind(("::", PORT))
        other.listen()
        with pytest.raises(HoldError, match="address already in use"):
            hold(world, Protocol.TCP, ADDRESS, PORT)


def test_ipv6_port_is_held_beside_the_ipv4_one(world: World) -> None:
    hold(world, Protocol.TCP, ANY, PORT)
    hold(world, Protocol.TCP, IpAddress.parse("::"), PORT)
    assert Held(Protocol.TCP, IpAddress.parse("::"), PORT) in world.holds
    assert str(Held(Protocol.TCP, IpAddress.parse("::"), PORT)) == f"[::]:{PORT}/tcp"


@EACH
def test_range_is_held_whole_or_not_at_all(world: World, protocol: Protocol) -> None:
    taken = world.socket(world.host, TYPES[protocol])
    taken.bind((HOST, PORT + 5))
    if protocol is Protocol.TCP:
        taken.listen()
    with pytest.raises(HoldError, match=f":{PORT + 5}/"):
        hold(world, protocol, ADDRESS, *range(PORT, PORT + 10))
    assert len(world.holds) == 0
    assert f"{HOST}:{PORT} " not in listening(world)
    hold(world, protocol, ADDRESS, *range(PORT, PORT + 5))
    assert len(world.holds) == 5


def test_port_held_twice_is_given_back_when_it_was_released_twice(world: World) -> None:
    hold(world, Protocol.TCP, ADDRESS, PORT, PORT + 1)
    hold(world, Protocol.TCP, ADDRESS, PORT)
    world.holds.release(Protocol.TCP, ADDRESS, [PORT, PORT + 1])
    assert f"{HOST}:{PORT} " in listening(world)
    assert f"{HOST}:{PORT + 1} " not in listening(world)
    world.holds.release(Protocol.TCP, ADDRESS, [PORT])
    assert f"{HOST}:{PORT} " not in listening(world)
    world.holds.release(Protocol.TCP, ADDRESS, [PORT])


def test_second_hold_that_is_refused_leaves_the_first(world: World) -> None:
    world.socket(world.host, socket.SOCK_DGRAM).bind((HOST, PORT + 1))
    hold(world, Protocol.UDP, ADDRESS, PORT)
    with pytest.raises(HoldError):
        hold(world, Protocol.UDP, ADDRESS, PORT, PORT + 1)
    world.holds.release(Protocol.UDP, ADDRESS, [PORT])
    assert len(world.holds) == 0


def test_all_are_given_back_at_the_end(world: World) -> None:
    hold(world, Protocol.TCP, ADDRESS, *range(PORT, PORT + 10))
    world.holds.close()
    world.holds.close()
    assert len(world.holds) == 0
    assert f":{PORT}" not in listening(world)


def test_connections_of_a_server_that_ended_do_not_keep_its_port(world: World) -> None:
    """They wait for two minutes (TIME_WAIT), and bind(2) would be refused meanwhile."""
    with world.socket(world.host, socket.SOCK_STREAM) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((HOST, PORT))
        server.listen()
        with world.socket(world.out, socket.SOCK_STREAM) as client:
            client.connect((HOST, PORT))
            accepted, _ = server.accept()
            accepted.close()
            assert client.recv(1) == b""
    shown = world.namespaces.run(world.host, "ss", "-Htn", "state", "time-wait").stdout
    assert f"{HOST}:{PORT}" in shown
    hold(world, Protocol.TCP, ADDRESS, PORT)
    assert world.answers_to(knock_by_tcp, PORT) == []


def test_limit_of_open_files_is_raised_by_what_is_needed(world: World) -> None:
    process = start_holding(world, soft=64, hard=2048, ports=1000)
    assert process.stdout is not None
    held, limit = process.stdout.readline().split(" held, limit ")
    assert held == "1000"
    assert 1000 + 256 < int(limit) < 2048
    shown = world.namespaces.run(world.host, "ss", "-Huln").stdout
    assert shown.count("0.0.0.0:20") == 1000

    process.kill()
    process.wait()
    assert process.returncode == -signal.SIGKILL
    assert world.namespaces.run(world.host, "ss", "-Huln").stdout == ""


def test_limit_that_cannot_be_raised_so_far_is_told_in_a_line(world: World) -> None:
    process = start_holding(world, soft=64, hard=1024, ports=1000)
    said, _ = process.communicate(timeout=20)
    assert said.startswith("holding 1000 ports takes ")
    assert said.endswith(" open files, and the limit is 1024 (ulimit -Hn)\n")


def start_holding(world: World, *, soft: int, hard: int, ports: int) -> subprocess.Popen[str]:
    numbers = [str(number) for number in (soft, hard, ports)]
    return world.namespaces.start(world.host, sys.executable, "-c", HOLDING, *numbers)
