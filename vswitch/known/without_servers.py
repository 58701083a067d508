"""The gateways of a switch that nobody runs, as in a replay: there are names, and no servers.

A query for what servers may know is answered at once, as if all of them were silent (SERVFAIL), so
a case shows that it was heard and that nobody here knows. Everything else is as it is in a running
switch: who asks is known by network and address, and may ask for the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from vswitch.dataplane.responders.dns.front import Answered, Asker, Heard
from vswitch.dataplane.responders.dns.party import Party, Route
from vswitch.dataplane.topology import Network
from vswitch.known.directory import Directory
from vswitch.known.to_endpoints import View
from vswitch.known.to_others import Overview
from vswitch.naming import NameSettings
from vswitch.network.inventory import Inventory
from vswitch.units import Nanoseconds

if TYPE_CHECKING:
    from vswitch.dataplane.responders.dns.brain import Brain


class WithoutServers:
    """Implements `front.Front`. What is known never changes."""

    def __init__(
        self, inventory: Inventory, networks: Mapping[int, Network], settings: NameSettings
    ) -> None:
        """`networks` are the dataplane's, by number."""
        self._directory = Directory(inventory, lambda: settings)
        self._networks = networks
        self._settings = settings
        self._brain: Brain | None = None
        self._parties: dict[str, Party] = {}
        self._there = {
            (at.network, at.address): endpoint.name
            for endpoint in inventory.endpoints
            for at in endpoint.memberships
        }

    def hear(self, query: bytes, asker: Asker, now: Nanoseconds, *, commit: bool) -> Heard:
        """What becomes of a query; without `commit`, what would."""
        from vswitch.dataplane.responders.dns.brain import Brain, Forward
        from vswitch.dataplane.responders.dns.hearing import NO_SERVER, Asked, heard

        if self._brain is None:
            self._brain = Brain(self._settings)
        party = self._party(asker)
        answer = self._brain.answer(query, party, now, commit=commit)
        if not isinstance(answer, Forward):
            return heard(query, answer)
        message = self._brain.fail(query, NO_SERVER, party, now)
        return Answered(message, Asked(query, "and there is no server to ask"))

    def _party(self, asker: Asker) -> Party:
        network = self._networks[asker.network].name
        name = self._there.get((network, asker.address))
        called = f"others on {network}" if name is None else name
        party = self._parties.get(called)
        if party is None:
            names = (
                Overview.of_network(self._directory, network)
                if name is None
                else View(self._directory, name)
            )
            party = self._parties[called] = Party(called, names, lambda _: Route(), network)
        return party
