"""bpf(2): load a program into the kernel, and attach it to an interface's ingress.

Theory of operation. Everything that the kernel answers with is a descriptor: a loaded program lives
as long as a descriptor or an attachment of it does, and a TCX link as long as its descriptor. So a
process that is killed leaves nothing of this behind.

A program is loaded without a log. The verifier refuses only a program that is wrong, and ours is
tested; what remains are a missing privilege (CAP_BPF and CAP_NET_ADMIN) and a kernel without BPF,
which the error number tells.

Read first: bpf(2); `union bpf_attr` in <linux/bpf.h>; for TCX, `kernel/bpf/tcx.c` (Linux 6.6).
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct

SYSCALL_NUMBERS = {"x86_64": 321, "aarch64": 280}
"""__NR_bpf by what uname(2) calls the machine. All of these are little-endian."""

INSTRUCTION_LENGTH = 8
"""Bytes of a struct bpf_insn."""

NAME = "vswitch_guard"
"""What `bpftool` and `tc` call the program; 15 bytes at most."""

# linux/bpf.h
_PROG_LOAD = 5
_LINK_CREATE = 28
_PROG_TYPE_SCHED_CLS = 3
_TCX_INGRESS = 46
_F_BEFORE = 1 << 3

_LOAD = struct.Struct("<IIQQIIQII16sII")
"""type, instructions, their address, licence's address, log (level, size, address), kernel version,
flags, name, interface, attach type."""

_CREATE_TCX = struct.Struct("<IIIII4xQ")
"""program, interface, attach type, flags, relative to which program, expected revision."""

_LICENCE = b"MIT\0"

_LIBC = ctypes.CDLL(None, use_errno=True)


class BpfError(Exception):
    """The kernel has no BPF for us. The text is one line: what could not be done, and why."""


def load(program: bytes) -> int:
    """Load a classifier (BPF_PROG_TYPE_SCHED_CLS); the descriptor of it. Raises BpfError."""
    instructions = ctypes.create_string_buffer(program, len(program))
    licence = ctypes.create_string_buffer(_LICENCE, len(_LICENCE))
    attributes = _LOAD.pack(
        *(_PROG_TYPE_SCHED_CLS, len(program) // INSTRUCTION_LENGTH),
        *(ctypes.addressof(instructions), ctypes.addressof(licence)),
        *(0, 0, 0, 0, 0, NAME.encode(), 0, 0),
    )
    try:
        return system_call(_PROG_LOAD, attributes)
    except OSError as error:
        reasons = {
            errno.EPERM: "not permitted (it takes CAP_BPF and CAP_NET_ADMIN)",
            errno.ENOSYS: "this kernel has no BPF",
            errno.EACCES: "the verifier refuses it",
            errno.EINVAL: "the verifier refuses it",
        }
        raise BpfError(f"cannot load a BPF program: {_reason(error, reasons)}") from error


def attach_tcx(program: int, interface: int) -> int:
    """Run a loaded program first of all at an interface's ingress; the descriptor of the link.

    `interface` is an index in the calling thread's namespace. Raises BpfError.
    """
    attributes = _CREATE_TCX.pack(program, interface, _TCX_INGRESS, _F_BEFORE, 0, 0)
    try:
        return system_call(_LINK_CREATE, attributes)
    except OSError as error:
        reasons = {
            errno.EPERM: "not permitted (it takes CAP_NET_ADMIN)",
            errno.EINVAL: "this kernel has no TCX (Linux 6.6 and later have)",
            errno.ENODEV: "the interface is gone",
        }
        raise BpfError(f"cannot attach by TCX: {_reason(error, reasons)}") from error


def system_call(command: int, attributes: bytes) -> int:
    """bpf(2) as it is: what it answers. Raises OSError, and BpfError where it is not known how."""
    machine = platform.machine()
    number = SYSCALL_NUMBERS.get(machine)
    if number is None:
        raise BpfError(f"the number of bpf(2) on {machine} is not known")
    union = ctypes.create_string_buffer(attributes, len(attributes))
    answer: int = _LIBC.syscall(
        ctypes.c_long(number), ctypes.c_long(command), union, ctypes.c_ulong(len(attributes))
    )
    if answer < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return answer


def _reason(error: OSError, reasons: dict[int, str]) -> str:
    return reasons.get(error.errno or 0, str(error.strerror))
