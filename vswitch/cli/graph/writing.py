"""The verb: ask the running switch how it hangs together, and write that down."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from vswitch.cli.client import Client
from vswitch.cli.graph import Format, svg, texts
from vswitch.cli.graph.layout import layout
from vswitch.cli.problem import Problem
from vswitch.daemon.messages.topology import TopologyRow

_WRITERS: dict[Format, Callable[[TopologyRow], str]] = {
    Format.SVG: lambda topology: svg.document(layout(topology)),
    Format.MERMAID: texts.mermaid,
    Format.DOT: texts.dot,
}

_SUFFIXES = {
    ".svg": Format.SVG,
    ".mmd": Format.MERMAID,
    ".mermaid": Format.MERMAID,
    ".dot": Format.DOT,
    ".gv": Format.DOT,
}


def graph(switch: str | None, output: Path | None, wanted: Format | None) -> None:
    """Write the topology to a file or to standard output."""
    chosen = wanted or _format_of(output)
    topology = Client.of(switch).row("GET", "topology", TopologyRow)
    text = _WRITERS[chosen](topology)
    if output is None:
        print(text, end="")
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Problem(f"{output}: {error.strerror}") from error


def _format_of(output: Path | None) -> Format:
    if output is None:
        return Format.SVG
    found = _SUFFIXES.get(output.suffix.lower())
    if found is None:
        raise Problem(f"{output}: allowed is {', '.join(_SUFFIXES)}, or say --format")
    return found
