"""Datagrams that come to a socket, so many at a time, and what is said to them, all at once.

Theory of operation. Most of what a query costs is the way into the kernel and back, and then the
making of an object for the address that it came from. recvmmsg(2) and sendmmsg(2) take that way
once for a whole batch. A *slot* has room for one datagram and for its sender, as the kernel writes
one; what is said to it is put beside the sender and goes out with all else that is said. What can
not be said before the batch is over goes by itself, to a sender that was kept.

What is lost is not said again: who has asked asks again. Read first: recvmmsg(2), sendmmsg(2),
udp(7).
"""

from __future__ import annotations

import ctypes
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial

from vswitch.daemon.kernel import syscalls

SLOTS = 64
"""Datagrams in one batch, before another socket's turn: some milliseconds."""

LONGEST = 4096
"""Octets that are read of one, as a query is a name and an OPT record, and that are said in a
batch; what is longer goes by itself."""

_SENDER = {socket.AF_INET: 16, socket.AF_INET6: 28}
"""Octets of struct sockaddr_in and struct sockaddr_in6."""


class _Vector(ctypes.Structure):
    """struct iovec: where octets are."""

    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Header(ctypes.Structure):
    """struct msghdr: a datagram, and whose."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("vector", ctypes.POINTER(_Vector)),
        ("vectors", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Message(ctypes.Structure):
    """struct mmsghdr: one, and how long it was."""

    _fields_ = (("header", _Header), ("length", ctypes.c_uint32))


_RECEIVED = struct.Struct(
    f"={_Message.length.offset}xI{ctypes.sizeof(_Message) - _Message.length.offset - 4}x"
)


class Slots:
    """Room for one batch, which any number of sockets of one family use one after the other."""

    def __init__(self, family: socket.AddressFamily = socket.AF_INET) -> None:
        self.sender_length = _SENDER[family]
        senders = ctypes.create_string_buffer(SLOTS * self.sender_length)
        self.senders = _octets_of(senders)
        self.heard = _Side(senders, self.sender_length)
        self.said = _Side(senders, self.sender_length)


class Datagrams:
    """Those of one socket. What is received is answered and sent before another one's are."""

    def __init__(self, of: socket.socket, slots: Slots) -> None:
        self._socket = of
        self._slots = slots
        self._count = 0
        """Of what is to be said."""

    def receive(self, at_most: int = SLOTS) -> Iterator[tuple[int, bytes]]:
        """The datagrams that are there now, so many of SLOTS at most, each with its slot."""
        self._count = 0
        heard = self._slots.heard
        try:
            count = syscalls.call(
                *("recvmmsg", self._socket.fileno(), heard.messages, at_most),
                *(socket.MSG_DONTWAIT, None),
            )
        except OSError:  # none is there; or an ICMP error about somebody who was told something
            return
        octets, begin = heard.octets, 0
        for slot, (length,) in enumerate(_RECEIVED.iter_unpack(heard.of_first(count))):
            yield slot, bytes(octets[begin : begin + length])
            begin += LONGEST

    def say(self, slot: int, message: bytes) -> None:
        """Let `message` go to who has sent what is in that slot, with all else that is said."""
        length, place, slots = len(message), self._count, self._slots
        if length > LONGEST:
            self.later(slot)(message)
            return
        if place != slot:  # somebody before was told nothing
            begin = place * slots.sender_length
            slots.senders[begin : begin + slots.sender_length] = self._sender(slot)
        begin = place * LONGEST
        slots.said.octets[begin : begin + length] = message
        slots.said.lengths[place] = length
        self._count = place + 1

    def later(self, slot: int) -> Callable[[bytes], None]:
        """Tells who has sent what is in that slot something, by itself and at any time."""
        return partial(self._send_to, self._sender(slot))

    def send(self) -> None:
        """Send all that is said."""
        sent, messages = 0, self._slots.said.messages
        while sent < self._count:
            rest = ctypes.byref(messages, sent * ctypes.sizeof(_Message))
            left = self._count - sent
            try:
                sent += syscalls.call(
                    "sendmmsg", self._socket.fileno(), rest, left, socket.MSG_DONTWAIT
                )
            except OSError:  # no room for that one, or nobody there
                sent += 1

    def _sender(self, slot: int) -> bytes:
        begin = slot * self._slots.sender_length
        return bytes(self._slots.senders[begin : begin + self._slots.sender_length])

    def _send_to(self, sender: bytes, message: bytes) -> None:
        with suppress(OSError):  # nobody there, or the socket is closed
            syscalls.call(
                *("sendto", self._socket.fileno(), message, ctypes.c_size_t(len(message))),
                *(socket.MSG_DONTWAIT, sender, len(sender)),
            )


class _Side:
    """SLOTS slots of one direction, as the kernel takes them."""

    def __init__(self, senders: ctypes.Array[ctypes.c_char], sender_length: int) -> None:
        octets = ctypes.create_string_buffer(SLOTS * LONGEST)
        vectors = (_Vector * SLOTS)()
        self.messages = (_Message * SLOTS)()
        for slot, (vector, message) in enumerate(zip(vectors, self.messages, strict=True)):
            vector.base = ctypes.addressof(octets) + slot * LONGEST
            vector.length = LONGEST
            message.header.name = ctypes.addressof(senders) + slot * sender_length
            message.header.name_length = sender_length
            message.header.vector = ctypes.pointer(vector)
            message.header.vectors = 1
        self.octets = _octets_of(octets)
        self.lengths = _octets_of(vectors).cast("L")[1::2]
        self._results = _octets_of(self.messages)

    def of_first(self, count: int) -> memoryview:
        """So many messages, as octets."""
        return self._results[: count * _RECEIVED.size]


def _octets_of(
    room: ctypes.Array[ctypes.c_char] | ctypes.Array[_Vector] | ctypes.Array[_Message],
) -> memoryview:
    return memoryview((ctypes.c_char * ctypes.sizeof(room)).from_buffer(room)).cast("B")
