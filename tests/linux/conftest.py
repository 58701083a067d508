"""Real namespaces for tests that need the kernel: made with unique names, always removed."""

from __future__ import annotations

import itertools
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest
from pyroute2 import netns

Result = TypeVar("Result")

PREFIX = "vst-"
TIMEOUT = 45.0
"""Seconds for one command or call in a namespace: far beyond what any should take."""

_numbers = itertools.count()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip `linux` tests for an ordinary user, but fail in CI, where nobody reads of skips."""
    if item.get_closest_marker("linux") is None or os.geteuid() == 0:
        return
    reason = "needs root, for network namespaces and /dev/net/tun"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


class Namespaces:
    """Makes namespaces and runs things in them; `remove_all` undoes it all."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._started: list[subprocess.Popen[str]] = []

    def create(self) -> str:
        """A new namespace with its loopback up; the answer is its name."""
        name = f"{PREFIX}{os.getpid()}-{next(_numbers)}"
        self._names.append(name)
        _execute("ip", "netns", "add", name)
        self.run(name, "ip", "link", "set", "lo", "up")
        return name

    def delete(self, name: str) -> None:
        """Remove one namespace before the test's end."""
        self._names.remove(name)
        _execute("ip", "netns", "delete", name)

    def run(
        self, name: str, *command: str, timeout: float = TIMEOUT, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run `command` inside to its end; with `check`, an exit status but 0 fails the test."""
        return _execute("ip", "netns", "exec", name, *command, timeout=timeout, check=check)

    def start(self, name: str, *command: str) -> subprocess.Popen[str]:
        """Start `command` inside, output piped; it is killed at the test's end."""
        process = subprocess.Popen(
            ["ip", "netns", "exec", name, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._started.append(process)
        return process

    def call(self, name: str, function: Callable[[], Result]) -> Result:
        """Call `function` in a thread that is inside; sockets it makes stay there."""
        results: list[Result] = []
        errors: list[BaseException] = []

        def inside() -> None:
            try:
                netns.setns(name)
                results.append(function())
            except BaseException as error:
                errors.append(error)

        thread = threading.Thread(target=inside, daemon=True)
        thread.start()
        thread.join(TIMEOUT)
        if thread.is_alive():
            pytest.fail(f"a call in namespace {name} takes more than {TIMEOUT} s")
        if errors:
            raise errors[0]
        return results[0]

    def join(self, name: str, interface: str, other: str, other_interface: str) -> None:
        """A veth pair with one end in each of two namespaces, both up."""
        ends = ("type", "veth", "peer", "name", other_interface, "netns", other)
        _execute("ip", "link", "add", interface, "netns", name, *ends)
        self.run(name, "ip", "link", "set", interface, "up")
        self.run(other, "ip", "link", "set", other_interface, "up")

    def remove_all(self) -> None:
        """Kill what was started and remove what was made, whatever state it is in."""
        for process in self._started:
            process.kill()
            process.communicate()
        for name in self._names:
            _execute("ip", "netns", "delete", name, check=False)


@pytest.fixture
def namespaces() -> Iterator[Namespaces]:
    made = Namespaces()
    try:
        yield made
    finally:
        made.remove_all()


def _execute(
    *command: str, timeout: float = TIMEOUT, check: bool = True
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout
    )
    if check and done.returncode != 0:
        pytest.fail(f"{' '.join(command)}: status {done.returncode}: {done.stderr or done.stdout}")
    return done
