"""TAP: the network interface whose other end is a file descriptor of ours.

Theory of operation. What the kernel sends out of the interface is read here, and what is written
here arrives on the interface. With IFF_VNET_HDR every frame has its virtio-net header, and with
TUNSETOFFLOAD the kernel leaves checksums unfinished and TCP and UDP uncut, so that one read brings
up to 64 KiB (Documentation/networking/tuntap.rst; the header is of the virtio specification, 5.1.6,
legacy form). A plain TAP has neither; its frames get the all-zero header here, so the rest of the
house knows one kind of frame.

The descriptor outlives moves: the interface may be renamed, and moved into another network
namespace, and goes on carrying frames without keeping that namespace alive. When the namespace or
the interface is deleted, the descriptor polls POLLERR and everything answers EBADFD.

What Linux does on this descriptor otherwise: an interface that is down makes write(2) fail with
EIO while reading merely finds nothing; there is no MTU on this side, so TOO_BIG is never answered;
a header that points outside its frame, and a frame without 14 bytes, is EINVAL.

This module never configures the interface: addresses, names, namespaces and "up" are netlink's.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import struct
from collections.abc import Iterator

from vswitch.devices.base import DeviceGone, OpenError, Sent, sent_by_error
from vswitch.units import KIBIBYTE
from vswitch.wire.buffer import Buffer
from vswitch.wire.offload import HEADER_LENGTH, Offloads

CONTROL = "/dev/net/tun"

BUFFER_LENGTH = HEADER_LENGTH + 64 * KIBIBYTE + 64
"""Bytes of the receiving buffer: the kernel's largest GSO packet is 64 KiB (GSO_LEGACY_MAX_SIZE);
the rest holds its Ethernet header and two VLAN tags."""

# linux/if_tun.h
_TUNSETIFF = 0x400454CA
_TUNSETPERSIST = 0x400454CB
_TUNSETOFFLOAD = 0x400454D0
_TUNSETVNETHDRSZ = 0x400454D8
_IFF_TAP = 0x0002
_IFF_NO_PI = 0x1000
_IFF_VNET_HDR = 0x4000
_TUN_F_CSUM = 0x01
_TUN_F_TSO4 = 0x02
_TUN_F_TSO6 = 0x04
_TUN_F_TSO_ECN = 0x08
_TUN_F_USO4 = 0x20
_TUN_F_USO6 = 0x40

_SEGMENTING_TCP = _TUN_F_CSUM | _TUN_F_TSO4 | _TUN_F_TSO6 | _TUN_F_TSO_ECN
_SEGMENTING_UDP = _TUN_F_USO4 | _TUN_F_USO6

_INTERFACE_REQUEST = struct.Struct("16sH22x")  # struct ifreq: name, flags
_LONGEST_NAME = 15  # IFNAMSIZ without its NUL
_ZERO_HEADER = bytes(HEADER_LENGTH)

_log = logging.getLogger(__name__)


class TapDevice:
    """A TAP interface, made by `open`."""

    kind = "tap"

    def __init__(self, fd: int, interface: str, offloads: Offloads, *, vnet_header: bool) -> None:
        """Take over `fd`, a non-blocking TAP descriptor; `open` is the usual way."""
        self.name = interface
        self.interface = interface
        """The kernel's name at creation; a rename afterwards is not seen here."""
        self.offloads = offloads
        self.unreadable = 0
        """Frames lost because the kernel has no virtio-net header for them (GSO of SCTP)."""
        self._fd = fd
        self._vnet_header = vnet_header
        self._buffer = memoryview(bytearray(BUFFER_LENGTH))

    @classmethod
    def open(
        cls, name: str = "vs%d", *, vnet_header: bool = True, persistent: bool = False
    ) -> TapDevice:
        """Make the interface `name` in the calling thread's namespace, or attach to it.

        The kernel puts the lowest free number for `%d`. A name that exists is attached to where it
        is a TAP that nobody serves, which is how a persistent one is taken over; the descriptor
        then keeps its namespace alive. Raises OpenError.
        """
        if not 0 < len(name.encode()) <= _LONGEST_NAME:
            raise OpenError(f'TAP "{name}": a name has 1 to {_LONGEST_NAME} bytes')
        try:
            fd = os.open(CONTROL, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise OpenError(f"TAP {name}: {CONTROL}: {error.strerror}") from error
        try:
            interface = _attach(fd, name, vnet_header)
            offloads = _ask_for_offloads(fd, interface) if vnet_header else Offloads.NONE
            device = cls(fd, interface, offloads, vnet_header=vnet_header)
            if persistent:
                device.set_persistent(True)
        except OSError as error:
            os.close(fd)
            raise OpenError(f"TAP {name}: {error.strerror}") from error
        return device

    def set_persistent(self, persistent: bool) -> None:
        """Whether the interface stays when this descriptor is closed. OSError where it is gone."""
        fcntl.ioctl(self._fd, _TUNSETPERSIST, int(persistent))

    def fileno(self) -> int:
        """The TAP's descriptor."""
        return self._fd

    def receive(self, limit: int) -> Iterator[memoryview]:
        """Up to `limit` frames that the kernel has sent; see `Device.receive`."""
        start = 0 if self._vnet_header else HEADER_LENGTH
        frame = self._buffer
        target = [frame[start:]]
        for _ in range(limit):
            try:
                length = os.readv(self._fd, target)
            except BlockingIOError:
                return
            except OSError as error:
                if self._fd < 0:
                    return
                if error.errno != errno.EINVAL:
                    raise DeviceGone(self.name) from error
                self.unreadable += 1
                continue
            if start:
                frame[:start] = _ZERO_HEADER
            yield frame[: start + length]

    def send(self, frame: Buffer) -> Sent:
        """Let `frame` arrive on the interface; see `Device.send`."""
        try:
            os.write(self._fd, frame if self._vnet_header else memoryview(frame)[HEADER_LENGTH:])
        except OSError as error:
            return sent_by_error(error)
        return Sent.SENT

    def close(self) -> None:
        """Close the descriptor; the interface goes with it unless it is persistent."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _attach(fd: int, name: str, vnet_header: bool) -> str:
    flags = _IFF_TAP | _IFF_NO_PI | (_IFF_VNET_HDR if vnet_header else 0)
    answer = fcntl.ioctl(fd, _TUNSETIFF, _INTERFACE_REQUEST.pack(name.encode(), flags))
    interface, _ = _INTERFACE_REQUEST.unpack(answer)
    return str(interface.rstrip(b"\0").decode())


def _ask_for_offloads(fd: int, interface: str) -> Offloads:
    """All that this kernel grants: segmenting UDP came with Linux 6.2, the rest with TAP."""
    fcntl.ioctl(fd, _TUNSETVNETHDRSZ, struct.pack("i", HEADER_LENGTH))
    try:
        fcntl.ioctl(fd, _TUNSETOFFLOAD, _SEGMENTING_TCP | _SEGMENTING_UDP)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        fcntl.ioctl(fd, _TUNSETOFFLOAD, _SEGMENTING_TCP)
        _log.info("TAP %s: this kernel does not segment UDP (USO)", interface)
        return Offloads.ALL & ~Offloads.USO
    return Offloads.ALL
