"""What the descriptors of a TAP and of a macvtap have in common: frames by read(2) and write(2).

Theory of operation. Both are served by the same ioctls of linux/if_tun.h, carry the same virtio-net
header where IFF_VNET_HDR is set, and grant the same offloads: with TUNSETOFFLOAD the kernel leaves
checksums unfinished and TCP and UDP uncut, so that one read brings up to 64 KiB. Where the header
is not set, a frame gets the all-zero one here.

How an interface comes to its descriptor, and how one notices that it is gone, differs: `tap` and
`macvtap` have that.

Read first: Documentation/networking/tuntap.rst; virtio 1.2, 5.1.6 (the header's legacy form).
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import struct
from collections.abc import Iterator

from vswitch.devices.base import DeviceGone, Form, RawDescriptor, Sent, sent_by_error
from vswitch.units import KIBIBYTE
from vswitch.wire.buffer import Buffer
from vswitch.wire.offload import HEADER_LENGTH, Offloads

BUFFER_LENGTH = HEADER_LENGTH + 64 * KIBIBYTE + 64
"""Bytes of the receiving buffer: the kernel's largest GSO packet is 64 KiB (GSO_LEGACY_MAX_SIZE);
the rest holds its Ethernet header and two VLAN tags."""

# linux/if_tun.h
_TUNSETIFF = 0x400454CA
_TUNSETOFFLOAD = 0x400454D0
_TUNGETIFF = 0x800454D2
_TUNSETVNETHDRSZ = 0x400454D8
_IFF_TAP = 0x0002
_IFF_NO_PI = 0x1000
_IFF_VNET_HDR = 0x4000
_IFF_TUN_EXCL = 0x8000
_TUN_F_CSUM = 0x01
_TUN_F_TSO4 = 0x02
_TUN_F_TSO6 = 0x04
_TUN_F_TSO_ECN = 0x08
_TUN_F_USO4 = 0x20
_TUN_F_USO6 = 0x40

_SEGMENTING_TCP = _TUN_F_CSUM | _TUN_F_TSO4 | _TUN_F_TSO6 | _TUN_F_TSO_ECN
_SEGMENTING_UDP = _TUN_F_USO4 | _TUN_F_USO6

_INTERFACE_REQUEST = struct.Struct("16sH22x")  # struct ifreq: name, flags
_ZERO_HEADER = bytes(HEADER_LENGTH)

_log = logging.getLogger(__name__)


class TunDescriptor:
    """The half of a device that reads and writes; `tap` and `macvtap` make a device of it."""

    def __init__(self, fd: int, interface: str, offloads: Offloads, *, vnet_header: bool) -> None:
        """Take over `fd`, a non-blocking descriptor that `attach` has been called on."""
        self.name = interface
        self.interface = interface
        """The kernel's name at creation; a rename afterwards is not seen here."""
        self.offloads = offloads
        self.unreadable = 0
        """Frames lost because the kernel has no virtio-net header for them (GSO of SCTP)."""
        self._fd = fd
        self._vnet_header = vnet_header
        self._buffer = memoryview(bytearray(BUFFER_LENGTH))

    def fileno(self) -> int:
        """The descriptor itself; -1 when it is closed."""
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
                if not self.overcome(error):
                    return
                continue
            if start:
                frame[:start] = _ZERO_HEADER
            yield frame[: start + length]

    def send(self, frame: Buffer) -> Sent:
        """Let `frame` leave by the descriptor; see `Device.send`."""
        try:
            os.write(self._fd, frame if self._vnet_header else memoryview(frame)[HEADER_LENGTH:])
        except OSError as error:
            return sent_by_error(error)
        return Sent.SENT

    def raw(self) -> RawDescriptor | None:
        """The descriptor, while it is open."""
        form = Form.TUN if self._vnet_header else Form.TUN_WITHOUT_HEADER
        return RawDescriptor(self._fd, form, self.fileno()) if self._fd >= 0 else None

    def overcome(self, error: OSError) -> bool:
        """EINVAL is a frame that has no header; everything else is the end."""
        if self._fd < 0 or error.errno == errno.EAGAIN:
            return False
        if error.errno != errno.EINVAL:
            raise DeviceGone(self.name) from error
        self.unreadable += 1
        return True

    def close(self) -> None:
        """Close the descriptor."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def attach(fd: int, name: str, *, vnet_header: bool, is_new: bool = False) -> str:
    """Say which interface `fd` serves, and how (TUNSETIFF); the kernel's name of it.

    One that `is_new` is made, and EBUSY where it exists. A macvtap's descriptor knows its
    interface, and passes over `name`. Raises OSError.
    """
    flags = _IFF_TAP | _IFF_NO_PI
    flags |= (_IFF_VNET_HDR if vnet_header else 0) | (_IFF_TUN_EXCL if is_new else 0)
    answer = fcntl.ioctl(fd, _TUNSETIFF, _INTERFACE_REQUEST.pack(name.encode(), flags))
    return _name_in(answer)


def attached_to(fd: int) -> str:
    """The present name of the interface that `fd` serves (TUNGETIFF). OSError where it is gone."""
    return _name_in(fcntl.ioctl(fd, _TUNGETIFF, bytes(_INTERFACE_REQUEST.size)))


def ask_for_offloads(fd: int, interface: str) -> Offloads:
    """All that this kernel grants: segmenting UDP came with Linux 6.2, the rest with TAP."""
    fcntl.ioctl(fd, _TUNSETVNETHDRSZ, struct.pack("i", HEADER_LENGTH))
    try:
        fcntl.ioctl(fd, _TUNSETOFFLOAD, _SEGMENTING_TCP | _SEGMENTING_UDP)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        fcntl.ioctl(fd, _TUNSETOFFLOAD, _SEGMENTING_TCP)
        _log.info("%s: this kernel does not segment UDP (USO)", interface)
        return Offloads.ALL & ~Offloads.USO
    return Offloads.ALL


def _name_in(request: bytes) -> str:
    name, _ = _INTERFACE_REQUEST.unpack(request)
    return str(name.rstrip(b"\0").decode())
