"""Who may talk to whom: all that a user may choose about it, as values.

Theory of operation. Two parties have a say about a new flow. The user's *filters* are asked first:
rules in order, of which the first that matches and ends the matter decides. Then the switch's own
*policy*: networks are apart, endpoints of one network are not, unless a `NetworkPolicy` says
otherwise. A `PortPolicy` is about one port alone: whom it reaches, and in whose name it may speak.

The actions of a filter are what those of iptables are in Docker's DOCKER-USER chain: `return` goes
on to the switch's own policy, `accept` passes it over, `drop` and `reject` end the flow. `log` goes
on to the next filter. A flow is seen as that chain sees it: with the address that the sender has
itself, and the one that it leads to behind every published port.

Nothing is decided here. Read first: iptables(8); RFC 5517 (isolated and promiscuous ports).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from vswitch.wire.values import IpAddress, IpNetwork, MacAddress, Protocol

NAMED_PROTOCOLS = (Protocol.TCP, Protocol.UDP, Protocol.ICMP, Protocol.SCTP, Protocol.DCCP)
"""Those that a filter knows by name; all others have their numbers."""


class Action(Enum):
    """What becomes of a flow that a filter matches."""

    ACCEPT = "accept"
    """It may pass, whatever the switch's own policy says about it. It leads nowhere new: not into
    an internal network, not between networks while `ip_forward` is off, and not from the outside
    straight to an inside address that is hidden."""
    RETURN = "return"
    """The switch's own policy decides, and no further filter is asked."""
    DROP = "drop"
    """It ends, and nothing is said."""
    REJECT = "reject"
    """It ends, and its sender is told: TCP by a RST, all else by ICMP."""
    LOG = "log"
    """It is written down, and the next filter is asked."""


@dataclass(frozen=True, slots=True)
class Filter:
    """One rule. What is left open matches everything; of several networks or ports one has to."""

    action: Action
    source: tuple[IpNetwork, ...] = ()
    destination: tuple[IpNetwork, ...] = ()
    protocol: int | None = None
    source_ports: tuple[range, ...] = ()
    """Of TCP and UDP, as are `ports`: those of the destination."""
    ports: tuple[range, ...] = ()
    arrives: str | None = None
    """The network or uplink that the flow comes from, by name."""
    leaves: str | None = None
    """The one that it goes to. A filter that has one name for both is asked about what is bridged
    within that network, too; all others are about what is routed."""

    @property
    def is_within(self) -> str | None:
        """The network within which it is asked about bridged flows, None where it is not."""
        return self.arrives if self.arrives == self.leaves else None

    @property
    def has_ends(self) -> bool:
        """Whether it asks for anything that only a packet of IP has."""
        return bool(self.source or self.destination) or self.protocol is not None

    def __str__(self) -> str:
        parts = [self.action.value]
        named = (("in", self.arrives), ("out", self.leaves))
        parts += [f"{key} {name}" for key, name in named if name is not None]
        if self.protocol is not None:
            parts.append(_NAMES.get(self.protocol, f"protocol {self.protocol}"))
        for key, networks in (("from", self.source), ("to", self.destination)):
            if networks:
                parts.append(f"{key} {','.join(map(network_text, networks))}")
        for key, ports in (("sport", self.source_ports), ("port", self.ports)):
            if ports:
                parts.append(f"{key} {','.join(map(ports_text, ports))}")
        return " ".join(parts)


class GatewayMode(Enum):
    """What the gateway of a network does for it, by Docker's names."""

    NAT = "nat"
    """It hides the inside addresses and lets in what is published."""
    NAT_UNPROTECTED = "nat-unprotected"
    """The same, and whoever reaches an inside address from elsewhere is let through to it."""
    ROUTED = "routed"
    """Nothing is translated; what is published is let through to the inside address."""
    ISOLATED = "isolated"
    """There is no gateway at all, which only an internal network can be content with."""


@dataclass(frozen=True, slots=True)
class NetworkPolicy:
    """Whom the endpoints of one network reach, and who reaches them."""

    internal: bool = False
    """Nothing is routed out of the network or into it; its gateway still answers."""
    icc: bool = True
    """Whether endpoints of the network reach each other without a link."""
    gateway_mode: GatewayMode = GatewayMode.NAT
    isolated_ports: bool = False
    """Whether each of its endpoints reaches the gateway and the host alone, links or not."""
    spoof_guard: bool = False
    """Whether each of its endpoints may speak in the name of its own addresses alone."""

    @property
    def shows_addresses(self) -> bool:
        """Whether the outside may see inside addresses."""
        return self.gateway_mode in (GatewayMode.ROUTED, GatewayMode.NAT_UNPROTECTED)


class PortRole(Enum):
    """Whom a port reaches within its network (RFC 5517, 2)."""

    COMMUNITY = "community"
    """All others that are not isolated, as far as the network's policy goes."""
    ISOLATED = "isolated"
    """Promiscuous ports, and the gateway."""
    PROMISCUOUS = "promiscuous"
    """Everybody, whatever the network's policy says."""


@dataclass(frozen=True, slots=True)
class PortPolicy:
    """What one port may do."""

    role: PortRole = PortRole.COMMUNITY
    stations: frozenset[MacAddress] | None = None
    """Those that may send by it; None for any."""
    addresses: frozenset[IpAddress] | None = None
    """The IPv4 addresses that may send by it, or claim by ARP to be there; None for any."""

    @property
    def is_guarded(self) -> bool:
        """Whether anything that it sends has to be looked at."""
        return self.stations is not None or self.addresses is not None


@dataclass(frozen=True, slots=True)
class Link:
    """One exposed run of ports of a `child` that its `parent` reaches although `icc` is off."""

    parent: IpAddress
    child: IpAddress
    protocol: int
    ports: range

    def __str__(self) -> str:
        opened = f"{protocol_text(self.protocol)} port {ports_text(self.ports)}"
        return f"{self.parent} > {self.child} {opened}"


def network_text(network: IpNetwork) -> str:
    """A network as it is written where a single address is one, too."""
    is_host = network.prefix_length == 8 * len(network.address)
    return str(network.address) if is_host else str(network)


def ports_text(ports: range) -> str:
    """`80`, `80-89`."""
    return f"{ports.start}" if len(ports) == 1 else f"{ports.start}-{ports.stop - 1}"


def protocol_text(protocol: int) -> str:
    """Its name, or its number where it has none here."""
    return _NAMES.get(protocol, str(protocol))


_NAMES = {int(each): each.name.lower() for each in NAMED_PROTOCOLS}
