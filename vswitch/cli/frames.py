"""The words of all that shows frames: capture, dump and the flight recorder.

What they do is in `capture`, `dump` and `recorder`, which are imported when a verb is called.
"""

from __future__ import annotations

from typing import Annotated

import typer

from vswitch.cli import complete, panels
from vswitch.cli.options import SwitchOption
from vswitch.debug.choices import WHOLE_FRAMES, Judged, Passing
from vswitch.debug.explain.times import Times

recorder_app = typer.Typer(
    help="""What passed the switch last: its flight recorder, which is always on.

    Example:  [bold]vswitch recorder dump -w what-happened.pcapng[/bold]
    """,
    no_args_is_help=True,
    rich_markup_mode="rich",
)


def add_to(app: typer.Typer) -> None:
    """Put all of these into the command line."""
    app.command(rich_help_panel=panels.FRAMES)(capture)
    app.command(rich_help_panel=panels.FRAMES)(dump)
    app.add_typer(recorder_app, name="recorder", rich_help_panel=panels.FRAMES)


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
