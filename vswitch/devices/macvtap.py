"""macvtap: a station of our own on an interface of the host, whose other end is a descriptor.

Theory of operation. A macvtap interface lies on a parent and has a MAC of its own. The parent gives
it the frames to that MAC, broadcasts, and the multicasts that it listens to, and the host's own
stack sees none of them while we hold the descriptor. What is written here leaves by the parent; in
mode `bridge` it reaches other macvtaps of that parent as well, but never the host itself. Reading,
writing and offloads are `tun`'s. Only UDP arrives cut even so: tap.c grants USO for sending, and
forgets it for receiving (seen in Linux 6.18).

The interface is made over netlink; here it is opened. Its descriptor is that of a character device,
whose numbers only sysfs tells. /dev/tapN is not to be trusted: N is the interface's index, which
interfaces of several namespaces may share, and then the node is the first one's. So a thread of
its own takes a mount namespace of its own and mounts a tmpfs in there (a run directory may forbid
device nodes) with the sysfs of its network namespace in it, reads the numbers, makes the node,
opens it, and ends. Nothing of this is seen from outside, or left.

What happens to the interface does not show on the descriptor, other than with a TAP: reading one
that is gone merely finds nothing, and writing pretends to have worked. So the kernel's link events
(rtnetlink(7)) are listened to besides, and each makes the next `receive` ask whether the interface
is there (TUNGETIFF), and whether it is up and its parent too. `send` answers by what was found.

The link events are those of the namespace in which the device was opened, which it keeps alive. An
interface that is moved to another one afterwards is no longer watched.

This module never configures the interface: its name, MAC, mode and "up" are netlink's.

Read first: `drivers/net/tap.c`; Documentation/networking/ipvlan.rst has the wider picture.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import select
import socket
import stat
import struct
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack
from pathlib import Path

from vswitch.devices import tun
from vswitch.devices.base import DeviceGone, OpenError, RawDescriptor, Sent
from vswitch.devices.tun import TunDescriptor
from vswitch.units import KIBIBYTE
from vswitch.wire.buffer import Buffer
from vswitch.wire.offload import Offloads

_PLACE = Path("/sys")
"""Where the thread that opens mounts what it needs: a directory that every system has."""

# linux/sched.h, linux/mount.h
_CLONE_NEWNS = 0x0002_0000
_MS_NOSUID = 1 << 1
_MS_NOEXEC = 1 << 3
_MS_REC = 1 << 14
_MS_PRIVATE = 1 << 18
# linux/rtnetlink.h
_RTMGRP_LINK = 1
# linux/sockios.h, linux/if.h
_SIOCGIFFLAGS = 0x8913
_IFF_UP = 0x0001
_IFF_RUNNING = 0x0040

_INTERFACE_REQUEST = struct.Struct("16sH22x")  # struct ifreq: name, flags
_EVENT_LENGTH = 8 * KIBIBYTE  # only drained, so a message may be cut

_LIBC = ctypes.CDLL(None, use_errno=True)


class MacvtapDevice(TunDescriptor):
    """A macvtap interface of the namespace in which `open` was called. Closing leaves it there."""

    kind = "macvtap"

    def __init__(self, fd: int, events: socket.socket, interface: str, offloads: Offloads) -> None:
        """Take over a macvtap's descriptor and a socket of link events, non-blocking both.

        `open` is the usual way. Raises DeviceGone.
        """
        super().__init__(fd, interface, offloads, vnet_header=True)
        self._events = events
        self._poll = select.epoll()
        self._poll.register(fd, select.EPOLLIN)
        self._poll.register(events, select.EPOLLIN)
        self._state = Sent.SENT
        self._look_at_link()

    @classmethod
    def open(cls, interface: str) -> MacvtapDevice:
        """Serve the macvtap `interface` of the calling thread's namespace. Raises OpenError.

        It takes CAP_SYS_ADMIN and CAP_MKNOD, and as many may serve it as open it: it is the
        caller's to make sure that nobody else does.
        """
        with ExitStack() as undo:
            try:
                events = undo.enter_context(_link_events())
                fd = _open_node(interface)
                undo.callback(os.close, fd)
                tun.attach(fd, interface, vnet_header=True)
                offloads = tun.ask_for_offloads(fd, interface)
                device = cls(fd, events, interface, offloads)
            except OSError as error:
                raise OpenError(f"macvtap {interface}: {error.strerror or error}") from error
            except DeviceGone:
                raise OpenError(f"macvtap {interface}: it is gone already") from None
            undo.pop_all()
        return device

    def fileno(self) -> int:
        """A descriptor that polls readable when frames wait or some link's state changed."""
        return -1 if self._poll.closed else self._poll.fileno()

    def receive(self, limit: int) -> Iterator[memoryview]:
        """Up to `limit` frames that came for our MAC; see `Device.receive`."""
        if self._state is Sent.GONE:
            if self._fd >= 0:
                raise DeviceGone(self.name)
            return
        if self._drain_events():
            self._look_at_link()
        yield from super().receive(limit)

    def send(self, frame: Buffer) -> Sent:
        """Let `frame` leave by the parent; see `Device.send`."""
        sent = super().send(frame)
        return self._state if sent is Sent.SENT else sent

    def raw(self) -> RawDescriptor | None:
        """The descriptor, while what is written to it leaves by the parent."""
        return super().raw() if self._state is Sent.SENT else None

    def overcome(self, error: OSError) -> bool:
        """Where no frame waits, some link's state has changed."""
        if error.errno == errno.EAGAIN and self._drain_events():
            self._look_at_link()
        return super().overcome(error)

    def close(self) -> None:
        """Close the descriptor; the interface stays."""
        super().close()
        self._poll.close()
        self._events.close()
        self._state = Sent.GONE

    def _drain_events(self) -> bool:
        """Whether there was one, or so many that some were lost."""
        seen = False
        while True:
            try:
                self._events.recv(_EVENT_LENGTH)
            except BlockingIOError:
                return seen
            except OSError:  # ENOBUFS
                pass
            seen = True

    def _look_at_link(self) -> None:
        """What sending comes to from now on. Raises DeviceGone."""
        try:
            interface = tun.attached_to(self._fd)
        except OSError as error:
            self._state = Sent.GONE
            raise DeviceGone(self.name) from error
        self._state = Sent.SENT if _carries(self._events, interface) else Sent.DOWN


