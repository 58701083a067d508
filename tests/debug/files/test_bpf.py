"""The filter language of tcpdump, as libpcap itself compiles and runs it."""

from __future__ import annotations

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Packet

from vswitch.debug.files import bpf
from vswitch.debug.files.bpf import Filter, FilterError
from vswitch.wire.offload import NEEDS_CSUM, OffloadHeader

HEADER = OffloadHeader(NEEDS_CSUM, 0, 0, 0, 34, 16).pack()
WEB = Ether() / IP(src="10.0.0.2", dst="198.51.100.1") / TCP(dport=80, flags="S") / b"payload"
DNS = Ether() / IP(src="10.0.0.2", dst="198.51.100.1") / UDP(dport=53)
TAGGED = Ether() / Dot1Q(vlan=7) / IP() / TCP(dport=80)


def taken(text: str, frame: Packet) -> bool:
    ethernet = bytes(frame)
    return Filter(text).matches(HEADER + ethernet, len(ethernet))


@pytest.mark.parametrize(
    ("text", "frame", "is_taken"),
    [
        ("tcp port 80", WEB, True),
        ("tcp port 80", DNS, False),
        ("tcp port 80", TAGGED, False),
        ("vlan 7 and tcp port 80", TAGGED, True),
        ("host 10.0.0.2 and not udp", WEB, True),
        ("tcp[tcpflags] & tcp-syn != 0", WEB, True),
        ("tcp[20:4] = 0x7061796c", WEB, True),
        ("arp", Ether() / ARP(), True),
        ("ether[12:2] = 0x86dd", WEB, False),
        ("less 60", DNS, True),
    ],
)
def test_filter_takes_what_tcpdump_would(text: str, frame: Packet, is_taken: bool) -> None:
    assert taken(text, frame) is is_taken


def test_length_is_that_of_the_whole_frame_where_it_was_cut() -> None:
    cut = HEADER + bytes(WEB)[:34]
    assert Filter("greater 1000").matches(cut, 1500)
    assert not Filter("greater 1000").matches(cut, 900)


def test_what_lies_beyond_the_cut_matches_nothing() -> None:
    assert not Filter("tcp port 80").matches(HEADER + bytes(WEB)[:20], 60)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tcp prt 80", "filter 'tcp prt 80': can't parse filter expression: syntax error"),
        ("port 99999", "filter 'port 99999': illegal port number 99999 > 65535"),
        ("tcp\0", "the filter has a zero byte in it"),
    ],
)
def test_bad_filter_is_told_in_libpcaps_words(text: str, words: str) -> None:
    with pytest.raises(FilterError) as refused:
        Filter(text)
    assert str(refused.value) == words


def test_missing_library_is_told_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bpf, "LIBRARIES", ("libpcap.so.nowhere",))
    with pytest.raises(FilterError, match=r"needs libpcap, .*apt-get install libpcap0\.8"):
        Filter("tcp")
