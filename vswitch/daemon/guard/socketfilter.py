"""Socket filters: from whom a socket hears at all.

Theory of operation. The kernel runs a filter on every packet that it has for a socket, before TCP
or UDP learns of it. What the filter does not keep is gone, and no answer is given, because the port
does lead somewhere. A connection inherits the filter of the socket that accepts it. It has to be
attached before the socket has its port, so that not one packet slips in.

What the host says to itself comes by the device `lo`, whatever local address it is for, and nothing
else does. A socket that is bound to that device (SO_BINDTODEVICE) does not say the same: for a
frame from the host to an address of its own, the kernel looks for sockets of the interface that has
the address (`inet_iif`), as if the frame came in there. The frame itself is `lo`'s all the same,
and that is what the filter asks.

Read first: socket(7), SO_ATTACH_FILTER; Documentation/networking/filter.rst, SKF_AD_IFINDEX.
"""

from __future__ import annotations

import ctypes
import socket
import struct
from enum import Enum

_SO_ATTACH_FILTER = 26  # asm-generic/socket.h
_INSTRUCTION = struct.Struct("=HBBI")  # struct sock_filter: code, two distances, operand
_PROGRAM = struct.Struct("@HP")  # struct sock_fprog: length in instructions, address

_LOAD_WORD = 0x20  # BPF_LD | BPF_W | BPF_ABS
_JUMP_IF_EQUAL = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_RETURN = 0x06  # BPF_RET | BPF_K: how many bytes to keep
_INTERFACE = 2**32 - 0x1000 + 8  # SKF_AD_OFF + SKF_AD_IFINDEX
_LOOPBACK = 1  # LOOPBACK_IFINDEX, in every network namespace
_EVERYTHING = 2**32 - 1

_DROP = _INSTRUCTION.pack(_RETURN, 0, 0, 0)


class Hears(Enum):
    """From whom a socket hears; the values are the filters."""

    NOBODY = _DROP
    HOST = (
        _INSTRUCTION.pack(_LOAD_WORD, 0, 0, _INTERFACE)
        + _INSTRUCTION.pack(_JUMP_IF_EQUAL, 1, 0, _LOOPBACK)
        + _DROP
        + _INSTRUCTION.pack(_RETURN, 0, 0, _EVERYTHING)
    )
    """From the host itself, that is, by `lo` alone."""


def attach(to: socket.socket, hears: Hears) -> None:
    """Let a socket that has no port yet hear from nobody else. Raises OSError."""
    instructions = ctypes.create_string_buffer(hears.value, len(hears.value))
    length = len(hears.value) // _INSTRUCTION.size
    program = _PROGRAM.pack(length, ctypes.addressof(instructions))
    to.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
