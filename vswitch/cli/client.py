"""Speaking to a running switch: the rows and bodies of `daemon.messages`, as JSON by `calls`."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar
from urllib.parse import urlencode

from pydantic import BaseModel, TypeAdapter, ValidationError

from vswitch.cli.calls import Caller, refusal
from vswitch.cli.problem import Problem

_PIECE_BYTES = 256 * 1024
"""Bytes that are read at a time of what a switch streams."""

Row = TypeVar("Row", bound=BaseModel)


class Client(Caller):
    """Calls whose bodies and answers are messages."""

    def rows(
        self, table: str, kind: type[Row], method: str = "GET", body: BaseModel | None = None
    ) -> list[Row]:
        """The rows of a table, or of what a call has added to one."""
        content = self.call(method, table, _text(body))
        try:
            return TypeAdapter(list[kind]).validate_json(content)  # type: ignore[valid-type]
        except ValidationError:
            raise self.not_understood(table) from None

    def row(self, method: str, path: str, kind: type[Row], body: BaseModel | None = None) -> Row:
        """The answer of a call that has one."""
        content = self.call(method, path, _text(body))
        try:
            return kind.model_validate_json(content)
        except ValidationError:
            raise self.not_understood(path) from None

    def do(self, method: str, path: str, body: BaseModel | None = None) -> None:
        """A call whose answer says nothing."""
        self.call(method, path, _text(body))

    def text(self, table: str, method: str = "GET", body: BaseModel | None = None) -> str:
        """The same as the JSON text that the switch sent."""
        return self.call(method, table, _text(body)).decode()

    @contextmanager
    def stream(self, path: str, query: BaseModel | None = None) -> Iterator[Stream]:
        """An answer that goes on until the switch ends it, to be read while it comes."""
        connection = self.connection()
        try:
            with self.trouble_told():
                connection.request("GET", f"/v1/{path}{_query_text(query)}")
                held = connection.sock
                answer = connection.getresponse()
                if answer.status >= http.client.BAD_REQUEST:
                    raise refusal(answer.read())
                held.settimeout(None)
            yield Stream(answer, held)
        finally:
            connection.close()


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


def _query_text(query: BaseModel | None) -> str:
    if query is None:
        return ""
    said = query.model_dump(mode="json", exclude_defaults=True)
    return f"?{urlencode(said, doseq=True)}" if said else ""


def _text(body: BaseModel | None) -> str | None:
    return None if body is None else body.model_dump_json()
