"""What a command loads: nothing that it does not use. A process of its own tells.

Where one of these is loaded after all, everybody who types the command waits for it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TELL = """
import sys
from vswitch.cli import main
from vswitch.daemon import rundir
rundir.RUN = rundir.Path({run!r})
sys.argv[1:] = {words!r}.split()
try:
    main()
except SystemExit:
    print(*sys.modules, file=sys.stderr)
"""
"""The command runs into that there is no switch; by then it has loaded what it needs."""

NO_DAEMON = {"asyncio", "aiohttp", "pyroute2", "dns", "uvloop", "prometheus_client", "scapy"}

NO_DRAWING = {"rich"}

NO_MODELS = {"pydantic", "typer", "vswitch.network.model", "dataclasses", "logging", "tempfile"}

NEVER_LOADED = {
    "run --name web -p 8080:80 -- true": NO_DAEMON | NO_DRAWING | NO_MODELS,
    "ps": NO_DAEMON | {"vswitch.network.model", "vswitch.cli.run"},
    "network ls": NO_DAEMON | {"vswitch.network.config", "vswitch.cli.run"},
    "flows": NO_DAEMON | {"vswitch.network.model", "vswitch.cli.run"},
    "stop web": NO_DAEMON | NO_DRAWING | {"vswitch.network.model"},
}


@pytest.mark.parametrize("words", NEVER_LOADED)
def test_command_loads_nothing_that_it_does_not_use(words: str, tmp_path: Path) -> None:
    script = TELL.format(run=str(tmp_path), words=words)
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True
    )
    *told, loaded = ended.stderr.splitlines()
    assert told == ["vswitch: no switch is running: start one with vswitch up -c FILE.toml"]
    assert not NEVER_LOADED[words] & set(loaded.split())
