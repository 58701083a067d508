"""What a user may say of an endpoint, in the same words for run, attach and tap add.

Each option is here once, with the help that all of them give, and so is what is made of them
together: a wish, which the daemon judges. The flags are in `straight`, which reads those of `run`,
too.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vswitch.cli import complete, straight
from vswitch.network.kinds import DEFAULT_NETWORK_NAME

if TYPE_CHECKING:
    from vswitch.daemon.messages.endpoints import EndpointWish


class Kind(Enum):
    """What carries the frames of an endpoint with a namespace."""

    TAP = "tap"
    VETH = "veth"


class Role(Enum):
    """Whom an endpoint reaches within its network."""

    COMMUNITY = "community"
    ISOLATED = "isolated"
    PROMISCUOUS = "promiscuous"


NetworksOption = Annotated[
    list[str] | None,
    typer.Option(
        *straight.NETWORK.flags,
        help="The network to attach to; said again, a further one. "
        "Or name=NETWORK,ip=..,alias=..,mac-address=..,gw-priority=..",
        metavar="NETWORK",
        show_default=DEFAULT_NETWORK_NAME,
        autocompletion=complete.networks,
    ),
]
NetworkOption = Annotated[
    str,
    typer.Option(
        *straight.NETWORK.flags,
        help="The network to attach to.",
        metavar="NETWORK",
        autocompletion=complete.networks,
    ),
]
NameOption = Annotated[
    str | None,
    typer.Option(
        *straight.NAME.flags, help="The endpoint's name, which others on its network can resolve."
    ),
]
IpOption = Annotated[
    str | None,
    typer.Option(*straight.IP.flags, help="Its IPv4 address; the lowest free one if not said."),
]
MacOption = Annotated[
    str | None, typer.Option(*straight.MAC.flags, help="Its MAC address.", metavar="MAC")
]
AliasOption = Annotated[
    list[str] | None,
    typer.Option(*straight.ALIAS.flags, help="A further name of it.", metavar="NAME"),
]
PublishOption = Annotated[
    list[str] | None,
    typer.Option(
        *straight.PUBLISH.flags, help="Publish a port, as docker run does.", metavar="SPEC"
    ),
]
ExposeOption = Annotated[
    list[str] | None,
    typer.Option(*straight.EXPOSE.flags, help="A port or range that it serves.", metavar="PORT"),
]
PublishAllOption = Annotated[
    bool,
    typer.Option(*straight.PUBLISH_ALL.flags, help="Publish all exposed ports at random ports."),
]
KindOption = Annotated[
    Kind, typer.Option(*straight.KIND.flags, help="What carries its frames out of the namespace.")
]
DnsOption = Annotated[
    list[str] | None,
    typer.Option(
        *straight.DNS.flags,
        help="A name server for it alone, asked from inside: IP, IP:PORT or tls://IP#NAME.",
        metavar="SERVER",
    ),
]
DnsSearchOption = Annotated[
    list[str] | None,
    typer.Option(
        *straight.DNS_SEARCH.flags,
        help="A domain in which it looks for short names; . alone for none.",
        metavar="DOMAIN",
        show_default="the host's",
    ),
]
DnsOptionOption = Annotated[
    list[str] | None,
    typer.Option(
        *straight.DNS_OPTION.flags,
        help="An option of its resolv.conf, beside the host's.",
        metavar="OPTION",
    ),
]
HostnameOption = Annotated[
    str | None,
    typer.Option(*straight.HOSTNAME.flags, help="A hostname of its own.", metavar="NAME"),
]
DomainnameOption = Annotated[
    str | None,
    typer.Option(
        *straight.DOMAINNAME.flags, help="What comes behind its hostname.", metavar="DOMAIN"
    ),
]
LinkOption = Annotated[
    list[str] | None,
    typer.Option(
        *straight.LINK.flags,
        help="An endpoint to be linked to, and what to call it.",
        metavar="NAME[:ALIAS]",
        autocompletion=complete.endpoints,
    ),
]
RoleOption = Annotated[
    Role, typer.Option(*straight.ROLE.flags, help="Whom it reaches within its network (RFC 5517).")
]


def fields(
    network: list[str] | None,
    name: str | None,
    ip: str | None,
    mac: str | None,
    alias: list[str] | None,
    publish: list[str] | None,
    expose: list[str] | None,
    publish_all: bool,
    link: list[str] | None,
    role: Role,
    names: dict[str, Any],
) -> dict[str, Any]:
    """The fields of `messages.endpoints.Wish`."""
    from vswitch.cli import memberships
    from vswitch.policy import PortRole

    return {
        **memberships.fields(network or (), ip, mac, alias or ()),
        "name": name,
        "publish": tuple(publish or ()),
        "expose": tuple(expose or ()),
        "publish_all": publish_all,
        "links": tuple(link or ()),
        "role": PortRole(role.value),
        **names,
    }


def name_fields(
    hostname: str | None,
    domainname: str | None,
    dns: list[str] | None,
    dns_search: list[str] | None,
    dns_option: list[str] | None,
) -> dict[str, Any]:
    """Those of the fields of `messages.endpoints.Wish` that are about names."""
    return {
        "hostname": hostname,
        "domainname": domainname,
        "dns": tuple(dns or ()),
        "dns_search": tuple(dns_search or ()),
        "dns_options": tuple(dns_option or ()),
    }


def wish_of(said: dict[str, Any], kind: Kind) -> EndpointWish:
    """The wish of which `fields` are said."""
    from vswitch.daemon.messages.endpoints import EndpointWish
    from vswitch.network.kinds import EndpointKind

    return EndpointWish(**said, kind=EndpointKind(kind.value))
