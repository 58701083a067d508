"""Processes that endpoints live and end with.

A process is held by a pidfd (pidfd_open(2)): its number may be another process's one day, its
descriptor never is. So nothing is signalled that was not meant, and the descriptor becomes readable
when the process has ended.

A descriptor does not outlive the daemon, so what is written down of a process is its `Birth`: no
two processes have the same number and have begun in the same instant of the same boot.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

_CLOSED = -1

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
"""random(4): another one after each start of the machine."""

_START_TIME = 18
"""The place of starttime among the fields of proc(5), /proc/PID/stat, behind the state."""

_ENDED = ("Z", "X")
"""States of a process of which there is no more than its exit status."""


class Birth(NamedTuple):
    """Which process it is, for good."""

    pid: int
    started: int
    """In clock ticks since the machine's start."""
    boot: str


class ProcessError(Exception):
    """There is no such process. The text is one line for the user."""


class Process:
    """One process. Belongs to the running event loop from `watch` on."""

    def __init__(self, pid: int) -> None:
        """Raises ProcessError where there is none."""
        self.pid = pid
        try:
            self._descriptor = os.pidfd_open(pid)
        except OSError as error:
            raise ProcessError(f"process {pid}: {error.strerror}") from error
        try:
            self.birth = birth_of(pid)
        except ProcessError:
            os.close(self._descriptor)
            raise
        self._ended = asyncio.Event()

    def watch(self, on_end: Callable[[], object]) -> None:
        """Call `on_end` once, when it has ended."""
        loop = asyncio.get_running_loop()

        def ended() -> None:
            loop.remove_reader(self._descriptor)
            self._ended.set()
            on_end()

        loop.add_reader(self._descriptor, ended)

    async def stop(self, seconds: float) -> None:
        """Ask it to end, and kill it where it has not within `seconds`.

        Returns when it has ended, or when it was let go.
        """
        self._send(signal.SIGTERM)
        try:
            async with asyncio.timeout(seconds):
                await self._ended.wait()
        except TimeoutError:
            self._send(signal.SIGKILL)
            await self._ended.wait()

    def close(self) -> None:
        """Let it go: nothing is told of it any more, and nothing sent to it."""
        asyncio.get_running_loop().remove_reader(self._descriptor)
        os.close(self._descriptor)
        self._descriptor = _CLOSED
        self._ended.set()

    def _send(self, number: signal.Signals) -> None:
        if self._descriptor == _CLOSED:
            return
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._descriptor, number)


def boot_id() -> str:
    """Which start of the machine this is."""
    return _BOOT_ID.read_text(encoding="ascii").strip()


def birth_of(pid: int) -> Birth:
    """Which process has that number. Raises ProcessError where none has."""
    return Birth(pid, _started(pid), boot_id())


def is_alive(birth: Birth) -> bool:
    """Whether that process has not ended."""
    try:
        return birth_of(birth.pid) == birth
    except ProcessError:
        return False


def _started(pid: int) -> int:
    """Raises ProcessError. The name, which comes before, may have parentheses of its own."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ProcessError(f"process {pid}: {error.strerror}") from error
    state, *fields = text.rpartition(")")[2].split()
    if state in _ENDED:
        raise ProcessError(f"process {pid} has ended")
    return int(fields[_START_TIME])
