"""The steps from one configuration to another, done to a switch that runs.

Theory of operation. Each kind of step is a method, which asks whoever it is about (`Uplinks`,
`Networks`, `Endpoints`, `Publishing`, ...). What a step touches is what it names, and one that has
failed can be done again. What came at run time stays with the endpoint that it belongs to: a port
that was published by hand is published again where its endpoint is made anew.

In which order steps are done is `network.changing.steps`' to say, and what happens where one fails
`reload`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from random import Random

from vswitch import assembly
from vswitch.daemon.attaching.endpoints import Endpoints
from vswitch.daemon.exposure import PortTakenError
from vswitch.daemon.filters import Filters
from vswitch.daemon.networks import Networks, identified
from vswitch.daemon.publishing import Publishing
from vswitch.daemon.recordings import Recordings
from vswitch.daemon.resolving.responder import Responder
from vswitch.daemon.runtime import Runtime
from vswitch.daemon.uplinks import Uplinks
from vswitch.dataplane.switch import Switch
from vswitch.network.changing import candidate
from vswitch.network.changing.candidate import Further
from vswitch.network.changing.steps import (
    AddEndpoint,
    AddNetwork,
    AddUplink,
    ChangeEndpoint,
    ChangeNetwork,
    ChangeSettings,
    ChangeUplink,
    RemoveEndpoint,
    RemoveNetwork,
    RemoveUplink,
    Step,
)
from vswitch.network.errors import NetworkError
from vswitch.network.inventory import Inventory
from vswitch.network.model import (
    Configuration,
    EndpointRequest,
    Network,
    Uplink,
)


@dataclass(frozen=True, slots=True)
class Parts:
    """What a switch that runs consists of, as far as its configuration says how it is."""

    switch: Switch
    runtime: Runtime
    inventory: Inventory
    uplinks: Uplinks
    networks: Networks
    endpoints: Endpoints
    publishing: Publishing
    filters: Filters
    responder: Responder
    outside: MutableMapping[str, int]
    """The networks behind the uplinks, by the names of these."""
    random: Random
    recordings: Recordings


@dataclass(slots=True)
class Aside:
    """An endpoint that goes and comes again, perhaps in a later plan than it has gone in."""

    was_there: bool
    home: AsyncExitStack = field(default_factory=AsyncExitStack)
    further: Further = field(default_factory=Further)
    """What it has beyond its configuration."""


class Alterations:
    """All steps of one plan. Close it at the end."""

    def __init__(self, parts: Parts, plan: Iterable[Step], aside: dict[str, Aside]) -> None:
        """`aside` has the endpoints that have gone to come again, by their names."""
        self._parts = parts
        self._coming = [each.endpoint for each in plan if isinstance(each, AddEndpoint)]
        """Those who have not been admitted yet."""
        self._aside = aside
        self._admitted: set[str] = set()
        """Those who have, and are not attached yet."""

    async def do(self, step: Step) -> None:
        """Do one step.

        Raises NetworkError, AttachError, LinkError, UplinkError, PortTakenError, ResolverError,
        StoreError or OSError.
        """
        match step:
            case RemoveEndpoint(endpoint, comes_again):
                await self._remove_endpoint(endpoint, comes_again)
            case ChangeEndpoint(before, after):
                await self._change_endpoint(before, after)
            case AddEndpoint(endpoint):
                await self._add_endpoint(endpoint)
            case RemoveNetwork(network):
                self._parts.networks.displace(network.name)
            case ChangeNetwork(before, after):
                self._change_network(before, after)
            case AddNetwork(network):
                self._add_network(network)
            case RemoveUplink(uplink):
                self._remove_uplink(uplink)
            case ChangeUplink(uplink):
                self._parts.uplinks.impair(uplink.name, uplink.impairments)
                self._parts.inventory.change_uplink(uplink)
            case AddUplink(uplink):
                self._add_uplink(uplink)
            case ChangeSettings(settings, keys):
                await self._change_settings(settings, keys)
        self._parts.runtime.rearm()

    def close(self) -> None:
        """Take back what was prepared for those who have not come."""
        for name in self._admitted:
            self._parts.inventory.remove_endpoint(name)
        for name in [name for name, aside in self._aside.items() if not aside.was_there]:
            del self._aside[name]

    # Endpoints

    async def _remove_endpoint(self, endpoint: EndpointRequest, comes_again: bool) -> None:
        """One that has gone by itself does not come again by that."""
        endpoints, name = self._parts.endpoints, endpoint.name
        if not comes_again:
            await endpoints.drop(name, "the configuration has it no longer")
            return
        aside = self._aside[name] = Aside(was_there=endpoints.is_configured(name))
        if aside.was_there:
            present = self._parts.inventory.endpoint(name)
            aside.further = Further.of(present, endpoint)
            aside.home = await endpoints.set_aside(name, "the configuration has changed")

    async def _add_endpoint(self, endpoint: EndpointRequest) -> None:
        """All of them are admitted together, so that nobody is given what another one asks for or
        has had."""
        self._admit_all()
        aside = self._aside.pop(endpoint.name, Aside(was_there=False))
        if endpoint.name not in self._admitted:
            return
        self._admitted.remove(endpoint.name)
        await self._parts.endpoints.bring(endpoint, aside.home)

    def _admit_all(self) -> None:
        wanted = [
            aside.further.beside(each) if aside is not None else each
            for each in self._coming
            if (aside := self._aside.get(each.name)) is None or aside.was_there
        ]
        self._coming = []
        refusals = self._parts.inventory.admit(wanted)
        refused = {each.name for each in refusals}
        self._admitted |= {each.name for each in wanted if each.name not in refused}
        for refusal in refusals:
            raise NetworkError(f"endpoint {refusal.name}: {refusal.error.explained}")

    async def _change_endpoint(self, before: EndpointRequest, after: EndpointRequest) -> None:
        """What it has in both stays as it is; one that has gone by itself is left alone."""
        name, endpoints = after.name, self._parts.endpoints
        if not endpoints.is_configured(name):
            return
        present = self._parts.inventory.endpoint(name)
        own = candidate.own_publications(present, before)
        gone = [
            publication
            for place, made in own.items()
            if before.publish[place] not in after.publish
            for publication in made
        ]
        if gone:
            self._parts.publishing.withdraw_all(name, gone)
        if before.impairments != after.impairments:
            for line in endpoints.attachment(name).lines.values():
                self._parts.runtime.impair(line.port, after.impairments)
        await self._leave_networks(before, after)
        self._retranslate(before, after)
        endpoints.let_reach(name)
        self._parts.responder.resolv_confs.follow(name)
        await self._join_networks(after)
        fresh = [each for each in after.publish if each not in before.publish]
        if fresh:
            self._parts.publishing.publish(name, fresh, is_added=False)
        endpoints.note_change(after)

    async def _leave_networks(self, before: EndpointRequest, after: EndpointRequest) -> None:
        for each in before.also:
            if each not in after.also and self._is_on(after.name, each.network):
                network = self._parts.inventory.network(each.network)
                why = "the configuration has changed"
                await self._parts.endpoints.disconnect(after.name, network, why)

    async def _join_networks(self, after: EndpointRequest) -> None:
        for each in after.also:
            if not self._is_on(after.name, each.network):
                await self._parts.endpoints.connect(after.name, each)

    def _is_on(self, name: str, network: str) -> bool:
        return self._parts.inventory.endpoint(name).on(network) is not None

    def _retranslate(self, before: EndpointRequest, after: EndpointRequest) -> None:
        """Names, and what it has of the switch's addresses."""
        inventory = self._parts.inventory
        was = inventory.endpoint(after.name)
        changed = inventory.change_endpoint(after)
        try:
            self._parts.uplinks.exposure.follow(changed)
        except PortTakenError:
            inventory.change_endpoint(before)
            raise
        number = self._parts.networks.number(inventory.network(changed.network))
        assembly.retranslate(self._parts.switch, was, changed, number, self._parts.runtime.now())

    # Networks

    def _add_network(self, network: Network) -> None:
        for made in identified((network,), self._parts.random):
            self._parts.networks.place(made)

    def _change_network(self, before: Network, after: Network) -> None:
        self._parts.networks.change(after)
        if (before.host, before.policy) != (after.host, after.policy):
            self._parts.endpoints.follow(after)

    # Uplinks

    def _add_uplink(self, uplink: Uplink) -> None:
        inventory = self._parts.inventory
        inventory.add_uplink(uplink)
        try:
            self._parts.outside[uplink.name] = self._parts.uplinks.open(uplink)
        except BaseException:
            inventory.remove_uplink(uplink.name)
            raise
        self._parts.networks.lead_out()

    def _remove_uplink(self, uplink: Uplink) -> None:
        self._parts.uplinks.remove(uplink.name)
        self._parts.inventory.remove_uplink(uplink.name)
        del self._parts.outside[uplink.name]
        self._parts.networks.lead_out()

    # What there is one of

    async def _change_settings(self, settings: Configuration, keys: frozenset[str]) -> None:
        now = self._parts.runtime.now()
        if "filters" in keys:
            self._parts.filters.follow(settings.filters)
        if "ip_forward" in keys:
            self._parts.switch.changes.set_forwarding(settings.ip_forward, now)
        if "dns" in keys:
            await self._parts.responder.follow(settings.dns)
            self._parts.networks.keep_clear_of(each.address for each in settings.dns.servers)
        if "default_address_pools" in keys:
            self._parts.inventory.use_pools(settings.pools)
        if "recorder" in keys:
            await self._parts.recordings.follow(settings.recorder)
