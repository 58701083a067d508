"""A daemon that is really started, with a kernel under it that grants everything, or what a test
wants it to refuse. For the tests of whatever changes a running switch as a whole."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from vswitch.daemon import configured
from vswitch.daemon.attaching.attachment import Attacher
from vswitch.daemon.attaching.belongings import Belongings
from vswitch.daemon.daemon import Daemon
from vswitch.daemon.hostlistener import HostListeners
from vswitch.daemon.hostports import HostPorts
from vswitch.daemon.kernel import netns
from vswitch.daemon.kernel.journal import Journal
from vswitch.daemon.kernel.links import LinkError
from vswitch.daemon.kernel.netns import Namespace
from vswitch.daemon.resolving.listening.hostnames import HostNames, Place
from vswitch.daemon.resolving.listening.listeners import Resolver, ResolverError
from vswitch.devices.memory import MemoryDevice
from vswitch.network.model import Endpoint, EndpointKind, Network
from vswitch.wire import domain


class Wire(MemoryDevice):
    """A device that an event loop can watch, and that never has anything."""

    def __init__(self, name: str = "wire") -> None:
        super().__init__(name)
        self._ends = os.pipe()

    def fileno(self) -> int:
        return self._ends[0]

    def close(self) -> None:
        super().close()
        for end in self._ends:
            with suppress(OSError):
                os.close(end)


class Kernel:
    """What is asked of it, and what it refuses: endpoints, by their names, and uplinks, by their
    interfaces."""

    def __init__(self) -> None:
        self.refuses: set[str] = set()
        self.host_is_on: set[str] = set()
        self.homes: set[str] = set()
        """The namespaces that are there, by the endpoints they were made for."""
        self.homes_left: list[str] = []
        """Those that were taken away again."""


@contextmanager
def granting(tmp_path: Path) -> Iterator[Kernel]:
    """While it lasts, daemons make endpoints, uplinks and host ports of nothing."""
    kernel = Kernel()

    def make(name: str) -> None:
        kernel.homes.add(name)

    def take_away(name: str) -> None:
        kernel.homes.remove(name)
        kernel.homes_left.append(name)

    def enter(_: Attacher, belongings: Belongings, *__: object) -> None:
        if belongings.endpoint in kernel.refuses:
            raise LinkError("the kernel does not want to")

    async def device(*_: object) -> Wire:
        return Wire()

    def packets(interface: str) -> Wire:
        if interface in kernel.refuses:
            raise LinkError(f"{interface}: the kernel does not want to")
        return Wire()

    async def nothing(*_: object) -> None:
        return

    async def listening(_: HostNames, place: Place) -> SimpleNamespace:
        if str(place[0]) in kernel.refuses:
            raise ResolverError(f"cannot listen at {place[0]}: the kernel does not want to")
        return SimpleNamespace(close=nothing)

    def host_on(_: HostPorts, network: Network, number: int) -> None:
        kernel.host_is_on.add(network.name)

    def host_off(_: HostPorts, network: Network) -> None:
        kernel.host_is_on.discard(network.name)

    with pytest.MonkeyPatch.context() as patch:
        resolv_conf = tmp_path / "resolv.conf"
        resolv_conf.touch()
        patch.setattr(netns, "RESOLV_CONF", resolv_conf)
        patch.setattr("vswitch.daemon.kernel.links.on_link_subnets", list)
        patch.setattr("vswitch.daemon.kernel.links.find", lambda _: SimpleNamespace(mtu=1500))
        patch.setattr("vswitch.daemon.kernel.links.lead_out", lambda *_: None)
        patch.setattr("vswitch.devices.afpacket.PacketDevice.open", packets)
        patch.setattr(HostListeners, "_listening_for", lambda *_: ExitStack())
        patch.setattr(Namespace, "exists", lambda self: self.name in kernel.homes)
        patch.setattr(netns, "create", make)
        patch.setattr(netns, "remove", take_away)
        patch.setattr(netns, "inhabited", lambda _: frozenset())
        patch.setattr(Attacher, "_enter", enter)
        for kind in ("tap", "veth", "vm_tap"):
            patch.setattr(Belongings, kind, device)
        patch.setattr(Resolver, "attach", nothing)
        patch.setattr(HostNames, "_open", listening)
        patch.setattr(HostPorts, "add", host_on)
        patch.setattr(HostPorts, "remove", host_off)
        patch.setattr(HostPorts, "close", lambda _: None)
        yield kernel


@asynccontextmanager
async def started(text: str, directory: Path) -> AsyncIterator[Daemon]:
    """A switch that is up, with its state in `directory` and its configuration in `lab.toml`
    there."""
    directory.mkdir(exist_ok=True)
    file = directory / "lab.toml"
    file.write_text(in_directory(text, directory))
    journal = Journal.open("lab", directory / "run")
    daemon = Daemon(configured.resumed(configured.load(file), file), journal)
    daemon.reload.file = file
    try:
        await daemon.start()
        yield daemon
    finally:
        await daemon.stop()
        journal.close()


def in_directory(text: str, directory: Path) -> str:
    """The configuration of a switch with its state there."""
    return f'name = "lab"\nstate_directory = "{directory / "state"}"\n{text}'


def toml(document: Mapping[str, Any]) -> str:
    """A document of scalars, tables, and tables of tables."""
    plain = {key: value for key, value in document.items() if not isinstance(value, dict)}
    lines = [
        *_keys({key: value for key, value in plain.items() if not _has_tables(value)}),
        *(
            line
            for key, value in plain.items()
            if _has_tables(value)
            for table in value
            for line in (f"[[{key}]]", *_keys(table))
        ),
    ]
    for key, table in document.items():
        if isinstance(table, dict):
            if key in ("networks", "endpoints", "uplinks"):
                for name, each in table.items():
                    lines += [f"[{key}.{name}]", *_keys(each)]
            else:
                lines += [f"[{key}]", *_keys(table)]
    return "\n".join(lines) + "\n"


def _has_tables(value: object) -> bool:
    return isinstance(value, list) and any(isinstance(each, dict) for each in value)


def _keys(table: Mapping[str, Any]) -> list[str]:
    return [f"{json.dumps(key)} = {_value(value)}" for key, value in table.items()]


def _value(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(_keys(value)) + " }"
    return json.dumps(value)


def picture(daemon: Daemon) -> dict[str, object]:
    """All that a switch consists of, inventory and dataplane, by names: numbers and what was chosen
    at random are left out."""
    tables, inventory = daemon.switch.tables, daemon.inventory
    names = {number: network.name for number, network in tables.networks.items()}
    by_address = {
        (at.network, at.address): endpoint.name
        for endpoint in inventory.endpoints
        for at in endpoint.memberships
    }
    return {
        "uplinks": {each.name: each for each in inventory.uplinks},
        "networks": {
            each.name: (
                *(each.subnet, each.gateway, each.mtu, each.host),
                *(each.policy, each.labels, each.names),
            )
            for each in inventory.networks
        },
        "endpoints": {each.name: _endpoint(each) for each in inventory.endpoints},
        "attached": set(daemon.endpoints.attached),
        "domains": {
            each.name: (
                each.interface.address if each.interface else None,
                each.mtu,
                each.policy,
                each.translation,
                each.outside,
                None if each.uplink is None else names[each.uplink],
                each.answers_queries,
                {
                    port.name: (port.policy.role, port.policy.is_guarded)
                    for port in each.ports.values()
                },
                {
                    (
                        *(by_address[each.name, end] for end in (link.parent, link.child)),
                        *(link.protocol, link.ports),
                    )
                    for opened in each.links.values()
                    for link in opened
                },
            )
            for each in tables.networks.values()
        },
        "leases": {
            names[number]: server.terms for number, server in tables.dhcp_servers.by_network.items()
        },
        "default uplink": tables.uplink.name if tables.uplink else None,
        "published": sorted(
            (
                by_address[names[each.network], each.endpoint],
                each.protocol,
                len(each.host_ports),
                each.first_endpoint_port,
            )
            for each in tables.publications
        ),
        "mapped": sorted(
            (each.internal.port, each.external.port, str(each.external.address))
            for each in tables.mappings
            if each.is_static
        ),
        "one to one": {
            address: by_address[names[found[0]], found[1]]
            for uplink in inventory.uplinks
            for address in uplink.also
            if (found := tables.one_to_one.internal(address)) is not None
        },
        "names": daemon.responder.resolver.settings,
        "host is answered": daemon.responder.host_names.place,
        "asked": {
            (endpoint.name, name): daemon.responder.routes.of_endpoint(
                endpoint.name, Namespace.named(endpoint.name)
            )(domain.encode(name))
            for endpoint in inventory.endpoints
            for name in ("www.example", "db.corp.example")
        },
        "servers": daemon.responder.routes.servers,
        "resolv.confs": {
            each.name: daemon.responder.resolv_confs.text(each) for each in inventory.endpoints
        },
        "filters": [each.filter for each in tables.filters],
        "forwards": tables.forwards,
        "bad lines": {
            tables.ports[number].name: device.impairments
            for number, device in daemon.switch.impaired.items()
        },
    }


def _endpoint(endpoint: Endpoint) -> tuple[object, ...]:
    kind: EndpointKind = endpoint.kind
    return (
        *([(at.network, at.aliases, at.place) for at in endpoint.memberships], kind),
        *(endpoint.namespace, endpoint.external, endpoint.mappings, endpoint.impairments),
        *(endpoint.dns, endpoint.dns_search, endpoint.dns_options, endpoint.hostname),
        sorted(
            (each.protocol, str(each.host_address), each.endpoint_ports.first, str(each.terms))
            for each in endpoint.publications
        ),
    )
