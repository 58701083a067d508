"""The command line itself: names, options and help. What a verb does is in the file named after it.

The verbs import their own modules when they are called, so that `vswitch flows` need not wait for
what `vswitch up` needs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="A userspace virtual switch and NAT: container networking with no iptables and no bridge.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

SwitchOption = Annotated[
    str | None,
    typer.Option("--switch", help="Which switch, where several run.", metavar="NAME"),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@app.command()
def up(
    config: Annotated[
        Path, typer.Option("-c", "--config", help="The switch's configuration.", readable=False)
    ],
    check: Annotated[bool, typer.Option("--check", help="Check it and change nothing.")] = False,
) -> None:
    """Run a switch in the foreground until SIGTERM or Ctrl-C.

    Example:  [bold]vswitch up -c lab.toml[/bold]
    """
    from vswitch.cli import up as verb

    verb.check(config) if check else verb.up(config)


@app.command(context_settings={"ignore_unknown_options": True})
def run(
    command: Annotated[list[str], typer.Argument(help="What to run, after --.", metavar="CMD...")],
    network: Annotated[str, typer.Option(help="The network to attach to.")] = "bridge",
    name: Annotated[
        str | None,
        typer.Option(help="The endpoint's name, which others on its network can resolve."),
    ] = None,
    publish: Annotated[
        list[str] | None,
        typer.Option("-p", "--publish", help="Publish a port, as docker run does.", metavar="SPEC"),
    ] = None,
    switch: SwitchOption = None,
) -> None:
    """Run a command in a fresh namespace attached to the running switch.

    The endpoint is gone when the command ends; its exit status is this command's.

    Example:  [bold]vswitch run --network front --name web -p 8080:80 -- python3 -m http.server
    80[/bold]
    """
    from vswitch.cli import run as verb

    raise typer.Exit(verb.run(command, network, name, tuple(publish or ()), switch))


@app.command()
def status(json: JsonOption = False, switch: SwitchOption = None) -> None:
    """Show what the switch consists of, and what it has dropped.

    Example:  [bold]vswitch status[/bold]
    """
    from vswitch.cli import show

    show.status(switch, json=json)


@app.command()
def flows(json: JsonOption = False, switch: SwitchOption = None) -> None:
    """Show every tracked connection and how it is translated.

    Example:  [bold]vswitch flows --json | jq '.[].translation'[/bold]
    """
    from vswitch.cli import show

    show.flows(switch, json=json)


@app.command()
def fdb(json: JsonOption = False, switch: SwitchOption = None) -> None:
    """Show which station was last seen on which port.

    Example:  [bold]vswitch fdb[/bold]
    """
    from vswitch.cli import show

    show.fdb(switch, json=json)


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
def demo() -> None:
    """Show the switch at work: names, NAPT, publishing, ping, tables, throughput, a capture.

    Needs root and no configuration, takes half a minute, and leaves demo.pcapng behind.

    Example:  [bold]vswitch demo && tshark -r demo.pcapng[/bold]
    """
    from vswitch.cli.demo import demo as verb

    raise typer.Exit(verb())
