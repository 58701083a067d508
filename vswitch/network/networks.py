"""From network requests to networks: subnets that do not overlap, and gateways inside them.

Theory of operation. `resolve` is for those of a configuration. Subnets that were chosen by hand are
placed first, in the order in which they were written; one that overlaps an earlier one is refused.
Then every request without a subnet gets one of the predefined pools, clear of everything that is
placed. `create` does the same for one that comes to a running switch. Addresses of a subnet that
are somebody else's are kept free, and a gateway that nobody chose is the lowest address that may be
given away.

The subnet of an uplink counts as placed: an address that exists both inside and outside could not
be told apart (RFC 4787, REQ-7). The default network counts as placed too, where it is wanted. A
subnet that an uplink learns when the switch runs comes too late for `resolve`: `overlapping` says
with which networks it can not exist.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from vswitch.network import addressing, ipam, uplinks
from vswitch.network.errors import ForbiddenError, NetworkError, Refusal
from vswitch.network.ipam import PREDEFINED_POOLS, Pool
from vswitch.network.model import DEFAULT_NETWORK, DEFAULT_UPLINK, Network, NetworkRequest, Uplink
from vswitch.network.names import require_name
from vswitch.network.unswitched import Unswitched
from vswitch.units import Nanoseconds
from vswitch.wire.values import IpAddress, IpNetwork, MacAddress

NOTHING_STANDS: Mapping[str, IpNetwork] = MappingProxyType({})
"""For networks that are made for the first time."""

PREDEFINED_NAMES = (DEFAULT_NETWORK.name, *(each.value for each in Unswitched))


@dataclass(frozen=True, slots=True)
class Resolved:
    """The networks that can exist together, and why the others cannot."""

    networks: tuple[Network, ...]
    refusals: tuple[Refusal, ...]


def resolve(
    requests: Sequence[NetworkRequest],
    *,
    outside: Sequence[Uplink],
    default: Network | None,
    pools: Sequence[Pool] = PREDEFINED_POOLS,
    keep_clear: Iterable[IpNetwork] = (),
    standing: Mapping[str, IpNetwork] = NOTHING_STANDS,
) -> Resolved:
    """Turn requests into networks.

    Args:
        requests: with names that differ.
        outside: the uplinks, whose subnets no network may overlap.
        default: the predefined default network, where it exists beside them.
        pools: where a subnet comes from that nobody chose.
        keep_clear: what a subnet chosen here must not overlap (name servers, say).
        standing: subnets that networks have by now, by their names: who asks for none keeps it.
    """
    ground = _Ground(outside, pools, tuple(keep_clear), standing)
    if default is not None:
        words = f"of network {default.name}, which [networks.{default.name}] can move"
        ground.place(default.subnet, words)
    refusals: list[Refusal] = []
    resolved: dict[str, Network] = {}
    for request in sorted(requests, key=lambda request: request.subnet is None):
        network, errors = _judge(request, ground)
        refusals += [Refusal(request.name, error) for error in errors]
        if network is not None:
            resolved[request.name] = network
    networks = [resolved[request.name] for request in requests if request.name in resolved]
    if default is not None:
        networks.insert(0, default)
    return Resolved(tuple(networks), tuple(refusals))


def create(
    request: NetworkRequest,
    *,
    beside: Iterable[Network],
    outside: Sequence[Uplink],
    learnt: Iterable[tuple[IpNetwork, str]] = (),
    pools: Sequence[Pool] = PREDEFINED_POOLS,
    keep_clear: Iterable[IpNetwork] = (),
    network_id: str,
    created: Nanoseconds,
) -> Network:
    """Turn one request into a network.

    Args:
        beside: the networks that there are.
        outside: the uplinks that there are.
        learnt: subnets that these have learnt, each with words that say whose it is.
        pools: where a subnet comes from that nobody chose.
        keep_clear: what a subnet chosen here must not overlap.

    Raises:
        NetworkError: the first reason against it.
    """
    if request.name in PREDEFINED_NAMES:
        raise _predefined(request.name)
    ground = _Ground(outside, pools, tuple(keep_clear))
    for subnet, whose in learnt:
        ground.place(subnet, whose)
    for other in beside:
        if other.name == request.name:
            raise NetworkError(f"network with name {request.name} already exists")
        ground.place(other.subnet, f"of network {other.name}")
    if request.subnet is not None:
        addressing.check(request, request.subnet)
    network, errors = _judge(request, ground)
    for error in errors:
        raise error
    if network is None:
        raise ValueError(f"network {request.name} is neither refused nor made")
    return replace(network, id=network_id, created=created)


def overlapping(subnet: IpNetwork, networks: Iterable[Network]) -> tuple[str, ...]:
    """The networks that can not exist beside an outside `subnet` (RFC 4787, REQ-7), in words."""
    return tuple(
        f"{network.subnet} of network {network.name}"
        for network in networks
        if network.subnet.overlaps(subnet)
    )


def count_addresses(network: Network, part: IpNetwork) -> int:
    """How many addresses of a part of its subnet a network has to give, to endpoints and guests."""
    first, last = ipam.usable_part(network.subnet, part)
    own = (network.gateway, *(each.address for each in network.auxiliary))
    usable = (each for each in own if ipam.is_usable(network.subnet, each))
    return max(0, last - first + 1) - sum(each in part for each in usable)


def of_hosts(addresses: Iterable[IpAddress]) -> list[IpNetwork]:
    """Each address as the subnet that it is alone in."""
    return [IpNetwork(address, len(address) * 8) for address in addresses]


class _Ground:
    """What networks are placed on: subnets and MAC addresses that are spoken for, by whom."""

    def __init__(
        self,
        outside: Sequence[Uplink],
        pools: Sequence[Pool],
        keep_clear: tuple[IpNetwork, ...],
        standing: Mapping[str, IpNetwork] = NOTHING_STANDS,
    ) -> None:
        self.outside = outside
        self.pools = pools
        self.keep_clear = (*keep_clear, *standing.values())
        self.standing = standing
        self.macs: dict[MacAddress, str] = {}
        self._placed: list[tuple[IpNetwork, str]] = []
        for uplink in outside:
            if uplink.mac is not None:
                self.macs[uplink.mac] = f"by {uplink}"
            if uplink.subnet is not None:
                self.place(uplink.subnet, f"of {uplink}")

    @property
    def subnets(self) -> list[IpNetwork]:
        return [subnet for subnet, _ in self._placed]

    def place(self, subnet: IpNetwork, whose: str) -> None:
        self._placed.append((subnet, whose))

    def kept_by(self, name: str, length: int | None) -> IpNetwork | None:
        """The subnet that the network called `name` has and may keep, where it is of that size."""
        subnet = self.standing.get(name)
        if subnet is None or length not in (None, subnet.prefix_length):
            return None
        return None if self.in_the_way_of(subnet) else subnet

    def in_the_way_of(self, subnet: IpNetwork) -> str | None:
        """The first overlapping subnet in words, or None where the place is free."""
        for other, whose in self._placed:
            if other.overlaps(subnet):
                return f"{other} {whose}"
        return None


def _judge(request: NetworkRequest, ground: _Ground) -> tuple[Network | None, list[NetworkError]]:
    """The network that a request becomes, or every reason against it."""
    errors: list[NetworkError] = []
    for check in (_check_name, _claim_mac, _check_way_out):
        try:
            check(request, ground)
        except NetworkError as error:
            errors.append(error)
    try:
        subnet = _subnet(request, ground)
        errors += addressing.disagreements(
            subnet, request.gateway, request.ip_range, request.auxiliary
        )
        gateway = request.gateway if errors else _gateway(request, subnet)
    except NetworkError as error:
        errors.append(error)
    if errors or gateway is None:
        return None, errors
    network = Network(
        request.name,
        subnet,
        gateway,
        request.mtu,
        mac=request.mac,
        uplink=request.uplink or DEFAULT_UPLINK,
        translation=request.translation,
        policy=request.policy,
        names=request.names,
        leasing=request.leasing,
        ip_range=request.ip_range,
        auxiliary=request.auxiliary,
        options=request.options,
        labels=request.labels,
        host=request.host,
    )
    return network, errors


def _check_name(request: NetworkRequest, _: _Ground) -> None:
    if Unswitched.called(request.name):
        raise _predefined(request.name)
    require_name("network", request.name)


def _predefined(name: str) -> NetworkError:
    return ForbiddenError(f"operation is not permitted on predefined {name} network ")


def _claim_mac(request: NetworkRequest, ground: _Ground) -> None:
    if request.mac is None:
        return
    if request.mac in ground.macs:
        message = f"MAC address {request.mac} already in use"
        raise NetworkError(message, hint=ground.macs[request.mac], key=("mac",))
    ground.macs[request.mac] = f"by the gateway of network {request.name}"


def _check_way_out(request: NetworkRequest, ground: _Ground) -> None:
    try:
        uplink = uplinks.find(request.uplink, ground.outside)
    except NetworkError as error:
        raise error.at("uplink") from None
    try:
        if request.translation.external is not None:
            uplinks.require_address(request.translation.external, uplink)
    except NetworkError as error:
        raise error.at("external") from None


def _subnet(request: NetworkRequest, ground: _Ground) -> IpNetwork:
    subnet = request.subnet
    if subnet is None or subnet.address.is_unspecified:
        length = None if subnet is None else subnet.prefix_length
        subnet = ground.kept_by(request.name, length)
        if subnet is None:
            taken = (*ground.subnets, *ground.keep_clear)
            subnet = ipam.choose_subnet(taken, length, ground.pools)
    else:
        obstacle = ground.in_the_way_of(subnet)
        if obstacle is not None:
            raise NetworkError(
                "invalid pool request: Pool overlaps with other one on this address space",
                hint=obstacle,
                key=("subnet",),
            )
    ground.place(subnet, f"of network {request.name}")
    return subnet


def _gateway(request: NetworkRequest, subnet: IpNetwork) -> IpAddress:
    """The gateway, which is free; so are the auxiliary addresses."""
    pool = ipam.AddressPool(subnet, request.ip_range)
    try:
        if request.gateway is not None:
            pool.take(request.gateway)
    except NetworkError as error:
        raise error.at("gateway") from None
    for each in request.auxiliary:
        try:
            pool.take(each.address)
        except NetworkError as error:
            words = f"failed to allocate secondary ip address ({each}): {error}"
            raise NetworkError(words, hint=error.hint, key=("aux_addresses", each.name)) from None
    return request.gateway or pool.take_lowest()
