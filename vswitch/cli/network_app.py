"""The words of `vswitch network`: names, options and help. What they do is in `networks`."""

from __future__ import annotations

from typing import Annotated

import typer

from vswitch.cli import complete
from vswitch.cli.options import JsonOption, SwitchOption

network_app = typer.Typer(
    help="""Networks that come and go while the switch runs, as `docker network` knows them.

    Example:  [bold]vswitch network create --subnet 172.28.0.0/16 front[/bold]
    """,
    no_args_is_help=True,
    rich_markup_mode="rich",
)

_Networks = Annotated[
    list[str],
    typer.Argument(
        help="A name, an id, or how an id begins.",
        metavar="NETWORK...",
        autocompletion=complete.networks,
    ),
]


@network_app.command()
def create(
    name: Annotated[str, typer.Argument(help="What it is to be called.", metavar="NAME")],
    subnet: Annotated[
        list[str] | None,
        typer.Option(
            help="Its addresses; 0.0.0.0/N for any subnet of that size.",
            metavar="SUBNET",
            show_default="one that nothing else has",
        ),
    ] = None,
    gateway: Annotated[
        list[str] | None,
        typer.Option(
            help="The switch's own address in it.",
            metavar="ADDRESS",
            show_default="the lowest",
        ),
    ] = None,
    ip_range: Annotated[
        list[str] | None,
        typer.Option(
            help="The part of the subnet that endpoints get addresses from.", metavar="SUBNET"
        ),
    ] = None,
    aux_address: Annotated[
        list[str] | None,
        typer.Option(
            help="An address that is somebody else's. With the name DefaultGatewayIPv4 the default "
            "route of endpoints leads there.",
            metavar="NAME=ADDRESS",
        ),
    ] = None,
    driver: Annotated[
        str, typer.Option("-d", "--driver", help="What carries it: bridge.", metavar="DRIVER")
    ] = "bridge",
    uplink: Annotated[
        str | None,
        typer.Option(
            help="By which uplink its connections leave.",
            metavar="NAME",
            show_default="the default one",
        ),
    ] = None,
    mtu: Annotated[
        int | None, typer.Option(help="The longest packet, in bytes.", metavar="BYTES")
    ] = None,
    internal: Annotated[
        bool, typer.Option("--internal", help="Route nothing into it or out of it.")
    ] = False,
    ipv6: Annotated[
        bool, typer.Option("--ipv6", help="Give it IPv6 too. Not supported yet.")
    ] = False,
    opt: Annotated[
        list[str] | None,
        typer.Option(
            "-o",
            "--opt",
            help="A driver option of Docker's, or one of vswitch's.",
            metavar="KEY=VALUE",
            autocompletion=complete.network_options,
        ),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(help="Anything that you want to note about it.", metavar="KEY[=VALUE]"),
    ] = None,
    switch: SwitchOption = None,
) -> None:
    """Make a network and print its id. Endpoints join it by vswitch run --network.

    Example:  [bold]vswitch network create --subnet 172.28.0.0/16 --ip-range 172.28.5.0/24
    front[/bold]

    Example:  [bold]vswitch network create -o vswitch.dhcp=true lab[/bold]

    Example:  [bold]vswitch network create -o vswitch.dns=10.0.0.53
    -o 'vswitch.allow=*.debian.org,registry.example' shop[/bold]
    """
    from vswitch.cli import networks as verb

    verb.create(
        name,
        verb.Wish(
            subnets=tuple(subnet or ()),
            gateways=tuple(gateway or ()),
            ip_ranges=tuple(ip_range or ()),
            aux_addresses=tuple(aux_address or ()),
            driver=driver,
            uplink=uplink,
            mtu=mtu,
            internal=internal,
            ipv6=ipv6,
            options=tuple(opt or ()),
            labels=tuple(label or ()),
        ),
        switch,
    )


