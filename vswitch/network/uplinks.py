"""Whether uplinks can exist together, and what an address of theirs may be used for.

Theory of operation. `check` looks at uplinks as they were written, one after the other: each must
make sense by itself, and must not be in the way of an earlier one. Two uplinks never share an
interface, a MAC address or a part of their subnets, as then nobody could say by which of them a
frame came or has to leave.

What an uplink learns when it runs is not known here. `overlapping` of `networks` and
`Inventory.learn_address` are for whoever learns it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from vswitch.network.errors import NetworkError, Refusal
from vswitch.network.ipam import is_usable
from vswitch.network.model import DEFAULT_UPLINK, LearntAddress, Network, Uplink, UplinkDevice
from vswitch.network.names import did_you_mean, require_name
from vswitch.wire.values import IpAddress


def check(uplinks: Sequence[Uplink], *, default: Network | None) -> list[Refusal]:
    """Everything that speaks against `uplinks`, whose names differ.

    Args:
        uplinks: in the order of the file, the default one first where there is one.
        default: the predefined default network, where it exists beside them.
    """
    refusals: list[Refusal] = []
    for number, uplink in enumerate(uplinks):
        errors = [
            *_name(uplink),
            *_kind(uplink),
            *_addresses(uplink),
            *_default_network(uplink, default),
            *_earlier(uplink, uplinks[:number]),
        ]
        refusals += [Refusal(uplink.name, error) for error in errors]
    return refusals


def find(name: str | None, uplinks: Iterable[Uplink]) -> Uplink | None:
    """The uplink called `name`, for None the default one; None where the switch has no uplink.

    Raises:
        NetworkError: there is none called so.
    """
    by_name = {uplink.name: uplink for uplink in uplinks}
    if name is None:
        return by_name.get(DEFAULT_UPLINK)
    if name not in by_name:
        there_is = f"there is {', '.join(by_name)}" if by_name else "the switch has no uplink"
        raise NetworkError(f"uplink {name} not found", hint=did_you_mean(name, by_name) or there_is)
    return by_name[name]


def require_address(address: IpAddress, uplink: Uplink | None) -> None:
    """Refuse an `address` that `uplink` does not have from the configuration.

    Raises:
        NetworkError: in Docker's words, with what it has.
    """
    if uplink is not None and address in uplink.addresses:
        return
    if uplink is None:
        hint = "the switch has no uplink"
    elif isinstance(uplink.address, LearntAddress):
        hint = f'{uplink} has no addresses but what "{uplink.address}" stands for'
    else:
        hint = f"{uplink} has {', '.join(map(str, uplink.addresses))}"
    raise NetworkError("cannot assign requested address", hint=hint)


def _name(uplink: Uplink) -> Iterator[NetworkError]:
    try:
        require_name("uplink", uplink.name)
    except NetworkError as error:
        yield error


def _kind(uplink: Uplink) -> Iterator[NetworkError]:
    """What an address that is learnt does not go with."""
    if not isinstance(uplink.address, LearntAddress):
        return
    what = f'not allowed with address = "{uplink.address}"'
    if uplink.also:
        yield NetworkError(f"{what}: further addresses go with one of the switch's own", key=_ALSO)
    if uplink.address is LearntAddress.HOST and uplink.mac is not None:
        yield NetworkError(f"{what}: the MAC address is the interface's", key=("mac",))
    if uplink.address is LearntAddress.HOST and uplink.device is UplinkDevice.MACVTAP:
        yield NetworkError(f"{what}: a macvtap has a MAC address of its own", key=("device",))


_ALSO = ("addresses",)


def _addresses(uplink: Uplink) -> Iterator[NetworkError]:
    if isinstance(uplink.address, LearntAddress):
        return
    own, subnet, gateway = uplink.address.address, uplink.address.network, uplink.gateway
    host = f"allowed is the address of another host in {subnet}"
    if gateway == own:
        words = f"that is the switch's own address, {_table(uplink)}.address"
        yield NetworkError(words, key=("gateway",))
    elif gateway is not None and not is_usable(subnet, gateway):
        yield NetworkError(host, key=("gateway",))
    for number, address in enumerate(uplink.also):
        if address in (own, *uplink.also[:number]):
            words = "that is an address of the switch's already"
        elif address == gateway:
            words = f"that is the gateway's address, {_table(uplink)}.gateway"
        elif not is_usable(subnet, address):
            words = f"allowed is an address that a host in {subnet} may have"
        else:
            continue
        yield NetworkError(words, key=(*_ALSO, number))


def _default_network(uplink: Uplink, default: Network | None) -> Iterator[NetworkError]:
    """RFC 4787, REQ-7, for the one network that nobody wrote down."""
    if default is None or uplink.subnet is None:
        return
    subnet, name = default.subnet, default.name
    if uplink.subnet.overlaps(subnet):
        words = f"overlaps {subnet} of network {name}, which [networks.{name}] can move"
        yield NetworkError(words, key=("address",))


def _earlier(uplink: Uplink, others: Sequence[Uplink]) -> Iterator[NetworkError]:
    for other in others:
        if uplink.interface == other.interface:
            words = f"that is the interface of {other} already"
            yield NetworkError(words, key=("interface",))
        if uplink.mac is not None and uplink.mac == other.mac:
            message = f"MAC address {uplink.mac} already in use"
            yield NetworkError(message, hint=f"by {other}", key=("mac",))
        mine, theirs = uplink.subnet, other.subnet
        if mine is not None and theirs is not None and mine.overlaps(theirs):
            yield NetworkError(f"overlaps {theirs} of {other}", key=("address",))


def _table(uplink: Uplink) -> str:
    """The table that the uplink is written in."""
    return "uplink" if uplink.name == DEFAULT_UPLINK else f"uplinks.{uplink.name}"
