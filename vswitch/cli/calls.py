"""Calls to a running switch: HTTP over its unix socket, or over TLS to another host.

Theory of operation. The switches that run have a directory each under /run/vswitch with the socket
in it, so with one switch running there is nothing to say, and with several `--switch` says which. A
switch that was killed leaves its socket behind, but nobody listens there any more: that tells the
two apart. Where VSWITCH_HOST is set and no `--switch`, it is the switch there (`remote`).

Octets go out and octets come back. What they mean is `client`'s business, whose models take ten
times as long to load as a call takes. Verbs that somebody waits for do with this module alone.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from vswitch.cli import remote
from vswitch.cli.problem import Problem
from vswitch.cli.remote import Remote
from vswitch.daemon.process.rundir import RUN, SOCKET

TIMEOUT_SECONDS = 30.0
"""Attaching an endpoint takes milliseconds; a switch that needs this long is not well."""


class Caller:
    """Calls to one switch. Every method raises `Problem` where it can not be done."""

    def __init__(self, place: Path | Remote, timeout: float = TIMEOUT_SECONDS) -> None:
        """`timeout` is how long one answer may take, in seconds."""
        self._place = place
        self._timeout = timeout

    @property
    def directory(self) -> Path:
        """The switch's own, with its socket in it. For a switch on this host."""
        if isinstance(self._place, Remote):
            raise Problem(
                f"this takes a switch on this host, and {remote.HOST} names one at {self._place}: "
                "say --switch NAME"
            )
        return self._place.parent

    @classmethod
    def of(cls, name: str | None, timeout: float = TIMEOUT_SECONDS) -> Self:
        """The switch called `name`, the one that the environment names, or the one that runs."""
        elsewhere = Remote.of(os.environ) if name is None else None
        if elsewhere is not None:
            return cls(elsewhere, timeout)
        running = running_switches()
        if name is not None:
            if name not in running:
                raise Problem(f"no switch named {name} is running ({_named(running)})")
            return cls(running[name], timeout)
        if not running:
            raise Problem("no switch is running: start one with vswitch up -c FILE.toml")
        if len(running) > 1:
            raise Problem(f"several switches are running: say --switch NAME ({_named(running)})")
        return cls(next(iter(running.values())), timeout)

    def call(self, method: str, path: str, body: str | None = None) -> bytes:
        """What the switch answers, where that is no refusal."""
        connection = self.connection()
        try:
            with self.trouble_told():
                connection.request(method, f"/v1/{path}", body=body)
                answer = connection.getresponse()
                content = answer.read()
        finally:
            connection.close()
        if answer.status >= http.client.BAD_REQUEST:
            raise refusal(content)
        return content

    def connection(self) -> http.client.HTTPConnection:
        """A new one to the switch, which is opened by its first request."""
        if isinstance(self._place, Remote):
            return self._place.connection(self._timeout)
        return _UnixConnection(self._place, self._timeout)

    @contextmanager
    def trouble_told(self) -> Iterator[None]:
        """What goes wrong with the socket in the block is a `Problem`."""
        try:
            yield
        except PermissionError:
            words = "may only be used by root, and by the group that its switch names (try sudo)"
            raise Problem(f"{self._place} {words}") from None
        except (ConnectionRefusedError, FileNotFoundError):
            raise Problem(f"the switch at {self._place} does not run any more") from None
        except (OSError, http.client.HTTPException) as error:
            raise Problem(f"the switch at {self._place} did not answer: {error}") from error

    def not_understood(self, path: str) -> Problem:
        """For an answer that is not what the call has."""
        return Problem(
            f"the switch at {self._place} speaks of {path} in another way than this vswitch: "
            "are they of one version?"
        )


class _UnixConnection(http.client.HTTPConnection):
    """To the socket at `path`."""

    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("switch", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Raises OSError."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def running_switches() -> dict[str, Path]:
    """The sockets of the switches that run, by name."""
    paths = sorted(RUN.glob(f"*/{SOCKET}"))
    return {path.parent.name: path for path in paths if _somebody_listens(path)}


def _somebody_listens(path: Path) -> bool:
    """What is not for us to connect to is taken for alive: the call will say whose it is."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(TIMEOUT_SECONDS)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            return True
    return True


def refusal(content: bytes) -> Problem:
    """The switch's words in the body of an answer that is no success."""
    try:
        return Problem(str(json.loads(content)["error"]))
    except (ValueError, TypeError, KeyError):
        return Problem(content.decode(errors="replace"))


def _named(running: dict[str, Path]) -> str:
    return f"running: {', '.join(running)}" if running else "none is running"
