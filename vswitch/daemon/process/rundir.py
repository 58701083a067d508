"""Where running switches are found: one directory each, with the control socket in it.

The output of commands that run in the background is there too; that of those who live on stays when
the switch stops. `logs` keeps it from growing.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

RUN = Path("/run/vswitch")
"""The directory with one directory for each switch that runs."""

SOCKET = "socket"
"""The control socket's name in a switch's directory."""

_LOGS = "logs"
_RESOLV_CONFS = "resolv.conf"

_OWNER_ONLY = 0o600
_OWNER_AND_GROUP = 0o660


@contextmanager
def bound(path: Path, group: int | None = None) -> Iterator[socket.socket]:
    """The control socket at `path`, for its owner and the group of that number alone.

    The lock says that no other switch listens there, so an old one is swept away. Raises OSError.
    """
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as control:
        before = os.umask(0o777 & ~_OWNER_ONLY)
        try:
            control.bind(str(path))
        finally:
            os.umask(before)
        try:
            if group is not None:
                os.chown(path, -1, group)
                path.chmod(_OWNER_AND_GROUP)
            yield control
        finally:
            path.unlink(missing_ok=True)


def resolv_conf(directory: Path, endpoint: str) -> Path:
    """Where the resolv.conf of an endpoint lies whose namespace has no name, given the switch's
    directory."""
    return directory / _RESOLV_CONFS / endpoint


def logs(directory: Path) -> Path:
    """Where the output of all commands in the background goes, given the switch's directory."""
    return directory / _LOGS


def log_path(directory: Path, endpoint: str) -> Path:
    """Where that of one endpoint's command goes."""
    return logs(directory) / f"{endpoint}.log"


def remove_logs(directory: Path, but: Collection[str]) -> None:
    """Remove the output of all commands of a switch that stops, but of those endpoints."""
    spared = {log_path(directory, endpoint) for endpoint in but}
    for log in logs(directory).glob("*"):
        if log not in spared:
            log.unlink()
    with suppress(OSError):
        logs(directory).rmdir()
