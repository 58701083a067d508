"""The command line itself: names, options and help. What a verb does is in the file named after it.

The verbs import their own modules when they are called, so that `vswitch flows` need not wait for
what `vswitch up` needs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vswitch.cli import complete, endpoints, exits, filters, reload
from vswitch.cli.graph import Format
from vswitch.cli.network_app import network_app
from vswitch.cli.options import JsonOption, SwitchOption
from vswitch.cli.publish import app as publish_app
from vswitch.cli.service import service
from vswitch.debug.choices import WHOLE_FRAMES, Judged, Passing
from vswitch.debug.explain.times import Times

app = typer.Typer(
    help="A userspace virtual switch and NAT: container networking with no iptables and no bridge.",
    epilog=exits.IN_WORDS,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

recorder_app = typer.Typer(
    help="""What passed the switch last: its flight recorder, which is always on.

    Example:  [bold]vswitch recorder dump -w what-happened.pcapng[/bold]
    """,
    no_args_is_help=True,
    rich_markup_mode="rich",
)
app.add_typer(recorder_app, name="recorder")
app.add_typer(network_app, name="network")
app.add_typer(filters.app, name="filter")
app.add_typer(publish_app, name="publish")
endpoints.add_to(app)
app.command()(service)
reload.add_to(app)


@app.command()
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


@app.command()
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


@app.command()
def status(json: JsonOption = False, switch: SwitchOption = None) -> None:
    """Show what the switch consists of, and what it has dropped.

    Example:  [bold]vswitch status[/bold]
    """
    from vswitch.cli import show

    show.status(switch, json=json)


@app.command()
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


@app.command()
def fdb(json: JsonOption = False, switch: SwitchOption = None) -> None:
    """Show which station was last seen on which port.

    Example:  [bold]vswitch fdb[/bold]
    """
    from vswitch.cli import show

    show.fdb(switch, json=json)


@app.command()
def mappings(json: JsonOption = False, switch: SwitchOption = None) -> None:
    """Show every external port, whose it is, and what keeps it.

    Example:  [bold]vswitch mappings[/bold]
    """
    from vswitch.cli import show

    show.mappings(switch, json=json)


@app.command()
def neighbours(json: JsonOption = False, switch: SwitchOption = None) -> None:
    """Show which station has which address, as far as the switch had to know.

    Example:  [bold]vswitch neighbours[/bold]
    """
    from vswitch.cli import show

    show.neighbours(switch, json=json)


@app.command()
def ports(json: JsonOption = False, switch: SwitchOption = None) -> None:
    """Show every port with its counters, and why frames were dropped.

    Example:  [bold]vswitch ports --json[/bold]
    """
    from vswitch.cli import show

    show.ports(switch, json=json)


@app.command()
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


@app.command()
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


@app.command()
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


@app.command()
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

    with the options ttl=N, data=BYTES, df, vlan=N, src-mac=MAC, dst-mac=MAC.
    A shell takes > for itself: quote it, or write [bold]to[/bold].

    Example:  [bold]vswitch trace app tcp 172.18.0.3:40000 to 93.184.216.34:443 syn[/bold]

    Example:  [bold]vswitch trace capture.pcapng#7[/bold]
    """
    from vswitch.cli import trace as verb

    verb.trace(frame, port, switch, json=json)


@app.command()
def dump(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            help="A pcapng or pcap file, - for standard input; then which frames, as tcpdump "
            "takes it: pcap-filter(7).",
            metavar="FILE [FILTER...]",
        ),
    ] = None,
    live: Annotated[
        bool, typer.Option("--live", help="The running switch's frames: no FILE, only a FILTER.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", help="A line for each layer, and all of a verdict.")
    ] = False,
    hexadecimal: Annotated[bool, typer.Option("-x", "--hex", help="The bytes, too.")] = False,
    full: Annotated[bool, typer.Option("--full", help="Every field, as scapy tells them.")] = False,
    count: Annotated[
        int | None, typer.Option("-c", "--count", help="End after as many packets.", min=1)
    ] = None,
    time: Annotated[
        Times,
        typer.Option("-t", "--time", help="Seconds since the first packet, or date and UTC."),
    ] = Times.RELATIVE,
    switch: SwitchOption = None,
) -> None:
    """Print a capture file: a line for each frame, and what the switch decided about it.

    Example:  [bold]vswitch dump -v -c 10 capture.pcapng tcp port 80[/bold]

    Example:  [bold]vswitch dump --live -x icmp[/bold]
    """
    from vswitch.debug.explain.printing import Detail, Printer

    printer = Printer(time, Detail(verbose, hexadecimal, full))
    file, *wanted = ["", *(words or ())] if live else (words or [""])
    if live:
        from vswitch.cli import capture as live_verb

        wish = {"count": count, "filter": " ".join(wanted) or None}
        live_verb.capture(wish, None, None, switch, printer)
    elif file:
        from vswitch.cli import dump as verb

        verb.dump(file, printer, count, " ".join(wanted))
    else:
        raise typer.BadParameter("say which FILE, or --live for the running switch's frames")


