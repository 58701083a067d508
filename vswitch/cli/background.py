"""`vswitch stop|logs`: commands that run in the background."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from typing import BinaryIO
from urllib.parse import quote

from vswitch.cli.client import Client
from vswitch.cli.problem import Problem
from vswitch.daemon.messages.endpoints import StopBody
from vswitch.daemon.process.rundir import log_path
from vswitch.network.names import is_name


def stop(names: Sequence[str], seconds: float, switch: str | None) -> None:
    """End the commands of endpoints, each in its turn, and print their names."""
    client = Client.of(switch)
    for name in names:
        client.do("POST", f"endpoints/{quote(name, safe='')}/stop", StopBody(seconds=seconds))
        print(name)


def logs(name: str, switch: str | None) -> None:
    """Print what is kept of the output of a command that runs in the background, or has ended."""
    client = Client.of(switch)
    try:
        if not is_name(name):
            raise FileNotFoundError
        with log_path(client.directory, name).open("rb") as file:
            sys.stdout.buffer.write(_kept(file))
    except FileNotFoundError:
        raise Problem(f"{name} has not run in the background on this switch") from None
    except OSError as error:
        raise Problem(f"the output of {name}: {error.strerror}") from error


def _kept(file: BinaryIO) -> bytes:
    """All lines behind the hole that the switch has made of what was first; where it makes it
    larger meanwhile, that reads as zeros."""
    try:
        begin = os.lseek(file.fileno(), 0, os.SEEK_DATA)
    except OSError as error:
        if error.errno == errno.ENXIO:  # lseek(2): nothing but a hole, or nothing at all
            return b""
        raise
    end = os.fstat(file.fileno()).st_size
    kept = os.pread(file.fileno(), end - begin, begin)
    if begin == 0:
        return kept
    return kept.lstrip(b"\0").partition(b"\n")[2]
