"""Uplinks made real: a device, an address of whichever kind, and a kernel that stays out of it.

Theory of operation. There are three kinds of address. One of the switch's *own* is there at once,
with a MAC of its own. One by *DHCP* is learnt by the switch's client (`dataplane.dhcp`), whose news
are taken note of here. The *host's* own is shared: the kernel is kept off the NAPT's ports by a
guard (`guard.ways`), and those ports are chosen where the host itself has no use for them. Who is
reached from outside, and what is held for that, is `exposure`'s.

A learnt address may change or go while the switch runs. What was translated to the old one ends,
static mappings and held ports follow it, and a subnet that a network inside or another uplink
has too is not taken at all: an address that exists twice could not be told apart (RFC 4787, REQ-7).

The host's address is looked at again when the kernel says that some address is another one. Only
what differs from the last look counts, as most of that is about other interfaces.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Container, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from random import Random

from vswitch import assembly
from vswitch.assembly import Learnt
from vswitch.daemon.events import Events
from vswitch.daemon.exposure import Exposure, WayOut
from vswitch.daemon.guard import address as host_address
from vswitch.daemon.guard import ports as host_ports
from vswitch.daemon.guard import ways
from vswitch.daemon.guard.address import AddressWatch, HostLink
from vswitch.daemon.guard.holds import Holds
from vswitch.daemon.guard.ports import HostPorts, NoFreePorts
from vswitch.daemon.guard.ways import Guard, Guarded, GuardError
from vswitch.daemon.kernel import links
from vswitch.daemon.kernel.journal import Journal
from vswitch.daemon.kernel.links import LinkError
from vswitch.daemon.kernel.made import MadeLink
from vswitch.daemon.messages import NO_ADDRESS, UplinkRow
from vswitch.daemon.messages.events import Event, EventType
from vswitch.daemon.runtime import Runtime
from vswitch.dataplane.dhcp.client.client import DhcpClient
from vswitch.dataplane.dhcp.client.outcome import Bound, Changed, Lost, News
from vswitch.dataplane.switch import Switch
from vswitch.dataplane.topology import Interface, Network, Port
from vswitch.devices.afpacket import PacketDevice
from vswitch.devices.base import Device, OpenError
from vswitch.devices.macvtap import MacvtapDevice
from vswitch.impairment import Impairments
from vswitch.network import networks
from vswitch.network.inventory import Inventory
from vswitch.network.model import LearntAddress, Uplink, UplinkDevice
from vswitch.units import SECOND
from vswitch.wire.values import IpNetwork, MacAddress

log = logging.getLogger(__name__)


class UplinkError(Exception):
    """An uplink could not be made. The text is one line for the user."""


class _Unfit(Exception):
    """An uplink can not have what it would have. The text is one line."""


@dataclass(slots=True, eq=False)
class _Live:
    """An uplink that is up."""

    uplink: Uplink
    network: Network
    port: Port
    mac: MacAddress
    mtu: int
    """The interface's, in bytes. The network's own is less where a DHCP server says so."""
    host: HostLink | None = None
    """What the host had at the last look, where its address is shared."""
    guard: Guard | None = None
    client: DhcpClient | None = None
    is_gone: bool = False
    undo: ExitStack = field(default_factory=ExitStack)
    """Takes down what was made for it."""


class Uplinks:
    """All uplinks of one switch."""

    def __init__(
        self,
        switch: Switch,
        runtime: Runtime,
        inventory: Inventory,
        journal: Journal,
        random: Random,
        events: Events,
    ) -> None:
        """Nothing is made yet: `open` does that."""
        self._switch = switch
        self._runtime = runtime
        self._inventory = inventory
        self._journal = journal
        self._random = random
        self._events = events
        self._holds = Holds()
        self._live: dict[int, _Live] = {}
        self.exposure = Exposure(switch, runtime, inventory, self._holds, self._ways_out)
        """Who is reached by them."""

    def open(self, uplink: Uplink) -> int:
        """Make an uplink real; the number of the network behind it. Raises UplinkError."""
        try:
            with ExitStack() as undo:
                live = self._make(uplink, undo)
                live.undo = undo.pop_all()
        except (OpenError, LinkError, GuardError, NoFreePorts, _Unfit, OSError) as error:
            raise UplinkError(f"{uplink}: {error}") from error
        self._live[live.network.number] = live
        self._switch.impair(live.port.number, uplink.impairments, self._runtime.now())
        self._runtime.watch(live.port)
        self._announce(live)
        if uplink.address is LearntAddress.DHCP:
            self._ask_for_address(live)
        log.info("%s", self._description(live))
        self._tell(live, Event.CREATE, live.network.interface)
        self.exposure.uplink_comes()
        return live.network.number

    def impair(self, name: str, wanted: Impairments) -> None:
        """Let the line of an uplink be as bad as that."""
        self._runtime.impair(self._called(name).port, wanted)

    def remove(self, name: str) -> None:
        """Take an uplink away, with all that was translated to its addresses. No endpoint has a
        static mapping or an address of its own there."""
        live = self._called(name)
        number = live.network.number
        self._give_back(live)
        del self._live[number]
        if not live.is_gone:
            self._runtime.forget(live.port)
            self._switch.remove_port(live.port.number)
        live.undo.close()
        self._switch.remove_network(number, self._runtime.now())
        self.exposure.uplink_goes(name)
        self._runtime.rearm()
        log.info("%s removed", live.uplink)
        self._tell(live, Event.DESTROY, live.network.interface)

    def close(self) -> None:
        """Give back what was learnt, and take down what was made."""
        for live in self._live.values():
            self._give_back(live)
        for live in reversed(self._live.values()):
            live.undo.close()
        self._holds.close()

    def _give_back(self, live: _Live) -> None:
        if live.client is not None:
            self._switch.release_address(live.network.number, self._runtime.now())
            live.client = None

    def _called(self, name: str) -> _Live:
        return next(each for each in self._live.values() if each.uplink.name == name)

    def gone(self, port: Port) -> bool:
        """Whether `port`, whose device has vanished, was an uplink's; it is given up then."""
        live = self._live.get(port.network)
        if live is None:
            return False
        live.is_gone = True
        self._switch.remove_port(port.number)
        self._give_address_up(live)
        words = "%s: its interface is gone: nothing leaves by it until the switch is started again"
        log.error(words, live.uplink)
        return True

    def take_news(self) -> None:
        """Do what the DHCP clients' news ask for."""
        for number, news in self._switch.news.take_learnt():
            if number in self._live:
                self._learn(self._live[number], news)

    def learnt_subnets(self, but_for: Container[str] = ()) -> Iterator[tuple[IpNetwork, str]]:
        """Those that no configuration names, each with words that say whose it is."""
        for live in self._live.values():
            if live.uplink.name in but_for:
                continue
            if live.uplink.subnet is None and live.network.interface is not None:
                yield live.network.interface.address.network, f"of {live.uplink}"

    def rows(self) -> tuple[UplinkRow, ...]:
        """Each uplink as it is, for people."""
        return tuple(self._row(live) for live in self._live.values())

    def _ways_out(self) -> Iterator[WayOut]:
        for live in self._live.values():
            if live.network.interface is not None:
                yield WayOut(live.uplink.name, live.network.interface)

    # How an uplink is made

    def _make(self, uplink: Uplink, undo: ExitStack) -> _Live:
        if uplink.address is LearntAddress.HOST:
            return self._share_with_host(uplink, undo)
        if uplink.subnet is not None:
            self._refuse_overlap(uplink, uplink.subnet)
        mac = uplink.mac or self._inventory.allocate_mac(str(uplink))
        device, mtu = self._open_device(uplink, mac, undo)
        domain = assembly.add_outside(self._switch, uplink, mac, mtu)
        return _Live(uplink, domain, self._connect(uplink, domain, device), mac, mtu)

    def _share_with_host(self, uplink: Uplink, undo: ExitStack) -> _Live:
        watch = AddressWatch(uplink.interface)
        undo.callback(watch.close)
        host = host_address.host_link(uplink.interface)
        self._refuse_overlap(uplink, host.address.network)
        ports = _ports_beside_the_hosts(uplink)
        device = PacketDevice.open(uplink.interface)
        undo.callback(device.close)
        guard = self._guard(host, ports)
        undo.callback(guard.close)
        learnt = Learnt(host.address, host.gateway)
        domain = assembly.add_outside(self._switch, uplink, host.mac, host.mtu, learnt, ports=ports)
        self._inventory.learn_address(uplink.name, host.address.address)
        port = self._connect(uplink, domain, device)
        live = _Live(uplink, domain, port, host.mac, host.mtu, host, guard)
        undo.callback(self._open_to_kernel, live)
        self._watch_host(live, watch, undo)
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

    def _guard(self, host: HostLink, ports: tuple[range, ...]) -> Guard:
        what = Guarded(host.interface, host.index, host.address.address, ports)
        return ways.choose(what, journal=self._journal, holds=self._holds)

    @staticmethod
    def _open_to_kernel(live: _Live) -> None:
        if live.guard is not None:
            live.guard.close()
            live.guard = None

    def _watch_host(self, live: _Live, watch: AddressWatch, undo: ExitStack) -> None:
        loop = asyncio.get_running_loop()
        loop.add_reader(watch.fileno(), self._look_at_host, live, watch)
        undo.callback(loop.remove_reader, watch.fileno())

    def _look_at_host(self, live: _Live, watch: AddressWatch) -> None:
        """An event says no more than that something may be different."""
        try:
            watch.changed()
            host = host_address.host_link(live.uplink.interface) if watch.address else None
            if host == live.host or live.is_gone:
                return
            live.host = host
            self._follow_host(live, host)
        except (LinkError, GuardError, _Unfit) as error:
            log.error("%s: nothing leaves by it: %s", live.uplink, error)
            self._give_address_up(live)

    def _follow_host(self, live: _Live, host: HostLink | None) -> None:
        """Raises GuardError or _Unfit where what the host has now can not be shared."""
        if host is None:
            log.warning("%s: %s has no address any more", live.uplink, live.uplink.interface)
            self._give_address_up(live)
            return
        words = "%s: %s has %s now, gateway %s"
        gateway = host.gateway or "none"
        log.warning(words, live.uplink, live.uplink.interface, host.address, gateway)
        self._refuse_overlap(live.uplink, host.address.network)
        if live.guard is None or live.guard.what.address != host.address.address:
            self._open_to_kernel(live)
            live.guard = self._guard(host, live.network.outside.ports)
        live.mac, live.network.mtu = host.mac, host.mtu
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
                    self._refuse_overlap(live.uplink, lease.address.network)
                except _Unfit as error:
                    log.error("%s: the address is not used: %s", live.uplink, error)
                    self._give_address_up(live)
                    return
                live.network.mtu = min(live.mtu, lease.mtu or live.mtu)
                self._change_address(live, Learnt(lease.address, lease.gateway))
            case Lost(lease, reason):
                words = "%s: %s may not be used any more: %s"
                log.warning(words, live.uplink, lease.address, reason.value)
                self._give_address_up(live)

    # Another address, or none

    def _give_address_up(self, live: _Live) -> None:
        """Flows wait for the address: where it comes back they go on."""
        self._open_to_kernel(live)
        self._set_interface(live, None)
        self._runtime.rearm()

    def _change_address(self, live: _Live, learnt: Learnt) -> None:
        self._set_interface(live, learnt)
        self.exposure.uplink_moves(live.uplink.name, learnt.address.address)
        self._announce(live)
        self._runtime.rearm()

    def _set_interface(self, live: _Live, learnt: Learnt | None) -> None:
        now, number = self._runtime.now(), live.network.number
        before = live.network.interface
        assembly.change_address(self._switch, live.uplink, number, live.mac, learnt, now)
        if learnt is not None:
            self._tell(live, Event.LEARN, live.network.interface)
        elif before is not None:
            self._tell(live, Event.LOSE, before)
        if isinstance(live.uplink.address, LearntAddress):
            address = learnt.address.address if learnt else None
            self._inventory.learn_address(live.uplink.name, address)

    def _refuse_overlap(self, uplink: Uplink, subnet: IpNetwork) -> None:
        """Raises _Unfit."""
        others = [
            f"{interface.address.network} of {live.uplink}"
            for live in self._live.values()
            if live.uplink is not uplink and (interface := live.network.interface) is not None
            if interface.address.network.overlaps(subnet)
        ]
        others += networks.overlapping(subnet, self._inventory.networks)
        if others:
            raise _Unfit(f"{subnet} overlaps {', '.join(others)}: move that to another subnet")

    # For people

    def _tell(self, live: _Live, event: Event, interface: Interface | None) -> None:
        self._events.tell(
            *(EventType.UPLINK, event, live.uplink.name),
            interface=live.uplink.interface,
            address=interface.address if interface else None,
            gateway=live.network.next_hop,
        )

    def _description(self, live: _Live) -> str:
        row = self._row(live)
        where = f"at {row.interface} with {row.mac}"
        if live.client is not None:
            return f"{live.uplink}: an address by DHCP {where}"
        parts = [f"{row.address} {where}", f"gateway {row.gateway}"]
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
            address=str(interface.address) if interface else NO_ADDRESS,
            also=tuple(str(each) for each in interface.also) if interface else (),
            gateway=str(live.network.next_hop or "none"),
            ports=",".join(f"{each.start}-{each.stop - 1}" for each in live.network.outside.ports),
            guard=guard.way.value if guard else None,
            why_not=tuple(str(each) for each in guard.why_not) if guard else (),
            dhcp=client.state.value if client else None,
            expires_in_seconds=(expires - self._runtime.now()) / SECOND if expires else None,
        )


def _ports_beside_the_hosts(uplink: Uplink) -> tuple[range, ...]:
    """What may be given away of an address that the host itself uses. Raises _Unfit."""
    host = host_ports.host_ports()
    if uplink.ports is None:
        return host_ports.free_ranges(host.ephemeral, host.reserved, host.in_use)
    _refuse_the_hosts(uplink.ports, host)
    return uplink.ports


def _refuse_the_hosts(wanted: Sequence[range], host: HostPorts) -> None:
    own = f"{host.ephemeral.start}-{host.ephemeral.stop - 1}"
    for ports in wanted:
        if ports.start < host.ephemeral.stop and host.ephemeral.start < ports.stop:
            raise _Unfit(
                f"ports {ports.start}-{ports.stop - 1} overlap {own}, which the host takes for its "
                "own connections (net.ipv4.ip_local_port_range)"
            )
        for port in sorted(host.in_use.intersection(ports)):
            raise _Unfit(f"port {port} is in use on the host: leave it out of ports")
