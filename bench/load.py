"""The load: iperf3 over every path in turn, and the CPU time that it cost.

The rounds alternate: one round visits every path once, so that two results of one round were made
within seconds of each other and can be compared as a pair.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.peers import PathToMeasure, Workload
from bench.topology import PATIENCE, CommandError, World

_IPERF_PORT = 5201
_LISTENING = "0A"  # TCP_LISTEN, <net/tcp_states.h>
_GIGABIT = 1e9
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")

LISTEN_TO_MACHINE = 1.0
"""Seconds of looking for other busy processes before the load begins."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """One run of iperf3 over a path."""

    gigabits: float
    """What the receiver got."""
    seconds: float
    cpu_seconds: float | None
    """What the path's own process burnt meanwhile."""

    @property
    def rate(self) -> float:
        """Gbit/s."""
        return self.gigabits / self.seconds

    @property
    def cpu_per_gigabit(self) -> float | None:
        """Seconds of CPU time."""
        return None if self.cpu_seconds is None else self.cpu_seconds / self.gigabits


def measure(
    world: World,
    paths: Sequence[PathToMeasure],
    rounds: int,
    seconds: int,
    progress: Callable[[str], None],
) -> dict[PathToMeasure, list[Transfer]]:
    """Run the load over every path in every round. Raises CommandError."""
    for namespace in dict.fromkeys(path.server for path in paths):
        _serve(world, namespace)
    transfers: dict[PathToMeasure, list[Transfer]] = {path: [] for path in paths}
    for number in range(1, rounds + 1):
        for path in paths:
            transfer = _transfer(path, seconds)
            transfers[path].append(transfer)
            what = f"{path.workload.value}: {path.contender}"
            progress(f"round {number}/{rounds}: {what}: {transfer.rate:.2f} Gbit/s")
    return transfers


def busy_cores() -> float:
    """How many cores' worth of time everybody else takes just now."""
    idle_before, begun = _idle_seconds(), time.monotonic()
    time.sleep(LISTEN_TO_MACHINE)
    idle = _idle_seconds() - idle_before
    return max(0.0, (os.cpu_count() or 1) - idle / (time.monotonic() - begun))


def _serve(world: World, namespace: str) -> None:
    server = world.start("iperf3", "--server", within=namespace)
    world.wait_for(f"iperf3 in {namespace}", partial(_is_listening, server.pid), server)


def _is_listening(pid: int) -> bool:
    """Whether somebody listens on iperf3's port in the network namespace of a process."""
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *_ = line.split()
            if local.endswith(f":{_IPERF_PORT:04X}") and state == _LISTENING:
                return True
    return False


def _transfer(path: PathToMeasure, seconds: int) -> Transfer:
    direction = ("--reverse",) if path.workload is Workload.NAPT_DOWN else ()
    load = ("iperf3", "--json", "--client", path.address, "--time", str(seconds), *direction)
    command = ("ip", "netns", "exec", path.client, *load)
    before = _cpu_seconds(path.process)
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + PATIENCE)
    except subprocess.TimeoutExpired as error:
        raise CommandError(f"{path.contender}: iperf3 does not end") from error
    after = _cpu_seconds(path.process)
    burnt = None if before is None or after is None else after - before
    try:
        received = json.loads(done.stdout)["end"]["sum_received"]
        return Transfer(received["bytes"] * 8 / _GIGABIT, received["seconds"], burnt)
    except (ValueError, KeyError) as error:
        said = done.stdout.strip() or done.stderr.strip()
        raise CommandError(f"{path.contender}: iperf3: {said}") from error


def _cpu_seconds(process: subprocess.Popen[bytes] | None) -> float | None:
    """User and system time of a process, all its threads together."""
    if process is None:
        return None
    stat = Path(f"/proc/{process.pid}/stat").read_text()
    after_name = stat[stat.rindex(")") + 2 :].split()
    user, system = after_name[11:13]
    return (int(user) + int(system)) / _TICKS_PER_SECOND


def _idle_seconds() -> float:
    """Time that all cores together have spent idle or waiting for a disk (proc(5))."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    return (int(fields[4]) + int(fields[5])) / _TICKS_PER_SECOND
