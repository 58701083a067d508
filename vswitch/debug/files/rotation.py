"""Capture files on a disk: one, or a row of them that never takes more than its bound.

Theory of operation. Both kinds are given whole blocks and end with a whole block, whatever happens:
where a disk is full, what was written of the last ones is cut off again. A rotation begins a new
file when the present one would grow beyond its size or has become old, names them `NAME-00001`,
`NAME-00002` and so on, and removes the oldest so that `keep` of them are there. Each file opens
with the section and the interfaces that were declared so far, so each can be read without the
others; the counts at the very end of a capture follow its last frame, wherever that is. Files of an
earlier capture of the same name are the beginning of the row: they count, and go in their turn.

Time comes in with every write. Errors of the file system (OSError) are the caller's.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from vswitch.debug.files.blocks import INTERFACE, PACKET, SECTION, Block
from vswitch.units import MEBIBYTE, Nanoseconds

LARGEST_FILE = 1024 * MEBIBYTE
"""Bytes of a file of a rotation for which nobody said how large it may grow."""

KEPT_FILES = 8
"""Files of a rotation for which nobody said how many to keep."""

ANYBODY_BUT_UMASK = 0o666
OWNER_ONLY = 0o600

_DIGITS = 5


@dataclass(frozen=True, slots=True)
class Rotation:
    """When a new file begins, and how many there may be: `keep` times `size` bytes in all."""

    size: int = LARGEST_FILE
    age: Nanoseconds | None = None
    keep: int = KEPT_FILES


class CaptureFile:
    """One file, which ends with a whole block whenever it is looked at."""

    def __init__(self, path: Path, mode: int = ANYBODY_BUT_UMASK) -> None:
        self.path = path
        self.size = 0
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)

    def write(self, blocks: Sequence[Block], now: Nanoseconds) -> None:
        """Write them all, or none of them where it can not be done."""
        del now
        self.append(b"".join(block.data for block in blocks))

    def append(self, data: bytes) -> None:
        """Write whole blocks, or nothing where it can not be done."""
        left = memoryview(data)
        try:
            while left:
                left = left[os.write(self._descriptor, left) :]
        except OSError:
            with suppress(OSError):  # a device has no length to cut
                os.ftruncate(self._descriptor, self.size)
            raise
        self.size += len(data)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)


class RotatingFiles:
    """A row of files for one stream of blocks."""

    def __init__(self, path: Path, rotation: Rotation) -> None:
        """`path` is what the files are named after; none of them is made yet."""
        self._path = path
        self._rotation = rotation
        self._opening: list[Block] = []
        self._file: CaptureFile | None = None
        self._begun: Nanoseconds = 0
        self._has_packet = False

    def write(self, blocks: Sequence[Block], now: Nanoseconds) -> None:
        """Write blocks, into as many files as it takes."""
        waiting: list[bytes] = []
        size = 0
        for block in blocks:
            file = self._file
            if file is None or self._is_full(file.size + size + len(block.data), block, now):
                self._append(waiting)
                waiting, size = [], 0
                self._begin(now)
            if block.kind in (SECTION, INTERFACE):
                self._opening.append(block)
            self._has_packet |= block.kind == PACKET
            waiting.append(block.data)
            size += len(block.data)
        self._append(waiting)

    def close(self) -> None:
        """Let go of the last file."""
        if self._file is not None:
            self._file.close()

    def _is_full(self, size: int, block: Block, now: Nanoseconds) -> bool:
        """Whether `block` belongs into the next file. One with no packet in it is never full."""
        if not self._has_packet or block.kind != PACKET:
            return False
        age = self._rotation.age
        return size > self._rotation.size or (age is not None and now - self._begun >= age)

    def _append(self, waiting: list[bytes]) -> None:
        if self._file is not None and waiting:
            self._file.append(b"".join(waiting))

    def _begin(self, now: Nanoseconds) -> None:
        self.close()
        self._file = None
        files = files_of(self._path)
        for path in files[: max(0, len(files) - self._rotation.keep + 1)]:
            path.unlink(missing_ok=True)
        number = _number(self._path, files[-1]) + 1 if files else 1
        self._file = CaptureFile(_numbered(self._path, number))
        self._begun = now
        self._has_packet = False
        self._append([block.data for block in self._opening])


def files_of(path: Path) -> list[Path]:
    """The files of a rotation named after `path` that are there, oldest first."""
    named = {_number(path, each): each for each in path.parent.iterdir()}
    return [named[number] for number in sorted(named) if number]


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.stem}-{number:0{_DIGITS}}{path.suffix}")


def _number(path: Path, file: Path) -> int:
    """Which of the row `file` is, 0 where it is none of them."""
    pattern = rf"{re.escape(path.stem)}-([0-9]{{{_DIGITS},}}){re.escape(path.suffix)}"
    found = re.fullmatch(pattern, file.name)
    return int(found[1]) if found else 0
