"""BPF instructions: those that a packet filter needs, by name, and how they become bytes.

Theory of operation. A program is a list of steps, each an `Instruction` or a `Label`. Jumps name
the label that they lead to, and `assemble` counts the distance: BPF jumps count instructions from
the one behind the jump. A filter only jumps forwards, so a label must come behind its jumps.

Only little-endian machines are written for (`vswitch.daemon.guard.bpf` knows no others). Whether a
program is safe is not looked at here: the kernel's verifier does that.

Read first: RFC 9669 (the instruction set); Documentation/bpf/classic_vs_extended.rst for the
convention of calls: R0 is what a call answers, R1 to R5 are its arguments and lost by it, R6 to R9
are kept, R10 is the frame pointer.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TypeAlias


class Register(IntEnum):
    """The registers, 64 bits each."""

    R0 = 0
    R1 = 1
    R2 = 2
    R3 = 3
    R4 = 4
    R5 = 5
    R6 = 6
    R10 = 10


class Width(IntEnum):
    """How much a load takes from memory, as its bits of the opcode (RFC 9669, table 11)."""

    WORD = 0x00
    """Four bytes."""
    HALF = 0x08
    """Two bytes."""
    BYTE = 0x10


class When(IntEnum):
    """Conditions of a jump, unsigned, as their bits of the opcode (RFC 9669, table 8)."""

    EQUAL = 0x10
    NOT_EQUAL = 0x50
    BELOW = 0xA0


LONGEST_JUMP = 0x7FFF
"""Instructions: the offset is a signed number of 16 bits."""

# RFC 9669, tables 3, 4 and 6: class, source and mode bits
_LDX = 0x01
_ALU = 0x04
_JMP = 0x05
_JMP32 = 0x06
_ALU64 = 0x07
_MEM = 0x60
_X = 0x08
_ADD = 0x00
_LSH = 0x60
_AND = 0x50
_MOV = 0xB0
_END = 0xD0
_TO_BE = 0x08
_CALL = 0x80
_EXIT = 0x90

_ENCODED = struct.Struct("<BBhI")
"""struct bpf_insn: opcode, registers (source in the upper half), offset, immediate."""

_32_BITS = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction; `target` is the label of a jump whose offset is not counted yet."""

    opcode: int
    destination: int = 0
    source: int = 0
    offset: int = 0
    immediate: int = 0
    target: str | None = None

    def encoded(self) -> bytes:
        """The eight bytes that the kernel takes."""
        registers = self.source << 4 | self.destination
        return _ENCODED.pack(self.opcode, registers, self.offset, self.immediate & _32_BITS)


@dataclass(frozen=True, slots=True)
class Label:
    """A place in the program that jumps lead to."""

    name: str


Step: TypeAlias = Instruction | Label


def load(width: Width, destination: Register, source: Register, offset: int) -> Instruction:
    """`destination` becomes what is in memory `offset` bytes behind `source`."""
    return Instruction(_LDX | _MEM | width, destination, source, offset)


def copy(destination: Register, source: Register) -> Instruction:
    """`destination` becomes `source`."""
    return Instruction(_ALU64 | _MOV | _X, destination, source)


def set_to(destination: Register, value: int) -> Instruction:
    """`destination` becomes `value`, whose 32 bits are extended with their sign."""
    return Instruction(_ALU64 | _MOV, destination, immediate=value)


def add(destination: Register, value: int) -> Instruction:
    """`destination` grows by `value`, which may be negative."""
    return Instruction(_ALU64 | _ADD, destination, immediate=value)


def mask(destination: Register, bits: int) -> Instruction:
    """Only `bits` of `destination` are kept."""
    return Instruction(_ALU64 | _AND, destination, immediate=bits)


def shift_left(destination: Register, places: int) -> Instruction:
    """`destination` moves up by `places` bits."""
    return Instruction(_ALU64 | _LSH, destination, immediate=places)


def from_network_order(destination: Register) -> Instruction:
    """The lower two bytes of `destination` change places; all above them becomes zero."""
    return Instruction(_ALU | _END | _TO_BE, destination, immediate=16)


def jump(when: When, register: Register, value: int, target: str) -> Instruction:
    """Go on at the label `target` when the lower 32 bits of `register` are so against `value`."""
    return Instruction(_JMP32 | when, register, immediate=value, target=target)


def call(function: int) -> Instruction:
    """Call a helper of the kernel by its number (BPF_FUNC_* in <linux/bpf.h>)."""
    return Instruction(_JMP | _CALL, immediate=function)


def leave() -> Instruction:
    """End the program; R0 is its answer."""
    return Instruction(_JMP | _EXIT)


def assemble(steps: Iterable[Step]) -> bytes:
    """The program as an array of struct bpf_insn.

    Raises ValueError for a jump to a label that does not come behind it, or that is too far away.
    """
    instructions: list[Instruction] = []
    labels: dict[str, int] = {}
    for step in steps:
        if isinstance(step, Label):
            labels[step.name] = len(instructions)
        else:
            instructions.append(step)
    return b"".join(
        _resolved(instruction, position, labels).encoded()
        for position, instruction in enumerate(instructions)
    )


def _resolved(instruction: Instruction, position: int, labels: dict[str, int]) -> Instruction:
    if instruction.target is None:
        return instruction
    distance = labels.get(instruction.target, 0) - (position + 1)
    if not 0 <= distance <= LONGEST_JUMP:
        raise ValueError(f"no jump leads from {position} to the label {instruction.target}")
    return replace(instruction, offset=distance)
