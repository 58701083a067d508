"""What the host is told about names that are nobody's: no server is ever asked for it.

A name below that of a network does not exist where nobody there has it (NXDOMAIN, RFC 2308), the
network's own is there and has nothing, and all others are none of our business (REFUSED). Why, says
`hostnames`.
"""

from __future__ import annotations

from collections.abc import Callable

import dns.rcode
from dns.edns import EDECode

from vswitch.daemon.messages.dns import Outcome
from vswitch.daemon.resolving.answering import Answering, Say
from vswitch.daemon.resolving.asking.forwarding import Forwarder
from vswitch.daemon.resolving.showing.querylog import QueryLog
from vswitch.dataplane.responders.dns.brain import Brain
from vswitch.dataplane.responders.dns.inside import held
from vswitch.dataplane.responders.dns.inside.held import Held
from vswitch.dataplane.responders.dns.party import Inquiry, Party
from vswitch.dataplane.responders.dns.query import read
from vswitch.dataplane.responders.dns.telling import Said
from vswitch.network.inventory import Inventory
from vswitch.units import Nanoseconds
from vswitch.wire.domain import above, encode

_NOT_OURS = Said(dns.rcode.REFUSED, why=(EDECode.NOT_AUTHORITATIVE, "no network has that name"))


class HostAnswering(Answering):
    """Whoever asks where the host is answered."""

    def __init__(
        self,
        party: Party,
        brain: Brain,
        forwarder: Forwarder,
        now: Callable[[], Nanoseconds],
        queries: QueryLog,
        inventory: Inventory,
    ) -> None:
        super().__init__(party, brain, forwarder, now, queries)
        self._inventory = inventory

    def forward(
        self,
        query: bytes,
        inquiry: Inquiry,
        reply: Say,
        *,
        by_stream: bool = False,  # noqa: ARG002
    ) -> None:
        """Say at once that it is nobody's, or nothing that we know of."""
        name, networks = inquiry.name, self._networks()
        said, outcome = _NOT_OURS, Outcome.NOT_OURS
        zone = next((each for each in (name, *above(name)) if each in networks), None)
        if zone is not None:
            ttl = self._party.names().ttl
            said = held.said(read(query), Held(zone, exists=zone == name), ttl)
            outcome = Outcome.NAMES
        now = self._now()
        self._note(query, now, outcome)
        reply(self._brain.fail(query, said, self._party, now))

    def _networks(self) -> frozenset[bytes]:
        """Their names, but for those that DNS can not carry."""
        names = set()
        for network in self._inventory.networks:
            try:
                names.add(encode(network.name))
            except ValueError:
                continue
        return frozenset(names)
