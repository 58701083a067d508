"""The /etc/hosts of a command (hosts(5)): what it is called itself, and what `--add-host` says.

As in a container, its hostname and its name are its own address there. Whom a link leads to is not
in it: the resolver knows that, and goes on knowing it when that one has another address.

`vswitch run` loads this, so it imports next to nothing.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from vswitch.cli.problem import Problem

HOST_GATEWAY = "host-gateway"
"""Docker's word for the address by which the host is reached: that of the network's gateway."""

_LOCAL = (
    ("127.0.0.1", "localhost"),
    ("::1", "localhost ip6-localhost ip6-loopback"),
    ("fe00::", "ip6-localnet"),
    ("ff00::", "ip6-mcastprefix"),
    ("ff02::1", "ip6-allnodes"),
    ("ff02::2", "ip6-allrouters"),
)
"""What every container finds."""


class AddedHost(NamedTuple):
    """One `--add-host`."""

    name: str
    address: str
    """`HOST_GATEWAY`, or one of either family."""


class Own(NamedTuple):
    """What a command is called itself."""

    name: str
    """Its endpoint's."""
    hostname: str
    address: str
    """With or without the length of a prefix; empty where it has none."""
    gateway: str
    """Empty where there is none."""


def parse(spec: str) -> AddedHost:
    """What `name:address` or `name=address` says. Raises Problem, in Docker's words."""
    separator = "=" if "=" in spec else ":"
    name, found, address = spec.partition(separator)
    if not found or not name or ":" in name or any(char.isspace() for char in name):
        raise Problem(f'bad format for add-host: "{spec}"')
    if address.startswith("[") and address.endswith("]"):
        address = address[1:-1]
    if address != HOST_GATEWAY and not _is_address(address):
        raise Problem(f'invalid IP address in add-host: "{address}"')
    return AddedHost(name, address)


def in_full(hostname: str, domainname: str | None) -> str:
    """A hostname with what comes behind it, where it has no domain of its own."""
    return hostname if domainname is None or "." in hostname else f"{hostname}.{domainname}"


def render(own: Own, added: Sequence[AddedHost]) -> str:
    """The file of one command. Raises Problem where a gateway is asked for and there is none."""
    lines = [*_LOCAL, *_added(own, added)]
    if own.address:
        names = dict.fromkeys((own.hostname, own.hostname.partition(".")[0], own.name))
        lines.append((own.address.partition("/")[0], " ".join(names)))
    return "".join(f"{address}\t{names}\n" for address, names in lines)


def _added(own: Own, added: Sequence[AddedHost]) -> Iterator[tuple[str, str]]:
    for name, address in added:
        if address != HOST_GATEWAY:
            yield address, name
        elif own.gateway:
            yield own.gateway, name
        else:
            raise Problem(f"{HOST_GATEWAY}: endpoint {own.name} has no gateway")


def _is_address(text: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, text)
        except (OSError, ValueError):
            continue
        return True
    return False
