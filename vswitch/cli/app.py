"""The command line itself: names, options and help. What a verb does is in the file named after it.

The verbs import their own modules when they are called, so that `vswitch flows` need not wait for
what `vswitch up` needs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vswitch.cli import complete, dns, endpoints, exits, filters, frames, panels, reload
from vswitch.cli.graph import Format
from vswitch.cli.leases import app as leases_app
from vswitch.cli.network_app import network_app
from vswitch.cli.options import JsonOption, SwitchOption
from vswitch.cli.publish import app as publish_app
from vswitch.cli.service import service

app = typer.Typer(
    help="A userspace virtual switch and NAT: container networking with no iptables and no bridge.",
    epilog=exits.IN_WORDS,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


@app.command(rich_help_panel=panels.THE_SWITCH)
def up(
    config: Annotated[
        Path, typer.Option("-c", "--config", help="The switch's configuration.", readable=False)
    ],
    check: Annotated[bool, typer.Option("--check", help="Check it and change nothing.")] = False,
    fastpath: Annotated[
        str | None,
        typer.Option(
            help="Which fast path runs it: compiled or reference.", show_default="the best"
        ),
    ] = None,
    rm: Annotated[
        bool, typer.Option("--rm", help="Leave nothing when it stops, as vswitch down --remove.")
    ] = False,
) -> None:
    """Run a switch in the foreground until SIGTERM or Ctrl-C.

    What lives on without it, commands of vswitch run and namespaces with processes in them, keeps
    its address, and goes on with the next one.

    Example:  [bold]vswitch up -c lab.toml[/bold]
    """
    from vswitch.cli import up as verb

    verb.check(config) if check else verb.up(config, fastpath, removes=rm)


@app.command(rich_help_panel=panels.THE_SWITCH)
def down(
    remove: Annotated[
        bool,
        typer.Option(
            "--remove", help="Detach all that lives on, too, and leave nothing in the system."
        ),
    ] = False,
    switch: SwitchOption = None,
) -> None:
    """Stop the switch and print its name.

    Endpoints whose namespaces or processes live on keep their interfaces and addresses, and the
    next vswitch up goes on with them. Nothing passes meanwhile.

    Example:  [bold]vswitch down --remove[/bold]
    """
    from vswitch.cli import down as verb

    verb.down(switch, remove=remove)


app.command(rich_help_panel=panels.THE_SWITCH)(service)
reload.add_to(app)
app.add_typer(network_app, name="network", rich_help_panel=panels.NETWORKS)
app.add_typer(filters.app, name="filter", rich_help_panel=panels.NETWORKS)
app.add_typer(publish_app, name="publish", rich_help_panel=panels.NETWORKS)
app.add_typer(leases_app, name="leases", rich_help_panel=panels.NETWORKS)
app.add_typer(dns.app, name="dns", rich_help_panel=panels.LOOK)
endpoints.add_to(app)


@app.command(rich_help_panel=panels.LOOK)
def status(json: JsonOption = False, switch: SwitchOption = None) -> None:
    """Show what the switch consists of, and what it has dropped.

    Example:  [bold]vswitch status[/bold]
    """
    from vswitch.cli import show

    show.status(switch, json=json)


@app.command(rich_help_panel=panels.LOOK)
def flows(
    why: Annotated[
        int | None,
        typer.Option("--why", help="Show the reasons of one flow instead.", metavar="ID", min=1),
    ] = None,
    json: JsonOption = False,
    switch: SwitchOption = None,
) -> None:
    """Show every tracked connection and how it is translated, or why one is as it is.

    Example:  [bold]vswitch flows --why 12[/bold]
    """
    from vswitch.cli import show

    show.flows(switch, json=json) if why is None else show.why(switch, why, json=json)


@app.command(rich_help_panel=panels.LOOK)
def fdb(json: JsonOption = False, switch: SwitchOption = None) -> None:
    """Show which station was last seen on which port.

    Example:  [bold]vswitch fdb[/bold]
    """
    from vswitch.cli import show

    show.fdb(switch, json=json)


@app.command(rich_help_panel=panels.LOOK)
def mappings(json: JsonOption = False, switch: SwitchOption = None) -> None:
    """Show every external port, whose it is, and what keeps it.

    Example:  [bold]vswitch mappings[/bold]
    """
    from vswitch.cli import show

    show.mappings(switch, json=json)


@app.command(rich_help_panel=panels.LOOK)
def neighbours(json: JsonOption = False, switch: SwitchOption = None) -> None:
    """Show which station has which address, as far as the switch had to know.

    Example:  [bold]vswitch neighbours[/bold]
    """
    from vswitch.cli import show

    show.neighbours(switch, json=json)


@app.command(rich_help_panel=panels.LOOK)
def ports(json: JsonOption = False, switch: SwitchOption = None) -> None:
    """Show every port with its counters, and why frames were dropped.

    Example:  [bold]vswitch ports --json[/bold]
    """
    from vswitch.cli import show

    show.ports(switch, json=json)


@app.command(rich_help_panel=panels.LOOK)
def top(
    interval: Annotated[
        float,
        typer.Option(help="Seconds from one look to the next.", min=0.1, max=3600),
    ] = 1.0,
    iterations: Annotated[
        int | None, typer.Option("-n", "--iterations", help="End after as many.", min=1)
    ] = None,
    json: JsonOption = False,
    switch: SwitchOption = None,
) -> None:
    """Show what passes, as it passes: ports, the busiest flows, what is dropped. q leaves.

    Example:  [bold]vswitch top[/bold]

    Example:  [bold]vswitch top -n 1 --interval 10 | head[/bold]
    """
    from vswitch.cli.top import watching as verb

    verb.top(switch, interval, iterations, as_json=json)


@app.command(rich_help_panel=panels.LOOK)
def events(
    filters: Annotated[
        list[str] | None,
        typer.Option(
            *("-f", "--filter"),
            help="Only these: type=, event= or name=.",
            metavar="KEY=VALUE",
            autocompletion=complete.event_filters,
        ),
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="First those of the last 30s, 2m, 2h4m.", metavar="TIME")
    ] = None,
    json: JsonOption = False,
    switch: SwitchOption = None,
) -> None:
    """Tell what comes and goes, as it does: networks, endpoints, published ports, addresses.

    Example:  [bold]vswitch events --filter type=endpoint --filter type=publication[/bold]

    Example:  [bold]vswitch events --since 10m --json | jq .name[/bold]
    """
    from vswitch.cli import events as verb

    try:
        query = verb.query(filters or (), since)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    verb.events(switch, query, json=json)


@app.command(rich_help_panel=panels.LOOK)
def graph(
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write here.", metavar="FILE")
    ] = None,
    format_: Annotated[
        Format | None,
        typer.Option("--format", help="What to write.", show_default="by FILE's name, or svg"),
    ] = None,
    switch: SwitchOption = None,
) -> None:
    """Draw how the switch hangs together: uplinks, networks, endpoints, published ports.

    Example:  [bold]vswitch graph -o lab.svg[/bold]

    Example:  [bold]vswitch graph --format mermaid | less[/bold]
    """
    from vswitch.cli.graph import writing as verb

    verb.graph(switch, output, format_)


frames.add_to(app)


@app.command(rich_help_panel=panels.FRAMES)
def trace(
    frame: Annotated[
        list[str],
        typer.Argument(
            help="A description of it, its bytes in hexadecimal, or FILE#NUMBER of a capture.",
            metavar="FRAME...",
        ),
    ],
    port: Annotated[
        str | None,
        typer.Option(
            help="Where bytes come in. A capture's packet knows by itself.",
            autocompletion=complete.ports,
        ),
    ] = None,
    json: JsonOption = False,
    switch: SwitchOption = None,
) -> None:
    """Show what the switch would do with a frame, and why. Nothing is sent and nothing changes.

    In words, a frame is a port, or the endpoint that is on it, and what comes in there:

    \b
      PORT tcp ADDRESS:PORT > ADDRESS:PORT \\[syn|ack|fin|rst|psh|urg|none]
      PORT udp ADDRESS:PORT > ADDRESS:PORT
      PORT icmp echo \\[reply] ADDRESS > ADDRESS \\[id=N] \\[seq=N]
      PORT arp who-has ADDRESS \\[tell ADDRESS]
      PORT arp ADDRESS is-at MAC
      PORT dns NAME \\[TYPE] \\[from ADDRESS]

    with the options ttl=N, data=BYTES, df, vlan=N, src-mac=MAC, dst-mac=MAC.
    A shell takes > for itself: quote it, or write [bold]to[/bold].

    Example:  [bold]vswitch trace app tcp 172.18.0.3:40000 to 93.184.216.34:443 syn[/bold]

    Example:  [bold]vswitch trace vm1 dns web.front[/bold]

    Example:  [bold]vswitch trace capture.pcapng#7[/bold]
    """
    from vswitch.cli import trace as verb

    verb.trace(frame, port, switch, json=json)


@app.command(rich_help_panel=panels.FRAMES)
def impair(
    port: Annotated[
        str | None,
        typer.Argument(
            help="A port, as vswitch ports names it.",
            show_default=False,
            autocompletion=complete.ports,
        ),
    ] = None,
    spec: Annotated[
        list[str] | None, typer.Argument(help="For both directions.", show_default=False)
    ] = None,
    incoming: Annotated[
        str | None, typer.Option("--in", help="For what the switch receives.", metavar="SPEC")
    ] = None,
    outgoing: Annotated[
        str | None, typer.Option("--out", help="For what the switch sends.", metavar="SPEC")
    ] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Impair the port no more.")] = False,
    seed: Annotated[
        int | None,
        typer.Option(help="What chance starts from; 0 at first.", min=0, max=2**63 - 1),
    ] = None,
    json: JsonOption = False,
    switch: SwitchOption = None,
) -> None:
    """Make the line of a port bad, in a way that can be replayed; alone, list such ports.

    SPEC is none, or some of delay=20ms jitter=5ms loss=1% duplicate=0.1%
    reorder=2% corrupt=0.01% rate=10mbit queue=100. What is not named stays as
    it is. Every change begins the seed anew and lets go of held frames.

    Example:  [bold]vswitch impair web delay=20ms jitter=5ms --out "loss=1% rate=10mbit"[/bold]
    """
    from vswitch.cli import impair as verb

    said = bool(spec) or (incoming, outgoing, seed) != (None, None, None)
    if port is None:
        if said or clear:
            raise typer.BadParameter("say which PORT")
        verb.show(switch, json=json)
    elif json:
        raise typer.BadParameter("--json is for the list, without PORT")
    elif clear:
        if said:
            raise typer.BadParameter("--clear takes nothing but PORT")
        verb.clear(port, switch)
    else:
        verb.impair(port, tuple(spec or ()), incoming, outgoing, seed, switch)


@app.command(rich_help_panel=panels.FRAMES)
def replay(
    case: Annotated[
        list[Path] | None,
        typer.Argument(help="Cases, or folders of cases.", metavar="CASE", show_default=False),
    ] = None,
    update: Annotated[
        bool, typer.Option("--update", help="Let what comes out be what is expected.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Keep what comes out in this folder.", metavar="DIR")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option("-c", "--config", help="Replay captures on this switch.", metavar="C.toml"),
    ] = None,
    port: Annotated[
        list[str] | None,
        typer.Option(
            help="What arrives at a port; or FILE, whose interfaces are named after ports.",
            metavar="PORT=FILE",
        ),
    ] = None,
    save_case: Annotated[
        Path | None, typer.Option(help="Make a case of the captures.", metavar="DIR")
    ] = None,
    fastpath: Annotated[
        str | None, typer.Option(help="Which fast path runs it, or both.", metavar="NAME")
    ] = None,
) -> None:
    """Feed a switch in memory from captures, and compare what comes out with what is expected.

    Exits with 0 where all is as expected, 1 where something differs, 2 where something can not be
    replayed. What a case consists of stands in pcaps/README.md.

    Example:  [bold]vswitch replay pcaps[/bold]

    Example:  [bold]vswitch replay --config lab.toml --port uplink=up0.pcap --port app=app.pcap
    --save-case pcaps/seen-in-the-field[/bold]
    """
    from vswitch.cli import replay as verb

    if config is None:
        if port or save_case or not case:
            raise typer.BadParameter("say which CASE, or --config with --port")
        raise typer.Exit(verb.replay_cases(case, update=update, out=out, fast_path=fastpath))
    if case or update or not port:
        raise typer.BadParameter("--config takes --port PORT=FILE, and neither CASE nor --update")
    if save_case and out:
        raise typer.BadParameter("--save-case keeps what comes out: --port without --out")
    raise typer.Exit(
        verb.replay_captures(config, port, out=out, save_case=save_case, fast_path=fastpath)
    )


@app.command(rich_help_panel=panels.THE_SWITCH)
def demo() -> None:
    """Show the switch at work: names, NAPT, publishing, ping, tables, throughput, a capture.

    Needs root and no configuration, takes half a minute, and leaves demo.pcapng behind.

    Example:  [bold]vswitch demo && tshark -r demo.pcapng[/bold]
    """
    from vswitch.cli.demo import demo as verb

    raise typer.Exit(verb())
