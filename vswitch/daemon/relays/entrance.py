"""The terms of a published port, for who comes from the host itself.

Theory of operation. The frames of the host to itself never come by the dataplane, but its terms
hold for them too: the same table is asked that frames from outside are held against, with the
address that the client has of itself (one of the host's, 127.0.0.1 for most), and the same rate and
the same one connection are used up. Who is refused is counted at the host's port, as if its first
frame had come by there.

The way on is by the host's port and by nothing else: where that is gone, or the host has a better
route to the endpoint's address, a client must not be led to whoever is there.
"""

from __future__ import annotations

import errno
import logging
import os
import socket

from vswitch.daemon.runtime import Runtime
from vswitch.dataplane.publications import Publication
from vswitch.dataplane.switch import Switch
from vswitch.wire.values import IpAddress

log = logging.getLogger(__name__)


class Entrance:
    """Says who may come in by one publication. Belongs to the running event loop."""

    def __init__(self, switch: Switch, runtime: Runtime, publication: Publication) -> None:
        self._switch = switch
        self._runtime = runtime
        self._publication = publication

    def lets_in(self, source: IpAddress) -> bool:
        """Whether a new client may come in, which has then begun."""
        tables, now = self._switch.tables, self._runtime.now()
        refused = tables.publications.refuse(self._publication, source, now)
        if refused is None:
            tables.publications.note(self._publication, now)
            return True
        log.debug("%s is not let in from the host: %s", source, refused.value)
        host = tables.networks[self._publication.network].host
        if host is not None:
            self._switch.counters.count_lost(host.port, refused, 1)
        return False

    def way_on(self, kind: socket.SocketKind) -> socket.socket:
        """A socket that reaches nobody but by the host's port on the endpoint's network, and that
        does not block. Raises OSError."""
        tables = self._switch.tables
        host = tables.networks[self._publication.network].host
        if host is None:
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
        interface = tables.ports[host.port].name
        made = socket.socket(socket.AF_INET, kind | socket.SOCK_NONBLOCK)
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
        except OSError:
            made.close()
            raise
        return made

    def leave(self) -> None:
        """A client that was let in has gone; what was published for it alone goes with it."""
        self._switch.changes.leave_publication(self._publication)
        self._runtime.tell_news()
