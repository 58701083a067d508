"""Networks of a running switch: what there is, what comes, and what goes again.

Theory of operation. A network is in the `Inventory`, which says whether it may be and where, and in
the dataplane, which knows it by number. Both have it or neither has: what fails halfway is undone.
Nothing of a network is in the kernel but the host's own port, where the host is on it, so a network
without endpoints costs a few objects. What is made or removed while the switch runs is written down
before it is answered, and the next daemon resumes it.

A subnet that the switch chooses is one that the host itself has no route to on a link, and in which
none of its name servers is: whoever is there would be out of the endpoints' reach. The host is
looked at each time, as such routes come and go.

What is shown has Docker's shape and words (`messages.networks`).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from random import Random

from vswitch import assembly
from vswitch.daemon.events import Events
from vswitch.daemon.hostports import HostPorts
from vswitch.daemon.kernel import links, netns
from vswitch.daemon.kernel.links import LinkError
from vswitch.daemon.leasing.leases import Leases
from vswitch.daemon.messages.events import Event, EventType
from vswitch.daemon.messages.networks import Ipam, IpamConfig, Leased, Member, NetworkObject
from vswitch.daemon.resolving.files import resolvconf
from vswitch.daemon.runtime import Runtime
from vswitch.daemon.store import Store, StoreError
from vswitch.daemon.uplinks import Uplinks
from vswitch.dataplane.switch import Switch
from vswitch.network import ids, networks
from vswitch.network.errors import ForbiddenError, NetworkError
from vswitch.network.inventory import Inventory
from vswitch.network.model import Endpoint, Membership, Network, NetworkRequest
from vswitch.network.unswitched import Unswitched
from vswitch.units import SECOND, Nanoseconds
from vswitch.wire.values import IpAddress, IpInterface, IpNetwork

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Aside:
    """A network of Docker's that the switch takes no part in, but lists."""

    name: str
    id: str
    created: Nanoseconds
    driver: str


def host_subnets() -> list[IpNetwork]:
    """Where the host itself reaches somebody: on its links, and at its name servers.

    Raises LinkError.
    """
    try:
        text = netns.RESOLV_CONF.read_text(errors="replace")
    except OSError:
        text = ""
    servers = [each.address for each in resolvconf.read(text).servers]
    return [*networks.of_hosts(servers), *links.on_link_subnets()]


def identified(inside: Iterable[Network], random: Random) -> Iterator[Network]:
    """Networks of a configuration, as made now."""
    created = time.time_ns()
    return (replace(each, id=ids.new_id(random), created=created) for each in inside)


