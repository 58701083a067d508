"""What a user says about the addresses of one network, and whether it makes sense by itself.

Theory of operation. Subnet, range, gateway and auxiliary addresses come as text. `parse` tells
everything that is wrong with them at once, in Docker's words and in one line, and `disagreements`
is the part of that for values that something else has parsed. Whether the addresses are free is
for `networks` to say, which knows what there is.

Read first: `docker network create --help`; Docker's errors are those of its API's network type.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple, TypeVar

from vswitch.network.configuration import fields
from vswitch.network.configuration.fields import NotAllowedError
from vswitch.network.errors import InvalidRequestError, NetworkError
from vswitch.network.model import DEFAULT_ROUTE, AuxiliaryAddress, NetworkRequest
from vswitch.wire.values import IpAddress, IpInterface, IpNetwork

T = TypeVar("T")


class Addressing(NamedTuple):
    """What was said; what was not is None."""

    subnet: IpNetwork | None
    gateway: IpAddress | None
    ip_range: IpNetwork | None
    auxiliary: tuple[AuxiliaryAddress, ...]


def parse(
    subnet: str | None,
    gateway: str | None,
    ip_range: str | None,
    auxiliary: Mapping[str, str],
) -> Addressing:
    """Read what a user wrote.

    Raises:
        InvalidRequestError: with every mistake in it.
    """
    if subnet is None:
        _require_nothing_else(gateway, ip_range, auxiliary)
    mistakes: list[NetworkError] = []

    def read(what: str, text: str | None, parser: Callable[[str], T]) -> T | None:
        try:
            return None if text is None else parser(text)
        except NetworkError as error:
            mistakes.append(NetworkError(f"invalid {what} {text}: {error}"))
            return None

    said = Addressing(
        read("subnet", subnet, _subnet),
        read("gateway", gateway, _address),
        read("ip-range", ip_range, _block),
        tuple(
            AuxiliaryAddress(name, address)
            for name, text in auxiliary.items()
            if (address := read("auxiliary address", text, _address)) is not None
        ),
    )
    mistakes += _not_the_lowest("subnet", subnet, said.subnet)
    mistakes += _not_the_lowest("ip-range", ip_range, said.ip_range)
    if said.subnet is not None:
        mistakes += disagreements(said.subnet, said.gateway, said.ip_range, said.auxiliary)
    refuse(mistakes)
    return said


def check(request: NetworkRequest, subnet: IpNetwork) -> None:
    """Refuse what does not fit into `subnet`, whoever chose that.

    Raises:
        InvalidRequestError: with every mistake in it.
    """
    refuse(disagreements(subnet, request.gateway, request.ip_range, request.auxiliary))


def disagreements(
    subnet: IpNetwork,
    gateway: IpAddress | None,
    ip_range: IpNetwork | None,
    auxiliary: Iterable[AuxiliaryAddress],
) -> Iterator[NetworkError]:
    """What does not fit into the subnet, each blamed on its part of a request."""
    if ip_range is not None:
        yield from _range_mistakes(subnet, ip_range)
    if gateway is not None and gateway not in subnet:
        words = f"invalid gateway {gateway}: {_not_in(subnet)}"
        yield NetworkError(words, key=("gateway",))
    for each in auxiliary:
        if each.address not in subnet:
            yield NetworkError(_foreign(each, subnet), key=("aux_addresses", each.name))


def refuse(mistakes: Iterable[NetworkError]) -> None:
    """Raise InvalidRequestError with all of them, as Docker joins them, where there are any."""
    words = "; ".join(mistake.explained for mistake in mistakes)
    if words:
        raise InvalidRequestError(f"invalid network config: {words}")


def _range_mistakes(subnet: IpNetwork, ip_range: IpNetwork) -> Iterator[NetworkError]:
    key = ("ip_range",)
    if ip_range.prefix_length < subnet.prefix_length:
        words = f"CIDR block is bigger than its parent subnet {subnet}"
        yield NetworkError(f"invalid ip-range {ip_range}: {words}", key=key)
    if not ip_range.overlaps(subnet):
        words = f"parent subnet {subnet} doesn't contain ip-range"
        yield NetworkError(f"invalid ip-range {ip_range}: {words}", key=key)


def _not_in(subnet: IpNetwork) -> str:
    return f"parent subnet {subnet} doesn't contain this address"


def _foreign(auxiliary: AuxiliaryAddress, subnet: IpNetwork) -> str:
    if auxiliary.name == DEFAULT_ROUTE:
        return "default gateway ip must be part of the network"
    return f"auxiliary address: ({auxiliary}) must belong to the master pool: {subnet}"


def _not_the_lowest(what: str, text: str | None, block: IpNetwork | None) -> Iterator[NetworkError]:
    """A block is written with its lowest address; what was meant is clear all the same."""
    if block is not None and text != str(block):
        yield NetworkError(f"invalid {what} {text}: it should be {block}")


def _require_nothing_else(
    gateway: str | None, ip_range: str | None, auxiliary: Mapping[str, str]
) -> None:
    if gateway is not None or ip_range is not None:
        raise InvalidRequestError("every ip-range or gateway must have a corresponding subnet")
    for address in auxiliary.values():
        raise InvalidRequestError(f"no matching subnet for aux-address {address}")


# What a text may be; the reason against it where it is not


def _subnet(text: str) -> IpNetwork:
    subnet = _block(text)
    try:
        return fields.home_subnet(str(subnet))
    except NotAllowedError as error:
        raise NetworkError(str(error)) from None


def _block(text: str) -> IpNetwork:
    try:
        written = IpInterface.parse(text)
    except ValueError:
        raise NetworkError("invalid CIDR block notation") from None
    if written.address.version != 4:
        raise NetworkError("IPv6 is not supported yet: allowed is an IPv4 subnet")
    return written.network


def _address(text: str) -> IpAddress:
    try:
        address = IpAddress.parse(text)
    except ValueError:
        raise NetworkError("invalid address") from None
    if address.version != 4:
        raise NetworkError("parent subnet is an IPv4 block")
    return address
