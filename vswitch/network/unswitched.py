"""Docker's two networks that the switch takes no part in: `host` and `none`.

A command on `host` uses the host's own network, one on `none` has nothing but its loopback. Both
are known by name, like endpoints, and hold nothing else of the switch's.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from vswitch.network.errors import NetworkError

if TYPE_CHECKING:
    from vswitch.network.model import EndpointRequest


class Unswitched(Enum):
    """A network that is none of the switch's."""

    HOST = "host"
    NONE = "none"

    @classmethod
    def called(cls, name: str) -> Unswitched | None:
        """The one of that name, None for any other network."""
        return next((each for each in cls if each.value == name), None)


def stays_alone(network: Unswitched) -> NetworkError:
    """Why what is on one of these is on no other network, in Docker's words."""
    if network is Unswitched.HOST:
        return NetworkError(
            "container sharing network namespace with another container or host"
            " cannot be connected to any other network"
        )
    return NetworkError(
        "container cannot be connected to multiple networks"
        " with one of the networks in private (none) mode"
    )


def require_of_ours(*names: str) -> None:
    """Refuse a network of another kind beside those of the switch.

    Raises:
        NetworkError: in Docker's words.
    """
    for name in names:
        beside = Unswitched.called(name)
        if beside is not None:
            raise stays_alone(beside)


def no_links_on(network: Unswitched) -> NetworkError:
    """What Docker says of links from and to network `host`."""
    words = f"{network.value} type networking can't be used with links"
    return NetworkError(f"conflicting options: {words}. This would result in undefined behavior")


def require_nothing_of_ours(request: EndpointRequest) -> None:
    """Refuse what only a network of the switch can give, in Docker's words.

    Published ports are no mistake: Docker passes over them there.

    Raises:
        NetworkError: the first such thing.
    """
    if request.also:
        raise stays_alone(Unswitched(request.network))
    if request.address is not None:
        raise NetworkError(
            "user-specified IP address is supported on user-defined networks only",
            key=("address",),
        )
    if request.aliases:
        raise NetworkError(
            "network-scoped aliases are only supported for user-defined networks",
            key=("aliases",),
        )
    if request.mac is not None:
        raise NetworkError("conflicting options: mac-address and the network mode", key=("mac",))
    if request.links:
        raise no_links_on(Unswitched(request.network)).at("links")
    if request.role.value != "community":
        raise NetworkError("conflicting options: role and the network mode", key=("role",))
    for key, said in (
        ("dns", request.dns),
        ("dns_search", request.dns_search),
        ("dns_options", request.dns_options),
    ):
        if said:
            words = f"conflicting options: {key.replace('_', '-')} and the network mode"
            hint = f"on network {request.network} the host's own resolv.conf holds"
            raise NetworkError(words, hint=hint, key=(key,))
