"""What the kernel knows about processes: CPU time, wake-ups, listening sockets (proc(5))."""

from __future__ import annotations

import os
import re
import subprocess
import time
from pathlib import Path

LISTEN_TO_MACHINE = 1.0
"""Seconds of looking for other busy processes before a load begins."""

_LISTENING = "0A"  # TCP_LISTEN, <net/tcp_states.h>
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_SWITCHES = re.compile(r"^(?:non)?voluntary_ctxt_switches:\s+([0-9]+)$", re.M)


def cpu_seconds(process: subprocess.Popen[bytes] | None) -> float | None:
    """User and system time of a process, all its threads together; None for nobody's."""
    if process is None:
        return None
    stat = Path(f"/proc/{process.pid}/stat").read_text()
    after_name = stat[stat.rindex(")") + 2 :].split()
    user, system = after_name[11:13]
    return (int(user) + int(system)) / _TICKS_PER_SECOND


def wake_ups(process: subprocess.Popen[bytes]) -> int:
    """How often any thread of a process has been given a core, until now."""
    statuses = Path(f"/proc/{process.pid}/task").glob("*/status")
    return sum(int(count) for status in statuses for count in _SWITCHES.findall(status.read_text()))


def is_listening(pid: int, port: int) -> bool:
    """Whether somebody listens on a TCP port in the network namespace of a process."""
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *_ = line.split()
            if local.endswith(f":{port:04X}") and state == _LISTENING:
                return True
    return False


def busy_cores() -> float:
    """How many cores' worth of time everybody else takes just now."""
    idle_before, begun = _idle_seconds(), time.monotonic()
    time.sleep(LISTEN_TO_MACHINE)
    idle = _idle_seconds() - idle_before
    return max(0.0, (os.cpu_count() or 1) - idle / (time.monotonic() - begun))


def _idle_seconds() -> float:
    """Time that all cores together have spent idle or waiting for a disk."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    return (int(fields[4]) + int(fields[5])) / _TICKS_PER_SECOND
