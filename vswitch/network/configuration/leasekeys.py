"""From the keys of `[networks.NAME.dhcp]` to a network's `Leasing`, and what they must agree on.

Theory of operation. A network without the table serves virtual machines alone: those are endpoints
with an address that nothing but DHCP can tell them. One with it leases to every station.
`leasing` makes the value, `disagreements` judges it beside the network's addresses when these are
known: what is leased has to be the network's to give, and nobody's already.
"""

from __future__ import annotations

from collections.abc import Iterator

from vswitch.leasing import MACHINES_ALONE, Boot, Leasing, Reservation
from vswitch.network import ipam, names, networks
from vswitch.network.configuration import fields
from vswitch.network.configuration.fields import NotAllowedError
from vswitch.network.configuration.leaseschema import DhcpTable
from vswitch.network.configuration.mistakes import Mistake
from vswitch.network.model import Network
from vswitch.policy import GatewayMode
from vswitch.wire.values import IpNetwork, MacAddress

_STATION = 'a MAC address, like "52:54:00:12:34:56", or a hostname, like "printer"'


def leasing(table: DhcpTable | None) -> Leasing | None:
    """What the keys say, as far as they can be understood."""
    if table is None:
        return MACHINES_ALONE
    if not table.enabled:
        return None
    reserved = ((_station(text), address) for text, address in table.reservations.items())
    routes = ((_destination(text), router) for text, router in table.routes.items())
    return Leasing(
        lease_time=table.lease_time,
        leased=table.range,
        reservations=tuple(Reservation(one, at) for one, at in reserved if one is not None),
        domain=table.domain,
        search=tuple(table.search),
        routes=tuple((subnet, router) for subnet, router in routes if subnet is not None),
        boot=None if table.boot is None else Boot(table.boot.server, table.boot.file),
        ntp=tuple(table.ntp),
    )


def disagreements(network: Network, table: DhcpTable | None) -> Iterator[Mistake]:
    """What the table of a network says that is nothing there."""
    if table is None or not table.enabled:
        return
    at = ("networks", network.name, "dhcp")
    if network.policy.gateway_mode is GatewayMode.ISOLATED:
        words = "allowed with a gateway, which leases, and in gateway mode 'isolated' there is none"
        yield Mistake(at, words)
    subnet = network.subnet
    if table.range is not None and not _is_part(table.range, subnet):
        yield Mistake((*at, "range"), f"allowed is a part of the network's subnet, {subnet}")
    elif table.range is not None and not networks.count_addresses(network, table.range):
        yield Mistake((*at, "range"), "allowed is a part with an address that is nobody's")
    yield from _of_reservations(network, table)
    for text, router in table.routes.items():
        if _destination(text) is None:
            words = 'the key is a destination: allowed is an IPv4 subnet, like "10.0.0.0/8"'
            yield Mistake((*at, "routes", text), words, quotes_value=False)
        elif router not in subnet:
            words = f"allowed is an address in the network's subnet, {subnet}"
            yield Mistake((*at, "routes", text), words)


def _of_reservations(network: Network, table: DhcpTable) -> Iterator[Mistake]:
    stations: dict[MacAddress | str, str] = {}
    whose = {each.address: f"of {each.name}, in aux_addresses" for each in network.auxiliary}
    whose[network.gateway] = "of the gateway"
    for text, address in table.reservations.items():
        path = ("networks", network.name, "dhcp", "reservations", text)
        station = _station(text)
        if station is None:
            words = f"the key is a station: allowed is {_STATION}"
            yield Mistake(path, words, quotes_value=False)
        elif station in stations:
            words = f"the station has an address already, as {stations[station]}"
            yield Mistake(path, words, quotes_value=False)
        else:
            stations[station] = text
        if not ipam.is_usable(network.subnet, address):
            words = f"allowed is an address that {network.subnet}, the network's subnet, can give"
            yield Mistake(path, words)
        elif address in whose:
            yield Mistake(path, f"allowed is another address: it is that {whose[address]}")
        whose.setdefault(address, f"of {text}, in reservations")


def _station(text: str) -> MacAddress | str | None:
    """Whom a key stands for, None where for nobody. Hostnames are the same in any case."""
    try:
        return fields.mac(text) if text != "auto" else text
    except NotAllowedError:
        return text.casefold() if names.is_name(text) else None


def _destination(text: str) -> IpNetwork | None:
    try:
        return fields.destinations(text)
    except NotAllowedError:
        return None


def _is_part(part: IpNetwork, of: IpNetwork) -> bool:
    return part.prefix_length >= of.prefix_length and part.overlaps(of)
