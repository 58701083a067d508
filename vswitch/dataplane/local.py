"""Packets for the switch itself.

The switch is a host with an address in each of its networks and nothing listening: it answers echo
requests everywhere, and refuses on the inside what no table leads further, so that a client there
learns at once that nobody listens (RFC 1122, 3.2.2.1; RFC 9293, 3.10.7.1). What comes from outside
to a port that leads nowhere does not come by here: the router drops it, and holds a SYN back to
refuse it later (`unsolicited`).
"""

from __future__ import annotations

from vswitch.dataplane import refusal
from vswitch.dataplane.drops import DropReason
from vswitch.dataplane.flow import QUESTIONS
from vswitch.dataplane.responders import icmp as icmp_responder
from vswitch.dataplane.responders import tcp as tcp_responder
from vswitch.dataplane.tables import Tables
from vswitch.dataplane.verdict import Fate, Stage, Verdict
from vswitch.dataplane.walk import Walk
from vswitch.wire.icmp import Icmp, Type, Unreachable
from vswitch.wire.ipv4 import Ipv4
from vswitch.wire.tcp import Tcp
from vswitch.wire.udp import Udp


def answer(walk: Walk, tables: Tables, packet: Ipv4, header: Tcp | Udp | Icmp | None) -> Verdict:
    """Answer or refuse a packet to an address of the switch; `header` is None for protocols that
    have no view."""
    walk.found(Stage.LOCAL, "{} is an address of the switch", packet.destination)
    if isinstance(header, Icmp):
        return _echo(walk, packet, header)
    if not refusal.may_answer(walk, tables, packet):
        return walk.drop(DropReason.NO_SERVICE)
    if isinstance(header, Tcp):
        refused = tcp_responder.reset(walk.ethernet, packet, header)
        return walk.drop(DropReason.NO_SERVICE, *(walk.answer(each) for each in refused))
    code = Unreachable.PORT if isinstance(header, Udp) else Unreachable.PROTOCOL
    error = icmp_responder.unreachable(walk.ethernet, packet, code)
    return walk.drop(DropReason.NO_SERVICE, walk.answer(error))


def _echo(walk: Walk, packet: Ipv4, message: Icmp) -> Verdict:
    if message.type in QUESTIONS:
        return walk.drop(DropReason.NO_CONNECTION)
    if message.type != Type.ECHO_REQUEST:
        return walk.drop(DropReason.NO_SERVICE)
    is_atomic = packet.total_length <= walk.network.mtu
    reply = icmp_responder.echo_reply(walk.ethernet, packet, message, is_atomic=is_atomic)
    return walk.conclude(Fate.ANSWERED, walk.answer(reply))
