"""What a running daemon may do and who may ask it, as the kernel has it; what systemd hears."""

from __future__ import annotations

import os
import re
import socket
import stat
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.linux.lab import ORDINARY_USER, PATIENCE, Lab, eventually
from vswitch.daemon.process.privileges import KEPT, Capability

pytestmark = pytest.mark.linux

GROUP, NUMBER = "daemon", 1
"""A group that every Debian has."""

MEMBER = [word.replace("--clear-groups", f"--groups={NUMBER}") for word in ORDINARY_USER]

PASSING = """
import os, socket, sys
os.makedirs(os.path.dirname(sys.argv[1]), exist_ok=True)
control = socket.socket(socket.AF_UNIX)
control.bind(sys.argv[1])
control.listen()
os.dup2(control.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[2], sys.argv[2:])
"""
"""Opens the control socket as systemd does, and becomes the daemon."""


class Manager:
    """What a service manager hears."""

    def __init__(self, directory: Path) -> None:
        self.address = str(directory / "notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.address)
        self._socket.settimeout(PATIENCE)

    def wait_for(self, line: str) -> None:
        while line not in self._socket.recv(4096).decode().splitlines():
            pass

    def drain(self) -> None:
        """The kernel queues a few datagrams alone, and the daemon's word of its end is another."""
        self._socket.setblocking(False)
        with suppress(BlockingIOError):
            while self._socket.recv(4096):
                pass
        self._socket.settimeout(PATIENCE)

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(scope="module")
def manager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Manager]:
    listening = Manager(tmp_path_factory.mktemp("manager"))
    yield listening
    listening.close()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, manager: Manager) -> Iterator[Lab]:
    """A switch that a group may ask and a service manager watches."""
    with Lab(tmp_path_factory.mktemp("lab")) as running:
        running.api["group"] = GROUP
        told = (f"NOTIFY_SOCKET={manager.address}", "WATCHDOG_USEC=1000000")
        running.confinement = ("env", *told)
        running.up()
        yield running


@pytest.fixture
def stopped(lab: Lab) -> Lab:
    """The same one while it is down."""
    if lab.daemon is not None:
        lab.down()
    return lab


def test_manager_hears_that_the_switch_is_ready_and_that_it_lives_on(
    lab: Lab, manager: Manager
) -> None:
    manager.wait_for("READY=1")
    for _ in range(2):
        manager.wait_for("WATCHDOG=1")


def test_every_thread_of_the_daemon_has_few_capabilities_and_gets_no_more(lab: Lab) -> None:
    kept = sum(1 << each for each in KEPT)
    expected = {"CapInh": 0, "CapPrm": kept, "CapEff": kept, "CapBnd": kept, "CapAmb": 0}
    threads = list(Path(f"/proc/{lab.table('status')['pid']}/task").iterdir())
    assert len(threads) > 1
    for thread in threads:
        status = (thread / "status").read_text()
        sets = {key: int(value, 16) for key, value in re.findall(r"(Cap\w+):\s+(\w+)", status)}
        assert sets == expected, (thread / "comm").read_text()
        assert "NoNewPrivs:\t1\n" in status


def test_members_of_the_group_reach_the_socket_and_may_ask(lab: Lab) -> None:
    file = (lab.run_directory / "socket").stat()
    assert (file.st_uid, file.st_gid, stat.S_IMODE(file.st_mode)) == (0, NUMBER, 0o660)
    assert lab.run("host", *MEMBER, *lab.command("flows")).returncode == 0


def test_who_reaches_the_socket_and_is_no_member_is_refused(lab: Lab) -> None:
    path = lab.run_directory / "socket"
    path.chmod(0o666)
    try:
        refused = lab.run("host", *ORDINARY_USER, *lab.command("flows"), check=False)
    finally:
        path.chmod(0o660)
    assert (refused.returncode, refused.stderr) == (
        1,
        "vswitch: user 65534 may not ask this switch: "
        f"allowed are root and members of group {GROUP}\n",
    )


def test_command_that_has_become_another_user_is_attached_and_stopped(lab: Lab) -> None:
    job = ("setpriv", "--reuid=65534", "--clear-groups", "sleep", "60")
    lab.vswitch("run", "--network", "front", "-d", "--name", "job", "--", *job)
    lab.vswitch("stop", "job")
    eventually(lambda: "job" not in lab.endpoints(), "the command has ended")


def test_namespace_of_another_users_process_is_attached(lab: Lab) -> None:
    process = lab.start("host", "unshare", "--net", "setpriv", "--reuid=65534", "sleep", "60")
    eventually(lambda: _user_of(process.pid) == 65534, "it is another user's")
    lab.vswitch("attach", "--network", "front", "--name", "guest", str(process.pid))
    assert "guest" in lab.endpoints()


def test_manager_hears_that_the_switch_stops(lab: Lab, manager: Manager) -> None:
    manager.drain()
    assert lab.down() == 0
    manager.wait_for("STOPPING=1")


def test_root_without_the_capabilities_is_told_which_are_missing(stopped: Lab) -> None:
    lacking = ("setpriv", f"--bounding-set=-{Capability.SYS_ADMIN.name.lower()}")
    refused = stopped.second_up(*lacking)
    assert (refused.returncode, refused.stderr) == (
        1,
        "vswitch: root lacks CAP_SYS_ADMIN (to make and enter network namespaces): "
        "is this a container?\n",
    )
    assert not (stopped.run_directory / "socket").exists()


def test_socket_that_systemd_has_opened_is_served_and_stays(stopped: Lab) -> None:
    path = stopped.run_directory / "socket"
    stopped.confinement = (sys.executable, "-c", PASSING, str(path))
    stopped.up()
    number = path.stat().st_ino
    assert stopped.table("status")["name"] == stopped.name
    assert stopped.take_away() == 0
    assert path.stat().st_ino == number
    path.unlink()
    path.parent.rmdir()


def _user_of(pid: int) -> int:
    return os.stat(f"/proc/{pid}").st_uid
