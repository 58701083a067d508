"""The `vswitch` command: one file per family of verbs, all of them thin.

`up` runs a switch, `run` starts a command attached to it, `attach` attaches what exists, `show`
prints its tables, `demo` shows it all. The words of most verbs are in `app`, those of verbs about
endpoints in `endpoints`. They speak to a running switch through `client`; what can go wrong is told
in one line on stderr, and `exits` says with which status. What a shell completes is in `complete`.
"""

from __future__ import annotations

import sys

from vswitch.cli.app import app
from vswitch.cli.exits import Exit
from vswitch.cli.problem import Problem


def main() -> None:
    """The entry point of the `vswitch` command."""
    try:
        app(prog_name="vswitch")
    except Problem as problem:
        for line in str(problem).splitlines():
            print(f"vswitch: {line}", file=sys.stderr)
        sys.exit(Exit.FAILED)
