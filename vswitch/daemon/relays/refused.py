"""Telling a client of UDP on this host that nobody listens: "port unreachable" (RFC 1122, 4.1.3.1).

The kernel believes such an error where it quotes a datagram from the client's own address and port
to the one that it sent to, and tells a connected client "connection refused". What the datagram
carried is not looked at, and so not quoted.
"""

from __future__ import annotations

import logging
import socket

from vswitch.wire import icmp, ipv4, udp
from vswitch.wire.values import IpAddress, Protocol

log = logging.getLogger(__name__)


def tell(client: tuple[IpAddress, int], asked: tuple[IpAddress, int]) -> None:
    """Tell `client` that nobody is at `asked`, both addresses of this host and UDP ports."""
    (theirs, from_port), (ours, port) = client, asked
    datagram = udp.build(theirs, ours, from_port, port, b"")
    quote = ipv4.build(theirs, ours, Protocol.UDP, datagram)
    error = icmp.build(icmp.Type.DESTINATION_UNREACHABLE, icmp.Unreachable.PORT, 0, quote)
    packet = ipv4.build(ours, theirs, Protocol.ICMP, error)
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
            raw.sendto(packet, (str(theirs), 0))
    except OSError as failure:
        log.debug("%s is not told that nobody is at port %d: %s", theirs, port, failure)
