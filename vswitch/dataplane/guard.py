"""The spoof guard: does a port speak in its own name?

Theory of operation. A guarded port has a set of stations and of IPv4 addresses that may be the
source of what it sends, and the sender of its ARP. Everything else is dropped before anybody learns
from it, so nobody takes a neighbour's place in the FDB, in the switch's neighbour table or in those
of others. Who has no address yet may ask for one (DHCP) and probe one (RFC 5227, 2.1.1).

What else than IPv4 and ARP a station says in an address of its own is not looked at. Read first:
BCP 38; for what others call this, ebtables' among and Open vSwitch's port security.
"""

from __future__ import annotations

from vswitch.dataplane.drops import DropReason, Reason
from vswitch.dataplane.verdict import Stage
from vswitch.dataplane.walk import Walk
from vswitch.policy import PortPolicy
from vswitch.wire.arp import Arp
from vswitch.wire.ipv4 import Ipv4
from vswitch.wire.malformed import Malformed
from vswitch.wire.values import EtherType, IpAddress

TAGS = frozenset({int(EtherType.VLAN), int(EtherType.SERVICE_VLAN)})


def refuse(walk: Walk) -> Reason | None:
    """Why a frame may not come in by its guarded port, None where it may."""
    policy, ethernet = walk.port.policy, walk.ethernet
    if policy.stations is not None and ethernet.source not in policy.stations:
        walk.found(Stage.POLICY, "port {} may not send as {}", walk.port.name, ethernet.source)
        return DropReason.STATION_SPOOFED
    if policy.addresses is None:
        return None
    if ethernet.ethertype in TAGS:
        return DropReason.TAG_IN_TAG
    if ethernet.ethertype == EtherType.ARP:
        return _refuse_arp(walk, policy)
    if ethernet.ethertype == EtherType.IPV4:
        return _refuse_ipv4(walk)
    return None


def _refuse_arp(walk: Walk, policy: PortPolicy) -> DropReason | None:
    message = Arp.parse(walk.frame, walk.ethernet.payload)
    if isinstance(message, Malformed):
        return None  # which the stage that reads it drops
    if policy.stations is not None and message.sender_mac not in policy.stations:
        return DropReason.STATION_SPOOFED
    return None if message.is_probe else _refuse_source(walk, message.sender_ip)


def _refuse_ipv4(walk: Walk) -> Reason | None:
    packet = Ipv4.parse(walk.frame, walk.ethernet.payload)
    if isinstance(packet, Malformed):
        return packet
    if packet.source.is_unspecified and packet.destination.is_limited_broadcast:
        return None
    return _refuse_source(walk, packet.source)


def _refuse_source(walk: Walk, source: IpAddress) -> DropReason | None:
    allowed = walk.port.policy.addresses
    if allowed is None or source in allowed:
        return None
    walk.found(Stage.POLICY, "port {} may not speak for {}", walk.port.name, source)
    return DropReason.ADDRESS_SPOOFED
