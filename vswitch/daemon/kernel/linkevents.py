"""The kernel's word that links, addresses or routes have changed (rtnetlink(7)).

Theory of operation. Nobody reads what an event says: that there was one, or that too many came for
the socket, is a reason to look at how things are. So a socket is listened to and drained, and it
listens before the first look, so that no change falls between the two.
"""

from __future__ import annotations

import errno
import socket

from vswitch.daemon.kernel.links import LinkError
from vswitch.units import KIBIBYTE

# Groups (linux/rtnetlink.h).
IPV4_ADDRESSES = 0x10
IPV4_ROUTES = 0x40

_LENGTH = 8 * KIBIBYTE  # only drained, so a message may be cut


def listen(groups: int, what: str) -> socket.socket:
    """A socket that is readable when something in these groups has changed; `what` names it.

    Raises LinkError.
    """
    events = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
    try:
        events.bind((0, groups))
    except OSError as error:
        events.close()
        raise LinkError(f"cannot listen to {what} events: {error.strerror}") from error
    return events


def drain(events: socket.socket) -> None:
    """Until nothing waits. Events that were lost are one more reason to look, and no failure."""
    while True:
        try:
            events.recv(_LENGTH)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
