"""The kernel's word that something has become of files in directories (inotify(7)).

The kernel queues 16384 events (fs.inotify.max_queued_events), far more than anybody causes between
two rounds of a loop; of equal ones that nobody has read it queues one.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path

from vswitch.daemon.kernel.syscalls import call

IN_MODIFY = 0x0000_0002
"""A file in the watched directory was written to."""

IN_CLOSE_WRITE = 0x0000_0008
"""A file in the watched directory was closed by somebody who could write to it."""

IN_MOVED_TO = 0x0000_0080
"""A file has come into the watched directory under another name, perhaps over one."""

IN_CREATE = 0x0000_0100
"""A name has come into the watched directory, as that of a symbolic link."""

IN_DELETE = 0x0000_0200
"""A name was removed from the watched directory."""

IN_DELETE_SELF = 0x0000_0400
"""What is watched itself is gone, and is watched no more."""

IN_MOVE_SELF = 0x0000_0800
"""What is watched itself has another name."""

_EVENT = struct.Struct("iIII")
"""struct inotify_event without its name: watch, mask, cookie, length of the name that follows."""

_READ_BYTES = 64 * 1024
"""One read takes at least 240 events with the longest names (inotify(7): 16 + 255 + 1 octets)."""


class Inotify:
    """Says in which files of the watched directories something has happened."""

    def __init__(self) -> None:
        """Raises OSError."""
        self._directories: dict[int, tuple[Path, int]] = {}
        self._descriptor = call("inotify_init1", os.O_NONBLOCK | os.O_CLOEXEC)

    def fileno(self) -> int:
        """The descriptor for the event loop to wait on: readable where something has happened."""
        return self._descriptor

    def add(self, directory: Path, events: int) -> None:
        """Tell of `events` in `directory` from now on, once however often it is asked for; of those
        of a file, where it is one.

        Raises OSError.
        """
        watch = call("inotify_add_watch", self._descriptor, os.fsencode(directory), events)
        self._directories[watch] = directory, events

    def paths(self) -> Iterator[Path]:
        """Those to which something has happened since the last call, each as often as it has; what
        is watched itself by the path that it was watched by."""
        while True:
            try:
                events = os.read(self._descriptor, _READ_BYTES)
            except BlockingIOError:
                return
            position = 0
            while position < len(events):
                watch, mask, _, length = _EVENT.unpack_from(events, position)
                position += _EVENT.size
                directory, wanted = self._directories.get(watch, (None, 0))
                if directory is not None and mask & wanted:
                    name = os.fsdecode(events[position : position + length].rstrip(b"\0"))
                    yield directory / name
                position += length

    def close(self) -> None:
        """Stop watching."""
        os.close(self._descriptor)
