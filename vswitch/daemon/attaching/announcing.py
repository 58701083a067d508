"""Telling a network which station has an endpoint's address, when the endpoint is attached.

Theory of operation. Whoever spoke with the address before may remember another station for it:
addresses are given again, MAC addresses are not. So the switch says in the endpoint's stead what a
host says that comes up with an address: unsolicited ARP requests with the address as sender and as
target (RFC 5227, 2.3). They go through the pipeline as if the endpoint had sent them, so that the
switch's own tables learn what everybody else learns.

They are sent as often and as far apart as Docker does: a cache may be locked for the first second
after it changed (locktime, arp(7)), and the first frame may be lost.

A virtual machine announces itself: what it has for an address is not known before it says so.
"""

from __future__ import annotations

import asyncio

from vswitch.daemon.runtime import Runtime
from vswitch.dataplane.responders import arp
from vswitch.dataplane.switch import Switch
from vswitch.dataplane.topology import Interface, Port

MESSAGES = 3
INTERVAL_SECONDS = 1.0
"""Docker's defaults, com.docker.network.advertise_addr_nmsgs and _ms."""


class Announcement:
    """One station of an endpoint being announced at its port. Belongs to the running event loop."""

    def __init__(self, switch: Switch, runtime: Runtime, own: Interface, port: Port) -> None:
        """Announce `own` at once, and go on until it has been said often enough."""
        self._switch = switch
        self._runtime = runtime
        self._own = own
        self._port = port.number
        self._left = MESSAGES
        self._timer: asyncio.TimerHandle | None = None
        self._say()

    def end(self) -> None:
        """Say it no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _say(self) -> None:
        now = self._runtime.now()
        for frame in arp.announcements(self._own):
            self._switch.transmit(self._switch.receive(self._port, frame, now), now)
        self._runtime.rearm()
        self._left -= 1
        if self._left:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(INTERVAL_SECONDS, self._say)
