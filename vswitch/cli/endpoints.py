"""The words of all that is about endpoints: run, exec, attach, detach, ps, stop and the like.

Names and help are here, and are docker run's wherever Docker has them; the options that say what an
endpoint is to be are in `endpoint_options`. What a verb does is in `run`, `attach`, `background`
and `show_endpoints`, which are imported when it is called.
"""

from __future__ import annotations

from typing import Annotated

import typer

from vswitch.cli import complete, panels, straight
from vswitch.cli.endpoint_options import (
    AliasOption,
    DnsOption,
    DnsOptionOption,
    DnsSearchOption,
    DomainnameOption,
    ExposeOption,
    HostnameOption,
    IpOption,
    Kind,
    KindOption,
    LinkOption,
    MacOption,
    NameOption,
    NetworkOption,
    NetworksOption,
    PublishAllOption,
    PublishOption,
    Role,
    RoleOption,
    fields,
    name_fields,
    wish_of,
)
from vswitch.cli.options import JsonOption, SwitchOption
from vswitch.network.kinds import DEFAULT_NETWORK_NAME

endpoint_app = typer.Typer(
    help="""Endpoints: what is attached to the switch's networks.

    Example:  [bold]vswitch endpoint inspect web[/bold]
    """,
    no_args_is_help=True,
    rich_markup_mode="rich",
)

tap_app = typer.Typer(
    help="""TAP devices for virtual machines, each a port on a network.

    Example:  [bold]vswitch tap add vm1 --network front --owner 1000[/bold]
    """,
    no_args_is_help=True,
    rich_markup_mode="rich",
)

NamesArgument = Annotated[
    list[str],
    typer.Argument(help="Endpoints.", metavar="NAME...", autocompletion=complete.endpoints),
]


def add_to(app: typer.Typer) -> None:
    """Put all of these into the command line."""
    panel = panels.ENDPOINTS
    whole = {"allow_interspersed_args": False}
    app.command(context_settings=whole, rich_help_panel=panel)(run)
    app.command("exec", context_settings=whole, rich_help_panel=panel)(execute)
    for verb in (attach, detach, ps, stop, logs):
        app.command(rich_help_panel=panel)(verb)
    app.add_typer(endpoint_app, name="endpoint", rich_help_panel=panel)
    app.add_typer(tap_app, name="tap", rich_help_panel=panel)


def run(
    command: Annotated[list[str], typer.Argument(help="What to run.", metavar="CMD...")],
    network: NetworksOption = None,
    name: NameOption = None,
    ip: IpOption = None,
    mac: MacOption = None,
    alias: AliasOption = None,
    publish: PublishOption = None,
    expose: ExposeOption = None,
    publish_all: PublishAllOption = False,
    link: LinkOption = None,
    role: RoleOption = Role.COMMUNITY,
    kind: KindOption = Kind.TAP,
    hostname: HostnameOption = None,
    domainname: DomainnameOption = None,
    dns: DnsOption = None,
    dns_search: DnsSearchOption = None,
    dns_option: DnsOptionOption = None,
    add_host: Annotated[
        list[str] | None,
        typer.Option(
            *straight.ADD_HOST.flags,
            help="A line of its /etc/hosts; host-gateway stands for the gateway's address.",
            metavar="NAME:IP",
        ),
    ] = None,
    detach: Annotated[
        bool,
        typer.Option(*straight.DETACH.flags, help="Run it in the background and print its name."),
    ] = False,
    rm: Annotated[  # noqa: ARG001
        bool,
        typer.Option(
            *straight.RM.flags, help="Remove the endpoint when the command ends, as always."
        ),
    ] = True,
    switch: SwitchOption = None,
) -> None:
    """Run a command in a fresh namespace attached to the running switch.

    The endpoint is gone when the command ends; its exit status is this command's. On network host
    the command stays in the host's namespace, on network none it has nothing but a loopback.

    Example:  [bold]vswitch run --network front --name web -p 8080:80 -- python3 -m http.server
    80[/bold]

    Example:  [bold]vswitch run -d --network front --name db --expose 5432 -- ./database[/bold]

    Example:  [bold]vswitch run --network front --network name=back,alias=api -- ./app[/bold]

    Example:  [bold]vswitch run --network front -h www --dns 10.0.0.53 --dns-search corp.example --
    getent hosts intranet[/bold]

    Example:  [bold]vswitch run --network front --link db:database -- psql -h database[/bold]
    """
    from vswitch.cli import run as verb

    names = name_fields(hostname, domainname, dns, dns_search, dns_option)
    said = fields(network, name, ip, mac, alias, publish, expose, publish_all, link, role, names)
    wish = wish_of(said, kind).model_dump(mode="json")
    raise typer.Exit(verb.run(straight.Line(command, wish, switch, detach, add_host or ())))


