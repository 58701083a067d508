"""`python -m bench`: the engine in memory, then this switch and its peers over real interfaces.

`python -m bench engine` is the first part alone, which needs no privileges.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from typing import TextIO

from bench import engine, isolation, load, memory, report
from bench.engine import CaseResult
from bench.memory import Memory
from bench.peers import Missing, PathToMeasure, build_all
from bench.topology import CommandError, World

INTERRUPTED = 130
"""Exit status after Ctrl-C, as a shell gives it."""

REQUIRED = ("unshare", "mount", "ip", "ping", "iperf3")


def main(arguments: list[str]) -> int:
    """The whole program; its exit status."""
    options = _parser().parse_args(arguments)
    try:
        if options.what == "engine":
            return _engine_alone(options)
        obstacle = _obstacle()
        if obstacle is not None:
            print(f"bench: {obstacle}", file=sys.stderr)
            return 1
        if not isolation.is_inside():
            return isolation.run_inside(arguments)
        isolation.furnish()
        return _everything(options)
    except KeyboardInterrupt:
        print("bench: interrupted, nothing is left behind", file=sys.stderr)
        return INTERRUPTED
    except (CommandError, engine.WrongPathError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.split("\n")[0])
    parser.add_argument("what", nargs="?", choices=("all", "engine"), default="all")
    parser.add_argument("--rounds", type=_positive, default=3, help="of everything (default 3)")
    parser.add_argument("--seconds", type=_positive, default=3, help="of one load (default 3)")
    parser.add_argument("--frames", type=_positive, default=50_000, help="in one hit case")
    parser.add_argument("--connections", type=_connections, default=10_000, help="in one new case")
    parser.add_argument(
        "--memory", type=_in_memory, default=100_000, metavar="CONNECTIONS", help="that are weighed"
    )
    # Opened before anything is measured: a name that cannot be written is told at once.
    parser.add_argument("--json", type=argparse.FileType("w"), metavar="FILE", help="all results")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def _connections(text: str) -> int:
    return _at_most(engine.MOST_CONNECTIONS, text)


def _in_memory(text: str) -> int:
    return _at_most(memory.MOST_IN_MEMORY, text)


def _at_most(most: int, text: str) -> int:
    number = _positive(text)
    if number > most:
        raise argparse.ArgumentTypeError(f"at most {most}")
    return number


def _obstacle() -> str | None:
    """Why nothing can be measured over real interfaces here, None where it can."""
    if os.geteuid() != 0:
        return "needs root, for namespaces and interfaces; `python -m bench engine` does not"
    absent = [program for program in REQUIRED if shutil.which(program) is None]
    return f"not installed: {', '.join(absent)}" if absent else None


def _engine_alone(options: argparse.Namespace) -> int:
    machine = report.Machine.here(load.busy_cores())
    results, weighed = _measure_engine(options)
    out = report.console()
    report.print_machine(out, machine)
    report.print_engine(out, results)
    report.print_memory(out, weighed)
    _write_json(options.json, machine, results, weighed, {}, [])
    return 0


def _everything(options: argparse.Namespace) -> int:
    machine = report.Machine.here(load.busy_cores())
    results, weighed = _measure_engine(options)
    with World() as world:
        paths, missing = build_all(world)
        transfers = load.measure(world, paths, options.rounds, options.seconds, _progress)
    out = report.console()
    report.print_machine(out, machine)
    report.print_engine(out, results)
    report.print_memory(out, weighed)
    report.print_network(out, transfers)
    report.print_missing(out, missing)
    _write_json(options.json, machine, results, weighed, transfers, missing)
    return 0 if any(path.is_ours for path in paths) else 1


def _measure_engine(options: argparse.Namespace) -> tuple[list[CaseResult], Memory]:
    results = engine.measure(options.rounds, options.frames, options.connections, _progress)
    _progress(f"memory of {options.memory} connections")
    return results, memory.measure(options.memory)


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _write_json(
    file: TextIO | None,
    machine: report.Machine,
    results: list[CaseResult],
    weighed: Memory,
    transfers: dict[PathToMeasure, list[load.Transfer]],
    missing: list[Missing],
) -> None:
    if file is None:
        return
    document = report.as_json(machine, results, weighed, transfers, missing)
    with file:
        json.dump(document, file, indent=2)
        file.write("\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
