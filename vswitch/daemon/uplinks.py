"""Uplinks made real: a device, an address of whichever kind, and a kernel that stays out of it.

Theory of operation. There are three kinds of address. One of the switch's *own* is there at once,
with a MAC of its own. One by *DHCP* is learnt by the switch's client (`dataplane.dhcp`), whose news
are taken note of here. The *host's* own is shared: the kernel is kept off the NAPT's ports by a
guard (`guard.ways`), those ports are chosen where the host itself has no use for them, and every
published port is held, so that no other program can take it.

A learnt address may change or go while the switch runs. What was translated to the old one ends,
static mappings are made anew, and a subnet that a network inside has too is not taken at all: an
address that exists on both sides could not be told apart (RFC 4787, REQ-7).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from random import Random

from vswitch import assembly
from vswitch.assembly import Learnt
from vswitch.daemon import links
from vswitch.daemon.guard import address as host_address
from vswitch.daemon.guard import ports as host_ports
from vswitch.daemon.guard import ways
from vswitch.daemon.guard.address import AddressWatch, HostLink
from vswitch.daemon.guard.holds import HoldError, Holds, TooManyHolds
from vswitch.daemon.guard.ports import NoFreePorts
from vswitch.daemon.guard.ways import Guard, Guarded, GuardError
from vswitch.daemon.journal import Journal, MadeLink
from vswitch.daemon.links import LinkError
from vswitch.daemon.messages import UplinkRow
from vswitch.daemon.runtime import Runtime
from vswitch.dataplane.dhcp.client import DhcpClient
from vswitch.dataplane.dhcp.outcome import Bound, Changed, Lost, News
from vswitch.dataplane.switch import Switch
from vswitch.dataplane.topology import Network, Port
from vswitch.devices.afpacket import PacketDevice
from vswitch.devices.base import Device, OpenError
from vswitch.devices.macvtap import MacvtapDevice
from vswitch.network import networks
from vswitch.network.inventory import Inventory
from vswitch.network.model import (
    Endpoint,
    LearntAddress,
    PortRange,
    Uplink,
    UplinkDevice,
    socket_text,
)
from vswitch.units import SECOND
from vswitch.wire.values import IpAddress, IpNetwork, MacAddress, Protocol

log = logging.getLogger(__name__)


class UplinkError(Exception):
    """An uplink could not be made. The text is one line for the user."""


class PortTakenError(Exception):
    """A host port that is to be published belongs to another program. The text is Docker's."""


@dataclass(slots=True, eq=False)
class _Live:
    """An uplink that is up."""

    uplink: Uplink
    network: Network
    port: Port
    mac: MacAddress
    guard: Guard | None = None
    client: DhcpClient | None = None


