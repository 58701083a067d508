"""`vswitch flows|mappings|fdb|neighbours|ports|status`: the tables of the running switch.

On a terminal a table is drawn; into a pipe go plain columns, one row a line; `--json` prints what
the switch sent, byte for byte.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from vswitch.cli.client import Client
from vswitch.daemon.messages import (
    NO_ADDRESS,
    FdbRow,
    FlowRow,
    MappingRow,
    NeighbourRow,
    PortRow,
    StatusRow,
    UplinkRow,
    WhyRow,
)
from vswitch.network.kinds import DEFAULT_UPLINK

_WIDEST_LINE = 100_000
"""Columns for a table in a pipe: what reads it wants each row on one line, however long."""

_NO_SERVER = "none: names that nobody here has get SERVFAIL"

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def flows(switch: str | None, *, json: bool) -> None:
    """Every connection."""
    client = Client.of(switch)
    if json:
        print(client.text("flows"))
        return
    print_table(flow_table(client.rows("flows", FlowRow)))


def why(switch: str | None, number: int, *, json: bool) -> None:
    """The reasons of one connection."""
    client = Client.of(switch)
    if json:
        print(client.text(f"flows/{number}"))
        return
    print_tree(why_tree(client.row("GET", f"flows/{number}", WhyRow)))


def why_tree(row: WhyRow) -> Tree:
    """Reasons as a tree of questions and answers."""
    head = Text.assemble(f"flow {row.flow} ({row.protocol}): ", (row.state, "bold"))
    tree = Tree(head.append(f", {row.state_means}"))
    kept = tuple(
        f"{each.direction} direction, in by {each.port}: frames {each.frames}, "
        f"{octets(each.bytes)}" + (f", {','.join(each.tcp_flags)}" if each.tcp_flags else "")
        for each in row.kept
    )
    for question, answers in (
        ("began", row.began),
        ("allowed by", row.allowed),
        ("frames of the side that began", row.original),
        ("answers", row.reply),
        ("what changes its state", row.next_states or ("nothing any more",)),
        ("ends", row.ends),
        ("kept in the fast path", kept or ("nothing: the pipeline decides about each frame",)),
    ):
        branch = tree.add(Text(question, "cyan"))
        for answer in answers:
            branch.add(Text(answer))
    return tree


def flow_table(rows: Sequence[FlowRow]) -> Table:
    """Connections as a table."""
    table = _table("id", "protocol", "state", "original", "translation", "frames", "bytes", "left")
    for row in rows:
        table.add_row(
            str(row.flow),
            row.protocol,
            row.state,
            row.original,
            row.translation or "-",
            str(row.frames),
            octets(row.bytes),
            f"{row.expires_in_seconds:.0f} s",
        )
    return table


def fdb(switch: str | None, *, json: bool) -> None:
    """Every station."""
    client = Client.of(switch)
    if json:
        print(client.text("fdb"))
        return
    print_table(fdb_table(client.rows("fdb", FdbRow)))


def fdb_table(rows: Sequence[FdbRow]) -> Table:
    """Stations as a table."""
    table = _table("network", "vlan", "station", "port", "seen")
    for row in rows:
        seen = "recently" if row.recent else "a while ago"
        table.add_row(row.network, str(row.vlan or "-"), row.mac, row.port, seen)
    return table


def neighbours(switch: str | None, *, json: bool) -> None:
    """Every address that the switch had to reach."""
    client = Client.of(switch)
    if json:
        print(client.text("neighbours"))
        return
    table = _table("network", "address", "station", "state", "waiting")
    for row in client.rows("neighbours", NeighbourRow):
        table.add_row(row.network, row.address, row.mac or "-", row.state, str(row.waiting))
    print_table(table)


def mappings(switch: str | None, *, json: bool) -> None:
    """Every external port that stands for an inside one."""
    client = Client.of(switch)
    if json:
        print(client.text("mappings"))
        return
    table = _table("protocol", "network", "inside", "outside", "kept by")
    for row in client.rows("mappings", MappingRow):
        table.add_row(row.protocol, row.network, row.inside, row.outside, _kept_by(row))
    print_table(table)


def _kept_by(row: MappingRow) -> str:
    if row.is_static:
        return "the configuration"
    if row.expires_in_seconds is None:
        return f"{row.connections} connection{'' if row.connections == 1 else 's'}"
    return f"nothing, for {max(0, row.expires_in_seconds):.0f} s more"


def ports(switch: str | None, *, json: bool) -> None:
    """Every port."""
    client = Client.of(switch)
    if json:
        print(client.text("ports"))
        return
    table = _table("port", "name", "network", "device", "received", "sent", "lost", "dropped")
    for row in client.rows("ports", PortRow):
        table.add_row(
            str(row.port),
            row.name,
            row.network,
            row.device,
            f"{row.received_frames} ({octets(row.received_bytes)})",
            f"{row.sent_frames} ({octets(row.sent_bytes)})",
            _counts(row.lost),
            _counts(row.drops),
        )
    print_table(table)


def status(switch: str | None, *, json: bool) -> None:
    """The switch as a whole."""
    client = Client.of(switch)
    if json:
        print(client.text("status"))
        return
    row = client.row("GET", "status", StatusRow)
    table = _table("", "")
    table.show_header = False
    for name, value in (
        ("switch", f"{row.name} (vswitch {row.version}, pid {row.pid})"),
        ("fast path", row.fastpath),
        *((_uplink_name(uplink), _uplink_words(uplink)) for uplink in row.uplinks),
        ("networks", ", ".join(row.networks)),
        ("endpoints", ", ".join(row.endpoints) or "none"),
        ("connections", f"{row.connections} of at most {row.connections_at_most}"),
        ("mappings", str(row.mappings)),
        ("held SYNs", str(row.held_syns or "none")),
        ("incomplete datagrams", str(row.incomplete_datagrams or "none")),
        ("errors withheld", str(row.errors_withheld or "none")),
        ("captures", str(row.captures or "none")),
        ("name servers", _name_servers_words(row)),
        ("no resolver in", "; ".join(map(": ".join, row.without_names.items())) or "none"),
        ("dropped", _counts(row.drops)),
    ):
        table.add_row(name, value)
    print_table(table)


def _uplink_name(row: UplinkRow) -> str:
    return row.name if row.name == DEFAULT_UPLINK else f"uplink {row.name}"


def _uplink_words(row: UplinkRow) -> str:
    """The uplink in a few lines: where, as whom, and what keeps its address."""
    addresses = ", ".join((row.address, *row.also)) if row.address != NO_ADDRESS else "no address"
    lines = [f"{addresses} at {row.interface} ({row.device}, {row.mac}), gateway {row.gateway}"]
    lines.append(f"ports {row.ports}")
    if row.dhcp is not None:
        left = f", {row.expires_in_seconds:.0f} s left" if row.expires_in_seconds else ""
        lines.append(f"by DHCP: {row.dhcp}{left}")
    if row.guard is not None:
        lines.append(f"shared with the host, guarded by {row.guard}")
        lines += [f"not by {reason}" for reason in row.why_not]
    return "\n".join(lines)


def _name_servers_words(row: StatusRow) -> str:
    """Who is asked, and who instead."""
    asked, silent = row.name_servers, row.silent_servers
    words = ", ".join(asked) or _NO_SERVER
    if not silent:
        return words
    others = [each for each in asked if each not in silent]
    instead = f"asked instead: {', '.join(others)}" if others else "nobody is left to ask"
    return f"{words}\nno answer from {', '.join(silent)}: {instead}"


def print_table(table: Table) -> None:
    """Draw it on a terminal; print columns into anything else, as wide as they need to be."""
    if sys.stdout.isatty():
        Console(markup=False, emoji=False).print(table)
    else:
        table.box = None
        Console(width=_WIDEST_LINE, highlight=False, markup=False, emoji=False).print(table)


def print_tree(tree: Tree) -> None:
    """Draw it; into anything but a terminal without colours, and as wide as it needs to be."""
    if sys.stdout.isatty():
        Console(highlight=False, emoji=False).print(tree)
    else:
        Console(width=500, highlight=False, color_system=None, emoji=False).print(tree)


def octets(count: int) -> str:
    """A number of bytes in the unit that a person would use."""
    value = float(count)
    for unit in _UNITS[:-1]:
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} {_UNITS[-1]}"


def _table(*columns: str) -> Table:
    table = Table(header_style="bold")
    for column in columns:
        table.add_column(column)
    return table


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "-"
