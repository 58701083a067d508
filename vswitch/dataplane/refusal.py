"""Dropping a packet and saying so to its sender, where that is allowed (RFC 1812, 4.3.2).

What must never be answered with an error is not (`responders.icmp.is_answerable`), and on each port
the errors of a second are limited (4.3.2.8): beyond that a packet is dropped as before, nothing is
said, and what was not said is counted.
"""

from __future__ import annotations

from vswitch.dataplane.drops import Reason
from vswitch.dataplane.responders import icmp as icmp_responder
from vswitch.dataplane.responders import tcp as tcp_responder
from vswitch.dataplane.tables import Tables
from vswitch.dataplane.verdict import Verdict
from vswitch.dataplane.walk import Walk
from vswitch.wire.icmp import Icmp, Type, Unreachable
from vswitch.wire.ipv4 import Ipv4
from vswitch.wire.tcp import Tcp
from vswitch.wire.udp import Udp


def prohibit(walk: Walk, tables: Tables, packet: Ipv4, reason: Reason) -> Verdict:
    """Drop, because a policy or a limit forbids it: "administratively prohibited" (RFC 5508,
    REQ-8)."""
    return refuse(walk, tables, packet, reason, Unreachable.ADMINISTRATIVELY_PROHIBITED)


def reject(
    walk: Walk, tables: Tables, packet: Ipv4, header: Tcp | Udp | Icmp | None, reason: Reason
) -> Verdict:
    """Drop, because a filter says so aloud: TCP by a RST in the name of whom it was sent to."""
    if not isinstance(header, Tcp):
        return prohibit(walk, tables, packet, reason)
    if not may_answer(walk, tables, packet):
        return walk.drop(reason)
    resets = tcp_responder.reset(walk.ethernet, packet, header)
    return walk.drop(reason, *(walk.answer(each) for each in resets))


def refuse(walk: Walk, tables: Tables, packet: Ipv4, reason: Reason, code: Unreachable) -> Verdict:
    """Drop, because the destination can not be reached."""
    return tell(walk, tables, packet, reason, Type.DESTINATION_UNREACHABLE, code)


def tell(
    walk: Walk, tables: Tables, packet: Ipv4, reason: Reason, kind: Type, code: int, rest: int = 0
) -> Verdict:
    """Drop, with an error of any kind in the name of the network's own address."""
    interface = walk.network.interface
    if interface is None or not may_answer(walk, tables, packet):
        return walk.drop(reason)
    error = icmp_responder.error(walk.ethernet, packet, interface, kind, code, rest)
    return walk.drop(reason, walk.answer(error))


def may_answer(walk: Walk, tables: Tables, packet: Ipv4) -> bool:
    """Whether the sender of a packet may be sent an error now, which is counted."""
    if not icmp_responder.is_answerable(walk.ethernet, packet):
        return False
    return not walk.commit or tables.may_send_error(walk.port.number, walk.now)
