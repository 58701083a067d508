"""The `vswitch` command: one file per family of verbs, all of them thin.

`up` runs a switch, `run` starts a command attached to it, `attach` attaches what exists, `show`
prints its tables, `demo` shows it all. The words of most verbs are in `app`, those of verbs about
endpoints in `endpoints`. They speak to a running switch through `client`; what can go wrong is told
in one line on stderr, and `exits` says with which status. What a shell completes is in `complete`.

What is loaded when is decided in three places: here, where a plain `run` or `up` goes past typer
(`straight`); in `verbs`, which lets typer see the verb alone that is meant; and in the functions of
`app` and of the groups, each of which imports what its verb needs.
"""

from __future__ import annotations

import gc
import sys
from pathlib import Path

from vswitch.cli import straight
from vswitch.cli.exits import Exit
from vswitch.cli.problem import Problem

_COLLECTION_THRESHOLD = 50_000
"""Allocations before garbage is looked for: what is loaded is none, and most verbs make none."""


def main() -> None:
    """The entry point of the `vswitch` command."""
    gc.set_threshold(_COLLECTION_THRESHOLD)
    words = sys.argv[1:]
    line, configuration = straight.read(words), straight.configuration(words)
    try:
        if line is not None:
            from vswitch.cli import run

            sys.exit(run.run(line))
        elif configuration is not None:
            from vswitch.cli import up

            up.up(Path(configuration), None, removes=False)
        else:
            from vswitch.cli import verbs

            verbs.call(words)
    except Problem as problem:
        for text in str(problem).splitlines():
            print(f"vswitch: {text}", file=sys.stderr)
        sys.exit(Exit.FAILED)