def execute(
    name: Annotated[
        str, typer.Argument(help="An endpoint.", metavar="NAME", autocompletion=complete.endpoints)
    ],
    command: Annotated[list[str], typer.Argument(help="What to run there.", metavar="CMD...")],
    switch: SwitchOption = None,
) -> None:
    """Run a further command where an endpoint lives, as docker exec does.

    It has the endpoint's network, names and, where that runs a command, mounts and hostname; its
    exit status is this command's.

    Example:  [bold]vswitch exec web -- curl http://db:8000/[/bold]
    """
    from vswitch.cli import execute as verb

    words = command[1:] if command[0] == "--" else command
    if not words:
        raise typer.BadParameter("what to run there is missing")
    verb.execute(name, words, switch)


def attach(
    namespace: Annotated[
        str,
        typer.Argument(
            help="A name that ip netns lists, a path with a / in it, or the id of a process.",
            metavar="NAMESPACE",
        ),
    ],
    network: NetworksOption = None,
    name: NameOption = None,
    ip: IpOption = None,
    mac: MacOption = None,
    alias: AliasOption = None,
    publish: PublishOption = None,
    expose: ExposeOption = None,
    publish_all: PublishAllOption = False,
    link: LinkOption = None,
    role: RoleOption = Role.COMMUNITY,
    kind: KindOption = Kind.TAP,
    hostname: HostnameOption = None,
    domainname: DomainnameOption = None,
    dns: DnsOption = None,
    dns_search: DnsSearchOption = None,
    dns_option: DnsOptionOption = None,
    switch: SwitchOption = None,
) -> None:
    """Attach a network namespace that exists: it gets an eth0, a way out and names.

    The endpoint is detached when the namespace loses its name or path, or the process ends; the
    namespace itself is left as it was.

    Example:  [bold]ip netns add lab && vswitch attach lab --network front --name web[/bold]

    Example:  [bold]vswitch attach /proc/4711/ns/net --network front --ip 172.18.0.9[/bold]

    Example:  [bold]vswitch attach lab --dns tls://9.9.9.9#dns.quad9.net --dns-opt timeout:2[/bold]
    """
    from vswitch.cli import attach as verb

    names = name_fields(hostname, domainname, dns, dns_search, dns_option)
    said = fields(network, name, ip, mac, alias, publish, expose, publish_all, link, role, names)
    verb.attach(namespace, wish_of(said, kind), switch)


def detach(names: NamesArgument, switch: SwitchOption = None) -> None:
    """Take endpoints off the switch; what lives in their namespaces goes on without them.

    Example:  [bold]vswitch detach web[/bold]
    """
    from vswitch.cli import attach as verb

    verb.detach(names, switch)


def ps(
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Only their names.")] = False,
    json: JsonOption = False,
    switch: SwitchOption = None,
) -> None:
    """List the endpoints: the same as vswitch endpoint ls.

    Example:  [bold]vswitch ps[/bold]
    """
    from vswitch.cli import show_endpoints as verb

    verb.ls(switch, quiet=quiet, json=json)


