"""ARP for IPv4 on Ethernet: who has an address, and where?

Other hardware and other protocols are refused, as nothing here could answer them.

Read first: RFC 826; RFC 5227 for probes and announcements.
"""

from __future__ import annotations

import struct
from enum import IntEnum

from vswitch.wire.buffer import Buffer
from vswitch.wire.malformed import Malformed
from vswitch.wire.values import EtherType, IpAddress, MacAddress

OPERATION = 6
SENDER_MAC = 8
SENDER_IP = 14
TARGET_MAC = 18
TARGET_IP = 24
LENGTH = 28
"""Bytes of a message about IPv4 on Ethernet."""

_ETHERNET_IPV4 = struct.pack(">HHBB", 1, EtherType.IPV4, 6, 4)
_MESSAGE = struct.Struct(">6sH6s4s6s4s")
_WORD = struct.Struct(">H")


class Operation(IntEnum):
    """What the sender wants."""

    REQUEST = 1
    REPLY = 2


class Arp:
    """A view of an ARP message."""

    __slots__ = ("frame", "offset")

    frame: Buffer
    offset: int

    def __init__(self, frame: Buffer, offset: int) -> None:
        self.frame = frame
        self.offset = offset

    @staticmethod
    def parse(frame: Buffer, offset: int) -> Arp | Malformed:
        """Guarantees a whole message about IPv4 on Ethernet; the operation may be any number."""
        if len(frame) - offset < LENGTH:
            return Malformed.TRUNCATED_ARP
        if frame[offset : offset + OPERATION] != _ETHERNET_IPV4:
            return Malformed.ARP_NOT_ETHERNET_IPV4
        return Arp(frame, offset)

    @property
    def operation(self) -> int:
        """A number of `Operation`, or any other."""
        operation: int = _WORD.unpack_from(self.frame, self.offset + OPERATION)[0]
        return operation

    @property
    def sender_mac(self) -> MacAddress:
        """The sender's hardware address, as the message (not the frame) says."""
        return MacAddress(self.frame[self.offset + SENDER_MAC : self.offset + SENDER_IP])

    @property
    def sender_ip(self) -> IpAddress:
        """The sender's address; unspecified in a probe."""
        return IpAddress(self.frame[self.offset + SENDER_IP : self.offset + TARGET_MAC])

    @property
    def target_mac(self) -> MacAddress:
        """In a reply, whom it is for; in a request it means nothing."""
        return MacAddress(self.frame[self.offset + TARGET_MAC : self.offset + TARGET_IP])

    @property
    def target_ip(self) -> IpAddress:
        """The address that is asked for."""
        return IpAddress(self.frame[self.offset + TARGET_IP : self.offset + LENGTH])

    @property
    def is_gratuitous(self) -> bool:
        """Does the sender announce itself (RFC 5227, 3)?"""
        return self.sender_ip == self.target_ip

    @property
    def is_probe(self) -> bool:
        """Does the sender ask whether an address is free (RFC 5227, 2.1.1)?"""
        return self.sender_ip.is_unspecified


def build(
    operation: int,
    sender_mac: MacAddress,
    sender_ip: IpAddress,
    target_mac: MacAddress,
    target_ip: IpAddress,
) -> bytes:
    """The 28 bytes of a message."""
    return _MESSAGE.pack(_ETHERNET_IPV4, operation, sender_mac, sender_ip, target_mac, target_ip)
