"""ARP in the switch's own name (RFC 826, RFC 5227). Whom to believe is `arp_stage`'s business."""

from __future__ import annotations

from vswitch.dataplane.topology import Interface
from vswitch.wire import arp, ethernet
from vswitch.wire.arp import Arp, Operation
from vswitch.wire.values import BROADCAST, EtherType, IpAddress, MacAddress

_UNKNOWN = MacAddress(bytes(6))


def reply(asked: Arp, interface: Interface) -> bytearray:
    """The answer to a request for the interface's own address."""
    return _frame(interface, asked.sender_mac, Operation.REPLY, asked.sender_mac, asked.sender_ip)


def request(address: IpAddress, interface: Interface) -> bytearray:
    """The question who has `address`."""
    return _frame(interface, BROADCAST, Operation.REQUEST, _UNKNOWN, address)


def announcement(interface: Interface) -> bytearray:
    """RFC 5227, 2.3: a request for one's own address, which corrects stale caches."""
    return _frame(interface, BROADCAST, Operation.REQUEST, _UNKNOWN, interface.address.address)


def _frame(
    interface: Interface,
    to: MacAddress,
    operation: Operation,
    target_mac: MacAddress,
    target_ip: IpAddress,
) -> bytearray:
    message = arp.build(operation, interface.mac, interface.address.address, target_mac, target_ip)
    return ethernet.build(to, interface.mac, EtherType.ARP, message)
