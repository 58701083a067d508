"""`python -m bench`: this switch and its peers side by side, and the engine in memory.

`python -m bench engine` is the part that needs no privileges, `python -m bench peers` the rest.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from bench import engine, isolation, peers, processes, session
from bench.alone import calm, idle, start
from bench.engine.memory import MOST_IN_MEMORY
from bench.engine.rig import WrongPathError
from bench.engine.setup import MOST_CONNECTIONS
from bench.figures import Figure
from bench.peers import vswitch
from bench.report import document, markdown, plots, terminal
from bench.results import Machine, Results
from bench.topology import CommandError, World
from bench.workloads import WORKLOADS

INTERRUPTED = 130
"""Exit status after Ctrl-C, as a shell gives it."""

REQUIRED = ("unshare", "mount", "ip", "ping")
SETUP = Path(__file__).parents[1] / ".ci" / "setup"

PEERS = tuple(peer.name for peer in peers.PEERS if peer is not vswitch.PEER)
ALONE = ("start", "calm", "idle")
"""What is asked of this switch alone, over real interfaces."""

FAMILIES = (*dict.fromkeys(workload.family for workload in WORKLOADS), *ALONE)


def main(arguments: list[str]) -> int:
    """The whole program; its exit status."""
    options = _parser().parse_args(arguments)
    try:
        if options.what == "engine":
            _report(options, _measure_engine(options))
            return 0
        return _over_interfaces(options, arguments)
    except KeyboardInterrupt:
        print("bench: interrupted, nothing is left behind", file=sys.stderr)
        return INTERRUPTED
    except (CommandError, WrongPathError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.split("\n")[0])
    parser.add_argument("what", nargs="?", choices=("all", "engine", "peers"), default="all")
    parser.add_argument("--rounds", type=_positive, default=3, help="of everything (default 3)")
    parser.add_argument("--seconds", type=_positive, default=1, help="of one load (default 1)")
    parser.add_argument(
        "--only",
        action="append",
        choices=FAMILIES,
        metavar="WORKLOAD",
        help=f"over real interfaces: {', '.join(FAMILIES)}; may be given again",
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


def _measure_engine(options: argparse.Namespace) -> Results:
    machine = Machine.here(processes.busy_cores())
    figures = engine.measure(
        options.rounds, options.frames, options.connections, options.many, _progress
    )
    return Results(machine, figures)


def _over_interfaces(options: argparse.Namespace, arguments: list[str]) -> int:
    obstacle = _obstacle(options)
    if obstacle is not None:
        print(f"bench: {obstacle}", file=sys.stderr)
        return 1
    if not isolation.is_inside():
        if options.install:
            subprocess.run([SETUP, "peers"], check=True)
        return isolation.run_inside(arguments)
    isolation.furnish()
    machine = Machine.here(processes.busy_cores())
    measured = _measure_engine(options).figures if options.what == "all" else []
    with World() as world:
        results = _measure_peers(world, options, machine, list(measured))
    _report(options, results)
    return 1 if vswitch.PEER.name in [each.name for each in results.absent] else 0


def _obstacle(options: argparse.Namespace) -> str | None:
    """Why nothing can be measured over real interfaces here, None where it can."""
    if os.geteuid() != 0:
        return "needs root, for namespaces and interfaces; `python -m bench engine` does not"
    absent = [program for program in REQUIRED if shutil.which(program) is None]
    if absent:
        return f"not installed: {', '.join(absent)}"
    if options.plots and find_spec("matplotlib") is None:
        return "--plots takes matplotlib: install the extra `bench`"
    return None


def _measure_peers(
    world: World, options: argparse.Namespace, machine: Machine, figures: list[Figure]
) -> Results:
    wanted = options.only or FAMILIES
    paths, absent = peers.build_all(world, options.peer or PEERS)
    workloads = [workload for workload in WORKLOADS if workload.family in wanted]
    if "start" in wanted:
        figures.append(start.measure(world, options.rounds, _progress))
    runs = session.measure(world, paths, workloads, options.rounds, options.seconds, _progress)
    if "calm" in wanted and any(path.is_ours for path in paths):
        figures += calm.measure(world, paths, options.rounds, options.seconds, _progress)
    if "idle" in wanted:
        figures += idle.measure(paths, _progress)
    return Results(machine, figures, runs, absent)


def _report(options: argparse.Namespace, results: Results) -> None:
    if sys.stdout.isatty():
        terminal.show(results)
    else:
        print(markdown.render(results))
    if options.markdown:
        with options.markdown as file:
            file.write(markdown.render(results))
    if options.json:
        with options.json as file:
            json.dump(document.document(results), file, indent=2)
            file.write("\n")
    if options.plots:
        plots.draw(results, options.plots)


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
