"""ARP in the switch's own name (RFC 826, RFC 5227). Whom to believe is `arp_stage`'s business."""

from __future__ import annotations

from vswitch.dataplane.topology import Interface
from vswitch.wire import arp, ethernet
from vswitch.wire.arp import Arp, Operation
from vswitch.wire.values import BROADCAST, EtherType, IpAddress, MacAddress

_UNKNOWN = MacAddress(bytes(6))


def reply(asked: Arp, interface: Interface) -> bytearray:
    """The answer to a request for an address of the interface."""
    return _frame(
        interface,
        asked.target_ip,
        asked.sender_mac,
        Operation.REPLY,
        asked.sender_mac,
        asked.sender_ip,
    )


def request(address: IpAddress, interface: Interface) -> bytearray:
    """The question who has `address`."""
    own = interface.address.address
    return _frame(interface, own, BROADCAST, Operation.REQUEST, _UNKNOWN, address)


def told(address: IpAddress, interface: Interface, to: MacAddress) -> bytearray:
    """The answer to who has asked for `address` in the interface's name: it is behind it."""
    own = interface.address.address
    return _frame(interface, address, to, Operation.REPLY, to, own)


def announcements(interface: Interface) -> list[bytearray]:
    """RFC 5227, 2.3: requests for one's own addresses, which correct stale caches."""
    return [
        _frame(interface, own, BROADCAST, Operation.REQUEST, _UNKNOWN, own)
        for own in (interface.address.address, *interface.also)
    ]


def _frame(
    interface: Interface,
    own: IpAddress,
    to: MacAddress,
    operation: Operation,
    target_mac: MacAddress,
    target_ip: IpAddress,
) -> bytearray:
    message = arp.build(operation, interface.mac, own, target_mac, target_ip)
    return ethernet.build(to, interface.mac, EtherType.ARP, message)
