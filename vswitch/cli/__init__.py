"""The `vswitch` command: one file per family of verbs, all of them thin.

`up` runs a switch, `run` starts a command attached to it, `show` prints its tables, `demo` shows
it all. They speak to a running switch through `client`; what can go wrong is told in one line on
stderr with exit status 1 (2 for a wrong command line).
"""

from __future__ import annotations

import sys

from vswitch.cli.app import app
from vswitch.cli.problem import Problem


def main() -> None:
    """The entry point of the `vswitch` command."""
    try:
        app()
    except Problem as problem:
        for line in str(problem).splitlines():
            print(f"vswitch: {line}", file=sys.stderr)
        sys.exit(1)
