"""The networks that an endpoint is to be on, as `--network` says them, once or several times.

Each is a name, or in Docker's longer spelling `name=NETWORK[,ip=..][,alias=..][,mac-address=..]
[,gw-priority=..]` (docker run --help, --network). The first is the endpoint's eth0; what `--ip`,
`--mac-address` and `--network-alias` say is of that one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vswitch.cli.problem import Problem
from vswitch.daemon.messages.endpoints import MembershipBody
from vswitch.network.kinds import DEFAULT_NETWORK_NAME

_ALLOWED = "name, alias, ip, mac-address, gw-priority"


def fields(
    networks: Sequence[str], address: str | None, mac: str | None, aliases: Sequence[str]
) -> dict[str, Any]:
    """The fields of a `messages.endpoints.Wish` that are about its networks. Raises Problem."""
    first, *also = [parse(each) for each in networks or (DEFAULT_NETWORK_NAME,)]
    twice = (("ip", address, first.address), ("mac-address", mac, first.mac))
    for option, said, elsewhere in twice:
        if said is not None and elsewhere is not None:
            words = f"cannot specify both --{option} and --network {option}="
            raise Problem(f"conflicting options: {words}")
    return {
        "network": first.network,
        "address": address or first.address,
        "mac": mac or first.mac,
        "aliases": (*first.aliases, *aliases),
        "gateway_priority": first.gateway_priority,
        "also": tuple(also),
    }


def parse(text: str) -> MembershipBody:
    """One network in either spelling. Raises Problem."""
    if "=" not in text:
        return MembershipBody(network=text)
    said: dict[str, Any] = {}
    aliases: list[str] = []
    for word in text.split(","):
        key, equals, value = word.strip().partition("=")
        match key.lower() if equals else "":
            case "name":
                said["network"] = value
            case "alias":
                aliases.append(value)
            case "ip":
                said["address"] = value
            case "mac-address":
                said["mac"] = value
            case "gw-priority":
                said["gateway_priority"] = _priority(value)
            case _:
                raise Problem(f"invalid field {word} in --network {text}: allowed is {_ALLOWED}")
    if "network" not in said:
        raise Problem(f"network name is missing in --network {text}: allowed is name=NETWORK")
    return MembershipBody(**said, aliases=tuple(aliases))


def _priority(text: str) -> int:
    """A gateway priority. Raises Problem."""
    try:
        return int(text)
    except ValueError:
        raise Problem(f"invalid gw-priority ({text}): allowed is a whole number") from None
