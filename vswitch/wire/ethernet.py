"""The Ethernet header, with or without one 802.1Q tag.

A frame's first 10 bytes are its offload header, so Ethernet begins at `START`. A tag is read only
where its type is 0x8100; a second tag, or an 802.1ad service tag, is the payload's business. A tag
with VLAN identifier 0 carries a priority and no VLAN (802.1Q-2018, 9.6): `tagged` is true then, and
`vlan` is 0.

Read first: IEEE 802.3-2018 clause 3.2 and IEEE 802.1Q-2018 clause 9.
"""

from __future__ import annotations

import struct

from vswitch.wire import offload
from vswitch.wire.buffer import Buffer
from vswitch.wire.malformed import Malformed
from vswitch.wire.values import EtherType, MacAddress

START = offload.HEADER_LENGTH
"""Where the Ethernet frame begins in its buffer: behind the offload header."""

DESTINATION = 0
SOURCE = 6
ETHERTYPE = 12
TAG_CONTROL = 14
"""Priority, drop eligibility and VLAN identifier, where the EtherType is 0x8100."""

HEADER_LENGTH = 14
"""Bytes of an untagged header."""

TAG_LENGTH = 4
"""Bytes that an 802.1Q tag adds."""

VLAN_MASK = 0x0FFF
"""The VLAN identifier within the tag control word."""

MAX_FRAME = START + HEADER_LENGTH + TAG_LENGTH + 40 + 0xFFFF
"""Bytes of the longest buffer there is: all headers and the longest IPv6 packet (40 + 65535)."""

_WORD = struct.Struct(">H")
_ADDRESSES = struct.Struct(">6s6s")
_ADDRESSES_AND_TYPE = struct.Struct(">6s6sH")
_TAG = struct.Struct(">HHH")
_UNTAGGED_PAYLOAD = START + HEADER_LENGTH
_TAGGED_PAYLOAD = _UNTAGGED_PAYLOAD + TAG_LENGTH
_ETHERTYPE_AT = START + ETHERTYPE
_INNER_ETHERTYPE_AT = _ETHERTYPE_AT + TAG_LENGTH
_VLAN_TYPE = int(EtherType.VLAN)


class Ethernet:
    """A view of the Ethernet header. The addresses are those that stood there when it was made."""

    __slots__ = ("destination", "ethertype", "frame", "payload", "source")

    frame: Buffer
    destination: MacAddress
    """Who is to receive it."""
    source: MacAddress
    """Who sent it."""
    ethertype: int
    """What is carried: the type behind the tag, if there is a tag. Below 1536 it is a length."""
    payload: int
    """Where what is carried begins; it may be the frame's end."""

    def __init__(self, frame: Buffer, ethertype: int, payload: int) -> None:
        destination, source = _ADDRESSES.unpack_from(frame, START)
        self.frame = frame
        self.destination = MacAddress.trusted(destination)
        self.source = MacAddress.trusted(source)
        self.ethertype = ethertype
        self.payload = payload

    @staticmethod
    def parse(frame: Buffer) -> Ethernet | Malformed:
        """Guarantees the whole header, the tag included, and nothing behind it."""
        if len(frame) < _UNTAGGED_PAYLOAD:
            return Malformed.TRUNCATED_ETHERNET
        ethertype: int = _WORD.unpack_from(frame, _ETHERTYPE_AT)[0]
        if ethertype != _VLAN_TYPE:
            return Ethernet(frame, ethertype, _UNTAGGED_PAYLOAD)
        if len(frame) < _TAGGED_PAYLOAD:
            return Malformed.TRUNCATED_VLAN
        ethertype = _WORD.unpack_from(frame, _INNER_ETHERTYPE_AT)[0]
        return Ethernet(frame, ethertype, _TAGGED_PAYLOAD)

    @property
    def tagged(self) -> bool:
        """Is there an 802.1Q tag?"""
        return self.payload == _TAGGED_PAYLOAD

    @property
    def vlan(self) -> int:
        """The VLAN identifier (1..4095), or 0 where the frame is in no VLAN."""
        if self.payload != _TAGGED_PAYLOAD:
            return 0
        control: int = _WORD.unpack_from(self.frame, START + TAG_CONTROL)[0]
        return control & VLAN_MASK


def without_tag(frame: Buffer) -> bytearray:
    """A copy of a tagged frame without its tag, which its offload header does not count either."""
    bare = bytearray(frame[:_ETHERTYPE_AT])
    bare += frame[_INNER_ETHERTYPE_AT:]
    offload.move_offsets(bare, -TAG_LENGTH)
    return bare


def build(
    destination: MacAddress, source: MacAddress, ethertype: int, payload: Buffer, vlan: int = 0
) -> bytearray:
    """A frame with a zero offload header, tagged where `vlan` (1..4094) is not 0. Not padded."""
    frame = bytearray(START)
    if vlan:
        frame += destination
        frame += source
        frame += _TAG.pack(_VLAN_TYPE, vlan, ethertype)
    else:
        frame += _ADDRESSES_AND_TYPE.pack(destination, source, ethertype)
    frame += payload
    return frame
