"""What `--opt KEY=VALUE` says about a network: Docker's driver options, and some of ours.

Theory of operation. An option that the switch honours becomes a part of the network. One that
Docker knows and the switch does not honour yet is accepted where it says what the switch does
anyway, and refused otherwise: nobody shall believe in an isolation that is not there. What neither
knows is kept for `inspect`, and told as a warning, since it may be a slip of the pen.

Read first: Docker's "Bridge network driver", Options.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple, TypeVar

from vswitch.leasing import MACHINES_ALONE, Leasing
from vswitch.naming import NetworkNames, Server
from vswitch.network import namewords
from vswitch.network.configuration.fields import LARGEST_MTU, SMALLEST_MTU
from vswitch.network.errors import InvalidRequestError
from vswitch.network.model import DEFAULT_MTU, DEFAULT_NAMES, DEFAULT_POLICY
from vswitch.network.names import did_you_mean
from vswitch.policy import GatewayMode
from vswitch.wire.values import IpAddress

Value = TypeVar("Value")

_BRIDGE = "com.docker.network.bridge."

MTU = "com.docker.network.driver.mtu"
EXTERNAL = "com.docker.network.host_ipv4"
ENABLE_ICC = f"{_BRIDGE}enable_icc"
GATEWAY_MODE = f"{_BRIDGE}gateway_mode_ipv4"
BRIDGE_NAME = f"{_BRIDGE}name"
HOST = "vswitch.host"
"""Ours alone: whether the host itself is on the network."""
DNS = "vswitch.dns"
DNS_AT_GATEWAY = "vswitch.dns_at_gateway"
ALLOW = "vswitch.allow"
"""Ours alone: name servers, whether the gateway is one, and names, as `[networks.NAME.dns]` has
them. Lists have commas in between."""
DHCP = "vswitch.dhcp"
"""Ours alone: whether the network leases addresses to all stations, or to none."""
ENABLE_IPV4 = "com.docker.network.enable_ipv4"


class Understood(NamedTuple):
    """What the options of a network say."""

    mtu: int
    external: IpAddress | None
    """The address that its connections have outside."""
    icc: bool
    gateway_mode: GatewayMode
    host: bool
    names: NetworkNames
    leasing: Leasing | None
    warnings: tuple[str, ...]


class _Fixed(NamedTuple):
    """An option that has but one value yet, which `read` makes of a text."""

    read: Callable[[str], object]
    value: object
    written: str


def understand(options: Mapping[str, str]) -> Understood:
    """Read the options of one network.

    Raises:
        InvalidRequestError: the first that is not allowed, in Docker's words.
    """
    mtu, external, host, warnings = DEFAULT_MTU, None, False, []
    names = DEFAULT_NAMES
    icc, mode = DEFAULT_POLICY.icc, DEFAULT_POLICY.gateway_mode
    leasing: Leasing | None = MACHINES_ALONE
    for key, text in options.items():
        if key == MTU:
            mtu = _mtu(text)
        elif key == EXTERNAL:
            external = _read(key, text, _address)
        elif key == ENABLE_ICC:
            icc = _read(key, text, _flag)
        elif key == GATEWAY_MODE:
            mode = _read(key, text, _mode)
        elif key == HOST:
            host = _read(key, text, _flag)
        elif key == DNS:
            names = replace(names, servers=_read(key, text, _servers))
        elif key == DNS_AT_GATEWAY:
            names = replace(names, at_gateway=_read(key, text, _flag))
        elif key == ALLOW:
            names = replace(names, allowed=_read(key, text, _patterns))
        elif key == DHCP:
            leasing = Leasing() if _read(key, text, _flag) else None
        elif key == BRIDGE_NAME:
            warnings.append(f"option {key} has no effect: the switch makes no bridge")
        elif key in _FIXED:
            _require(key, text, _FIXED[key])
        else:
            hint = did_you_mean(key, KNOWN)
            warnings.append(f"option {key} is unknown{f': {hint}' if hint else ''}")
    return Understood(mtu, external, icc, mode, host, names, leasing, tuple(warnings))


def _mtu(text: str) -> int:
    number = _read(MTU, text, _number)
    if number == 0:
        return DEFAULT_MTU
    if not SMALLEST_MTU <= number <= LARGEST_MTU:
        hint = "" if number < 0 else f"allowed is {SMALLEST_MTU} to {LARGEST_MTU}"
        raise InvalidRequestError(f"invalid MTU number: {number}", hint=hint)
    return number


def _require(key: str, text: str, only: _Fixed) -> None:
    if _read(key, text, only.read) == only.value:
        return
    if key == ENABLE_IPV4:
        raise InvalidRequestError("IPv4 or IPv6 must be enabled")
    words = f"option {key}={text} is not supported yet: allowed is {only.written}"
    raise InvalidRequestError(words)


def _read(key: str, text: str, read: Callable[[str], Value]) -> Value:
    try:
        return read(text)
    except _UnknownModeError as error:
        raise InvalidRequestError(str(error)) from None
    except ValueError as error:
        raise InvalidRequestError(f"failed to parse {key} value: {text} ({error})") from None


# What the texts stand for. Where they stand for nothing, the reasons are those that Docker gives.


class _UnknownModeError(ValueError):
    pass


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f'strconv.Atoi: parsing "{text}": invalid syntax') from None


def _flag(text: str) -> bool:
    if text in ("1", "t", "T", "TRUE", "true", "True"):
        return True
    if text in ("0", "f", "F", "FALSE", "false", "False"):
        return False
    raise ValueError(f'strconv.ParseBool: parsing "{text}": invalid syntax')


def _mode(text: str) -> GatewayMode:
    try:
        return GatewayMode(text)
    except ValueError:
        raise _UnknownModeError(f"unknown gateway mode {text}") from None


def _address(text: str) -> IpAddress:
    return IpAddress.parse(text)


def _servers(text: str) -> tuple[Server, ...]:
    return tuple(namewords.server(each.strip()) for each in text.split(","))


def _patterns(text: str) -> tuple[str, ...]:
    """None at all where nothing is said: then nothing is allowed."""
    return tuple(namewords.pattern(each.strip()) for each in text.split(",")) if text else ()


_ON, _OFF = _Fixed(_flag, True, "true"), _Fixed(_flag, False, "false")

_FIXED = {
    f"{_BRIDGE}enable_ip_masquerade": _ON,
    f"{_BRIDGE}host_binding_ipv4": _Fixed(_address, IpAddress(bytes(4)), "0.0.0.0"),
    f"{_BRIDGE}gateway_mode_ipv6": _Fixed(_mode, GatewayMode.NAT, "nat"),
    f"{_BRIDGE}inhibit_ipv4": _OFF,
    f"{_BRIDGE}default_bridge": _OFF,
    f"{_BRIDGE}trusted_host_interfaces": _Fixed(str, "", "none"),
    "com.docker.network.container_iface_prefix": _Fixed(str, "eth", "eth"),
    ENABLE_IPV4: _ON,
    "com.docker.network.enable_ipv6": _OFF,
}

KNOWN = (
    *(MTU, EXTERNAL, ENABLE_ICC, GATEWAY_MODE, HOST, DNS, DNS_AT_GATEWAY, ALLOW, DHCP, BRIDGE_NAME),
    *_FIXED,
)
"""All that have a meaning."""
