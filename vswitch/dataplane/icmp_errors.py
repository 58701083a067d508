"""ICMP errors about translated flows (RFC 5508, 4 and REQ-3 to REQ-6).

Theory of operation. An error quotes the packet that it is about, as that packet looked where the
error was made: behind the translation. So the quote, turned round, is the tuple of a frame that
would arrive where the error arrived, and finds the connection. The quote is rewritten to what the
packet looked like on the other side, and the error goes to its sender. From the outside it keeps
its source, so that traceroute shows the router; from the inside its source becomes the external
address, whoever made it. One that is not addressed to who sent the packet contradicts itself.

Quoted checksums are changed by the same difference as the addresses and ports, never recomputed: a
quote may be cut short, and a wrong one stays wrong. What follows the quoted packet (RFC 4884)
stays. An error never refreshes, changes or ends a connection (REQ-6, RFC 5382 REQ-10).
"""

from __future__ import annotations

from dataclasses import dataclass

from vswitch.dataplane.conntrack import Connection
from vswitch.dataplane.drops import DropReason, Reason
from vswitch.dataplane.flow import ANSWERS, QUESTIONS, FlowTuple
from vswitch.dataplane.revalidation import known
from vswitch.dataplane.tables import Tables
from vswitch.dataplane.topology import Side
from vswitch.dataplane.transport import PORTLESS
from vswitch.dataplane.verdict import Stage
from vswitch.dataplane.walk import Walk
from vswitch.wire import checksum, icmp, ipv4, tcp, udp
from vswitch.wire.icmp import Icmp, Type
from vswitch.wire.ipv4 import Ipv4
from vswitch.wire.malformed import Malformed
from vswitch.wire.values import IpAddress, Protocol

_QUOTED_TRANSPORT = 8
"""Bytes of the quoted transport header that an error must bring (RFC 792)."""

_CHECKSUM_AT: dict[int, int] = {
    Protocol.TCP: tcp.CHECKSUM,
    Protocol.UDP: udp.CHECKSUM,
    Protocol.UDP_LITE: udp.CHECKSUM,
    Protocol.DCCP: udp.CHECKSUM,
}
"""Where the checksum of a quoted header stands, of protocols whose checksum covers addresses."""

_WITH_PORTS = (*_CHECKSUM_AT, int(Protocol.SCTP))


@dataclass(frozen=True, slots=True)
class Translated:
    """An error as it goes on; time to live and stations are as they came."""

    frame: bytearray
    network: int
    destination: IpAddress
    connection: Connection
    """What it is about."""


def translate(walk: Walk, tables: Tables, packet: Ipv4, message: Icmp) -> Translated | Reason:
    """The error as the sender of the quoted packet has to see it."""
    if message.type == Type.REDIRECT:
        return DropReason.ICMP_NOT_TRANSLATED
    quote = Ipv4.parse_quoted(walk.frame, message.payload, message.end)
    if isinstance(quote, Malformed):
        return quote
    if not quote.has_valid_checksum():
        return Malformed.IPV4_BAD_CHECKSUM
    quoted = quoted_tuple(walk.network.number, quote)
    if quoted is None:
        return DropReason.ICMP_ERROR_UNRELATED
    found = known(walk, tables, quoted.turned)
    if found is None:
        walk.detail(Stage.NAT, "no connection has sent the quoted {}", quoted)
        return DropReason.ICMP_ERROR_UNRELATED
    connection, direction = found
    walk.found(Stage.NAT, "an error about connection {}", connection.number)
    if packet.destination != quote.source:
        walk.detail(Stage.NAT, "but to {}, who has not sent it", packet.destination)
        return DropReason.ICMP_ERROR_UNRELATED
    original_form = connection.arriving(direction.other)
    frame = bytearray(walk.frame)
    _rewrite_quote(frame, quote, original_form)
    keeps_source = walk.network.side is Side.OUTSIDE
    source = packet.source if keeps_source else original_form.destination
    _rewrite_outer(frame, packet, source, original_form.source)
    return Translated(frame, original_form.network, original_form.source, connection)


def quoted_tuple(network: int, quote: Ipv4) -> FlowTuple | None:
    """The tuple of a quoted packet on `network`, or None where the quote does not say."""
    if quote.fragment_offset or quote.end - quote.payload < _QUOTED_TRANSPORT:
        return None
    protocol, at = quote.protocol, quote.payload
    source, destination = quote.source, quote.destination
    if protocol in PORTLESS:
        return FlowTuple(network, protocol, source, 0, destination, 0)
    if protocol in _WITH_PORTS:
        return FlowTuple(
            network, protocol, source, _word(quote, at), destination, _word(quote, at + 2)
        )
    if protocol != Protocol.ICMP:
        return None
    kind, identifier = quote.frame[at], _word(quote, at + icmp.IDENTIFIER)
    if kind in ANSWERS:
        return FlowTuple(network, protocol, source, identifier, destination, 0, kind)
    if kind in QUESTIONS:
        return FlowTuple(network, protocol, source, 0, destination, identifier, kind)
    return None


def _rewrite_quote(frame: bytearray, quote: Ipv4, form: FlowTuple) -> None:
    """Give the quoted packet the addresses and ports of `form`."""
    at = quote.offset + ipv4.SOURCE
    addresses = _replace(frame, at, form.source + form.destination)
    checksum.update_at(frame, quote.offset + ipv4.CHECKSUM, addresses)
    at = quote.payload
    if quote.protocol == Protocol.ICMP:
        changed = _replace(frame, at + icmp.IDENTIFIER, form.identifier.to_bytes(2, "big"))
        checksum.update_at(frame, at + icmp.CHECKSUM, changed)
        return
    if quote.protocol not in _WITH_PORTS:
        return
    ports = form.source_port.to_bytes(2, "big") + form.destination_port.to_bytes(2, "big")
    changed = (addresses + _replace(frame, at, ports)) % 0xFFFF
    field = at + _CHECKSUM_AT.get(quote.protocol, len(frame))
    if field + 2 > quote.end:
        return
    if quote.protocol == Protocol.UDP and _word(quote, field) == udp.NO_CHECKSUM:
        return
    checksum.update_at(frame, field, changed)
    if quote.protocol != Protocol.TCP and not any(frame[field : field + 2]):
        frame[field : field + 2] = udp.COMPUTED_ZERO.to_bytes(2, "big")


def _rewrite_outer(
    frame: bytearray, packet: Ipv4, source: IpAddress, destination: IpAddress
) -> None:
    changed = _replace(frame, packet.offset + ipv4.SOURCE, source + destination)
    checksum.update_at(frame, packet.offset + ipv4.CHECKSUM, changed)
    field = packet.payload + icmp.CHECKSUM
    frame[field : field + 2] = b"\0\0"
    message = frame[packet.payload : packet.end]
    frame[field : field + 2] = checksum.checksum(message).to_bytes(2, "big")


def _replace(frame: bytearray, at: int, value: bytes) -> int:
    end = at + len(value)
    difference = checksum.difference(frame[at:end], value)
    frame[at:end] = value
    return difference


def _word(quote: Ipv4, at: int) -> int:
    return quote.frame[at] << 8 | quote.frame[at + 1]
