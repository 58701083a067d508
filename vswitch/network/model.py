"""The values of this room: what is asked for, and what it became.

A *request* says what a user wrote, with gaps where the user left the choice to the switch. A
`Network`, an `Endpoint` and a `Publication` have no gaps: every address, MAC address and host port
is chosen. Nothing here decides or checks anything; `networks`, `inventory` and `hostports` turn the
one into the other. Ports, published and mapped, are in `ports`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, TypeAlias

from vswitch.impairment import UNIMPAIRED, Impairments
from vswitch.leasing import MACHINES_ALONE, Leasing
from vswitch.naming import NameSettings, NetworkNames, Server
from vswitch.network.ipam import PREDEFINED_POOLS, Pool
from vswitch.network.kinds import DEFAULT_NETWORK_NAME
from vswitch.network.kinds import DEFAULT_UPLINK as DEFAULT_UPLINK
from vswitch.network.kinds import LARGEST_PRIORITY as LARGEST_PRIORITY
from vswitch.network.kinds import EndpointKind as EndpointKind
from vswitch.network.ports import ExposedPorts, Publication, PublicationRequest, StaticMapping
from vswitch.policy import Filter, NetworkPolicy, PortRole
from vswitch.translation import Limits, Outside, Translation, Unsolicited
from vswitch.units import MEBIBYTE, Nanoseconds
from vswitch.wire.values import IpAddress, IpInterface, IpNetwork, MacAddress

DEFAULT_MTU = 1500
"""Bytes of IP in one frame: Ethernet's, and Docker's default."""

Settings: TypeAlias = tuple[tuple[str, str], ...]
"""Keys with their values, as a user wrote them: labels, and the options of a network."""

DEFAULT_ROUTE = "DefaultGatewayIPv4"
"""Docker's name for the auxiliary address that the default route of endpoints leads to."""

DEFAULT_TRANSLATION = Translation()

DEFAULT_LIMITS = Limits()

DEFAULT_POLICY = NetworkPolicy()

DEFAULT_NAMES = NetworkNames()

DEFAULT_NAME_SETTINGS = NameSettings()


class LearntAddress(Enum):
    """Where an uplink has its address from that the configuration does not say."""

    HOST = "host"
    """It is the interface's own, and so is the MAC address: the host and the switch share both."""

    DHCP = "dhcp"
    """A server outside gives it to a MAC address of the switch's own."""

    def __str__(self) -> str:
        return self.value


class UplinkDevice(Enum):
    """What carries the frames of an uplink."""

    PACKET = "packet"
    """A packet socket on the interface."""

    MACVTAP = "macvtap"
    """A macvtap on the interface, with the MAC address of the switch's own."""


class AuxiliaryAddress(NamedTuple):
    """An address of a network's subnet that is somebody else's, and what the user calls it."""

    name: str
    address: IpAddress

    def __str__(self) -> str:
        return f"{self.name}:{self.address}"


class NamedLink(NamedTuple):
    """Another endpoint by its name, and what the one that is linked to it calls it."""

    name: str
    alias: str

    def __str__(self) -> str:
        return self.name if self.alias == self.name else f"{self.name}:{self.alias}"


@dataclass(frozen=True, slots=True)
class NetworkRequest:
    """A network as a user describes it: without a subnet one of Docker's pools is taken.

    A subnet of `0.0.0.0/N` asks for any of that size. Without `ip_range` every address of the
    subnet may be given away. Without `uplink` its connections leave by the default one, where there
    is any.
    """

    name: str
    subnet: IpNetwork | None = None
    gateway: IpAddress | None = None
    mtu: int = DEFAULT_MTU
    mac: MacAddress | None = None
    uplink: str | None = None
    translation: Translation = DEFAULT_TRANSLATION
    ip_range: IpNetwork | None = None
    auxiliary: tuple[AuxiliaryAddress, ...] = ()
    options: Settings = ()
    """What `--opt` said. What the switch understands of it is in the other fields already."""
    labels: Settings = ()
    policy: NetworkPolicy = DEFAULT_POLICY
    host: bool = False
    names: NetworkNames = DEFAULT_NAMES
    leasing: Leasing | None = MACHINES_ALONE


