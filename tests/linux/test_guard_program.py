"""The guard's program as the kernel runs it (BPF_PROG_TEST_RUN), on frames made by scapy."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_NOP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.layers.sctp import SCTP
from scapy.packet import Packet, Raw

from vswitch.daemon.guard import bpf
from vswitch.daemon.guard.program import DROP, NO_OPINION, guard_program
from vswitch.wire.values import IpAddress

pytestmark = pytest.mark.linux

HOST = "198.51.100.3"
PORTS = (range(61000, 62000), range(2000, 2001), range(62500, 65536))
TEST_RUN = struct.Struct("<IiIIQQIIIIQQ")  # program, answer, lengths, addresses, repeat, ...


class Program:
    """The program, loaded; `answer` says what it makes of a frame."""

    def __init__(self) -> None:
        self.descriptor = bpf.load(guard_program(IpAddress.parse(HOST), PORTS))

    def answer(self, frame: bytes) -> int:
        data = ctypes.create_string_buffer(frame, len(frame))
        attributes = ctypes.create_string_buffer(
            TEST_RUN.pack(
                *(self.descriptor, 0, len(frame), 0, ctypes.addressof(data), 0),
                *(1, 0, 0, 0, 0, 0),
            ),
            TEST_RUN.size,
        )
        number = bpf.SYSCALL_NUMBERS[os.uname().machine]
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.syscall(number, 10, attributes, TEST_RUN.size) == 0, ctypes.get_errno()
        answer: int = TEST_RUN.unpack(attributes.raw)[1]
        return answer


@pytest.fixture(scope="module")
def program() -> Iterator[Program]:
    loaded = Program()
    yield loaded
    os.close(loaded.descriptor)


def to_host(layer: Packet, **fields: object) -> bytes:
    return bytes(Ether() / IP(dst=HOST, **fields) / layer / b"payload")


@pytest.mark.parametrize("port", [61000, 61999, 2000, 62500, 65535])
@pytest.mark.parametrize("layer", [TCP, UDP])
def test_our_ports_are_taken_from_the_kernel(
    program: Program, layer: type[Packet], port: int
) -> None:
    assert program.answer(to_host(layer(dport=port))) == DROP


@pytest.mark.parametrize("port", [1, 1999, 2001, 60999, 62000, 62499])
@pytest.mark.parametrize("layer", [TCP, UDP])
def test_other_ports_are_left_alone(program: Program, layer: type[Packet], port: int) -> None:
    assert program.answer(to_host(layer(sport=61000, dport=port))) == NO_OPINION


@pytest.mark.parametrize("options", range(0, 41, 4))
def test_port_is_found_behind_ip_options(program: Program, options: int) -> None:
    padding = [IPOption_NOP()] * options
    assert program.answer(to_host(UDP(dport=61000), options=padding)) == DROP
    assert program.answer(to_host(UDP(dport=80), options=padding)) == NO_OPINION


def test_first_fragment_is_taken_and_later_ones_are_left_alone(program: Program) -> None:
    assert program.answer(to_host(UDP(dport=61000), flags="MF")) == DROP
    assert program.answer(to_host(UDP(dport=61000), flags="DF")) == DROP
    for offset in (1, 0x1FFF):
        looks_like = Raw(bytes(UDP(sport=1, dport=61000)))
        later = to_host(looks_like, frag=offset, proto=17)
        assert program.answer(later) == NO_OPINION


@pytest.mark.parametrize(
    "frame",
    [
        bytes(Ether() / IP(dst="198.51.100.4") / TCP(dport=61000)),
        bytes(Ether() / IP(src=HOST, dst="198.51.100.1") / TCP(dport=61000)),
        to_host(ICMP(id=61000)),
        to_host(SCTP(dport=61000)),
        bytes(Ether() / IPv6(dst="::ffff:198.51.100.3") / TCP(dport=61000)),
        bytes(Ether() / ARP(pdst=HOST)),
        bytes(Ether(type=0x88B5) / bytes(IP(dst=HOST) / TCP(dport=61000))),
        bytes(Ether() / Dot1Q(vlan=7) / IP(dst=HOST) / TCP(dport=61000)),
    ],
    ids=["another host", "from us", "ICMP", "SCTP", "IPv6", "ARP", "another type", "tagged"],
)
def test_what_is_not_ours_is_left_alone(program: Program, frame: bytes) -> None:
    assert program.answer(frame) == NO_OPINION


def test_frame_that_is_cut_short_is_left_alone(program: Program) -> None:
    whole = bytes(Ether() / IP(dst=HOST) / UDP(dport=61000))
    shortest = 14 + 20  # of what the kernel runs a test on
    answers = {n: program.answer(whole[:n]) for n in range(shortest, len(whole) + 1)}
    with_port = shortest + 4
    assert answers == {n: DROP if n >= with_port else NO_OPINION for n in answers}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    layer=st.sampled_from([TCP, UDP, ICMP]),
    source=st.integers(1, 65535),
    destination=st.integers(1, 65535) | st.sampled_from([1999, 2000, 2001, 61999, 62000]),
    address=st.sampled_from([HOST, "198.51.100.4", "3.100.51.198"]),
    fragment=st.sampled_from([0, 0, 0, 5]),
)
def test_program_says_what_its_description_says(
    program: Program,
    layer: type[Packet],
    source: int,
    destination: int,
    address: str,
    fragment: int,
) -> None:
    transport = ICMP() if layer is ICMP else layer(sport=source, dport=destination)
    frame = bytes(Ether() / IP(dst=address, frag=fragment) / transport)
    ours = (
        layer is not ICMP
        and address == HOST
        and fragment == 0
        and any(destination in each for each in PORTS)
    )
    assert program.answer(frame) == (DROP if ours else NO_OPINION)


def test_many_ranges_are_taken_by_the_verifier() -> None:
    """Far more holes than a host has in the ports that it leaves."""
    ranges = [range(port, port + 1) for port in range(61000, 63000, 2)]
    os.close(bpf.load(guard_program(IpAddress.parse(HOST), ranges)))


def test_program_that_is_wrong_is_refused_in_a_line() -> None:
    with pytest.raises(bpf.BpfError, match=r"^cannot load a BPF program: the verifier refuses it$"):
        bpf.load(bytes(8))