class Networks:
    """The networks of one switch."""

    def __init__(
        self,
        switch: Switch,
        runtime: Runtime,
        inventory: Inventory,
        uplinks: Uplinks,
        host_ports: HostPorts,
        leases: Leases,
        outside: Mapping[str, int],
        name_servers: Iterable[IpAddress],
        random: Random,
        events: Events,
    ) -> None:
        """Nothing is made yet: `begin` and `create` do that. `outside` has the numbers of the
        networks behind the uplinks, by the names of these, as they become known; `name_servers`
        are those that the configuration names."""
        self._switch = switch
        self._runtime = runtime
        self._inventory = inventory
        self._uplinks = uplinks
        self._host_ports = host_ports
        self._leases = leases
        self._outside = outside
        self._name_servers = tuple(name_servers)
        self._random = random
        self._events = events
        began = time.time_ns()
        self._aside: tuple[Aside, ...] = (
            Aside(Unswitched.HOST.value, ids.new_id(random), began, "host"),
            Aside(Unswitched.NONE.value, ids.new_id(random), began, "null"),
        )
        self._store: Store
        """Known from `keep_in` on."""
        self._numbers: dict[str, int] = {}
        self._configured: set[str] = set()

    def number(self, network: Network) -> int:
        """What the dataplane knows a network by."""
        return self._numbers[network.name]

    def keep_in(self, store: Store) -> None:
        """Keep in `store` what is made from now on."""
        self._store = store

    def resume(self) -> None:
        """Make again what is in the store, with all of the configuration's there. What can not be
        any more, since that has changed, is told and dropped. Raises StoreError.
        """
        self.note()
        for kept in self._store.networks.all().values():
            try:
                self._admit(kept.request, ids.Identity(kept.id, kept.created))
            except (NetworkError, LinkError) as error:
                why = error.explained if isinstance(error, NetworkError) else str(error)
                words = "network %s, %s, is not made again: %s"
                log.warning(words, kept.name, kept.subnet, why)
                self._store.networks.remove(kept.id)

    def begin(self, network: Network) -> None:
        """Let a network of the configuration, which the inventory has, exist.

        Raises LinkError.
        """
        self._configured.add(network.name)
        self._carry(network)

    def place(self, network: Network) -> None:
        """Make a network that another configuration has, and the present one has not.

        Raises NetworkError or LinkError, and then nothing is left of it.
        """
        self._inventory.place_network(network)
        try:
            self._carry(network)
        except BaseException:
            self._inventory.displace_network(network.name)
            raise
        self._configured.add(network.name)

    def displace(self, name: str) -> None:
        """Take a network of the configuration away, which nobody is on."""
        network = self._inventory.network(name)
        self._inventory.displace_network(name)
        self._configured.discard(name)
        self._take_down(network)

    def change(self, after: Network) -> None:
        """Let the network of that name be as `after`, which has the same addresses.

        Raises LinkError, and then it is as it was.
        """
        before, number = self._inventory.network(after.name), self.number(after)
        changed = replace(after, id=before.id, created=before.created)
        if changed.host and not before.host:
            self._host_ports.add(changed, number)
        elif before.host and not changed.host:
            self._host_ports.remove(before)
        self._inventory.change_network(changed)
        assembly.change_inside(self._switch, before, changed, number, self._runtime.now())
        self._leases.change(changed)
        self._runtime.rearm()
        log.info("network %s changed", after.name)

    def lead_out(self) -> None:
        """Let every network lead outside by its uplink, as these are by now."""
        for network in self._inventory.networks:
            uplink = self._outside.get(network.uplink)
            self._switch.changes.set_uplink(self.number(network), uplink)

    def keep_clear_of(self, name_servers: Iterable[IpAddress]) -> None:
        """Let subnets that are chosen from now on be clear of these."""
        self._name_servers = tuple(name_servers)

    async def create(self, request: NetworkRequest) -> Network:
        """Make a network. Raises NetworkError, LinkError or StoreError."""
        hosts = await asyncio.to_thread(host_subnets)
        keep_clear = (*networks.of_hosts(self._asked()), *hosts)
        identity = ids.Identity(ids.new_id(self._random), time.time_ns())
        network = self._admit(request, identity, keep_clear)
        try:
            self._store.networks.put(network.id, network)
        except BaseException:
            self._take_out(network)
            raise
        return network

    def _asked(self) -> Iterator[IpAddress]:
        """Name servers that the configuration and networks name."""
        yield from self._name_servers
        for network in self._inventory.networks:
            yield from (each.address for each in network.names.servers)

    def _admit(
        self, request: NetworkRequest, identity: ids.Identity, keep_clear: Iterable[IpNetwork] = ()
    ) -> Network:
        """Let a network exist; a subnet that nobody chose does not overlap `keep_clear`. Raises
        NetworkError or LinkError."""
        network = self._inventory.add_network(
            *(request, *identity),
            learnt=self._uplinks.learnt_subnets(),
            keep_clear=keep_clear,
        )
        try:
            self._carry(network)
        except BaseException:
            self._inventory.remove_network(network.id)
            raise
        return network

    def remove(self, reference: str) -> Network:
        """Take a network away. Raises NetworkError or StoreError."""
        found = self._find(reference)
        if isinstance(found, Aside):
            raise ForbiddenError(f"{found.name} is a pre-defined network and cannot be removed")
        with self._store.change():
            self._store.networks.remove(found.id)
            self._take_out(found)
        return found

    def prune(self) -> tuple[str, ...]:
        """Take away what no endpoint uses and no configuration asks for; the names of that."""
        unused = [
            network
            for network in self._inventory.networks
            if network.name not in self._configured and not self._inventory.is_in_use(network)
        ]
        return tuple(self.remove(network.id).name for network in unused)

    def all(self) -> list[NetworkObject]:
        """Every network, for people and programs."""
        return [self._object(each) for each in self._there()]

    def inspect(self, reference: str) -> NetworkObject:
        """One of them. Raises NetworkError."""
        return self._object(self._find(reference))

    def note(self) -> None:
        """Write down which the configuration's networks are and where, and those aside, which are
        as they were. Raises StoreError."""
        configured = [each for each in self._inventory.networks if each.name in self._configured]
        inside = {each.name: ids.Identity(each.id, each.created) for each in configured}
        self._store.subnets.replace({each.name: each.subnet for each in configured})
        before = self._store.identities.all()
        self._aside = tuple(
            replace(each, **before[each.name]._asdict()) if each.name in before else each
            for each in self._aside
        )
        aside = {each.name: ids.Identity(each.id, each.created) for each in self._aside}
        self._store.identities.replace(inside | aside)

    def _find(self, reference: str) -> Network | Aside:
        return ids.find(reference, self._there())

    def _there(self) -> tuple[Network | Aside, ...]:
        return *self._inventory.networks, *self._aside

    def _take_out(self, network: Network) -> None:
        """Raises NetworkError."""
        self._inventory.remove_network(network.id)
        self._take_down(network)

    def _take_down(self, network: Network) -> None:
        self._host_ports.remove(network)
        self._leases.end(network)
        number = self._numbers.pop(network.name)
        self._switch.remove_network(number, self._runtime.now())
        self._runtime.rearm()
        log.info("network %s removed", network.name)
        self._events.tell(EventType.NETWORK, Event.DESTROY, network.name, id=network.id)

    def _carry(self, network: Network) -> None:
        domain = assembly.add_inside(self._switch, self._inventory, network, self._outside)
        try:
            if network.host:
                self._host_ports.add(network, domain.number)
            self._leases.begin(network, domain.number)
        except (LinkError, StoreError):
            self._host_ports.remove(network)
            self._switch.remove_network(domain.number, self._runtime.now())
            raise
        self._numbers[network.name] = domain.number
        log.info("network %s: %s, gateway %s", network.name, network.subnet, network.gateway)
        self._events.tell(
            *(EventType.NETWORK, Event.CREATE, network.name),
            id=network.id,
            subnet=network.subnet,
            gateway=network.gateway,
        )

    # As Docker shows it

    def _object(self, network: Network | Aside) -> NetworkObject:
        if isinstance(network, Aside):
            return NetworkObject(
                Name=network.name,
                Id=network.id,
                Created=_moment(network.created),
                Driver=network.driver,
                IPAM=Ipam(),
            )
        return NetworkObject(
            Name=network.name,
            Id=network.id,
            Created=_moment(network.created),
            Internal=network.policy.internal,
            IPAM=Ipam(Options={}, Config=(_ipam_config(network),)),
            Containers={
                ids.membership_id(endpoint, at): _member(endpoint, at, network)
                for endpoint in self._inventory.endpoints_on(network)
                if (at := endpoint.on(network.name)) is not None
            },
            Leases={
                str(each.address): Leased(MacAddress=str(each.station), Name=each.hostname or "")
                for each in self._inventory.leases_on(network)
            },
            Options=dict(network.options),
            Labels=dict(network.labels),
        )


def _ipam_config(network: Network) -> IpamConfig:
    return IpamConfig(
        Subnet=str(network.subnet),
        IPRange=str(network.ip_range or ""),
        Gateway=str(network.gateway),
        AuxiliaryAddresses={each.name: str(each.address) for each in network.auxiliary},
    )


def _member(endpoint: Endpoint, at: Membership, network: Network) -> Member:
    return Member(
        Name=endpoint.name,
        EndpointID=ids.membership_id(endpoint, at),
        MacAddress=str(at.mac),
        IPv4Address=str(IpInterface(at.address, network.subnet)),
    )


def _moment(created: Nanoseconds) -> str:
    """RFC 3339 with nanoseconds, as Docker writes times."""
    second = datetime.fromtimestamp(created // SECOND, UTC)
    return f"{second:%Y-%m-%dT%H:%M:%S}.{created % SECOND:09}Z"
