"""The values that frames are addressed with: MAC and IP addresses, networks, type numbers.

Theory of operation. An address is its octets: `MacAddress` and `IpAddress` are `bytes` with a
meaning, so they hash and compare at the speed of bytes, are dictionary keys as they are, and are
written into a frame as they are. One class holds both families, told apart by length (4 or 16), so
that every table and tuple that holds an address holds either. An IPv4 address and an IPv6 address
are never equal.

Each `parse` takes what a user wrote and raises ValueError with one line that repeats it and says
what would have been right. Nothing is resolved or guessed: a name is no address.

Read first: RFC 4291 and RFC 6890 (special addresses), IEEE 802-2014 clause 8 (MAC addresses).
"""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass, field
from enum import IntEnum

from vswitch.wire.buffer import Buffer

MAC_LENGTH = 6
"""Bytes in a MAC address."""

IPV4_LENGTH = 4
"""Bytes in an IPv4 address."""

IPV6_LENGTH = 16
"""Bytes in an IPv6 address."""

_MAC_TEXT = re.compile(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}")
_NOBODY = bytes(MAC_LENGTH)
_LINK_LOCAL_GROUPS = b"\x01\x80\xc2\x00\x00"
_UNSPECIFIED = (bytes(IPV4_LENGTH), bytes(IPV6_LENGTH))
_LIMITED_BROADCAST = b"\xff\xff\xff\xff"
_IPV6_LOOPBACK = bytes(15) + b"\x01"


class EtherType(IntEnum):
    """What an Ethernet frame carries (IEEE's EtherType registry)."""

    IPV4 = 0x0800
    ARP = 0x0806
    VLAN = 0x8100
    """The customer tag of 802.1Q."""
    IPV6 = 0x86DD
    SERVICE_VLAN = 0x88A8
    """The service tag of 802.1ad, which is carried as an unknown payload."""
    LLDP = 0x88CC


class Protocol(IntEnum):
    """What an IP packet carries (IANA's protocol numbers)."""

    HOP_BY_HOP = 0
    ICMP = 1
    IGMP = 2
    TCP = 6
    UDP = 17
    DCCP = 33
    IPV6 = 41
    ROUTING = 43
    FRAGMENT = 44
    GRE = 47
    ESP = 50
    AH = 51
    ICMPV6 = 58
    NO_NEXT_HEADER = 59
    DESTINATION_OPTIONS = 60
    SCTP = 132
    UDP_LITE = 136


class MacAddress(bytes):
    """Six octets that name a station or a group of stations."""

    __slots__ = ()

    def __new__(cls, octets: Buffer) -> MacAddress:
        """Raise ValueError where `octets` are not six."""
        if len(octets) != MAC_LENGTH:
            raise ValueError(f"a MAC address has {MAC_LENGTH} bytes, not {len(octets)}")
        return bytes.__new__(cls, octets)

    @classmethod
    def trusted(cls, octets: Buffer) -> MacAddress:
        """The address of octets that a parser has counted already: nothing is checked."""
        return bytes.__new__(cls, octets)

    @classmethod
    def parse(cls, text: str) -> MacAddress:
        """Read six pairs of hexadecimal digits with colons between; ValueError for all else."""
        if not _MAC_TEXT.fullmatch(text):
            raise ValueError(
                f'"{text}" is not a MAC address (six pairs of hexadecimal digits '
                "like 02:42:ac:12:00:02)"
            )
        return cls(bytes.fromhex(text.replace(":", "")))

    @property
    def is_multicast(self) -> bool:
        """Is it a group address, broadcast included?"""
        return bool(self[0] & 0x01)

    @property
    def is_broadcast(self) -> bool:
        """Is it the group of all stations?"""
        return self == BROADCAST

    @property
    def is_zero(self) -> bool:
        """Is it all zeros, which names nobody?"""
        return self == _NOBODY

    @property
    def is_link_local_group(self) -> bool:
        """Is it one of the sixteen groups no bridge forwards (802.1Q-2018, table 8-1)?"""
        return self.startswith(_LINK_LOCAL_GROUPS) and self[5] < 0x10

    def __str__(self) -> str:
        return self.hex(":")

    def __repr__(self) -> str:
        return f"MacAddress.parse({str(self)!r})"


BROADCAST = MacAddress(b"\xff" * MAC_LENGTH)
"""The group of all stations."""


