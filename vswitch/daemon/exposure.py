"""Endpoints that are reached from outside, and the host's own ports that are held for that.

Theory of operation. Where an uplink shares the host's address, each port that an endpoint publishes
or has mapped there is *held* (`guard.holds`) for as long as the endpoint is exposed, so that no
other program can take it. Uplinks come and go, and addresses are learnt and lost: what is held
follows them, and static mappings are made anew on an address that is another one. A port that
somebody else has by then is logged, as nobody is left who could be refused.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from vswitch import assembly
from vswitch.daemon.guard.holds import HoldError, Holds, TooManyHolds
from vswitch.daemon.runtime import Runtime
from vswitch.dataplane.switch import Switch
from vswitch.dataplane.topology import Interface
from vswitch.network.inventory import Inventory
from vswitch.network.model import Endpoint
from vswitch.network.ports import PortRange, socket_text
from vswitch.wire.values import IpAddress, Protocol

log = logging.getLogger(__name__)


class PortTakenError(Exception):
    """A host port that is to be published belongs to another program. The text is Docker's."""


class WayOut(NamedTuple):
    """An uplink that has an address, by its name."""

    uplink: str
    interface: Interface


class _Hold(NamedTuple):
    """Ports of the host that an endpoint has. Docker speaks of the address that was asked for."""

    protocol: Protocol
    asked: IpAddress | None
    address: IpAddress
    ports: PortRange


@dataclass(slots=True, eq=False)
class _Exposed:
    """An endpoint that is to be reached from outside."""

    endpoint: Endpoint
    network: int
    mapped_on: IpAddress | None
    """The address that its static mappings were last made on."""
    held: list[_Hold] = field(default_factory=list)


class Exposure:
    """The exposed endpoints of one switch."""

    def __init__(
        self,
        switch: Switch,
        runtime: Runtime,
        inventory: Inventory,
        holds: Holds,
        ways_out: Callable[[], Iterable[WayOut]],
    ) -> None:
        """`ways_out` says which uplinks have an address at the moment."""
        self._switch = switch
        self._runtime = runtime
        self._inventory = inventory
        self._holds = holds
        self._ways_out = ways_out
        self._exposed: dict[str, _Exposed] = {}
        """By the name of the endpoint."""

    @contextmanager
    def reserve(self, endpoint: Endpoint, network: int) -> Iterator[None]:
        """Hold what an endpoint publishes for as long as this lasts, where the host has it too.

        Its network is known by number. Raises PortTakenError.
        """
        exposed = _Exposed(endpoint, network, self._address_for(endpoint))
        self._exposed[endpoint.name] = exposed
        try:
            self._take(exposed)
            yield
        finally:
            del self._exposed[endpoint.name]
            self._release(exposed.held)

    def has(self, endpoint: Endpoint) -> bool:
        """Whether what an endpoint publishes is held at the moment, as far as it has to be."""
        return endpoint.name in self._exposed

    def endpoint(self, name: str) -> Endpoint:
        """The exposed endpoint called `name`, as it was when that was last changed."""
        return self._exposed[name].endpoint

    def follow(self, endpoint: Endpoint) -> None:
        """Hold what an endpoint publishes now, in place of what it has published before.

        Raises PortTakenError, and then it holds what it did.
        """
        exposed = self._exposed[endpoint.name]
        wanted = list(self._wanted(endpoint))
        fresh: list[_Hold] = []
        try:
            for each in wanted:
                if each not in exposed.held:
                    self._hold(each)
                    fresh.append(each)
        except PortTakenError:
            self._release(fresh)
            raise
        self._release([each for each in exposed.held if each not in wanted])
        exposed.endpoint, exposed.held = endpoint, wanted

    # What becomes of uplinks

    def uplink_comes(self) -> None:
        """There is one more."""
        for exposed in self._exposed.values():
            self._hold_anew(exposed)

    def uplink_goes(self, name: str) -> None:
        """There is one less, and nothing is mapped there."""
        for exposed in self._exposed.values():
            if self._is_way_out(name, exposed.endpoint):
                exposed.mapped_on = None
            self._hold_anew(exposed)

    def uplink_moves(self, name: str, address: IpAddress) -> None:
        """One has learnt another address, or has the same again."""
        for exposed in self._exposed.values():
            if self._is_way_out(name, exposed.endpoint):
                self._map_anew(exposed, address)
            self._hold_anew(exposed)

    def _map_anew(self, exposed: _Exposed, address: IpAddress) -> None:
        """Where the address has only been away, mappings and their flows have outlived that."""
        if exposed.mapped_on != address:
            exposed.mapped_on = address
            now = self._runtime.now()
            assembly.map_ports(self._switch, exposed.endpoint, exposed.network, now)

    def _hold_anew(self, exposed: _Exposed) -> None:
        """Hold at the addresses that there are now what an endpoint has there."""
        if exposed.held == list(self._wanted(exposed.endpoint)):
            return
        self._release(exposed.held)
        try:
            self._take(exposed)
        except PortTakenError as error:
            log.error("endpoint %s: %s", exposed.endpoint.name, error)

    # Holds

    def _address_for(self, endpoint: Endpoint) -> IpAddress | None:
        """The first address of the uplink that an endpoint's network has."""
        for way in self._ways_out():
            if self._is_way_out(way.uplink, endpoint):
                return way.interface.address.address
        return None

    def _is_way_out(self, uplink: str, endpoint: Endpoint) -> bool:
        return self._inventory.network(endpoint.network).uplink == uplink

    def _take(self, exposed: _Exposed) -> None:
        """What was taken before one that can not be had is for the caller to release."""
        for wanted in self._wanted(exposed.endpoint):
            self._hold(wanted)
            exposed.held.append(wanted)

    def _wanted(self, endpoint: Endpoint) -> Iterator[_Hold]:
        """Static mappings are on the uplink of the endpoint's network alone. What is published on a
        network that the host is on is held by who listens there for the host (`hostlistener`)."""
        is_held = not self._inventory.network(endpoint.network).host
        for uplink, interface in self._ways_out():
            if not interface.is_shared:
                continue
            own = interface.address.address
            for each in endpoint.publications if is_held else ():
                if each.host_address in (None, own):
                    yield _Hold(each.protocol, each.host_address, own, each.host_ports)
            for mapping in endpoint.mappings if self._is_way_out(uplink, endpoint) else ():
                yield _Hold(mapping.protocol, None, own, mapping.external_ports)

    def _hold(self, wanted: _Hold) -> None:
        protocol, asked, address, ports = wanted
        try:
            self._holds.hold(protocol, address, ports)
        except HoldError as error:
            where = f"{socket_text(asked, error.what.port)}/{protocol.name.lower()}"
            raise PortTakenError(f"failed to bind host port {where}: {error.reason}") from error
        except TooManyHolds as error:
            raise PortTakenError(str(error)) from error

    def _release(self, held: list[_Hold]) -> None:
        while held:
            protocol, _, address, ports = held.pop()
            self._holds.release(protocol, address, ports)
