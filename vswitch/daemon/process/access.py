"""Who may ask the daemon on its control socket.

Theory of operation. The socket's file is root's alone, or also a group's, and that keeps most out.
A socket may be passed on, though, or lie where its mode says nothing, so each connection is looked
at as well: the kernel knows whose process made it and which groups that was in (unix(7),
SO_PEERCRED, SO_PEERGROUPS). These are the very groups by which the file's mode is judged; the user
database, which may be far away, is asked once, for the number of the group.

Who comes in over TLS has shown a certificate and is none of this module's business.
"""

from __future__ import annotations

import ctypes
import grp
import os
import socket
import struct
from dataclasses import dataclass
from typing import Protocol

_CREDENTIALS = struct.Struct("iII")
"""struct ucred: pid, uid, gid."""

_SO_PEERGROUPS = 59
"""<asm-generic/socket.h>, Linux 4.13."""

_MOST_GROUPS = 65536
"""NGROUPS_MAX, <linux/limits.h>."""

_LIBC = ctypes.CDLL(None, use_errno=True)


class NoSuchGroupError(Exception):
    """There is no group of this name. The text is one line for the user."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f'api.group: found "{name}": allowed is the name of a group that exists '
            f"(groupadd --system {name})"
        )


class Connection(Protocol):
    """A connected unix socket, or what an event loop shows of one."""

    def fileno(self) -> int:
        """Its descriptor."""

    def getsockopt(self, level: int, option: int, length: int, /) -> bytes:
        """getsockopt(2)."""


@dataclass(frozen=True, slots=True)
class Group:
    """A group of users of this host."""

    name: str
    number: int

    @classmethod
    def called(cls, name: str) -> Group:
        """The one of this name. Raises NoSuchGroupError."""
        try:
            return cls(name, grp.getgrnam(name).gr_gid)
        except KeyError:
            raise NoSuchGroupError(name) from None


@dataclass(frozen=True, slots=True)
class Peer:
    """A process at the other end of a unix socket, as it was when it connected."""

    user: int
    groups: frozenset[int]
    """The primary one and all others."""

    @classmethod
    def of(cls, connection: Connection) -> Peer:
        """Who is at the other end. Raises OSError where the kernel does not say."""
        told = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        _, user, primary = _CREDENTIALS.unpack(told)
        return cls(user, frozenset({primary, *_further_groups(connection)}))


@dataclass(frozen=True, slots=True)
class Access:
    """Root, the user whose daemon it is, and the members of `group` may ask."""

    owner: int
    group: Group | None = None

    def admits(self, peer: Peer) -> bool:
        """Whether `peer` may ask."""
        if peer.user in (0, self.owner):
            return True
        return self.group is not None and self.group.number in peer.groups

    def refusal(self, peer: Peer) -> str:
        """What `peer`, who may not ask, is told."""
        allowed = ["root"]
        if self.owner != 0:
            allowed.append(f"user {self.owner}")
        if self.group is not None:
            allowed.append(f"members of group {self.group.name}")
        return f"user {peer.user} may not ask this switch: allowed are {' and '.join(allowed)}"


def _further_groups(connection: Connection) -> list[int]:
    """More than `socket.getsockopt` has room for may be there."""
    groups = (ctypes.c_uint32 * _MOST_GROUPS)()
    length = ctypes.c_uint32(ctypes.sizeof(groups))
    wanted = (connection.fileno(), socket.SOL_SOCKET, _SO_PEERGROUPS)
    if _LIBC.getsockopt(*wanted, groups, ctypes.byref(length)) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return list(groups[: length.value // ctypes.sizeof(ctypes.c_uint32)])
