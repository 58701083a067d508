"""`vswitch stop|logs`: commands that run in the background."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from urllib.parse import quote

from vswitch.cli.client import Client
from vswitch.cli.problem import Problem
from vswitch.daemon.messages.endpoints import StopBody
from vswitch.daemon.rundir import log_path
from vswitch.network.names import is_name


def stop(names: Sequence[str], seconds: float, switch: str | None) -> None:
    """End the commands of endpoints, each in its turn, and print their names."""
    client = Client.of(switch)
    for name in names:
        client.do("POST", f"endpoints/{quote(name, safe='')}/stop", StopBody(seconds=seconds))
        print(name)


def logs(name: str, switch: str | None) -> None:
    """Print the output of a command that runs in the background, or that has ended."""
    client = Client.of(switch)
    try:
        if not is_name(name):
            raise FileNotFoundError
        with log_path(client.directory, name).open("rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer)
    except FileNotFoundError:
        raise Problem(f"{name} has not run in the background on this switch") from None
    except OSError as error:
        raise Problem(f"the output of {name}: {error.strerror}") from error
