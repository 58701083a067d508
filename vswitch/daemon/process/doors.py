"""The doors that the daemon is asked at: its control socket, and TCP with certificates.

Theory of operation. Everything about a door that takes a right which the daemon gives up
(`privileges`), or that can be the user's mistake, happens first and here: sockets are bound, the
control socket's group gets its share, keys are read. Nobody is listened to before the switch is up,
so who looks for a running switch finds none until then.

A service manager may have opened the control socket already (`systemd.Manager.passed`). Then it is
the manager's: mode and group are its choice, its file stays, and who asked early has waited.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vswitch.daemon.process import rundir, tls
from vswitch.daemon.process.access import Access, Group, NoSuchGroupError
from vswitch.daemon.process.tls import TlsError
from vswitch.network.model import ApiSettings, RemoteDoor
from vswitch.network.ports import socket_text

_BACKLOG = 128
"""Clients that wait to be accepted; aiohttp's own number."""


class DoorError(Exception):
    """A door can not be opened as it is described. The text is one line for the user."""


@dataclass(frozen=True, slots=True)
class Keys:
    """What opens the doors: nothing is bound yet."""

    access: Access
    tls: ssl.SSLContext | None = None
    """For TCP, where it is served there."""

    @classmethod
    def of(cls, settings: ApiSettings) -> Keys:
        """Those that `settings` name. Raises DoorError."""
        try:
            group = None if settings.group is None else Group.called(settings.group)
            remote = settings.remote
            context = None if remote is None else tls.server_context(remote)
        except (NoSuchGroupError, TlsError) as error:
            raise DoorError(str(error)) from error
        return cls(Access(os.geteuid(), group), context)


@dataclass(frozen=True, slots=True)
class Doors:
    """Bound sockets, and who may come in."""

    access: Access
    control: socket.socket
    remote: tuple[socket.socket, ssl.SSLContext] | None = None

    def listen(self) -> None:
        """Let clients come; they wait until they are served."""
        self.control.listen(_BACKLOG)
        if self.remote is not None:
            self.remote[0].listen(_BACKLOG)


@contextmanager
def opened(settings: ApiSettings, path: Path, passed: Sequence[int] = ()) -> Iterator[Doors]:
    """The doors of `settings`, the control socket at `path` or among those `passed`.

    Raises DoorError, or OSError where the directory of `path` can not be used.
    """
    keys = Keys.of(settings)
    group = keys.access.group
    number = None if group is None else group.number
    with _taken(passed, path) if passed else rundir.bound(path, number) as control:
        if settings.remote is None or keys.tls is None:
            yield Doors(keys.access, control)
            return
        with _bound(settings.remote) as remote:
            yield Doors(keys.access, control, (remote, keys.tls))


@contextmanager
def _taken(passed: Sequence[int], path: Path) -> Iterator[socket.socket]:
    """The one socket that is passed. Commands look at `path` for it."""
    if len(passed) > 1:
        raise DoorError(f"{len(passed)} sockets are passed: allowed is one, the control socket")
    try:
        control = socket.socket(fileno=passed[0])
    except OSError as error:
        raise DoorError(f"what is passed as a socket is none: {error.strerror}") from error
    with control:
        control.set_inheritable(False)
        if control.family != socket.AF_UNIX or control.type != socket.SOCK_STREAM:
            raise DoorError("the socket that is passed is no unix stream socket")
        if control.getsockname() != str(path):
            raise DoorError(
                f"the socket that is passed is at {control.getsockname()}: "
                f"allowed is {path}, where commands look for it"
            )
        yield control


@contextmanager
def _bound(door: RemoteDoor) -> Iterator[socket.socket]:
    family = socket.AF_INET if door.address.version == 4 else socket.AF_INET6
    with socket.socket(family) as remote:
        remote.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            remote.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        try:
            remote.bind((str(door.address), door.port))
        except OSError as error:
            where = socket_text(door.address, door.port)
            raise DoorError(f"api.listen: cannot listen at {where}: {error.strerror}") from error
        yield remote
