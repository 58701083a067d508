"""TAP: the network interface whose other end is a file descriptor of ours.

Theory of operation. What the kernel sends out of the interface is read here, and what is written
here arrives on the interface: reading, writing and offloads are `tun`'s. A plain TAP, without
IFF_VNET_HDR, takes no offloads.

The descriptor outlives moves: the interface may be renamed, and moved into another network
namespace, and goes on carrying frames. It keeps alive the namespace that it was opened in, and no
other. When the namespace or the interface is deleted, the descriptor polls POLLERR and everything
answers EBADFD.

A persistent interface outlives its descriptor, without a carrier, and is taken over by its name.

What Linux does on this descriptor otherwise: an interface that is down makes write(2) fail with
EIO while reading merely finds nothing; there is no MTU on this side, so TOO_BIG is never answered;
a header that points outside its frame, and a frame without 14 bytes, is EINVAL.

This module never configures the interface: addresses, names, namespaces and "up" are netlink's.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket

from vswitch.devices import tun
from vswitch.devices.base import OpenError
from vswitch.devices.tun import TunDescriptor
from vswitch.wire.offload import Offloads

CONTROL = "/dev/net/tun"

_TUNSETPERSIST = 0x400454CB  # linux/if_tun.h
_TUNSETOWNER = 0x400454CC
_LONGEST_NAME = 15  # IFNAMSIZ without its NUL


class TapDevice(TunDescriptor):
    """A TAP interface, made by `open`. Closing it ends the interface unless it is persistent."""

    kind = "tap"

    @classmethod
    def open(cls, name: str = "vs%d", *, vnet_header: bool = True) -> TapDevice:
        """Make the interface `name` in the calling thread's namespace, or attach to it.

        The kernel puts the lowest free number for `%d`. A name that exists is attached to where it
        is a TAP that nobody serves. Raises OpenError.
        """
        if not 0 < len(name.encode()) <= _LONGEST_NAME:
            raise OpenError(f'TAP "{name}": a name has 1 to {_LONGEST_NAME} bytes')
        try:
            fd = os.open(CONTROL, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise OpenError(f"TAP {name}: {CONTROL}: {error.strerror}") from error
        try:
            interface = tun.attach(fd, name, vnet_header=vnet_header)
            offloads = tun.ask_for_offloads(fd, interface) if vnet_header else Offloads.NONE
            device = cls(fd, interface, offloads, vnet_header=vnet_header)
        except OSError as error:
            os.close(fd)
            raise OpenError(f"TAP {name}: {error.strerror}") from error
        return device

    @classmethod
    def take_over(cls, name: str) -> TapDevice:
        """Go on with a persistent one that is in the calling thread's namespace, by its name now.

        Raises OpenError, as where there is none: opening it would silently make one.
        """
        index = _index_of(name)
        device = cls.open(name)
        if _index_of(name) != index:
            device.close()
            raise OpenError(f"TAP {name}: it is another one by now")
        return device

    def set_persistent(self, persistent: bool) -> None:
        """Whether the interface stays when this descriptor is closed. OSError where it is gone."""
        fcntl.ioctl(self._fd, _TUNSETPERSIST, int(persistent))


def _index_of(name: str) -> int:
    """Raises OpenError."""
    try:
        return socket.if_nametoindex(name)
    except OSError:
        raise OpenError(f"TAP {name}: there is none") from None


def make_for_another(name: str, owner: int | None) -> None:
    """Make the TAP `name` in the calling thread's namespace, for somebody else to open and serve.

    It is persistent, and down. The user `owner` may open it, without one root alone. Raises
    OpenError, as where there is an interface of that name.
    """
    try:
        fd = os.open(CONTROL, os.O_RDWR | os.O_CLOEXEC)
        try:
            tun.attach(fd, name, vnet_header=True, is_new=True)
            if owner is not None:
                fcntl.ioctl(fd, _TUNSETOWNER, owner)
            fcntl.ioctl(fd, _TUNSETPERSIST, 1)
        finally:
            os.close(fd)
    except OSError as error:
        reason = "there is one already" if error.errno == errno.EBUSY else error.strerror
        raise OpenError(f"TAP {name}: {reason}") from error
