"""`vswitch demo` as a user runs it, and what is left of it however it ends."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from vswitch.cli.demo.capture import SECTION_HEADER
from vswitch.daemon.kernel import netns
from vswitch.daemon.process.rundir import RUN
from vswitch.daemon.resolving.files.resolvconffiles import ETC_NETNS

pytestmark = [pytest.mark.linux, pytest.mark.timeout(120)]

DEMO = (sys.executable, "-c", "from vswitch.cli import main; main()", "demo")

CLAIMS = 14

PATIENCE = 10.0
"""Seconds for processes to follow a parent that was killed."""


class Demo:
    """A demo that runs, known to its descendants by a mark in their environment."""

    def __init__(self, directory: Path, *before: str, path: str | None = None) -> None:
        self._mark = f"VSDEMO_TEST={uuid.uuid4().hex}"
        name, value = self._mark.split("=")
        environment = os.environ | {name: value, "TMPDIR": str(directory)}
        environment["PATH"] = path or os.environ["PATH"]
        self.process = subprocess.Popen(
            [*before, *DEMO],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=directory,
            env=environment,
        )
        self.text = ""

    def read_until(self, words: str) -> None:
        """Follow the output until `words` are in it."""
        assert self.process.stdout
        for line in self.process.stdout:
            self.text += line
            if words in line:
                return
        pytest.fail(f"it ended without saying {words!r}:\n{self.text}")

    def end(self) -> int:
        """Follow it to its end; the answer is its exit status."""
        assert self.process.stdout
        self.text += self.process.stdout.read()
        return self.process.wait()

    def processes(self) -> list[str]:
        """The command lines of whatever still runs."""
        found = []
        for directory in Path("/proc").glob("[0-9]*"):
            try:
                if self._mark in (directory / "environ").read_text(errors="replace"):
                    found.append((directory / "cmdline").read_text().replace("\0", " "))
            except OSError:
                continue
        return found

    def left(self) -> list[str]:
        """What the system still has of it."""
        mine = str(self.process.pid)
        places = (RUN, netns.NAMED, ETC_NETNS)
        paths = [str(each) for place in places for each in place.glob(f"*{mine}*")]
        return paths + self.processes()


def test_everything_is_shown_and_passes(tmp_path: Path) -> None:
    demo = Demo(tmp_path)
    status = demo.end()
    assert status == 0, demo.text
    assert demo.text.count("\n ✓ ") == CLAIMS + 1
    assert "✗" not in demo.text
    assert "\x1b" not in demo.text
    for evidence in (
        "getent hosts web → 172.18.0.2 web",
        "http://web/ → I am web, you are 172.18.0.3",
        "http://198.51.100.1/ → I am outside, you are 198.51.100.2",
        "→ 3 received, 0% packet loss",
        "http://198.51.100.2:8080/ → I am web, you are 198.51.100.1",
        "http://198.51.100.2:8080/ → I am web, you are 198.51.100.2",
        "Gbit/s",
    ):
        assert evidence in demo.text
    assert (tmp_path / "demo.pcapng").read_bytes().startswith(SECTION_HEADER)
    assert [path.name for path in tmp_path.iterdir()] == ["demo.pcapng"]
    assert not demo.left()


def test_it_shows_the_same_with_nothing_but_what_it_needs(tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("ip", "ping", "setpriv", "mount", "getent", "grep"):
        found = shutil.which(name)
        assert found, f"{name} is not installed"
        (tools / name).symlink_to(found)
    demo = Demo(tmp_path, path=str(tools))
    status = demo.end()
    assert status == 0, demo.text
    assert demo.text.count("\n ✓ ") == CLAIMS + 1
    assert "python urllib" in demo.text
    assert "python sockets" in demo.text


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        ("A switch", signal.SIGINT),
        ("app fetches from web", signal.SIGINT),
        ("app fetches from web", signal.SIGTERM),
        ("app fetches from web", signal.SIGHUP),
        ("Speed of one", signal.SIGTERM),
    ],
)
def test_a_signal_leaves_nothing_behind(
    tmp_path: Path, moment: str, number: signal.Signals
) -> None:
    demo = Demo(tmp_path)
    demo.read_until(moment)
    demo.process.send_signal(number)
    assert demo.end() == 128 + number
    assert f"Stopped by {number.name}" in demo.text
    assert not demo.left()
    assert {path.name for path in tmp_path.iterdir()} <= {"demo.pcapng"}


def test_an_impatient_second_signal_does_not_cut_the_cleaning_short(tmp_path: Path) -> None:
    demo = Demo(tmp_path)
    demo.read_until("app fetches from web")
    demo.process.send_signal(signal.SIGINT)
    demo.read_until("Stopped by SIGINT")
    demo.process.send_signal(signal.SIGINT)
    demo.process.send_signal(signal.SIGTERM)
    assert demo.end() == 128 + signal.SIGINT
    assert not demo.left()


def test_the_host_sees_nothing_of_its_network(tmp_path: Path) -> None:
    demo = Demo(tmp_path)
    demo.read_until("app fetches from web")
    assert "up0" not in os.listdir("/sys/class/net")
    assert not list(netns.NAMED.glob(f"*{demo.process.pid}*"))
    demo.process.terminate()
    demo.end()


def test_even_killed_it_leaves_no_namespace_and_no_process(tmp_path: Path) -> None:
    demo = Demo(tmp_path)
    demo.read_until("app fetches from web")
    demo.process.kill()
    demo.end()
    deadline = time.monotonic() + PATIENCE
    while demo.left() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not demo.left()


def test_a_switch_that_does_not_start_is_told_with_its_log(tmp_path: Path) -> None:
    RUN.mkdir(exist_ok=True)
    read_only = f'mount -t tmpfs -o ro none {RUN} && exec "$0" "$@"'
    demo = Demo(tmp_path, "unshare", "-m", "sh", "-c", read_only)
    assert demo.end() == 1
    assert "vswitch up ended with status 1" in demo.text
    assert "Read-only file system" in demo.text
    assert not demo.left()


def test_without_the_tun_device_one_line_says_so(tmp_path: Path) -> None:
    hidden = 'mount -t tmpfs none /dev/net && exec "$0" "$@"'
    demo = Demo(tmp_path, "unshare", "-m", "sh", "-c", hidden)
    assert demo.end() == 1
    assert demo.text.startswith("vswitch: vswitch demo needs /dev/net/tun: No such file")
    assert demo.text.count("\n") == 1


@pytest.mark.parametrize("capability", ["sys_admin", "net_admin"])
def test_without_the_privilege_one_line_says_so(tmp_path: Path, capability: str) -> None:
    drop = f"-{capability}"
    demo = Demo(tmp_path, "setpriv", "--bounding-set", drop, "--inh-caps", drop)
    assert demo.end() == 1
    assert demo.text.startswith("vswitch: vswitch demo needs a network namespace of its own")
    assert demo.text.count("\n") == 1


def test_an_ordinary_user_is_told_that_root_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    from vswitch.cli.demo import demo
    from vswitch.cli.problem import Problem

    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(Problem, match="needs root"):
        demo()


def test_a_missing_tool_is_named_with_its_package(tmp_path: Path) -> None:
    demo = Demo(tmp_path, path=str(tmp_path))
    assert demo.end() == 1
    assert demo.text == "vswitch: vswitch demo needs the command ip (apt-get install iproute2)\n"
