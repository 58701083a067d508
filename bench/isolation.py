"""A world of its own for a benchmark, which ends with it whatever happens.

Theory of operation. The benchmark starts itself again behind unshare(1), in fresh network, mount
and process namespaces. In there it is process 1: when it ends, even by SIGKILL, the kernel ends
all that it started, and with the last of them go links, named namespaces and mounts; and it ends
when the process outside does. The places where names, state and scratch files are kept are covered
with empty file systems, so nothing of the host is seen or changed. What is left to do outside is
to pass signals on, and to remove the one mount point that may have to be made.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

NETNS_FILES = Path("/etc/netns")
"""resolv.conf files of namespaces."""

COVERED = (Path("/run"), NETNS_FILES)
"""Names of namespaces, the switch's own state, scratch files; and the above."""

SCRATCH = Path("/run/vswitch-bench")

INSIDE = "VSWITCH_BENCH_ISOLATED"
"""Set in the environment of the process inside."""

_UNSHARE = (
    *("setpriv", "--pdeathsig", "KILL"),
    *("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
)
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def is_inside() -> bool:
    """Whether this process is the one inside."""
    return INSIDE in os.environ


def run_inside(arguments: Sequence[str]) -> int:
    """Run `python -m bench ARGUMENTS` in a world of its own; its exit status."""
    with _mount_point():
        inside = subprocess.Popen(
            [*_UNSHARE, sys.executable, "-m", "bench", *arguments],
            env={**os.environ, INSIDE: "1", "TMPDIR": str(SCRATCH)},
            process_group=0,
        )
        _pass_signals_to(inside)
        return inside.wait()


def furnish() -> None:
    """Inside: cover the host's names, and let the signals that end a process be exceptions."""
    for number in _SIGNALS:
        signal.signal(number, signal.default_int_handler)
    for place in COVERED:
        subprocess.run(["mount", "-t", "tmpfs", "bench", str(place)], check=True)
    SCRATCH.mkdir()
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


@contextmanager
def _mount_point() -> Iterator[None]:
    if NETNS_FILES.exists():
        yield
        return
    NETNS_FILES.mkdir()
    try:
        yield
    finally:
        NETNS_FILES.rmdir()


def _pass_signals_to(inside: subprocess.Popen[bytes]) -> None:
    """The first signal asks for an orderly end; the second one ends it."""
    asked = False

    def end(_number: int, _where: FrameType | None) -> None:
        nonlocal asked
        if asked:
            inside.kill()
            return
        asked = True
        os.killpg(inside.pid, signal.SIGINT)

    for number in _SIGNALS:
        signal.signal(number, end)
