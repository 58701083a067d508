"""A TCP of our own for the gateways' port 53: the kernel's, in a namespace that nobody sees.

Theory of operation. A network namespace without a name is made by a thread that ends then. In it is
a TAP, whose other end is a port of the switch, and a socket that listens; it lives as long as their
descriptors, so nothing of it outlives the daemon, however that ends. Whatever comes in by the TAP
is taken in, whichever address it is for: a routing table of its own says so of what arrives there
(ip-rule(8)), and nothing of a gateway is configured. The socket is transparent (ip(7)), so that it
answers in the name of the gateway that was asked, and whatever leaves, leaves by the TAP. There is
no ARP and no IPv6: the switch knows who is where.

To make it takes the kernel some ten milliseconds, so it is made when somebody asks by TCP first.

What passes to the TAP and back is decided by `dataplane.stream_stage`. Read first: the kernel's
documentation of TPROXY, networking/tproxy.rst, of which this is the half without a packet filter.
"""

from __future__ import annotations

import socket
from contextlib import ExitStack
from dataclasses import dataclass

from vswitch.daemon.kernel import links, netns
from vswitch.daemon.kernel.syscalls import CLONE_NEWNET, call
from vswitch.devices.base import OpenError
from vswitch.devices.tap import TapDevice
from vswitch.naming import PORT
from vswitch.wire.values import MacAddress

INTERFACE = "names"
"""What the TAP is called in there."""


@dataclass(frozen=True, slots=True)
class OwnTcp:
    """Both ends: `tap` for the switch, `listening` for who answers. The caller closes them."""

    tap: TapDevice
    mac: MacAddress
    """The TAP's station."""
    listening: socket.socket

    @classmethod
    def make(cls) -> OwnTcp:
        """A new one. Raises LinkError, OpenError or OSError, and then nothing is left of it."""
        return netns.run(_make, None)


def _make() -> OwnTcp:
    call("unshare", CLONE_NEWNET)
    with ExitStack() as undo:
        tap = TapDevice.open(INTERFACE)
        undo.callback(tap.close)
        link = links.take_everything_in(INTERFACE)
        if link.mac is None:
            raise OpenError(f"TAP {INTERFACE}: it has no station")
        listening = undo.enter_context(_listening())
        undo.pop_all()
        return OwnTcp(tap, link.mac, listening)


def _listening() -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        listening.setsockopt(socket.SOL_IP, socket.IP_TRANSPARENT, 1)
        listening.bind(("", PORT))
        listening.listen()
    except BaseException:
        listening.close()
        raise
    return listening
