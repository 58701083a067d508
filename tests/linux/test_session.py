"""README's session, run as it stands there, on a host that has nothing but an interface.

The host is a set of namespaces of the test's own: network, mounts, processes. What is written to
/etc, /run and /var/lib is seen in there alone, and all of it ends with the first of its processes.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

pytestmark = pytest.mark.linux

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()

PATIENCE = 120

WORLD = """
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs /run
mkdir /run/netns /run/etc
cp -a /etc/. /run/etc
mount --bind /run/etc /etc
mkdir -p /var/lib/vswitch
mount -t tmpfs tmpfs /var/lib/vswitch
ip link set lo up
ip netns add far
ip link add eth1 type veth peer name eth0 netns far
ip link set eth1 up
ip -n far link set eth0 up
ip -n far address add 192.0.2.1/24 dev eth0
set +e
cd "$1"
"""

READY = "until vswitch status > status 2>&1; do sleep 0.05; done"


class Line(NamedTuple):
    """Something that is typed, and what comes of it."""

    prompt: str
    command: str
    output: str


def session() -> list[Line]:
    """The lines of README's block."""
    (block,) = re.findall(r"## A session\n.*?```console\n(.*?)```", README, re.DOTALL)
    typed = re.findall(r"^(far)?# (.*)\n((?:(?!far# |# ).*\n)*)", block, re.MULTILINE)
    return [Line(*each) for each in typed]


def configuration() -> str:
    """README's first one."""
    (block,) = re.findall(r"```toml\n(# lab\.toml\n.*?)```", README, re.DOTALL)
    return str(block)


def is_as_written(line: Line, output: str) -> bool:
    """Whether a command said what it says in the block, where … stands for whatever it is."""
    pattern = re.escape(line.output).replace("…", ".*")
    return re.fullmatch(pattern, output) is not None


def script() -> str:
    lines = [WORLD]
    for number, line in enumerate(session()):
        lines.append(f"echo; echo @{number}")
        if line.command.endswith(" &"):
            lines += [f"{line.command.removesuffix(' &')} >> log 2>&1 &", READY]
        elif line.prompt == "far":
            lines.append(f"ip netns exec far bash -c {shlex.quote(line.command)} 2>&1")
        else:
            lines.append(f"{{ {line.command}; }} 2>&1")
    return "\n".join(lines)


def test_session_of_the_readme_runs_as_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "lab.toml").write_text(configuration())
    host = ("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        (*host, "bash", "-c", script(), "bash", str(tmp_path)),
        env={**os.environ, "PATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    said = re.split(r"\n@[0-9]+\n", done.stdout)[1:]
    others = [
        (line, output)
        for line, output in zip(session(), said, strict=True)
        if not is_as_written(line, output)
    ]
    assert not others, "\n".join((*map(str, others), done.stderr, (tmp_path / "log").read_text()))