@app.command()
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


@app.command()
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


@app.command()
def capture(
    filter_words: Annotated[
        list[str] | None,
        typer.Argument(
            help="Which frames, as tcpdump takes it: pcap-filter(7).", metavar="FILTER..."
        ),
    ] = None,
    write: Annotated[
        str | None,
        typer.Option("-w", "--write", help="Write pcapng, - for a pipe.", metavar="FILE"),
    ] = None,
    port: Annotated[
        str | None, typer.Option(help="Frames at one port.", autocompletion=complete.ports)
    ] = None,
    network: Annotated[
        str | None,
        typer.Option(help="Frames at the ports of a network.", autocompletion=complete.networks),
    ] = None,
    endpoint: Annotated[
        str | None,
        typer.Option(
            help="Frames of an endpoint, at whatever port.", autocompletion=complete.endpoints
        ),
    ] = None,
    verdict: Annotated[Judged | None, typer.Option(help="Frames of which this became.")] = None,
    stage: Annotated[
        Passing, typer.Option(help="As they come in, as they leave, or both.")
    ] = Passing.BOTH,
    snap_length: Annotated[
        int,
        typer.Option("-s", "--snaplen", help="Bytes to keep of a frame.", min=64, max=WHOLE_FRAMES),
    ] = WHOLE_FRAMES,
    count: Annotated[
        int | None, typer.Option("-c", "--count", help="End after as many frames.", min=1)
    ] = None,
    duration: Annotated[
        float | None,
        typer.Option(help="End after as many seconds.", metavar="SECONDS", min=0.001),
    ] = None,
    rotate_size: Annotated[
        str | None,
        typer.Option(help="Begin another file before one is larger.", metavar="SIZE"),
    ] = None,
    rotate_seconds: Annotated[
        float | None,
        typer.Option(
            help="Begin another file when one is older.", metavar="SECONDS", min=0.001, max=1e9
        ),
    ] = None,
    keep: Annotated[
        int | None, typer.Option(help="Files to keep, the newest; 8 if not said.", min=1)
    ] = None,
    switch: SwitchOption = None,
) -> None:
    """Capture frames of the running switch, at every port, with verdict and reason.

    A frame that is translated is there twice, as it came in and as it left, and both have the same
    flow number. Without -w each frame is a line of text. A reader that is too slow loses frames,
    which are counted; the switch never waits for one. With --rotate the files are named FILE-00001
    and so on, and all of them take --keep times --rotate-size (1 GiB if not said) at most.

    Example:  [bold]vswitch capture --port web -w web.pcapng tcp port 80[/bold]

    Example:  [bold]vswitch capture -w - | tshark -r -[/bold]

    Example:  [bold]vswitch capture --verdict dropped[/bold]

    Example:  [bold]vswitch capture -w all.pcapng --rotate-size 100MiB --keep 10[/bold]
    """
    from vswitch.cli import capture as verb

    wish = {
        "port": port,
        "network": network,
        "endpoint": endpoint,
        "verdict": verdict,
        "stage": stage,
        "snap_length": snap_length,
        "count": count,
        "seconds": duration,
        "filter": " ".join(filter_words or ()) or None,
    }
    rotates = (rotate_size, rotate_seconds, keep) != (None, None, None)
    if rotates and write in (None, "-"):
        raise typer.BadParameter("only files can be rotated: say -w FILE")
    try:
        rotation = verb.rotation(rotate_size, rotate_seconds, keep) if rotates else None
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    verb.capture(wish, write, rotation, switch)


@recorder_app.command("dump")
def recorder_dump(
    write: Annotated[
        str, typer.Option("-w", "--write", help="Write pcapng, - for a pipe.", metavar="FILE")
    ],
    switch: SwitchOption = None,
) -> None:
    """Write the last frames that passed the switch, with verdict and reason, into a file.

    Example:  [bold]vswitch recorder dump -w what-happened.pcapng[/bold]
    """
    from vswitch.cli import recorder as verb

    verb.dump(write, switch)


@app.command()
def demo() -> None:
    """Show the switch at work: names, NAPT, publishing, ping, tables, throughput, a capture.

    Needs root and no configuration, takes half a minute, and leaves demo.pcapng behind.

    Example:  [bold]vswitch demo && tshark -r demo.pcapng[/bold]
    """
    from vswitch.cli.demo import demo as verb

    raise typer.Exit(verb())