class IpAddress(bytes):
    """Four octets (IPv4) or sixteen (IPv6) that name an interface or a group of them."""

    __slots__ = ()

    def __new__(cls, octets: Buffer) -> IpAddress:
        """Raise ValueError where `octets` are neither four nor sixteen."""
        if len(octets) != IPV4_LENGTH and len(octets) != IPV6_LENGTH:
            raise ValueError(f"an IP address has 4 or 16 bytes, not {len(octets)}")
        return bytes.__new__(cls, octets)

    @classmethod
    def trusted(cls, octets: Buffer) -> IpAddress:
        """The address of octets that a parser has counted already: nothing is checked."""
        return bytes.__new__(cls, octets)

    @classmethod
    def parse(cls, text: str) -> IpAddress:
        """Read a dotted quad or RFC 4291 text without a zone; ValueError for all else."""
        try:
            return cls(socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text))
        except (OSError, ValueError):
            raise ValueError(
                f'"{text}" is not an IP address (like 172.18.0.2 or fd00::2)'
            ) from None

    @property
    def version(self) -> int:
        """4 or 6."""
        return 4 if len(self) == IPV4_LENGTH else 6

    @property
    def is_multicast(self) -> bool:
        """Is it a group: 224.0.0.0/4 or ff00::/8?"""
        return self[0] & 0xF0 == 0xE0 if len(self) == IPV4_LENGTH else self[0] == 0xFF

    @property
    def is_loopback(self) -> bool:
        """Must it never be seen on a wire: 127.0.0.0/8 or ::1?"""
        return self[0] == 127 if len(self) == IPV4_LENGTH else self == _IPV6_LOOPBACK

    @property
    def is_unspecified(self) -> bool:
        """Is it all zeros, "no address yet"?"""
        return self in _UNSPECIFIED

    @property
    def is_limited_broadcast(self) -> bool:
        """Is it 255.255.255.255? IPv6 has no broadcast."""
        return self == _LIMITED_BROADCAST

    @property
    def is_link_local(self) -> bool:
        """Is it valid on its link alone: 169.254.0.0/16 or fe80::/10?"""
        if len(self) == IPV4_LENGTH:
            return self[0] == 169 and self[1] == 254
        return self[0] == 0xFE and self[1] & 0xC0 == 0x80

    def __str__(self) -> str:
        family = socket.AF_INET if len(self) == IPV4_LENGTH else socket.AF_INET6
        return socket.inet_ntop(family, self)

    def __repr__(self) -> str:
        return f"IpAddress.parse({str(self)!r})"


@dataclass(frozen=True, slots=True)
class IpNetwork:
    """All addresses that begin with the same `prefix_length` bits.

    `address` is the lowest of them; a bit set behind the prefix raises ValueError, as does a prefix
    length that the family has no room for.
    """

    address: IpAddress
    prefix_length: int
    _prefix: int = field(init=False, repr=False, compare=False)
    _mask: int = field(init=False, repr=False, compare=False)
    broadcast: IpAddress | None = field(init=False, repr=False, compare=False)
    """The highest address, or None where the network has no broadcast. That is IPv6, and IPv4 with
    fewer than two bits behind the prefix (RFC 3021)."""

    def __post_init__(self) -> None:
        width = 8 * len(self.address)
        if not 0 <= self.prefix_length <= width:
            raise ValueError(
                f"prefix length {self.prefix_length} is not between 0 and {width} "
                f"(IPv{self.address.version})"
            )
        mask = (1 << width) - (1 << (width - self.prefix_length))
        prefix = int.from_bytes(self.address, "big")
        if prefix & ~mask:
            lowest = IpAddress((prefix & mask).to_bytes(len(self.address), "big"))
            raise ValueError(
                f"{self.address}/{self.prefix_length} is not a network: bits behind the prefix "
                f"are set (its network is {lowest}/{self.prefix_length})"
            )
        object.__setattr__(self, "_prefix", prefix)
        object.__setattr__(self, "_mask", mask)
        object.__setattr__(self, "broadcast", self._highest())

    @classmethod
    def parse(cls, text: str) -> IpNetwork:
        """Read ADDRESS/LENGTH, with no bit set behind the prefix; ValueError for all else."""
        return cls(*_parse_with_prefix_length(text, "a network", "172.18.0.0/16 or fd00::/64"))

    @property
    def version(self) -> int:
        """4 or 6."""
        return self.address.version

    def overlaps(self, other: IpNetwork) -> bool:
        """Does any address belong to both?"""
        if self.version != other.version:
            return False
        common = self._mask & other._mask
        return self._prefix & common == other._prefix & common

    def __contains__(self, address: IpAddress) -> bool:
        return (
            len(address) == len(self.address)
            and int.from_bytes(address, "big") & self._mask == self._prefix
        )

    def __str__(self) -> str:
        return f"{self.address}/{self.prefix_length}"

    def _highest(self) -> IpAddress | None:
        if self.version == 6 or self.prefix_length > 30:
            return None
        hosts = (1 << (32 - self.prefix_length)) - 1
        return IpAddress((self._prefix | hosts).to_bytes(IPV4_LENGTH, "big"))


@dataclass(frozen=True, slots=True)
class IpInterface:
    """An address together with the network it is on. An address outside raises ValueError."""

    address: IpAddress
    network: IpNetwork

    def __post_init__(self) -> None:
        if self.address not in self.network:
            raise ValueError(f"{self.address} is not in {self.network}")

    @classmethod
    def parse(cls, text: str) -> IpInterface:
        """Read ADDRESS/LENGTH, where bits behind the prefix are the host's."""
        address, prefix_length = _parse_with_prefix_length(
            text, "an address with its prefix length", "172.18.0.1/16 or fd00::1/64"
        )
        hosts = 8 * len(address) - prefix_length
        lowest = int.from_bytes(address, "big") >> hosts << hosts
        network = IpNetwork(IpAddress(lowest.to_bytes(len(address), "big")), prefix_length)
        return cls(address, network)

    def __str__(self) -> str:
        return f"{self.address}/{self.network.prefix_length}"


def _parse_with_prefix_length(text: str, what: str, example: str) -> tuple[IpAddress, int]:
    address_text, slash, length_text = text.partition("/")
    complaint = f'"{text}" is not {what} (like {example})'
    if not slash or not re.fullmatch(r"[0-9]{1,3}", length_text):
        raise ValueError(complaint)
    try:
        address = IpAddress.parse(address_text)
    except ValueError:
        raise ValueError(complaint) from None
    if int(length_text) > 8 * len(address):
        raise ValueError(complaint)
    return address, int(length_text)
