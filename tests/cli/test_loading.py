"""What is loaded when: nothing that is not used, as somebody waits for it.

Each row is a command line up to where it asks a switch, or a switch up to where it says that it is
up. A process of its own tells what was loaded.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = """
import sys
from vswitch.cli import main
from vswitch.daemon.process import rundir
rundir.RUN = rundir.Path(sys.argv.pop())
try:
    main()
except SystemExit:
    print(*sys.modules)
"""
"""It finds that there is no switch, and has loaded by then what it asks one with."""

SWITCH = """
import sys
from vswitch.daemon.kernel import netns, links
from vswitch.daemon.process.service import serve
links.on_link_subnets()
print(*sys.modules)
"""
"""With its first question to the kernel, as pyroute2 loads some of itself when it is used."""

HTTP_SERVER = {"aiohttp", "prometheus_client", "vswitch.daemon.api", "vswitch.daemon.metrics"}
DAEMON = HTTP_SERVER | {"asyncio", "uvloop", "pyroute2", "dns", "scapy", "vswitch.daemon.daemon"}
DRAWING = {"rich"}
TYPER = {"typer", "pydantic", "vswitch.cli.app"}
CONFIGURATION = {"vswitch.network.configuration.schema", "vswitch.network.configuration.config"}
SLOW_PARTS_OF_PYTHON = {"dataclasses", "inspect", "logging", "tempfile", "concurrent.futures"}
REST_OF_PYROUTE2 = {"pyroute2", "pyroute2.ndb", "pyroute2.nftables", "pyroute2.plan9"}

NEVER_LOADED = {
    "run --name web -p 8080:80 -- true": (
        DAEMON | DRAWING | TYPER | CONFIGURATION | SLOW_PARTS_OF_PYTHON | {"vswitch.network.model"}
    ),
    "ps": DAEMON | CONFIGURATION | {"vswitch.network.model", "vswitch.cli.run"},
    "flows": DAEMON | CONFIGURATION | {"vswitch.network.model", "vswitch.cli.run"},
    "network ls": DAEMON | CONFIGURATION | {"vswitch.cli.run"},
    "stop web": DAEMON | DRAWING | CONFIGURATION | {"vswitch.network.model"},
}


def loaded(script: str, *words: str) -> tuple[set[str], str]:
    """The modules that a process tells of at its end, and what it says on stderr."""
    command = [sys.executable, "-c", script, *words]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    return set(ended.stdout.split()), ended.stderr


@pytest.mark.parametrize("line", NEVER_LOADED)
def test_command_loads_nothing_that_it_does_not_use(line: str, tmp_path: Path) -> None:
    modules, said = loaded(COMMAND, *line.split(), str(tmp_path))
    assert said == "vswitch: no switch is running: start one with vswitch up -c FILE.toml\n"
    assert modules & NEVER_LOADED[line] == set()


def test_switch_is_started_without_what_reads_other_lines(tmp_path: Path) -> None:
    modules, said = loaded(COMMAND, "up", "-c", str(tmp_path / "lab.toml"), str(tmp_path))
    assert "cannot be read" in said
    assert modules & ({"typer", "vswitch.cli.app"} | DRAWING) == set()


def test_switch_is_up_before_it_loads_what_answers_requests_and_queries() -> None:
    modules, said = loaded(SWITCH)
    assert said == ""
    assert {"pyroute2.iproute.linux", "vswitch.daemon.attaching.attachment"} <= modules
    unused = (
        HTTP_SERVER
        | DRAWING
        | REST_OF_PYROUTE2
        | {"dns", "scapy", "vswitch.daemon.resolving.answering"}
    )
    assert modules & unused == set()