@dataclass(frozen=True, slots=True)
class Network:
    """One broadcast domain with its subnet and the switch's own address in it.

    `predefined` marks the default network as it is when nobody configured it. Docker's rules for
    its own default network hold there: no chosen addresses and no aliases. Without `mac` the
    gateway's MAC address is a random one (`Inventory.allocate_mac`). On a switch without uplinks
    there is none called `uplink`.

    `id` has 64 hexadecimal digits, and is empty where no user can ask for it, as in a replay.
    `created` counts from 1970, UTC.
    """

    name: str
    subnet: IpNetwork
    gateway: IpAddress
    mtu: int = DEFAULT_MTU
    predefined: bool = False
    mac: MacAddress | None = None
    uplink: str = DEFAULT_UPLINK
    translation: Translation = DEFAULT_TRANSLATION
    ip_range: IpNetwork | None = None
    auxiliary: tuple[AuxiliaryAddress, ...] = ()
    options: Settings = ()
    labels: Settings = ()
    id: str = ""
    created: Nanoseconds = 0
    policy: NetworkPolicy = DEFAULT_POLICY
    host: bool = False
    """Whether the host itself is on it, with the gateway's address."""
    names: NetworkNames = DEFAULT_NAMES
    leasing: Leasing | None = MACHINES_ALONE
    """None: nobody is leased an address."""

    @property
    def default_route(self) -> IpAddress | None:
        """Where its endpoints send what leads elsewhere: the gateway, unless another is named. None
        where nothing leads there."""
        if self.policy.internal:
            return None
        named = [each.address for each in self.auxiliary if each.name == DEFAULT_ROUTE]
        return named[0] if named else self.gateway

    @property
    def request(self) -> NetworkRequest:
        """What makes the same network again, with nothing left to choose."""
        return NetworkRequest(
            name=self.name,
            subnet=self.subnet,
            gateway=self.gateway,
            mtu=self.mtu,
            mac=self.mac,
            uplink=None if self.uplink == DEFAULT_UPLINK else self.uplink,
            translation=self.translation,
            ip_range=self.ip_range,
            auxiliary=self.auxiliary,
            options=self.options,
            labels=self.labels,
            policy=self.policy,
            host=self.host,
            names=self.names,
            leasing=self.leasing,
        )


DEFAULT_NETWORK = Network(
    DEFAULT_NETWORK_NAME,
    IpNetwork.parse("172.17.0.0/16"),
    IpAddress.parse("172.17.0.1"),
    predefined=True,
)
"""Docker's default network, where an endpoint goes whose network is not named."""


@dataclass(frozen=True, slots=True)
class MembershipRequest:
    """A network as an endpoint is to be on it.

    Without `address` it gets the lowest free one, without `mac` a random one.
    """

    network: str
    address: IpAddress | None = None
    mac: MacAddress | None = None
    aliases: tuple[str, ...] = ()
    gateway_priority: int = 0