class Uplinks:
    """All uplinks of one switch."""

    def __init__(
        self,
        switch: Switch,
        runtime: Runtime,
        inventory: Inventory,
        journal: Journal,
        random: Random,
        endpoints: Callable[[], Iterator[tuple[Endpoint, int]]],
    ) -> None:
        """`endpoints` tells those that are up, each with the number of its network."""
        self._switch = switch
        self._runtime = runtime
        self._inventory = inventory
        self._journal = journal
        self._random = random
        self._endpoints = endpoints
        self._holds = Holds()
        self._held: dict[str, list[tuple[Protocol, IpAddress, PortRange]]] = {}
        """What is held for each endpoint, by its name."""
        self._live: dict[int, _Live] = {}
        self._undo = ExitStack()
        self._undo.callback(self._holds.close)

    def open(self, uplink: Uplink) -> int:
        """Make an uplink real; the number of the network behind it. Raises UplinkError."""
        try:
            with ExitStack() as undo:
                live = self._make(uplink, undo)
                self._undo.push(undo.pop_all())
        except (OpenError, LinkError, GuardError, NoFreePorts, OSError) as error:
            raise UplinkError(f"{uplink}: {error}") from error
        self._live[live.network.number] = live
        self._switch.impair(live.port.number, uplink.impairments, self._runtime.now())
        self._runtime.watch(live.port)
        self._announce(live)
        if uplink.address is LearntAddress.DHCP:
            self._ask_for_address(live)
        log.info("%s", self._description(live))
        return live.network.number

    def close(self) -> None:
        """Give back what was learnt, and take down what was made."""
        for number, live in self._live.items():
            if live.client is not None:
                self._switch.release_address(number, self._runtime.now())
        self._undo.close()

    def gone(self, port: Port) -> bool:
        """Whether `port`, whose device has vanished, was an uplink's; it is given up then."""
        live = self._live.get(port.network)
        if live is None:
            return False
        self._switch.remove_port(port.number)
        words = "%s: its interface is gone: nothing leaves by it until the switch is started again"
        log.error(words, live.uplink)
        return True

    def take_news(self) -> None:
        """Do what the DHCP clients' news ask for."""
        for number, news in self._switch.take_news():
            self._learn(self._live[number], news)

    def rows(self) -> tuple[UplinkRow, ...]:
        """Each uplink as it is, for people."""
        return tuple(self._row(live) for live in self._live.values())

    @contextmanager
    def reserve(self, endpoint: Endpoint) -> Iterator[None]:
        """Hold what an endpoint publishes for as long as this lasts, where the host has it too.

        Raises PortTakenError.
        """
        try:
            self._hold_ports_of(endpoint)
            yield
        finally:
            self._release_ports_of(endpoint)

    def _hold_ports_of(self, endpoint: Endpoint) -> None:
        """All or none: what was taken before one that can not be had is released by the caller."""
        held = self._held[endpoint.name] = []
        for live in self._live.values():
            interface = live.network.interface
            if live.guard is None or interface is None:
                continue
            own = interface.address.address
            for protocol, asked, ports in _exposed(endpoint):
                if asked in (None, own):
                    self._hold(protocol, asked, own, ports)
                    held.append((protocol, own, ports))

    def _hold(
        self, protocol: Protocol, asked: IpAddress | None, own: IpAddress, ports: PortRange
    ) -> None:
        """Docker names the address that was asked for, not the one that it comes to."""
        try:
            self._holds.hold(protocol, own, ports)
        except HoldError as error:
            where = f"{socket_text(asked, error.what.port)}/{protocol.name.lower()}"
            raise PortTakenError(f"failed to bind host port {where}: {error.reason}") from error
        except TooManyHolds as error:
            raise PortTakenError(str(error)) from error

    def _release_ports_of(self, endpoint: Endpoint) -> None:
        for protocol, own, ports in self._held.pop(endpoint.name, ()):
            self._holds.release(protocol, own, ports)

    # How an uplink is made

    def _make(self, uplink: Uplink, undo: ExitStack) -> _Live:
        if uplink.address is LearntAddress.HOST:
            return self._share_with_host(uplink, undo)
        mac = uplink.mac or self._inventory.allocate_mac()
        device, mtu = self._open_device(uplink, mac, undo)
        domain = assembly.add_outside(self._switch, uplink, mac, mtu)
        return _Live(uplink, domain, self._connect(uplink, domain, device), mac)

    def _share_with_host(self, uplink: Uplink, undo: ExitStack) -> _Live:
        host = host_address.host_link(uplink.interface)
        self._refuse_overlap(host.address.network)
        ports = uplink.ports or self._free_ports()
        device = PacketDevice.open(uplink.interface)
        undo.callback(device.close)
        learnt = Learnt(host.address, host.gateway)
        domain = assembly.add_outside(self._switch, uplink, host.mac, host.mtu, learnt, ports=ports)
        self._inventory.learn_address(uplink.name, host.address.address)
        port = self._connect(uplink, domain, device)
        live = _Live(uplink, domain, port, host.mac, self._guard(host, ports))
        undo.callback(self._close_guard, live)
        self._watch_address(live, undo)
        return live

    def _open_device(self, uplink: Uplink, mac: MacAddress, undo: ExitStack) -> tuple[Device, int]:
        """The device of an uplink with a MAC of its own, and the MTU of its interface."""
        parent = links.find(uplink.interface)
        if parent is None:
            raise LinkError(f"there is no interface {uplink.interface}")
        device: Device
        if uplink.device is UplinkDevice.PACKET:
            device = PacketDevice.open(uplink.interface)
        else:
            name = f"vs{mac[-4:].hex()}"
            self._journal.make_macvtap(name, uplink.interface, mac)
            undo.callback(self._journal.undo, MadeLink(name))
            device = MacvtapDevice.open(name)
        undo.callback(device.close)
        return device, parent.mtu

    def _connect(self, uplink: Uplink, domain: Network, device: Device) -> Port:
        device.name = uplink.name
        return self._switch.add_port(uplink.name, domain.number, device)

    def _announce(self, live: _Live) -> None:
        """Nobody announces an address that the host has: its neighbours know it."""
        interface = live.network.interface
        if interface is not None and not interface.is_shared:
            frames = self._switch.announce(live.network.number)
            self._switch.transmit(frames, self._runtime.now())

    # The host's own address

    def _free_ports(self) -> tuple[range, ...]:
        host = host_ports.host_ports()
        published = {port for _, port in self._inventory.published_host_ports()}
        return host_ports.free_ranges(host.ephemeral, host.reserved | published, host.in_use)

    def _guard(self, host: HostLink, ports: tuple[range, ...]) -> Guard:
        what = Guarded(host.interface, host.index, host.address.address, ports)
        return ways.choose(what, journal=self._journal, holds=self._holds)

    @staticmethod
    def _close_guard(live: _Live) -> None:
        if live.guard is not None:
            live.guard.close()

    def _watch_address(self, live: _Live, undo: ExitStack) -> None:
        watch = AddressWatch(live.uplink.interface)
        loop = asyncio.get_running_loop()
        loop.add_reader(watch.fileno(), self._host_address_changed, live, watch)
        undo.callback(watch.close)
        undo.callback(loop.remove_reader, watch.fileno())

    def _host_address_changed(self, live: _Live, watch: AddressWatch) -> None:
        try:
            change = watch.changed()
            if change is None:
                return
            log.warning("%s: %s", live.uplink, change)
            self._close_guard(live)
            if change.after is None:
                self._change_address(live, None)
                return
            host = host_address.host_link(live.uplink.interface)
            self._refuse_overlap(host.address.network)
            live.guard = self._guard(host, live.network.outside.ports)
        except (LinkError, GuardError) as error:
            log.error("%s: nothing leaves by it: %s", live.uplink, error)
            self._change_address(live, None)
            return
        self._change_address(live, Learnt(host.address, host.gateway))

    # Addresses by DHCP

    def _ask_for_address(self, live: _Live) -> None:
        live.client = DhcpClient(live.mac, self._random, hostname="vswitch")
        self._switch.learn_address(live.network.number, live.client, self._runtime.now())
        self._runtime.rearm()

    def _learn(self, live: _Live, news: News) -> None:
        match news:
            case Bound(lease) | Changed(lease):
                words = "%s: %s from DHCP server %s, gateway %s"
                gateway = lease.gateway or "none"
                log.info(words, live.uplink, lease.address, lease.server, gateway)
                try:
                    self._refuse_overlap(lease.address.network)
                except LinkError as error:
                    log.error("%s: the address is not used: %s", live.uplink, error)
                    return
                if lease.mtu is not None:
                    live.network.mtu = min(live.network.mtu, lease.mtu)
                self._change_address(live, Learnt(lease.address, lease.gateway))
            case Lost(lease, reason):
                words = "%s: %s may not be used any more: %s"
                log.warning(words, live.uplink, lease.address, reason.value)
                self._change_address(live, None)

    def _change_address(self, live: _Live, learnt: Learnt | None) -> None:
        now, number = self._runtime.now(), live.network.number
        assembly.change_address(self._switch, live.uplink, number, live.mac, learnt, now)
        address = learnt.address.address if learnt else None
        self._inventory.learn_address(live.uplink.name, address)
        if learnt is not None:
            for endpoint, network in self._endpoints():
                assembly.map_ports(self._switch, endpoint, network, now)
                self._hold_anew(endpoint)
            self._announce(live)
        self._runtime.rearm()

    def _hold_anew(self, endpoint: Endpoint) -> None:
        """Hold at the address that there is now what an endpoint publishes."""
        self._release_ports_of(endpoint)
        try:
            self._hold_ports_of(endpoint)
        except PortTakenError as error:
            log.error("endpoint %s: %s: its port is the host's own now", endpoint.name, error)

    def _refuse_overlap(self, subnet: IpNetwork) -> None:
        inside = networks.overlapping(subnet, self._inventory.networks)
        if inside:
            raise LinkError(f"{subnet} overlaps {', '.join(inside)}: move that to another subnet")

    # For people

    def _description(self, live: _Live) -> str:
        row = self._row(live)
        parts = [f"{row.address} at {row.interface} with {row.mac}", f"gateway {row.gateway}"]
        if row.guard:
            parts.append(f"shared with the host, which {row.guard} keeps silent on {row.ports}")
        return f"{live.uplink}: {', '.join(parts)}"

    def _row(self, live: _Live) -> UplinkRow:
        interface, guard, client = live.network.interface, live.guard, live.client
        lease = client.lease if client else None
        expires = lease.expires_at if lease else None
        return UplinkRow(
            name=live.uplink.name,
            interface=live.uplink.interface,
            device=live.uplink.device.value,
            mac=str(live.mac),
            address=str(interface.address) if interface else "none",
            also=tuple(str(each) for each in interface.also) if interface else (),
            gateway=str(live.network.next_hop or "none"),
            ports=",".join(f"{each.start}-{each.stop - 1}" for each in live.network.outside.ports),
            guard=guard.way.value if guard else None,
            why_not=tuple(str(each) for each in guard.why_not) if guard else (),
            dhcp=client.state.value if client else None,
            expires_in_seconds=(expires - self._runtime.now()) / SECOND if expires else None,
        )


def _exposed(endpoint: Endpoint) -> Iterator[tuple[Protocol, IpAddress | None, PortRange]]:
    """The external ports of an endpoint, and the address of each, None for every address."""
    for publication in endpoint.publications:
        yield publication.protocol, publication.host_address, publication.host_ports
    for mapping in endpoint.mappings:
        yield mapping.protocol, None, mapping.external_ports
