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
from bench.alone import calm, create, dead, idle, run, start
from bench.engine.rig import WrongPathError
from bench.figures import Figure
from bench.options import parse
from bench.peers import Missing, vswitch
from bench.report import document, markdown, plots, terminal
from bench.results import Machine, Results
from bench.topology import CommandError, World
from bench.workloads import WORKLOADS

INTERRUPTED = 130
"""Exit status after Ctrl-C, as a shell gives it."""

REQUIRED = ("setpriv", "unshare", "mount", "ip", "ping")
SETUP = Path(__file__).parents[1] / ".ci" / "setup"


def main(arguments: list[str]) -> int:
    """The whole program; its exit status."""
    options = parse(arguments)
    try:
        if options.what == "engine":
            machine = Machine.here(processes.busy_cores())
            _report(options, Results(machine, _measure_engine(options)))
            return 0
        return _over_interfaces(options, arguments)
    except KeyboardInterrupt:
        print("bench: interrupted, nothing is left behind", file=sys.stderr)
        return INTERRUPTED
    except (CommandError, WrongPathError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1


def _measure_engine(options: argparse.Namespace) -> list[Figure]:
    size = engine.Size(options.rounds, options.frames, options.connections, options.many)
    return engine.measure(options.only, size, _progress)


def _over_interfaces(options: argparse.Namespace, arguments: list[str]) -> int:
    obstacle = _obstacle(options)
    if obstacle is not None:
        print(f"bench: {obstacle}", file=sys.stderr)
        return 1
    if not isolation.is_inside():
        if options.install:
            installed = subprocess.run([SETUP, "peers"])
            if installed.returncode != 0:
                return installed.returncode
        return isolation.run_inside(arguments)
    isolation.furnish()
    machine = Machine.here(processes.busy_cores())
    figures = _measure_engine(options)
    with World() as world:
        results = _measure_peers(world, options, machine, figures)
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
    wanted = options.only
    rounds, seconds = options.rounds, options.seconds
    paths, missing = peers.build_all(world, options.peer)
    workloads = [workload for workload in WORKLOADS if workload.family in wanted]
    if "start" in wanted:
        figures += _tried("start", missing, lambda: [start.measure(world, rounds, _progress)])
    if "run" in wanted:
        figures += _tried("run", missing, lambda: [run.measure(world, rounds, _progress)])
    if "create" in wanted:
        figures += _tried("create", missing, lambda: [create.measure(world, rounds, _progress)])
    runs = session.measure(world, paths, workloads, rounds, seconds, _progress)
    if "calm" in wanted and any(path.is_ours for path in paths):
        figures += _tried(
            "calm", missing, lambda: calm.measure(world, paths, rounds, seconds, _progress)
        )
    if "dead" in wanted:
        figures += _tried("dead", missing, lambda: dead.measure(world, rounds, seconds, _progress))
    if "idle" in wanted:
        figures += idle.measure(paths, _progress)
    return Results(machine, figures, runs, missing)


def _tried(name: str, missing: list[Missing], measure: Callable[[], list[Figure]]) -> list[Figure]:
    """What comes of it; where it fails, nothing, and its name is among what is missing."""
    try:
        return measure()
    except CommandError as error:
        missing.append(Missing(name, str(error)))
        return []


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
    if options.plots and plots.draw(results, options.plots) is None:
        _progress("no picture: nothing that a peer has done as well")


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