@dataclass(frozen=True, slots=True)
class EndpointRequest:
    """An endpoint as a user describes it.

    `network`, `address`, `mac`, `aliases` and `gateway_priority` are of the network that it is on
    first, as its eth0. `also` are further ones, in the order of its further interfaces.

    `namespace` is the name of the namespace it lives in, or None for one that has no name (the
    fresh one of `vswitch run`) and for a virtual machine, which lives in none. An `external`
    address is the endpoint's alone, with all its ports.
    """

    name: str
    network: str = DEFAULT_NETWORK.name
    kind: EndpointKind = EndpointKind.TAP
    namespace: str | None = None
    address: IpAddress | None = None
    aliases: tuple[str, ...] = ()
    publish: tuple[PublicationRequest, ...] = ()
    mac: MacAddress | None = None
    impairments: Impairments = UNIMPAIRED
    external: IpAddress | None = None
    mappings: tuple[StaticMapping, ...] = ()
    exposed: tuple[ExposedPorts, ...] = ()
    dns: tuple[Server, ...] = ()
    """Name servers that are asked for this endpoint alone; none: those of its network."""
    dns_search: tuple[str, ...] = ()
    """Domains in which it looks for short names; none: the host's; `.` alone: really none."""
    dns_options: tuple[str, ...] = ()
    """Of its resolv.conf(5), beside the host's."""
    hostname: str | None = None
    """A further name of its own, where it has one."""
    domainname: str | None = None
    """What comes behind that where it is told in full."""
    owner: int | None = None
    """The user who may open a virtual machine's TAP; None: root alone."""
    links: tuple[NamedLink, ...] = ()
    role: PortRole = PortRole.COMMUNITY
    """Whom it reaches within its networks."""
    gateway_priority: int = 0
    also: tuple[MembershipRequest, ...] = ()

    @property
    def memberships(self) -> tuple[MembershipRequest, ...]:
        """Every network that it is to be on, the first one first."""
        first = MembershipRequest(
            self.network, self.address, self.mac, self.aliases, self.gateway_priority
        )
        return (first, *self.also)


