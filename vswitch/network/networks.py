"""From network requests to networks: subnets that do not overlap, and gateways inside them.

Theory of operation. Subnets that were chosen by hand are placed first, in the order in which they
were written; one that overlaps an earlier one is refused. Then every request without a subnet gets
one of the predefined pools, clear of everything that is placed. A gateway that nobody chose is the
lowest address of its subnet.

The subnet of an uplink counts as placed: an address that exists both inside and outside could not
be told apart (RFC 4787, REQ-7). The default network counts as placed too, where it is wanted. A
subnet that an uplink learns when the switch runs comes too late for that: `overlapping` says with
which networks it can not exist.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from vswitch.network import ipam, uplinks
from vswitch.network.errors import NetworkError, Refusal
from vswitch.network.model import (
    DEFAULT_NETWORK,
    DEFAULT_UPLINK,
    Network,
    NetworkRequest,
    Uplink,
)
from vswitch.network.names import require_name
from vswitch.wire.values import IpAddress, IpNetwork, MacAddress


@dataclass(frozen=True, slots=True)
class Resolved:
    """The networks that can exist together, and why the others cannot."""

    networks: tuple[Network, ...]
    refusals: tuple[Refusal, ...]


def resolve(
    requests: Sequence[NetworkRequest],
    *,
    outside: Sequence[Uplink],
    with_default: bool,
    keep_clear: Iterable[IpAddress] = (),
) -> Resolved:
    """Turn requests into networks.

    Args:
        requests: with names that differ.
        outside: the uplinks, whose subnets no network may overlap.
        with_default: whether the predefined default network exists beside them.
        keep_clear: addresses that a subnet chosen here must not contain (name servers, say).
    """
    placed = _Placed()
    refusals: list[Refusal] = []
    macs: dict[MacAddress, str] = {}
    for uplink in outside:
        if uplink.mac is not None:
            macs[uplink.mac] = f"by {uplink}"
        if uplink.subnet is not None:
            placed.add(uplink.subnet, f"of {uplink}")
    if with_default:
        name = DEFAULT_NETWORK.name
        placed.add(DEFAULT_NETWORK.subnet, f"of network {name}, which [networks.{name}] can move")
    resolved: dict[str, Network] = {}
    for request in sorted(requests, key=lambda request: request.subnet is None):
        try:
            require_name("network", request.name)
        except NetworkError as error:
            refusals.append(Refusal(request.name, error))
        try:
            _claim_mac(request, macs)
        except NetworkError as error:
            refusals.append(Refusal(request.name, error))
        try:
            _check_way_out(request, outside)
        except NetworkError as error:
            refusals.append(Refusal(request.name, error))
        try:
            subnet = _subnet(request, placed, keep_clear)
            gateway = _gateway(request, subnet)
        except NetworkError as error:
            refusals.append(Refusal(request.name, error))
        else:
            resolved[request.name] = Network(
                request.name,
                subnet,
                gateway,
                request.mtu,
                mac=request.mac,
                uplink=request.uplink or DEFAULT_UPLINK,
                translation=request.translation,
            )
    refused = {refusal.name for refusal in refusals}
    networks = [resolved[request.name] for request in requests if request.name not in refused]
    if with_default:
        networks.insert(0, DEFAULT_NETWORK)
    return Resolved(tuple(networks), tuple(refusals))


def overlapping(subnet: IpNetwork, networks: Iterable[Network]) -> tuple[str, ...]:
    """The networks that can not exist beside an outside `subnet` (RFC 4787, REQ-7), in words."""
    return tuple(
        f"{network.subnet} of network {network.name}"
        for network in networks
        if network.subnet.overlaps(subnet)
    )


@dataclass(slots=True)
class _Placed:
    """Subnets that are spoken for, each with the words that say by whom."""

    subnets: list[tuple[IpNetwork, str]] = field(default_factory=list)

    def add(self, subnet: IpNetwork, whose: str) -> None:
        self.subnets.append((subnet, whose))

    def in_the_way_of(self, subnet: IpNetwork) -> str | None:
        """The first overlapping subnet in words, or None where the place is free."""
        for other, whose in self.subnets:
            if other.overlaps(subnet):
                return f"{other} {whose}"
        return None


def _claim_mac(request: NetworkRequest, macs: dict[MacAddress, str]) -> None:
    if request.mac is None:
        return
    if request.mac in macs:
        message = f"MAC address {request.mac} already in use"
        raise NetworkError(message, hint=macs[request.mac], key=("mac",))
    macs[request.mac] = f"by the gateway of network {request.name}"


def _check_way_out(request: NetworkRequest, outside: Sequence[Uplink]) -> None:
    try:
        uplink = uplinks.find(request.uplink, outside)
    except NetworkError as error:
        raise error.at("uplink") from None
    try:
        if request.translation.external is not None:
            uplinks.require_address(request.translation.external, uplink)
    except NetworkError as error:
        raise error.at("external") from None


def _subnet(request: NetworkRequest, placed: _Placed, keep_clear: Iterable[IpAddress]) -> IpNetwork:
    subnet = request.subnet
    if subnet is None:
        hosts = [IpNetwork(address, len(address) * 8) for address in keep_clear]
        subnet = ipam.choose_subnet([*(other for other, _ in placed.subnets), *hosts])
    else:
        obstacle = placed.in_the_way_of(subnet)
        if obstacle is not None:
            raise NetworkError(
                "invalid pool request: Pool overlaps with other one on this address space",
                hint=obstacle,
                key=("subnet",),
            )
    placed.add(subnet, f"of network {request.name}")
    return subnet


def _gateway(request: NetworkRequest, subnet: IpNetwork) -> IpAddress:
    pool = ipam.AddressPool(subnet)
    gateway = request.gateway
    if gateway is None:
        return pool.take_lowest()
    if gateway not in subnet:
        raise NetworkError(
            f"invalid gateway {gateway}: parent subnet {subnet} doesn't contain this address",
            key=("gateway",),
        )
    try:
        pool.take(gateway)
    except NetworkError as error:
        raise error.at("gateway") from None
    return gateway
