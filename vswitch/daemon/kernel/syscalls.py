"""System calls that Python has no function for, by the C library: unshare, setns, mount, inotify.

A call that fails is an OSError with the kernel's reason, like those of `os`. Nothing is decided
here. Little is imported, because `vswitch run` has to load it.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

CLONE_NEWNS = 0x0002_0000
CLONE_NEWUTS = 0x0400_0000
CLONE_NEWNET = 0x4000_0000
"""unshare(2) and setns(2), <linux/sched.h>."""

MS_BIND = 1 << 12
MS_REC = 1 << 14
MS_SLAVE = 1 << 19
MS_SHARED = 1 << 20
MNT_DETACH = 2
"""mount(2) and umount2(2), <linux/mount.h>."""

_LIBC = ctypes.CDLL(None, use_errno=True)


def call(function: str, *arguments: object) -> int:
    """What the C library's `function` returns. Raises OSError where that is -1."""
    result: int = getattr(_LIBC, function)(*arguments)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def mount(source: str | None, target: Path, flags: int) -> None:
    """mount(2) of what needs neither type nor data. Raises OSError."""
    origin = b"none" if source is None else os.fsencode(source)
    call("mount", origin, os.fsencode(target), None, ctypes.c_ulong(flags), None)