@dataclass(frozen=True, slots=True)
class Membership:
    """An endpoint's place on the network called `network`: one interface."""

    network: str
    address: IpAddress
    mac: MacAddress
    aliases: tuple[str, ...] = ()
    place: int = 0
    """Which of its interfaces: 0 is its eth0."""
    gateway_priority: int = 0

    @property
    def interface(self) -> str:
        """What the endpoint finds it as, as in a container."""
        return f"eth{self.place}"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A named member of one or more networks.

    The first of its memberships leads out: it has the default route, and what is published leads
    there. `network`, `address`, `mac` and `aliases` speak of that one.
    """

    name: str
    kind: EndpointKind
    namespace: str | None
    memberships: tuple[Membership, ...]
    publications: tuple[Publication, ...] = ()
    impairments: Impairments = UNIMPAIRED
    external: IpAddress | None = None
    mappings: tuple[StaticMapping, ...] = ()
    exposed: tuple[ExposedPorts, ...] = ()
    dns: tuple[Server, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    hostname: str | None = None
    domainname: str | None = None
    owner: int | None = None
    links: tuple[NamedLink, ...] = ()
    role: PortRole = PortRole.COMMUNITY

    @property
    def network(self) -> str:
        """The name of the network that leads out."""
        return self.memberships[0].network

    @property
    def address(self) -> IpAddress:
        """Its address there."""
        return self.memberships[0].address

    @property
    def mac(self) -> MacAddress:
        """Its MAC address there."""
        return self.memberships[0].mac

    @property
    def aliases(self) -> tuple[str, ...]:
        """What it is called there beside its name."""
        return self.memberships[0].aliases

    def on(self, network: str) -> Membership | None:
        """Its membership of the network of that name, None where it is not on it."""
        return next((each for each in self.memberships if each.network == network), None)

    def publications_on(self, membership: Membership) -> tuple[Publication, ...]:
        """What is published there: all of it where it leads out, nothing elsewhere."""
        return self.publications if membership == self.memberships[0] else ()

    def port_name(self, membership: Membership) -> str:
        """What the port of one of its memberships is called: as the endpoint is, for its eth0."""
        return f"{self.name}@{membership.network}" if membership.place else self.name


@dataclass(frozen=True, slots=True)
class Uplink:
    """An interface towards the outside and the switch's own addresses there.

    Without `gateway` only the uplink's own subnet can be reached, unless one is learnt with the
    address. Without `mac` a random MAC address will do (`Inventory.allocate_mac`), or it is the
    interface's where the address is.
    """

    interface: str
    address: IpInterface | LearntAddress
    gateway: IpAddress | None = None
    mac: MacAddress | None = None
    impairments: Impairments = UNIMPAIRED
    name: str = DEFAULT_UPLINK
    also: tuple[IpAddress, ...] = ()
    """Further addresses of the switch in the same subnet."""
    device: UplinkDevice = UplinkDevice.PACKET
    ports: tuple[range, ...] | None = Outside().ports
    """External ports that may be given away, in rising order; None where they are to be chosen
    among those that the host itself does not give away."""
    unsolicited: Unsolicited = Unsolicited.HOLD
    clamps_mss: bool = True

    @property
    def subnet(self) -> IpNetwork | None:
        """The subnet of its addresses; None where it is not known before the switch runs."""
        return None if isinstance(self.address, LearntAddress) else self.address.network

    @property
    def addresses(self) -> tuple[IpAddress, ...]:
        """Its addresses, the first one first; none where they are not known before it runs."""
        if isinstance(self.address, LearntAddress):
            return ()
        return (self.address.address, *self.also)

    def __str__(self) -> str:
        return "the uplink" if self.name == DEFAULT_UPLINK else f"uplink {self.name}"


class TriggerEvent(Enum):
    """What is counted, and may come to be too much."""

    DROPPED = "dropped"
    """Frames, for any reason or for one."""
    RESETS = "resets"
    """TCP segments with RST."""
    UNRESOLVED = "unresolved"
    """Queries for which no name server had an answer: SERVFAIL."""


@dataclass(frozen=True, slots=True)
class TriggerRequest:
    """What makes the flight recorder write a dump; `reason` is the name of a drop reason."""

    event: TriggerEvent
    reason: str | None
    per_second: float


@dataclass(frozen=True, slots=True)
class RecorderSettings:
    """The flight recorder: how much it remembers, and where it leaves what dumps.

    `size` is in bytes, 0 for no recorder. `directory` is None for the switch's own under /var/lib.
    """

    size: int = 16 * MEBIBYTE
    directory: str | None = None
    keep: int = 8
    """Dumps in the directory; the oldest goes when there would be more."""
    triggers: tuple[TriggerRequest, ...] = ()


@dataclass(frozen=True, slots=True)
class RemoteDoor:
    """Where the interface is served to other machines, over TLS to who shows a certificate.

    The files are PEM: the server's certificate and key, and whose word is good for clients.
    """

    address: IpAddress
    port: int
    certificate: str
    key: str
    client_ca: str


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """Who may ask the daemon: root always, a group of users if one is named, and by `remote`."""

    group: str | None = None
    remote: RemoteDoor | None = None


@dataclass(frozen=True, slots=True)
class Configuration:
    """A whole configuration that can be honoured as it stands.

    `uplinks` are in the order of the file, the default one first. `networks` are final, the default
    network among them. `endpoints` are requests that an `Inventory` is known to admit.
    """

    name: str
    uplinks: tuple[Uplink, ...]
    networks: tuple[Network, ...]
    endpoints: tuple[EndpointRequest, ...]
    dns: NameSettings = DEFAULT_NAME_SETTINGS
    recorder: RecorderSettings = RecorderSettings()
    limits: Limits = DEFAULT_LIMITS
    pools: tuple[Pool, ...] = PREDEFINED_POOLS
    """Where subnets come from that nobody chose."""
    filters: tuple[Filter, ...] = ()
    """In the order in which they are asked."""
    ip_forward: bool = True
    """Whether anything passes between networks, and between them and the outside."""
    state_directory: str | None = None
    """Where the switch keeps what outlives it; None for a directory of its own under /var/lib."""
    api: ApiSettings = ApiSettings()

    @property
    def uplink(self) -> Uplink | None:
        """The default uplink, without which there is no other."""
        return self.uplinks[0] if self.uplinks else None