def stop(
    names: NamesArgument,
    time: Annotated[
        float, typer.Option("-t", "--time", help="Seconds before it is killed.", min=0, max=20)
    ] = 10,
    switch: SwitchOption = None,
) -> None:
    """End the commands of endpoints: SIGTERM, and SIGKILL where that has not helped in time.

    Example:  [bold]vswitch stop web[/bold]
    """
    from vswitch.cli import background as verb

    verb.stop(names, time, switch)


def logs(
    name: Annotated[str, typer.Argument(help="An endpoint.", metavar="NAME")],
    switch: SwitchOption = None,
) -> None:
    """Print what a command in the background has said: the last 10 MiB, while the switch runs.

    Example:  [bold]vswitch logs web[/bold]
    """
    from vswitch.cli import background as verb

    verb.logs(name, switch)


@endpoint_app.command("ls")
def endpoint_ls(
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Only their names.")] = False,
    json: JsonOption = False,
    switch: SwitchOption = None,
) -> None:
    """List the endpoints, with those on networks host and none.

    Example:  [bold]vswitch endpoint ls --json[/bold]
    """
    from vswitch.cli import show_endpoints as verb

    verb.ls(switch, quiet=quiet, json=json)


@endpoint_app.command("inspect")
def endpoint_inspect(names: NamesArgument, switch: SwitchOption = None) -> None:
    """Print all that is known of endpoints, as JSON.

    Example:  [bold]vswitch endpoint inspect web[/bold]
    """
    from vswitch.cli import show_endpoints as verb

    verb.inspect(names, switch)


@endpoint_app.command("rm")
def endpoint_rm(names: NamesArgument, switch: SwitchOption = None) -> None:
    """Take endpoints off the switch: the same as vswitch detach.

    Example:  [bold]vswitch endpoint rm web[/bold]
    """
    from vswitch.cli import attach as verb

    verb.detach(names, switch)


@tap_app.command("add")
def tap_add(
    name: Annotated[
        str, typer.Argument(help="The TAP's name, and the endpoint's.", metavar="NAME")
    ],
    network: NetworkOption = DEFAULT_NETWORK_NAME,
    ip: IpOption = None,
    mac: MacOption = None,
    alias: AliasOption = None,
    publish: PublishOption = None,
    expose: ExposeOption = None,
    publish_all: PublishAllOption = False,
    link: LinkOption = None,
    role: RoleOption = Role.COMMUNITY,
    hostname: HostnameOption = None,
    domainname: DomainnameOption = None,
    dns: DnsOption = None,
    dns_search: DnsSearchOption = None,
    dns_option: DnsOptionOption = None,
    owner: Annotated[
        str | None,
        typer.Option(help="The user, by name or number, who may open it.", show_default="root"),
    ] = None,
    switch: SwitchOption = None,
) -> None:
    """Make a TAP for a virtual machine, and print the addresses that are reserved for its guest.

    The guest gets its address by DHCP; the host has none on the TAP. It lasts until it is removed,
    also while no switch runs. QEMU opens it by its name:

    \b
      -netdev tap,id=net,ifname=NAME,script=no,downscript=no
      -device virtio-net-pci,netdev=net,mac=MAC

    Example:  [bold]vswitch tap add vm1 --network front --owner 1000[/bold]
    """
    from vswitch.cli import attach as verb

    names = name_fields(hostname, domainname, dns, dns_search, dns_option)
    said = fields([network], name, ip, mac, alias, publish, expose, publish_all, link, role, names)
    verb.add_tap(said, owner, switch)


@tap_app.command("rm")
def tap_rm(names: NamesArgument, switch: SwitchOption = None) -> None:
    """Remove TAPs, also from under a virtual machine that has them open.

    Example:  [bold]vswitch tap rm vm1[/bold]
    """
    from vswitch.cli import attach as verb

    verb.detach(names, switch)
