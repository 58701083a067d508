"""Speaking to a running switch: HTTP with JSON over its unix socket, or over TLS to another host.

The switches that run have a directory each under /run/vswitch with the socket in it, so with one
switch running there is nothing to say, and with several `--switch` says which. A switch that was
killed leaves its socket behind, but nobody listens there any more: that tells the two apart.

Where VSWITCH_HOST is set and no `--switch`, it is the switch there (`remote`).
"""

from __future__ import annotations

import http.client
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlencode

from pydantic import BaseModel, TypeAdapter, ValidationError

from vswitch.cli import remote
from vswitch.cli.problem import Problem
from vswitch.cli.remote import Remote
from vswitch.daemon.messages import Problem as ProblemBody
from vswitch.daemon.rundir import RUN, SOCKET

TIMEOUT_SECONDS = 30.0
"""Attaching an endpoint takes milliseconds; a switch that needs this long is not well."""

_PIECE_BYTES = 256 * 1024
"""Bytes that are read at a time of what a switch streams."""

Row = TypeVar("Row", bound=BaseModel)


class Client:
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
    def of(cls, name: str | None, timeout: float = TIMEOUT_SECONDS) -> Client:
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

    def rows(
        self, table: str, kind: type[Row], method: str = "GET", body: BaseModel | None = None
    ) -> list[Row]:
        """The rows of a table, or of what a call has added to one."""
        content = self._call(method, table, body)
        try:
            return TypeAdapter(list[kind]).validate_json(content)  # type: ignore[valid-type]
        except ValidationError:
            raise self._not_understood(table) from None

    def row(self, method: str, path: str, kind: type[Row], body: BaseModel | None = None) -> Row:
        """The answer of a call that has one."""
        content = self._call(method, path, body)
        try:
            return kind.model_validate_json(content)
        except ValidationError:
            raise self._not_understood(path) from None

    def do(self, method: str, path: str, body: BaseModel | None = None) -> None:
        """A call whose answer says nothing."""
        self._call(method, path, body)

    def text(self, table: str, method: str = "GET", body: BaseModel | None = None) -> str:
        """The same as the JSON text that the switch sent."""
        return self._call(method, table, body).decode()

    @contextmanager
    def stream(self, path: str, query: BaseModel | None = None) -> Iterator[Stream]:
        """An answer that goes on until the switch ends it, to be read while it comes."""
        connection = self._connection()
        try:
            with self._trouble_told():
                connection.request("GET", f"/v1/{path}{_query_text(query)}")
                held = connection.sock
                answer = connection.getresponse()
                if answer.status >= http.client.BAD_REQUEST:
                    raise Problem(_error_text(answer.read()))
                held.settimeout(None)
            yield Stream(answer, held)
        finally:
            connection.close()

    def _call(self, method: str, path: str, body: BaseModel | None = None) -> bytes:
        connection = self._connection()
        try:
            with self._trouble_told():
                text = body.model_dump_json() if body else None
                connection.request(method, f"/v1/{path}", body=text)
                answer = connection.getresponse()
                content = answer.read()
        finally:
            connection.close()
        if answer.status >= http.client.BAD_REQUEST:
            raise Problem(_error_text(content))
        return content

    def _connection(self) -> http.client.HTTPConnection:
        if isinstance(self._place, Remote):
            return self._place.connection(self._timeout)
        return _UnixConnection(self._place, self._timeout)

    @contextmanager
    def _trouble_told(self) -> Iterator[None]:
        try:
            yield
        except PermissionError:
            words = "may only be used by root, and by the group that its switch names (try sudo)"
            raise Problem(f"{self._place} {words}") from None
        except (ConnectionRefusedError, FileNotFoundError):
            raise Problem(f"the switch at {self._place} does not run any more") from None
        except (OSError, http.client.HTTPException) as error:
            raise Problem(f"the switch at {self._place} did not answer: {error}") from error

    def _not_understood(self, path: str) -> Problem:
        return Problem(
            f"the switch at {self._place} speaks of {path} in another way than this vswitch: "
            "are they of one version?"
        )


class Stream:
    """What a switch sends for as long as it likes. Raises `Problem` where it breaks off."""

    def __init__(self, answer: http.client.HTTPResponse, connection: socket.socket) -> None:
        self._answer = answer
        self._connection = connection
        self._is_left = False

    def header(self, name: str) -> str:
        """A header of the answer, empty where it has none."""
        return self._answer.getheader(name) or ""

    def read(self, length: int) -> bytes:
        """So many bytes, however long they take to come; fewer only at the end."""
        return self._read(lambda: self._answer.read(length))

    def read_some(self) -> bytes:
        """What has come, waiting for the first byte of it; nothing at the end."""
        return self._read(lambda: self._answer.read1(_PIECE_BYTES))

    def leave(self) -> None:
        """Let whoever reads find the end at once. To be called from another thread."""
        self._is_left = True
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)

    def _read(self, read: Callable[[], bytes]) -> bytes:
        try:
            return read()
        except (OSError, http.client.HTTPException) as error:
            if self._is_left:
                return b""
            raise Problem("the switch broke off: it does not run any more") from error


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("switch", timeout=timeout)
        self._path = path

    def connect(self) -> None:
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


def _query_text(query: BaseModel | None) -> str:
    if query is None:
        return ""
    said = query.model_dump(mode="json", exclude_defaults=True)
    return f"?{urlencode(said, doseq=True)}" if said else ""


def _named(running: dict[str, Path]) -> str:
    return f"running: {', '.join(running)}" if running else "none is running"


def _error_text(content: bytes) -> str:
    try:
        return ProblemBody.model_validate_json(content).error
    except ValidationError:
        return content.decode(errors="replace")