@network_app.command("ls")
def list_networks(
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Print ids only.")] = False,
    no_trunc: Annotated[bool, typer.Option("--no-trunc", help="Print whole ids.")] = False,
    filter_: Annotated[
        list[str] | None,
        typer.Option(
            "-f",
            "--filter",
            help="Those with name=PART, id=BEGINNING, driver=NAME, or label=KEY\\[=VALUE].",
            metavar="FILTER",
        ),
    ] = None,
    json: JsonOption = False,
    switch: SwitchOption = None,
) -> None:
    """List the networks, those of the configuration too.

    Example:  [bold]vswitch network ls --filter name=front[/bold]
    """
    from vswitch.cli import networks as verb

    verb.show(switch, tuple(filter_ or ()), quiet=quiet, whole_ids=no_trunc, json=json)


@network_app.command()
def inspect(network: _Networks, switch: SwitchOption = None) -> None:
    """Print all about some networks, in Docker's JSON.

    Example:  [bold]vswitch network inspect front[/bold]
    """
    from vswitch.cli import networks as verb

    verb.inspect(network, switch)


_Network = Annotated[
    str,
    typer.Argument(
        help="A name, an id, or how an id begins.",
        metavar="NETWORK",
        autocompletion=complete.networks,
    ),
]
_Endpoint = Annotated[
    str, typer.Argument(help="Its name.", metavar="ENDPOINT", autocompletion=complete.endpoints)
]


@network_app.command()
def connect(
    network: _Network,
    endpoint: _Endpoint,
    ip: Annotated[
        str | None, typer.Option("--ip", help="Its address there; the lowest free if not said.")
    ] = None,
    mac: Annotated[
        str | None,
        typer.Option("--mac-address", "--mac", help="Its MAC address there.", metavar="MAC"),
    ] = None,
    alias: Annotated[
        list[str] | None,
        typer.Option("--alias", help="A further name of it there.", metavar="NAME"),
    ] = None,
    gw_priority: Annotated[
        int,
        typer.Option(help="The network of the highest has the default route.", metavar="NUMBER"),
    ] = 0,
    switch: SwitchOption = None,
) -> None:
    """Let an endpoint be on a network, too: it gets one more interface.

    Its default route, and what it publishes, stay where they are, unless the new network has a
    higher priority or the old one is internal.

    Example:  [bold]vswitch network connect --alias db back web[/bold]
    """
    from vswitch.cli import networks as verb

    verb.connect(network, endpoint, ip, mac, alias or (), gw_priority, switch)


@network_app.command()
def disconnect(
    network: _Network,
    endpoint: _Endpoint,
    force: Annotated[
        bool, typer.Option("-f", "--force", help="One that is not on it is no mistake.")
    ] = False,
    switch: SwitchOption = None,
) -> None:
    """Let an endpoint be on a network no longer: that interface of it is gone.

    Example:  [bold]vswitch network disconnect back web[/bold]
    """
    from vswitch.cli import networks as verb

    verb.disconnect(network, endpoint, switch, force=force)


@network_app.command()
def rm(
    network: _Networks,
    force: Annotated[
        bool, typer.Option("-f", "--force", help="One that is not there is no mistake.")
    ] = False,
    switch: SwitchOption = None,
) -> None:
    """Remove networks that no endpoint is on. Exits with 1 where one could not be removed.

    One of the configuration is back when the switch is started again.

    Example:  [bold]vswitch network rm front back[/bold]
    """
    from vswitch.cli import networks as verb

    verb.remove(network, switch, force=force)


@network_app.command()
def prune(
    force: Annotated[bool, typer.Option("-f", "--force", help="Do not ask.")] = False,
    switch: SwitchOption = None,
) -> None:
    """Remove every network that no endpoint is on, but for those of the configuration.

    Example:  [bold]vswitch network prune -f[/bold]
    """
    from vswitch.cli import networks as verb

    verb.prune(switch, force=force)
