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
from collections.abc import Iterator
from contextlib import suppress

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
_VECTOR_LENGTH = struct.Struct("N")


class Datagrams:
    """Room for a batch of one family's. It may serve any number of sockets, one after the other."""

    def __init__(self, family: socket.AddressFamily = socket.AF_INET) -> None:
        self._sender_length = _SENDER[family]
        senders = ctypes.create_string_buffer(SLOTS * self._sender_length)
        self._heard = _Side(senders, self._sender_length)
        self._said = _Side(senders, self._sender_length)
        self._senders = _octets_of(senders)
        self._count = 0
        """Of what is to be said."""

    def receive(self, of: socket.socket) -> Iterator[tuple[int, bytes]]:
        """The datagrams that are there now, SLOTS at most, each with its slot."""
        self._count = 0
        try:
            count = syscalls.call(
                "recvmmsg", of.fileno(), self._heard.messages, SLOTS, socket.MSG_DONTWAIT, None
            )
        except OSError:  # none is there; or an ICMP error about somebody who was told something
            return
        results = self._heard.results[: count * _RECEIVED.size]
        for slot, (length,) in enumerate(_RECEIVED.iter_unpack(results)):
            begin = slot * LONGEST
            yield slot, bytes(self._heard.octets[begin : begin + length])

    def sender(self, slot: int) -> bytes:
        """Who has sent what is in that slot, as `send_to` takes it."""
        begin = slot * self._sender_length
        return bytes(self._senders[begin : begin + self._sender_length])

    def say(self, slot: int, message: bytes, through: socket.socket) -> None:
        """Let `message` go to who has sent what is in that slot, with all else that is said."""
        if len(message) > LONGEST:
            self.send_to(self.sender(slot), message, through)
            return
        place = self._count
        if place != slot:  # somebody before was told nothing
            begin = place * self._sender_length
            self._senders[begin : begin + self._sender_length] = self.sender(slot)
        begin = place * LONGEST
        self._said.octets[begin : begin + len(message)] = message
        at = place * ctypes.sizeof(_Vector) + _Vector.length.offset
        _VECTOR_LENGTH.pack_into(self._said.lengths, at, len(message))
        self._count = place + 1

    def send(self, through: socket.socket) -> None:
        """Send all that is said."""
        sent = 0
        while sent < self._count:
            rest = ctypes.byref(self._said.messages, sent * ctypes.sizeof(_Message))
            left = self._count - sent
            try:
                sent += syscalls.call("sendmmsg", through.fileno(), rest, left, socket.MSG_DONTWAIT)
            except OSError:  # no room for that one, or nobody there
                sent += 1

    def send_to(self, sender: bytes, message: bytes, through: socket.socket) -> None:
        """Send `message` by itself."""
        with suppress(OSError):
            syscalls.call(
                *("sendto", through.fileno(), message, ctypes.c_size_t(len(message))),
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
        self.lengths = _octets_of(vectors)
        self.results = _octets_of(self.messages)


def _octets_of(
    room: ctypes.Array[ctypes.c_char] | ctypes.Array[_Vector] | ctypes.Array[_Message],
) -> memoryview:
    return memoryview((ctypes.c_char * ctypes.sizeof(room)).from_buffer(room)).cast("B")