def _link_events() -> socket.socket:
    events = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
    try:
        events.bind((0, _RTMGRP_LINK))
    except BaseException:
        events.close()
        raise
    return events


def _carries(any_socket: socket.socket, interface: str) -> bool:
    """Whether the interface is up and the parent lets it run.

    True also where it is not found: it was moved away, which is not for us to judge.
    """
    try:
        request = _INTERFACE_REQUEST.pack(interface.encode(), 0)
        answer = fcntl.ioctl(any_socket, _SIOCGIFFLAGS, request)
    except OSError:
        return True
    _, flags = _INTERFACE_REQUEST.unpack(answer)
    return bool(flags & _IFF_UP and flags & _IFF_RUNNING)


def _open_node(interface: str) -> int:
    """The character device of `interface`, opened by a thread that keeps its mounts to itself.

    Raises OSError.
    """
    outcome: Future[int] = Future()

    def open_in_private() -> None:
        try:
            _call("unshare", _CLONE_NEWNS)
            _mount("none", Path("/"), None, _MS_REC | _MS_PRIVATE)
            _mount("tmpfs", _PLACE, "tmpfs", _MS_NOSUID | _MS_NOEXEC)
            sysfs, node = _PLACE / "sys", _PLACE / "tap"
            sysfs.mkdir()
            _mount("sysfs", sysfs, "sysfs", _MS_NOSUID | _MS_NOEXEC)
            device = _device_number(sysfs / "class" / "net" / interface)
            os.mknod(node, stat.S_IFCHR | 0o600, device)
            outcome.set_result(os.open(node, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC))
        except BaseException as error:
            outcome.set_exception(error)

    thread = threading.Thread(target=open_in_private, name=f"open {interface}", daemon=True)
    thread.start()
    thread.join()
    return outcome.result()


def _device_number(interface: Path) -> int:
    """What sysfs says in INTERFACE/tapN/dev, "246:1"."""
    if not interface.exists():
        raise OSError("there is no interface with this name")
    for path in interface.glob("tap*/dev"):
        major, _, minor = path.read_text(encoding="ascii").strip().partition(":")
        return os.makedev(int(major), int(minor))
    raise OSError("it is not a macvtap")


def _mount(source: str, target: Path, kind: str | None, flags: int) -> None:
    filesystem = None if kind is None else kind.encode()
    _call(
        *("mount", source.encode(), os.fsencode(target)),
        *(filesystem, ctypes.c_ulong(flags), None),
    )


def _call(function: str, *arguments: object) -> None:
    """A libc function whose -1 is an OSError."""
    if getattr(_LIBC, function)(*arguments) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
