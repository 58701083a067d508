"""BPF instructions as bytes: what the kernel's own headers and RFC 9669 say they are."""

from __future__ import annotations

import pytest

from vswitch.daemon.guard.instructions import (
    Instruction,
    Label,
    Register,
    When,
    Width,
    add,
    assemble,
    call,
    copy,
    from_network_order,
    jump,
    leave,
    load,
    mask,
    set_to,
    shift_left,
)
from vswitch.daemon.guard.program import guard_program
from vswitch.wire.values import IpAddress

R0, R1, R2, R3, R6 = Register.R0, Register.R1, Register.R2, Register.R3, Register.R6


@pytest.mark.parametrize(
    ("instruction", "encoded"),
    [
        (set_to(R0, 2), "b7 00 0000 02000000"),
        (set_to(R0, -1), "b7 00 0000 ffffffff"),
        (copy(R6, R1), "bf 16 0000 00000000"),
        (copy(R3, Register.R10), "bf a3 0000 00000000"),
        (add(R3, -24), "07 03 0000 e8ffffff"),
        (mask(R1, 0x1FFF), "57 01 0000 ff1f0000"),
        (shift_left(R2, 2), "67 02 0000 02000000"),
        (from_network_order(R1), "dc 01 0000 10000000"),
        (load(Width.WORD, R1, R6, 16), "61 61 1000 00000000"),
        (load(Width.HALF, R1, Register.R10, -18), "69 a1 eeff 00000000"),
        (load(Width.BYTE, R1, Register.R10, -15), "71 a1 f1ff 00000000"),
        (call(26), "85 00 0000 1a000000"),
        (leave(), "95 00 0000 00000000"),
    ],
)
def test_instruction_is_the_eight_bytes_of_the_specification(
    instruction: Instruction, encoded: str
) -> None:
    assert instruction.encoded() == bytes.fromhex(encoded)


@pytest.mark.parametrize(
    ("when", "opcode"), [(When.EQUAL, 0x16), (When.NOT_EQUAL, 0x56), (When.BELOW, 0xA6)]
)
def test_jump_compares_32_bits_and_counts_from_the_instruction_behind_it(
    when: When, opcode: int
) -> None:
    program = assemble([jump(when, R1, 0xC0000201, "end"), leave(), Label("end"), leave()])
    assert program[:8] == bytes([opcode, 0x01, 1, 0]) + bytes.fromhex("010200c0")


def test_jump_to_the_next_instruction_has_no_distance() -> None:
    program = assemble([jump(When.EQUAL, R1, 6, "next"), Label("next"), leave()])
    assert program[2:4] == bytes(2)


def test_labels_take_no_room() -> None:
    assert assemble([Label("a"), leave(), Label("b")]) == leave().encoded()


def test_jump_that_leads_nowhere_or_backwards_is_refused() -> None:
    with pytest.raises(ValueError, match="no jump leads from 0 to the label end"):
        assemble([jump(When.EQUAL, R1, 6, "end"), leave()])
    with pytest.raises(ValueError, match="no jump leads from 1 to the label start"):
        assemble([Label("start"), leave(), jump(When.EQUAL, R1, 6, "start")])


@pytest.mark.parametrize("between", [0x7FFF, 0x8000])
def test_jump_leads_as_far_as_its_offset_can_say(between: int) -> None:
    steps = [jump(When.EQUAL, R1, 6, "end"), *[leave()] * between, Label("end"), leave()]
    if between == 0x7FFF:
        assert assemble(steps)[2:4] == b"\xff\x7f"
        return
    with pytest.raises(ValueError, match="no jump leads"):
        assemble(steps)


def test_guard_is_for_ipv4() -> None:
    with pytest.raises(ValueError, match="fd00::2 is not an IPv4 address"):
        guard_program(IpAddress.parse("fd00::2"), [range(61000, 65536)])
