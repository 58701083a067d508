"""What the kernel does not get to see at ingress: frames to our ports on the host's address.

Theory of operation. The program runs where traffic control does, behind the packet sockets
(which therefore still see every frame) and before the kernel's own IP. It drops an untagged frame
with IPv4 in it that is TCP or UDP, goes to the host's address, and has a destination port in one of
our ranges. It leaves everything else alone, which lets other filters of the interface decide.

* Later fragments have no port and cannot be told apart, so the kernel gets them. It can do nothing
  with them: the first fragment of ours was dropped here, and without it a datagram is given up in
  silence (RFC 792, time exceeded; RFC 1122, 3.3.2).
* ICMP is the kernel's too. An answer to an echo request that it never sent it ignores, and so it
  does with an error about a connection that it does not know.
* A frame that is too short for its own headers is left alone.

Read first: tc-bpf(8), direct action; RFC 791, 3.1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vswitch.daemon.guard.instructions import (
    Label,
    Register,
    Step,
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
from vswitch.wire.values import EtherType, IpAddress, Protocol

DROP = 2
"""TC_ACT_SHOT, and TCX_DROP."""

NO_OPINION = -1
"""TC_ACT_UNSPEC, and TCX_NEXT."""

# struct __sk_buff (linux/bpf.h): offsets of what the kernel has read of the frame already
_ETHERTYPE = 16  # in network order
_VLAN_PRESENT = 20

# The frame, from its Ethernet header on: RFC 791 behind 14 bytes
_IP_HEADER = 14
_IP_HEADER_LENGTH = 20
_DESTINATION_PORT = 2
_PORT_LENGTH = 2

# RFC 791, within the IP header
_VERSION_AND_LENGTH = 0
_FRAGMENT = 6
_PROTOCOL = 9
_DESTINATION = 16
_LENGTH_BITS = 0x0F
_FRAGMENT_OFFSET_BITS = 0x1FFF

_SKB_LOAD_BYTES = 26  # BPF_FUNC_skb_load_bytes: (frame, offset, to, length), 0 or an error

_SCRATCH = -24
"""Where on the stack (R10) the copied header lies: 20 bytes, aligned to 8."""

_R0, _R1, _R2, _R3 = Register.R0, Register.R1, Register.R2, Register.R3
_FRAME = Register.R6


def guard_program(address: IpAddress, ports: Sequence[range]) -> bytes:
    """The program for one address and ranges of ports, as an array of struct bpf_insn.

    Raises ValueError where `address` is not IPv4, or `ports` are more ranges (sixteen thousand)
    than a jump leads over. The kernel's verifier takes about a thousand.
    """
    if address.version != 4:
        raise ValueError(f"{address} is not an IPv4 address")
    return assemble(
        [
            copy(_FRAME, _R1),
            *_leave_unless_untagged_ipv4(),
            *_copy_to_stack(_IP_HEADER_LENGTH),
            *_leave_unless_to(address),
            *_leave_unless_tcp_or_udp(),
            *_leave_if_later_fragment(),
            *_load_destination_port(),
            *_drop_if_in(ports),
            Label("leave alone"),
            set_to(_R0, NO_OPINION),
            leave(),
            Label("drop"),
            set_to(_R0, DROP),
            leave(),
        ]
    )


def _leave_unless_untagged_ipv4() -> Iterator[Step]:
    """The kernel has taken the tag out of the frame already; the switch routes no tagged ones."""
    yield load(Width.WORD, _R1, _FRAME, _VLAN_PRESENT)
    yield jump(When.NOT_EQUAL, _R1, 0, "leave alone")
    yield load(Width.WORD, _R1, _FRAME, _ETHERTYPE)
    in_memory = int.from_bytes(EtherType.IPV4.to_bytes(2, "big"), "little")
    yield jump(When.NOT_EQUAL, _R1, in_memory, "leave alone")
    yield set_to(_R2, _IP_HEADER)


def _copy_to_stack(length: int) -> Iterator[Step]:
    """`length` bytes from R2 on, of the frame, which need not lie in one piece."""
    yield copy(_R1, _FRAME)
    yield copy(_R3, Register.R10)
    yield add(_R3, _SCRATCH)
    yield set_to(Register.R4, length)
    yield call(_SKB_LOAD_BYTES)
    yield jump(When.NOT_EQUAL, _R0, 0, "leave alone")


def _leave_unless_to(address: IpAddress) -> Iterator[Step]:
    yield load(Width.WORD, _R1, Register.R10, _SCRATCH + _DESTINATION)
    yield jump(When.NOT_EQUAL, _R1, int.from_bytes(address, "little"), "leave alone")


def _leave_unless_tcp_or_udp() -> Iterator[Step]:
    yield load(Width.BYTE, _R1, Register.R10, _SCRATCH + _PROTOCOL)
    yield jump(When.EQUAL, _R1, Protocol.TCP, "has ports")
    yield jump(When.NOT_EQUAL, _R1, Protocol.UDP, "leave alone")
    yield Label("has ports")


def _leave_if_later_fragment() -> Iterator[Step]:
    yield load(Width.HALF, _R1, Register.R10, _SCRATCH + _FRAGMENT)
    yield from_network_order(_R1)
    yield mask(_R1, _FRAGMENT_OFFSET_BITS)
    yield jump(When.NOT_EQUAL, _R1, 0, "leave alone")


def _load_destination_port() -> Iterator[Step]:
    """Into R1. The header's length is in words of four bytes."""
    yield load(Width.BYTE, _R2, Register.R10, _SCRATCH + _VERSION_AND_LENGTH)
    yield mask(_R2, _LENGTH_BITS)
    yield shift_left(_R2, 2)
    yield add(_R2, _IP_HEADER + _DESTINATION_PORT)
    yield from _copy_to_stack(_PORT_LENGTH)
    yield load(Width.HALF, _R1, Register.R10, _SCRATCH)
    yield from_network_order(_R1)


def _drop_if_in(ports: Sequence[range]) -> Iterator[Step]:
    for number, each in enumerate(ports):
        yield jump(When.BELOW, _R1, each.start, f"not in range {number}")
        yield jump(When.BELOW, _R1, each.stop, "drop")
        yield Label(f"not in range {number}")
