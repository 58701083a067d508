"""Where running switches are found: one directory each, with the control socket in it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

RUN = Path("/run/vswitch")
"""The directory with one directory for each switch that runs."""

SOCKET = "socket"
"""The control socket's name in a switch's directory."""

_OWNER_ONLY = 0o177

_BACKLOG = 128
"""Clients that wait to be accepted; aiohttp's own number."""


@contextmanager
def listening(path: Path) -> Iterator[socket.socket]:
    """The control socket at `path`, for its owner alone: who asks before it is served waits.

    The lock says that no other switch listens there, so an old one is swept away. Raises OSError.
    """
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as control:
        before = os.umask(_OWNER_ONLY)
        try:
            control.bind(str(path))
        finally:
            os.umask(before)
        try:
            control.listen(_BACKLOG)
            yield control
        finally:
            path.unlink(missing_ok=True)
