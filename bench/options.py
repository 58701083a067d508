"""The command line."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from bench import engine, peers
from bench.engine.memory import MOST_IN_MEMORY
from bench.engine.setup import MOST_CONNECTIONS
from bench.peers import vswitch
from bench.report import plots
from bench.workloads import WORKLOADS

DESCRIPTION = "This switch and its peers side by side, and the engine in memory."

PEERS = tuple(peer.name for peer in peers.PEERS if peer is not vswitch.PEER)
ALONE = ("start", "run", "create", "calm", "dead", "idle")
"""What is asked of this switch alone, over real interfaces."""

OVER_INTERFACES = (*dict.fromkeys(workload.family for workload in WORKLOADS), *ALONE)

FAMILIES = {
    "all": (*engine.FAMILIES, *OVER_INTERFACES),
    "engine": engine.FAMILIES,
    "peers": OVER_INTERFACES,
}
"""What can be asked for by --only."""


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """What is to be done. Leaves the program where that makes no sense."""
    parser = _parser()
    options = parser.parse_args(arguments)
    options.only = options.only or FAMILIES[options.what]
    for family in options.only:
        if family not in FAMILIES[options.what]:
            parser.error(f"{family} is no part of {options.what}")
    options.peer = options.peer or PEERS
    return options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=DESCRIPTION)
    parser.add_argument("what", nargs="?", choices=("all", "engine", "peers"), default="all")
    parser.add_argument("--rounds", type=_positive, default=3, help="of everything (default 3)")
    parser.add_argument("--seconds", type=_positive, default=1, help="of one load (default 1)")
    parser.add_argument(
        "--only",
        action="append",
        choices=FAMILIES["all"],
        metavar="WORKLOAD",
        help=f"{', '.join(FAMILIES['all'])}; may be given again (default: all)",
    )
    parser.add_argument(
        "--peer",
        action="append",
        choices=PEERS,
        metavar="NAME",
        help=f"{', '.join(PEERS)}; may be given again (default: all)",
    )
    parser.add_argument(
        "--install", action="store_true", help="first install the peers that are missing"
    )
    parser.add_argument(
        "--frames", type=_positive, default=50_000, help="in one case of the engine"
    )
    parser.add_argument(
        "--connections",
        type=_at_most(MOST_CONNECTIONS),
        default=10_000,
        help="that the engine sets up in one case",
    )
    parser.add_argument(
        "--many",
        type=_at_most(MOST_IN_MEMORY),
        default=100_000,
        metavar="CONNECTIONS",
        help="that the engine has at once, up to a million (default 100,000)",
    )
    # Opened before anything is measured: a name that cannot be written is told at once.
    writable = argparse.FileType("w")
    parser.add_argument("--json", type=writable, metavar="FILE", help="all results")
    parser.add_argument("--markdown", type=writable, metavar="FILE", help="the report")
    parser.add_argument(
        "--plots", type=Path, metavar="DIRECTORY", help=f"write {plots.PICTURE} (takes matplotlib)"
    )
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def _at_most(most: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        found = _positive(text)
        if found > most:
            raise argparse.ArgumentTypeError(f"at most {most:,}")
        return found

    return number
