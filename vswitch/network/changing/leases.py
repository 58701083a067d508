"""What the `dhcp` of a network says, key by key, for whoever compares two configurations.

All of it is changed in place (`difference`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from vswitch.leasing import MACHINES_ALONE, Boot, Leasing, Reservation
from vswitch.network.changing import wording
from vswitch.network.changing.wording import Said
from vswitch.network.model import Network
from vswitch.wire.values import IpAddress, IpNetwork


def _on(said: Callable[[Leasing], Said]) -> Callable[[Network], Said]:
    """A network that leases nothing says nothing of how."""
    return lambda network: said(network.leasing or MACHINES_ALONE)


def _whom(network: Network) -> Said:
    if network.leasing is None:
        return ("false",)
    return ("true",) if network.leasing.takes_guests else ()


def _reservation(value: Reservation) -> str:
    return f"{value.station} = {value.address}"


def _route(value: tuple[IpNetwork, IpAddress]) -> str:
    destination, router = value
    return f"{destination} = {router}"


def _boot(value: Boot | None) -> Said:
    return () if value is None else (f"{value.file} from {value.server}",)


OF_NETWORK: Mapping[str, Callable[[Network], Said]] = {
    "dhcp": _whom,
    "dhcp.range": _on(lambda leasing: wording.text(leasing.leased)),
    "dhcp.lease_time": _on(lambda leasing: wording.field("lease_time", leasing.lease_time)),
    "dhcp.reservations": _on(lambda leasing: tuple(map(_reservation, leasing.reservations))),
    "dhcp.domain": _on(lambda leasing: wording.text(leasing.domain)),
    "dhcp.search": _on(lambda leasing: wording.texts(leasing.search)),
    "dhcp.routes": _on(lambda leasing: tuple(map(_route, leasing.routes))),
    "dhcp.boot": _on(lambda leasing: _boot(leasing.boot)),
    "dhcp.ntp": _on(lambda leasing: wording.texts(leasing.ntp)),
}
