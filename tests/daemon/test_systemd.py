"""What is said between a service manager and the daemon, and that a switch that hangs is silent."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from vswitch.daemon.process import systemd
from vswitch.daemon.process.systemd import Manager
from vswitch.daemon.process.watchdog import watched
from vswitch.units import MILLISECOND, SECOND

PID = 4711
PATIENCE = 10.0


@pytest.fixture
def heard(tmp_path: Path) -> Iterator[socket.socket]:
    """A manager's socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(PATIENCE)
        yield listening


def test_environment_says_what_the_manager_wants_and_is_cleared_of_it() -> None:
    environment = {
        "NOTIFY_SOCKET": "/run/systemd/notify",
        "WATCHDOG_USEC": "30000000",
        "WATCHDOG_PID": str(PID),
        "LISTEN_FDS": "2",
        "LISTEN_PID": str(PID),
        "LISTEN_FDNAMES": "a:b",
        "PATH": "/usr/bin",
    }
    assert Manager.of(environment, PID) == Manager("/run/systemd/notify", 30 * SECOND, (3, 4))
    assert environment == {"PATH": "/usr/bin"}


def test_what_is_meant_for_another_process_is_not_ours() -> None:
    environment = {
        "WATCHDOG_USEC": "30000000",
        "WATCHDOG_PID": "1",
        "LISTEN_FDS": "1",
        "LISTEN_PID": "1",
    }
    assert Manager.of(environment, PID) == Manager(None, None, ())


def test_watchdog_without_a_process_is_meant_for_whoever_reads_it() -> None:
    assert Manager.of({"WATCHDOG_USEC": "1000"}, PID).watchdog == MILLISECOND


def test_nothing_is_said_where_nobody_asks() -> None:
    manager = Manager.of({}, PID)
    assert manager == Manager()
    manager.tell(systemd.READY)


def test_report_is_one_datagram_with_a_line_for_each_thing(heard: socket.socket) -> None:
    manager = Manager(heard.getsockname())
    manager.tell(systemd.READY, systemd.status("up\nand well"))
    assert heard.recv(1024) == b"READY=1\nSTATUS=up and well"
    manager.tell(*systemd.reloading(1_234_567_890))
    assert heard.recv(1024) == b"RELOADING=1\nMONOTONIC_USEC=1234567"


def test_name_that_begins_with_an_at_sign_is_abstract() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind("")  # the kernel finds an abstract name: unix(7), autobind
        listening.settimeout(PATIENCE)
        name = listening.getsockname()
        Manager("@" + name[1:].decode()).tell(systemd.STOPPING)
        assert listening.recv(1024) == b"STOPPING=1"


def test_manager_that_does_not_listen_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Manager(str(tmp_path / "nobody")).tell(systemd.READY)
    (line,) = caplog.messages
    assert line.startswith(f"the service manager at {tmp_path}/nobody does not listen: ")


class Frames:
    """Turns as often as it is told to, and hangs then."""

    def __init__(self, turns: int) -> None:
        self._turns = turns
        self.hangs = asyncio.Event()

    def has_turned(self) -> bool:
        if self._turns == 0:
            self.hangs.set()
            return False
        self._turns -= 1
        return True


def test_manager_hears_of_the_switch_until_its_frames_hang(heard: socket.socket) -> None:
    async def watch() -> None:
        frames = Frames(turns=3)
        with watched(Manager(heard.getsockname(), 2 * MILLISECOND), frames):
            await asyncio.wait_for(frames.hangs.wait(), PATIENCE)

    asyncio.run(watch())
    for _ in range(3):
        assert heard.recv(1024) == b"WATCHDOG=1"
    heard.setblocking(False)
    with pytest.raises(BlockingIOError):
        heard.recv(1024)


def test_manager_without_a_watchdog_hears_nothing_of_it(heard: socket.socket) -> None:
    async def watch() -> None:
        with watched(Manager(heard.getsockname()), Frames(turns=3)):
            await asyncio.sleep(0)

    asyncio.run(watch())
    heard.setblocking(False)
    with pytest.raises(BlockingIOError):
        heard.recv(1024)
