"""AF_PACKET: an interface that the kernel owns, watched and used with a raw packet socket.

Theory of operation. The socket sees every frame that arrives on one interface, whatever its
destination (promiscuous), and what it sends leaves there (packet(7)). PACKET_VNET_HDR puts the
virtio-net header before each frame, so super-frames and unfinished checksums pass as they do on a
TAP. PACKET_IGNORE_OUTGOING spares us our own frames and those that the host itself sends.

The kernel takes the outermost VLAN tag out of a received frame and reports it in PACKET_AUXDATA.
It is put back here, without moving the frame: each is read four bytes into the buffer, and only
header and addresses step forward to make room. The header's offsets, which count from the start of
the Ethernet frame, then grow by the tag's length.

An interface that is set down is not gone. Both events arrive as ENETDOWN, so the socket is asked
which interface it is bound to: a deleted one (or one moved to another namespace) has no name left.
Every deletion begins with "down", and one of an interface that is down already raises no error on
the socket at all. So from ENETDOWN until the interface is up again, a second socket listens to the
kernel's link events (rtnetlink(7)) and the question is asked again at each.

The descriptor to poll is an epoll of its own around both. ENETDOWN sets POLLERR on the packet
socket, and libuv stops watching a descriptor for good at the first POLLERR, which would leave the
device deaf when the interface is set up again; an epoll descriptor only ever polls readable.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import select
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack

from vswitch.devices.base import (
    DeviceGone,
    Form,
    OpenError,
    RawDescriptor,
    Sent,
    sent_by_error,
)
from vswitch.units import KIBIBYTE, MEBIBYTE
from vswitch.wire import offload
from vswitch.wire.buffer import Buffer
from vswitch.wire.offload import HEADER_LENGTH, Offloads

RECEIVE_QUEUE = 8 * MEBIBYTE
"""SO_RCVBUF: about a hundred super-frames, or some thousand small ones (768 bytes each in the
kernel's accounting), while the loop is busy elsewhere. The kernel's default holds three."""

SEND_QUEUE = 4 * MEBIBYTE
"""SO_SNDBUF: must hold the frames that a physical uplink's queue discipline has not sent yet."""

VLAN_TAG_LENGTH = 4
"""Bytes of an IEEE 802.1Q tag: its EtherType and the tag control information."""

BUFFER_LENGTH = VLAN_TAG_LENGTH + HEADER_LENGTH + 64 * KIBIBYTE + 64
"""Bytes of the receiving buffer: room for a restored tag, then as for a TAP."""

# linux/if_packet.h
_ETH_P_ALL = 0x0003
_PACKET_ADD_MEMBERSHIP = 1
_PACKET_AUXDATA = 8
_PACKET_VNET_HDR = 15
_PACKET_IGNORE_OUTGOING = 23
_PACKET_MR_PROMISC = 1
_TP_STATUS_VLAN_VALID = 0x10
_SOL_PACKET = 263
# linux/netlink.h, linux/rtnetlink.h
_SOL_NETLINK = 270
_NETLINK_ADD_MEMBERSHIP = 1
_NETLINK_DROP_MEMBERSHIP = 2
_NETLINK_NO_ENOBUFS = 5
_RTNLGRP_LINK = 1
# linux/sockios.h, linux/if.h
_SIOCGIFFLAGS = 0x8913
_IFF_UP = 0x0001
# asm-generic/socket.h
_SO_SNDBUFFORCE = 32
_SO_RCVBUFFORCE = 33

_MEMBERSHIP = struct.Struct("iHH8x")  # struct packet_mreq: interface index, type, address length
_AUXDATA = struct.Struct("IIIHHHH")  # struct tpacket_auxdata: status .. vlan_tci, vlan_tpid
_INTERFACE_REQUEST = struct.Struct("16sH22x")  # struct ifreq: name, flags
_AUXDATA_SPACE = socket.CMSG_SPACE(_AUXDATA.size)
_LINK_EVENT_LENGTH = 8 * KIBIBYTE  # only drained, so a message may be cut
_TAG = struct.Struct("!HH")
_BEFORE_TAG = HEADER_LENGTH + 12  # the virtio-net header and the two stations

_USO_SINCE = (6, 2)
"""Linux release from which a packet socket sends GSO_UDP_L4 instead of answering EINVAL."""


class PacketDevice:
    """A packet socket on an interface of the namespace in which `open` was called."""

    kind = "afpacket"

    def __init__(
        self, packets: socket.socket, links: socket.socket, interface: str, offloads: Offloads
    ) -> None:
        """Take over a bound packet socket and a netlink socket without groups, non-blocking both.

        `open` is the usual way.
        """
        self.name = interface
        self.interface = interface
        """The interface's name when it was opened; a rename afterwards is not seen here."""
        self.offloads = offloads
        self.unreadable = 0
        """Frames lost because the kernel has no virtio-net header for them (GSO of SCTP)."""
        self._socket = packets
        self._links = links
        self._is_down = False
        self._gone = False
        self._buffer = memoryview(bytearray(BUFFER_LENGTH))
        self._poll = select.epoll()
        self._poll.register(packets, select.EPOLLIN)
        self._poll.register(links, select.EPOLLIN)

    @classmethod
    def open(cls, interface: str) -> PacketDevice:
        """Attach to `interface` in the calling thread's namespace. Raises OpenError.

        The socket keeps that namespace alive until it is closed.
        """
        with ExitStack() as undo:
            try:
                packets = undo.enter_context(_raw_socket(socket.AF_PACKET))
                links = undo.enter_context(_raw_socket(socket.AF_NETLINK))
                links.setsockopt(_SOL_NETLINK, _NETLINK_NO_ENOBUFS, 1)
                links.bind((0, 0))  # without a port id of its own it would get no events
                _configure(packets, interface)
            except OSError as error:
                raise OpenError(f"{interface}: {error.strerror or error}") from error
            undo.pop_all()
        return cls(packets, links, interface, _offloads_of_this_kernel())

    def fileno(self) -> int:
        """A descriptor that polls readable when frames wait or the interface's state changed."""
        return -1 if self._poll.closed else self._poll.fileno()

    def receive(self, limit: int) -> Iterator[memoryview]:
        """Up to `limit` frames that arrived on the interface; see `Device.receive`."""
        buffer = self._buffer
        target = [buffer[VLAN_TAG_LENGTH:]]
        receive = self._socket.recvmsg_into
        for _ in range(limit):
            if self._is_down:
                self._look_at_link()
            if self._gone:
                raise DeviceGone(self.name)
            try:
                length, auxiliary, _, _ = receive(target, _AUXDATA_SPACE)
            except BlockingIOError:
                return
            except OSError as error:
                if not self.overcome(error):
                    return
                continue
            end = VLAN_TAG_LENGTH + length
            if auxiliary and auxiliary[0][2][0] & _TP_STATUS_VLAN_VALID:
                yield _with_tag(buffer[:end], auxiliary[0][2])
            else:
                yield buffer[VLAN_TAG_LENGTH:end]

    def send(self, frame: Buffer) -> Sent:
        """Let `frame` leave by the interface; see `Device.send`."""
        try:
            self._socket.send(frame)
        except OSError as error:
            return sent_by_error(error)
        return Sent.SENT

    def close(self) -> None:
        """Close the sockets and leave promiscuous mode; the interface stays."""
        self._poll.close()
        self._socket.close()
        self._links.close()

    def raw(self) -> RawDescriptor | None:
        """The packet socket, while its interface is not known to be down."""
        descriptor = self._socket.fileno()
        is_usable = not (self._is_down or self._gone) and descriptor >= 0
        return RawDescriptor(descriptor, Form.PACKET, descriptor) if is_usable else None

    def overcome(self, error: OSError) -> bool:
        """EINVAL is a frame that has no header; everything else begins with being down."""
        if self._socket.fileno() < 0 or error.errno == errno.EAGAIN:
            return False
        if error.errno == errno.EINVAL:
            self.unreadable += 1
        else:
            self._links.setsockopt(_SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP, _RTNLGRP_LINK)
            self._is_down = True
            self._look_at_link()
        return True

    def _look_at_link(self) -> None:
        """Gone, still down, or up again? Asked once more after listening began: no event is missed.

        Raises DeviceGone.
        """
        if self._socket.fileno() < 0:
            return
        self._drain_link_events()
        interface = self._socket.getsockname()[0]
        self._gone = not interface
        if self._gone or _is_up(self._socket, interface):
            self._is_down = False
            self._links.setsockopt(_SOL_NETLINK, _NETLINK_DROP_MEMBERSHIP, _RTNLGRP_LINK)
            self._drain_link_events()
        if self._gone:
            raise DeviceGone(self.name)

    def _drain_link_events(self) -> None:
        try:
            while self._links.recv(_LINK_EVENT_LENGTH):
                continue
        except BlockingIOError:
            return


def _raw_socket(family: socket.AddressFamily) -> socket.socket:
    return socket.socket(family, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)


def _is_up(packets: socket.socket, interface: str) -> bool:
    """Whether `interface` is set up; False also where it was renamed or deleted just now."""
    try:
        answer = fcntl.ioctl(packets, _SIOCGIFFLAGS, _INTERFACE_REQUEST.pack(interface.encode(), 0))
    except OSError:
        return False
    _, flags = _INTERFACE_REQUEST.unpack(answer)
    return bool(flags & _IFF_UP)


def _configure(packets: socket.socket, interface: str) -> None:
    """Everything is set before the socket is bound, so no frame arrives in another form."""
    index = socket.if_nametoindex(interface)
    for option in (_PACKET_VNET_HDR, _PACKET_AUXDATA, _PACKET_IGNORE_OUTGOING):
        packets.setsockopt(_SOL_PACKET, option, 1)
    membership = _MEMBERSHIP.pack(index, _PACKET_MR_PROMISC, 0)
    packets.setsockopt(_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, membership)
    _set_queue(packets, _SO_RCVBUFFORCE, socket.SO_RCVBUF, RECEIVE_QUEUE)
    _set_queue(packets, _SO_SNDBUFFORCE, socket.SO_SNDBUF, SEND_QUEUE)
    packets.bind((interface, _ETH_P_ALL))


def _set_queue(packets: socket.socket, forced: int, limited: int, length: int) -> None:
    """Beyond net.core.rmem_max and wmem_max where we may (CAP_NET_ADMIN), else up to them."""
    try:
        packets.setsockopt(socket.SOL_SOCKET, forced, length)
    except PermissionError:
        packets.setsockopt(socket.SOL_SOCKET, limited, length)


def _offloads_of_this_kernel() -> Offloads:
    release = re.match(r"(\d+)\.(\d+)", os.uname().release)
    known = release is not None and (int(release[1]), int(release[2])) >= _USO_SINCE
    return Offloads.ALL if known else Offloads.ALL & ~Offloads.USO


def _with_tag(frame: memoryview, auxdata: bytes) -> memoryview:
    """Put the tag of `auxdata` back into `frame`, which begins VLAN_TAG_LENGTH early for it."""
    *_, control, ethertype = _AUXDATA.unpack_from(auxdata)
    frame[:_BEFORE_TAG] = frame[VLAN_TAG_LENGTH : VLAN_TAG_LENGTH + _BEFORE_TAG]
    _TAG.pack_into(frame, _BEFORE_TAG, ethertype, control)
    offload.move_offsets(frame, VLAN_TAG_LENGTH)
    return frame
