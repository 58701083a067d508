"""Who was there when the last daemon ended, and is there still: what a start goes on with.

Theory of operation. The state has every endpoint with what it asked for, what it was given, and
where it lives. Those of the configuration come again because that asks for them. Those that were
brought at run time come again where what they live in is there: the same process, a namespace at
the same path; a virtual machine's TAP always is. All others are stale, and forgotten.

Both kinds are admitted at once, so that nobody gets what somebody else is going to have again. A
wish that is the same as before becomes the same again, with the networks that the endpoint was
connected to since, and what it published in the end; a wish that is another one by now is taken as
it is. What can not be any more is told: of the configuration it is an error, of the others the end.

Taking over what they have in the system is `belongings`' part, when they are attached.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from vswitch.daemon.kernel import processes
from vswitch.daemon.kernel.netns import Namespace
from vswitch.daemon.published import Published
from vswitch.daemon.store import Store
from vswitch.daemon.store.kept import Home, KeptEndpoint
from vswitch.network.errors import Refusal
from vswitch.network.inventory import Inventory
from vswitch.network.model import Configuration, EndpointRequest, Membership, MembershipRequest

log = logging.getLogger(__name__)


class Takeover:
    """One start's."""

    def __init__(
        self,
        store: Store,
        published: Published,
        inventory: Inventory,
        configuration: Configuration,
    ) -> None:
        """Find out who is there still, and forget all others. Raises StoreError."""
        self._store = store
        self._published = published
        self._inventory = inventory
        self._configured = {each.name: each for each in configuration.endpoints}
        self._kept: dict[str, KeptEndpoint] = {}
        published.recall()
        for name, kept in store.endpoints.all().items():
            if name in self._configured:
                self._kept[name] = replace(kept, home=None)
            elif kept.home is not None:
                self._look_for(name, kept, kept.home)

    @property
    def kept(self) -> Mapping[str, KeptEndpoint]:
        """Those that are there, by name."""
        return MappingProxyType(self._kept)

    def admit(self) -> list[Refusal]:
        """Admit everybody; what speaks against the configuration's own. Raises StoreError."""
        brought = {name: kept.asked for name, kept in self._kept.items() if kept.home is not None}
        asked = self._configured | brought
        wishes = {name: self._again(request) for name, request in asked.items()}
        refused = {each.name: each for each in reversed(self._inventory.admit(wishes.values()))}
        once_more = []
        for name, refusal in refused.items():
            if name in brought:
                self.forget(name, refusal.error.explained)
            elif wishes[name] == asked[name]:
                return [refusal]
            else:
                words = "endpoint %s is as the configuration has it, and not as it was: %s"
                log.warning(words, name, refusal.error.explained)
                once_more.append(asked[name])
        refusals = self._inventory.admit(once_more)
        if not refusals:
            self._note(asked)
        return refusals

    def forget(self, name: str, why: str) -> None:
        """One that was brought at run time is not taken over. Raises StoreError."""
        log.warning("endpoint %s is not taken over: %s", name, why)
        self._kept.pop(name, None)
        with self._store.change():
            self._store.endpoints.remove(name)
            self._published.settle(name, ())

    def _look_for(self, name: str, kept: KeptEndpoint, home: Home) -> None:
        if home.process is not None and not processes.is_alive(home.process):
            self.forget(name, f"its process, {home.process.pid}, has ended")
        elif home.namespace is not None and not Namespace(Path(home.namespace)).exists():
            self.forget(name, f"{Namespace(Path(home.namespace))} is gone")
        else:
            self._kept[name] = kept

    def _again(self, asked: EndpointRequest) -> EndpointRequest:
        """What makes an endpoint that asks for this what it was."""
        kept = self._kept.get(asked.name)
        before = kept.asked if kept else None
        publish = self._published.requests(
            asked.name, asked.publish, before.publish if before else None
        )
        wish = replace(asked, publish=publish)
        if kept is None or kept.asked.memberships != asked.memberships:
            return wish
        first, *also = (
            _place_again(at, asked) for at in sorted(kept.given.memberships, key=_by_place)
        )
        return replace(
            wish,
            network=first.network,
            address=first.address,
            mac=first.mac,
            aliases=first.aliases,
            gateway_priority=first.gateway_priority,
            also=tuple(also),
        )

    def _note(self, asked: Mapping[str, EndpointRequest]) -> None:
        """Write down what was chosen, so that the next daemon chooses the same. What was asked for
        is written when it is true, in the end (`Endpoints.note`). Raises StoreError."""
        chosen = {}
        for endpoint in self._inventory.endpoints:
            name, before = endpoint.name, self._kept.get(endpoint.name)
            home = before.home if before else None
            asked_before = before.asked if before else EndpointRequest(name)
            chosen[name] = KeptEndpoint(asked_before, endpoint, home)
            self._kept[name] = KeptEndpoint(asked[name], endpoint, home)
        self._store.endpoints.replace(chosen)


def _by_place(at: Membership) -> int:
    return at.place


def _place_again(at: Membership, asked: EndpointRequest) -> MembershipRequest:
    """What was not asked for by its address is a preference: somebody else may ask for it."""
    addresses = [each.address for each in asked.memberships]
    macs = [each.mac for each in asked.memberships]
    return MembershipRequest(
        at.network,
        at.address if at.address in addresses else None,
        at.mac if at.mac in macs else None,
        at.aliases,
        at.gateway_priority,
    )
