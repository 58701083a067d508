"""Every way in which bytes can lie, with the explanation that a user gets to read.

A `parse` answers with a member of this set instead of its view. The members are grouped by the
layer that found out; a frame has at most one of them, the first that was met from the outside in.
"""

from __future__ import annotations

from enum import Enum


class Malformed(Enum):
    """What is wrong with the bytes; the value says it in words."""

    BAD_OFFLOAD_HEADER = "offload header contradicts the frame it belongs to"

    TRUNCATED_ETHERNET = "frame is shorter than an Ethernet header"
    TRUNCATED_VLAN = "frame ends within its 802.1Q tag"

    TRUNCATED_ARP = "frame ends within its ARP message"
    ARP_NOT_ETHERNET_IPV4 = "ARP message is not about IPv4 on Ethernet"

    TRUNCATED_IPV4 = "frame ends within its IPv4 header"
    IPV4_BAD_VERSION = "IPv4 header has a version other than 4"
    IPV4_BAD_HEADER_LENGTH = "IPv4 header length is below 20 bytes"
    IPV4_BAD_TOTAL_LENGTH = "IPv4 total length is below its header's or beyond the frame's end"
    IPV4_BAD_CHECKSUM = "IPv4 header checksum is wrong"

    TRUNCATED_IPV6 = "frame ends within its IPv6 header"
    IPV6_BAD_VERSION = "IPv6 header has a version other than 6"
    IPV6_BAD_PAYLOAD_LENGTH = "IPv6 payload length is beyond the frame's end"

    TRUNCATED_TCP = "packet ends within its TCP header"
    TCP_BAD_DATA_OFFSET = "TCP data offset is below 20 bytes or beyond the packet's end"

    TRUNCATED_UDP = "packet ends within its UDP header"
    UDP_BAD_LENGTH = "UDP length is below 8 bytes or beyond the packet's end"
    UDP_BAD_CHECKSUM = "UDP checksum is wrong"

    TRUNCATED_ICMP = "packet ends within its ICMP header"
    ICMP_BAD_CHECKSUM = "ICMP checksum is wrong"

    TRUNCATED_TRANSPORT = "packet ends within the header of its transport protocol"

    TRUNCATED_ICMPV6 = "packet ends within its ICMPv6 header"
