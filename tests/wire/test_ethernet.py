from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Raw

from vswitch.wire import ethernet
from vswitch.wire.ethernet import START, Ethernet
from vswitch.wire.malformed import Malformed
from vswitch.wire.values import EtherType, MacAddress

ALICE = MacAddress.parse("02:00:00:00:00:01")
BOB = MacAddress.parse("02:00:00:00:00:02")

DATA = st.binary(max_size=40)
LINK = Ether(src=str(ALICE), dst=str(BOB))


def test_untagged_frame() -> None:
    link = Ethernet.parse(bytes(START) + bytes(LINK / IP()))
    assert isinstance(link, Ethernet)
    assert (link.source, link.destination) == (ALICE, BOB)
    assert isinstance(link.source, MacAddress)
    assert (link.ethertype, link.tagged, link.vlan) == (EtherType.IPV4, False, 0)
    assert link.payload == START + 14


def test_tagged_frame_says_what_is_behind_the_tag() -> None:
    frame = bytes(START) + bytes(LINK / Dot1Q(vlan=5, prio=7) / IP())
    link = Ethernet.parse(frame)
    assert isinstance(link, Ethernet)
    assert (link.ethertype, link.tagged, link.vlan) == (EtherType.IPV4, True, 5)
    assert frame[link.payload] == 0x45


def test_priority_and_drop_eligibility_are_no_part_of_the_vlan() -> None:
    frame = bytearray(bytes(START) + bytes(LINK / Dot1Q(vlan=5) / IP()))
    frame[START + ethernet.TAG_CONTROL] |= 0xF0
    link = Ethernet.parse(frame)
    assert isinstance(link, Ethernet)
    assert link.vlan == 5


def test_priority_tag_is_a_tag_without_a_vlan() -> None:
    link = Ethernet.parse(bytes(START) + bytes(LINK / Dot1Q(vlan=0, prio=3) / IP()))
    assert isinstance(link, Ethernet)
    assert (link.tagged, link.vlan) == (True, 0)


def test_second_tag_is_the_payload() -> None:
    link = Ethernet.parse(bytes(START) + bytes(LINK / Dot1Q(vlan=5) / Dot1Q(vlan=6) / IP()))
    assert isinstance(link, Ethernet)
    assert (link.ethertype, link.vlan) == (EtherType.VLAN, 5)


def test_cut_off_ethernet_header() -> None:
    frame = bytes(START) + bytes(LINK / Dot1Q(vlan=5, type=0x0800))
    assert Ethernet.parse(frame[: START + 13]) is Malformed.TRUNCATED_ETHERNET
    assert Ethernet.parse(frame[: START + 14]) is Malformed.TRUNCATED_VLAN
    assert Ethernet.parse(frame[: START + 17]) is Malformed.TRUNCATED_VLAN
    assert isinstance(Ethernet.parse(frame), Ethernet)


@given(DATA, st.integers(1, 4094))
def test_built_frame_is_scapy_s(data: bytes, vlan: int) -> None:
    link = LINK.copy()
    untagged = bytes(START) + bytes(link / Raw(data))
    tagged = bytes(START) + bytes(link / Dot1Q(vlan=vlan, type=0x88B5) / Raw(data))
    assert ethernet.build(BOB, ALICE, link.type, data) == untagged
    assert ethernet.build(BOB, ALICE, 0x88B5, data, vlan) == tagged
