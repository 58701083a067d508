"""Processes that endpoints live and end with.

A process is held by a pidfd (pidfd_open(2)): its number may be another process's one day, its
descriptor never is. So nothing is signalled that was not meant, and the descriptor becomes readable
when the process has ended.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import suppress

_CLOSED = -1


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
