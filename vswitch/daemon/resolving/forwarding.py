"""Asking servers outside.

Theory of operation. An inquiry goes out from the daemon's own namespace, so that a server on the
host's loopback can be asked, or from the namespace that its route names. Each attempt has a socket
of its own, connected to the server, with a source port of the kernel's choice and a fresh random
identifier (RFC 5452): a forged reply has to guess both, and the kernel reports an unreachable
server at once. Servers are asked in order; one that is silent, or says that it can not say, is
passed over. A reply that is cut short is asked for again by TCP (RFC 7766, 5).
"""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import Callable, Coroutine
from typing import TypeAlias

import dns.flags
import dns.message
import dns.name
import dns.rdataclass
import dns.rdatatype

from vswitch.daemon.kernel import netns
from vswitch.daemon.kernel.netns import Namespace, NamespaceError
from vswitch.dataplane.responders.dns import judging
from vswitch.dataplane.responders.dns.judging import Judgement
from vswitch.dataplane.responders.dns.message import OUR_PAYLOAD, question_section
from vswitch.dataplane.responders.dns.party import Inquiry
from vswitch.naming import Server

MESSAGE_BYTES = 65_535
"""The longest DNS message there is."""

Way: TypeAlias = Callable[[socket.socket, bytes], Coroutine[None, None, bytes | None]]
"""Ask a server at a connected socket; None: it cannot say."""


class Forwarder:
    """Asks servers, for all who ask us. Belongs to one event loop."""

    def __init__(self, timeout: float) -> None:
        """`timeout` is in seconds, for each server."""
        self._timeout = timeout
        self.unresolved = 0
        """Inquiries to which no server had an answer."""

    async def ask(self, inquiry: Inquiry) -> bytes | None:
        """The reply of the first server that has one, or None where none can say."""
        for server in inquiry.route.servers:
            found = await self._ask(server, inquiry, _by_datagram)
            if found is not None and judging.is_truncated(found):
                found = await self._ask(server, inquiry, _by_stream) or found
            if found is not None:
                return found
        self.unresolved += 1
        return None

    async def _ask(self, server: Server, inquiry: Inquiry, way: Way) -> bytes | None:
        family = socket.AF_INET if server.address.version == 4 else socket.AF_INET6
        kind = socket.SOCK_STREAM if way is _by_stream else socket.SOCK_DGRAM
        query = _query(inquiry)
        try:
            with await _asking_socket(inquiry.route.origin, family, kind) as asking:
                async with asyncio.timeout(self._timeout):
                    target = str(server.address), server.port
                    await asyncio.get_running_loop().sock_connect(asking, target)
                    return await way(asking, query)
        except (OSError, NamespaceError):
            return None


def _query(inquiry: Inquiry) -> bytes:
    name, _ = dns.name.from_wire(inquiry.name, 0)
    query = dns.message.make_query(
        name,
        dns.rdatatype.RdataType.make(inquiry.type),
        dns.rdataclass.RdataClass.make(inquiry.cls),
        id=secrets.randbits(16),
        use_edns=0,
        want_dnssec=inquiry.wants_dnssec,
        payload=OUR_PAYLOAD,
    )
    if inquiry.checking_disabled:
        query.flags |= dns.flags.CD
    return query.to_wire()


async def _asking_socket(
    origin: object, family: socket.AddressFamily, kind: socket.SocketKind
) -> socket.socket:
    """One where servers are asked from. Raises OSError or NamespaceError."""

    def make() -> socket.socket:
        return socket.socket(family, kind | socket.SOCK_NONBLOCK)

    if not isinstance(origin, Namespace):
        return make()
    return await asyncio.to_thread(netns.run, make, origin)


async def _by_datagram(asking: socket.socket, query: bytes) -> bytes | None:
    loop = asyncio.get_running_loop()
    question = question_section(query)
    await loop.sock_sendall(asking, query)
    while True:
        reply = await loop.sock_recv(asking, MESSAGE_BYTES)
        match judging.judge(reply, query[:2], question):
            case Judgement.ACCEPT:
                return reply
            case Judgement.NEXT_SERVER:
                return None


async def _by_stream(asking: socket.socket, query: bytes) -> bytes | None:
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(asking, len(query).to_bytes(2, "big") + query)
    heard = b""
    while len(heard) < 2 or len(heard) < 2 + int.from_bytes(heard[:2], "big"):
        more = await loop.sock_recv(asking, MESSAGE_BYTES)
        if not more:
            return None
        heard += more
    reply = heard[2 : 2 + int.from_bytes(heard[:2], "big")]
    judgement = judging.judge(reply, query[:2], question_section(query))
    return reply if judgement is Judgement.ACCEPT else None
