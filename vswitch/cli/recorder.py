"""`vswitch recorder dump`: what passed the running switch last, as its flight recorder has it."""

from __future__ import annotations

import sys

from vswitch.cli import capture
from vswitch.cli.client import Client
from vswitch.cli.problem import Problem
from vswitch.debug.files.blocks import NotPcapngError


def dump(target: str, switch: str | None) -> None:
    """Write it into a file or to standard output."""
    client = Client.of(switch)
    try:
        with client.stream("recorder") as stream:
            frames = capture.write(stream, target)
    except NotPcapngError as error:
        raise Problem(f"the switch sends {error}") from error
    print(f"{frames} frames", file=sys.stderr)
