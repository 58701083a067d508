"""The output of commands in the background: of each the last 10 MiB are kept.

Theory of operation. A command writes into its file by itself, always at the end, so nothing that
becomes of the switch holds it up. The kernel says which files were written to, and what one has
beyond the bytes that are kept is given back to the file system, as a hole at its beginning
(fallocate(2), FALLOC_FL_PUNCH_HOLE). The command does not notice: the file is as long as ever, and
takes no more room than what is kept. Whoever reads it begins at its data.

A command that never stops writing is looked at a few times in a second, and may take more room
between two looks.

Belongs to one event loop.
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
from pathlib import Path

from vswitch.daemon.kernel.inotify import IN_MODIFY, Inotify
from vswitch.daemon.kernel.syscalls import call
from vswitch.units import MEBIBYTE

log = logging.getLogger(__name__)

KEPT = 10 * MEBIBYTE
"""Bytes of one command: Docker's usual advice for a log file that rotates."""

PIECE = MEBIBYTE
"""What is given back is a multiple of this many bytes, so that it is seldom done."""

PAUSE_SECONDS = 0.1
"""Between two looks."""

_FALLOC_FL_KEEP_SIZE = 1
_FALLOC_FL_PUNCH_HOLE = 2
"""fallocate(2), <linux/falloc.h>."""

_BLOCK = 512
"""Bytes of a block of `st_blocks`, whatever the file system's are (stat(3type))."""


class Logs:
    """The output of all commands of one switch."""

    def __init__(self, directory: Path) -> None:
        """Make the `directory`, and see to it that no file in it grows on. Raises OSError."""
        directory.mkdir(mode=0o700, exist_ok=True)
        self._inotify = Inotify()
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.TimerHandle | None = None
        self._unbounded: set[Path] = set()
        """Those of which nothing can be given back."""
        try:
            self._inotify.add(directory, IN_MODIFY)
            self._listen()
        except BaseException:
            self._inotify.close()
            raise

    def close(self) -> None:
        """Let them grow."""
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._inotify.fileno())
        self._inotify.close()

    def _listen(self) -> None:
        self._pause = None
        self._loop.add_reader(self._inotify.fileno(), self._look)

    def _look(self) -> None:
        for path in frozenset(self._inotify.paths()) - self._unbounded:
            try:
                trim(path)
            except FileNotFoundError:
                continue
            except OSError as error:
                self._unbounded.add(path)
                log.warning("%s grows without bounds: %s", path, error.strerror)
        self._loop.remove_reader(self._inotify.fileno())
        self._pause = self._loop.call_later(PAUSE_SECONDS, self._listen)


def trim(path: Path, kept: int = KEPT, piece: int = PIECE) -> None:
    """Let a file take no more room than its last `kept` bytes and less than two `piece`s do.

    Raises OSError.
    """
    status = path.stat()
    beyond = (status.st_size - kept) // piece * piece
    if beyond <= 0 or status.st_blocks * _BLOCK < kept + 2 * piece:
        return
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        mode = _FALLOC_FL_PUNCH_HOLE | _FALLOC_FL_KEEP_SIZE
        call("fallocate", descriptor, mode, ctypes.c_int64(0), ctypes.c_int64(beyond))
    finally:
        os.close(descriptor)
