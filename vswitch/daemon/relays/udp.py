"""UDP from the host to an endpoint: a socket for each client, by which the answers come back.

Theory of operation. A client is an address and port that has sent to one of the host's addresses;
answers come from the address that it sent to, as it would take no others (IP_PKTINFO). Its socket
goes after `IDLE_SECONDS` in which neither side has said anything. Where the endpoint refuses,
the client is told so (`refused`); what the terms do not let in is dropped without a word, as it is
from outside.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from contextlib import suppress
from typing import NamedTuple

from vswitch.daemon.relays import refused
from vswitch.daemon.relays.entrance import Entrance
from vswitch.daemon.relays.silence import Silence
from vswitch.wire.values import IpAddress

log = logging.getLogger(__name__)

IDLE_SECONDS = 90.0
"""Docker's userland proxy's."""

MOST_CLIENTS = 1024
"""Of one port; the one that has been silent for longest makes room."""

_AT_ONCE = 64
"""Datagrams that are taken before the loop turns to something else."""

_LONGEST = 65536
_IP_PKTINFO = 8  # linux/in.h
_PKTINFO = struct.Struct("=i4s4s")  # struct in_pktinfo: interface, own address, destination
_ANCILLARY = socket.CMSG_SPACE(_PKTINFO.size)

Address = tuple[str, int]


class _Client(NamedTuple):
    """Who asks, and which address of the host it has asked."""

    sender: Address
    asked: bytes


class UdpRelay:
    """Leads datagrams to an endpoint's port, and its answers back to who asked."""

    def __init__(self, bound: socket.socket, to: Address, entrance: Entrance) -> None:
        """The socket does not block, and is the relay's from now on."""
        self._bound = bound
        self._to = to
        self._entrance = entrance
        self._loop = asyncio.get_running_loop()
        self._ways: dict[_Client, _Way] = {}
        """The one that was heard last stands last."""
        self._is_closed = False
        bound.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        self._loop.add_reader(bound.fileno(), self._receive)

    def close(self) -> None:
        """Hear nobody else."""
        self._is_closed = True
        self._loop.remove_reader(self._bound.fileno())
        self._bound.close()
        for way in list(self._ways.values()):
            way.close()

    def _receive(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                data, ancillary, _, sender = self._bound.recvmsg(_LONGEST, _ANCILLARY)
            except BlockingIOError:
                return
            ((_, _, information),) = ancillary
            _, _, asked = _PKTINFO.unpack(information)
            way = self._way_of(_Client(sender, asked))
            if way is not None:
                way.send(data)

    def _way_of(self, client: _Client) -> _Way | None:
        """The way that a client has, or a new one; None where it gets none."""
        way = self._ways.pop(client, None)
        if way is None:
            if not self._entrance.lets_in(IpAddress.parse(client.sender[0])):
                return None
            if len(self._ways) >= MOST_CLIENTS:
                next(iter(self._ways.values())).close()
            try:
                inner = self._connected()
            except OSError as error:
                log.warning("port %d: a datagram is lost: %s", self._to[1], error)
                self._loop.call_soon(self._entrance.leave)
                return None
            way = _Way(self, client, inner)
        self._ways[client] = way
        return way

    def _connected(self) -> socket.socket:
        """Raises OSError."""
        inner = self._entrance.way_on(socket.SOCK_DGRAM)
        try:
            inner.connect(self._to)
        except OSError:
            inner.close()
            raise
        return inner

    def answer(self, client: _Client, data: bytes) -> None:
        """To a client. What the kernel does not take is lost, as datagrams are."""
        information = _PKTINFO.pack(0, client.asked, bytes(4))
        ancillary = [(socket.IPPROTO_IP, _IP_PKTINFO, information)]
        with suppress(OSError):
            self._bound.sendmsg([data], ancillary, 0, client.sender)

    def refuse(self, client: _Client) -> None:
        """Tell a client that nobody listens."""
        address, port = client.sender
        own: Address = self._bound.getsockname()
        refused.tell((IpAddress.parse(address), port), (IpAddress(client.asked), own[1]))

    def forget(self, client: _Client) -> None:
        """A client's way has been closed."""
        del self._ways[client]
        if not self._is_closed:
            self._entrance.leave()


class _Way:
    """One client's way to the endpoint."""

    def __init__(self, relay: UdpRelay, client: _Client, inner: socket.socket) -> None:
        """The socket, which is connected to the endpoint, is the way's from now on."""
        self._relay = relay
        self._client = client
        self._loop = asyncio.get_running_loop()
        self._inner = inner
        self._loop.add_reader(self._inner.fileno(), self._receive)
        self._silence = Silence(IDLE_SECONDS, self.close)

    def send(self, data: bytes) -> None:
        """To the endpoint. What the kernel does not take is lost, as datagrams are."""
        self._silence.hear()
        try:
            self._inner.send(data)
        except ConnectionRefusedError:  # of a datagram before this one
            self._relay.refuse(self._client)
        except OSError as error:
            log.debug("a datagram is lost: %s", error)

    def close(self) -> None:
        """Forget the client."""
        self._silence.close()
        self._loop.remove_reader(self._inner.fileno())
        self._inner.close()
        self._relay.forget(self._client)

    def _receive(self) -> None:
        try:
            data = self._inner.recv(_LONGEST)
        except ConnectionRefusedError:
            self._relay.refuse(self._client)
        except OSError as error:
            log.debug("a datagram is lost: %s", error)
        else:
            self._silence.hear()
            self._relay.answer(self._client, data)
