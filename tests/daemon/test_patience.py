"""Clients that are slow, silent or gone: nobody but they themselves waits for them."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.test_api import PATIENCE, Served
from vswitch.daemon.api import patience
from vswitch.daemon.messages.events import Event, EventType

HEAD = b"GET /v1/status HTTP/1.1\r\nHost: switch\r\n"
BODY = b"POST /v1/networks HTTP/1.1\r\nHost: switch\r\nContent-Length: 100\r\n\r\n{"
BEGINNINGS = {
    "nothing": b"",
    "part of a line": b"GET /v1/sta",
    "part of a header": HEAD,
    "a request, the last": HEAD + b"\r\n",
    "part of a body": BODY,
}
MANY = b"GET /v1/openapi.json HTTP/1.1\r\nHost: switch\r\n\r\n" * 20
"""More answers than a socket takes for who does not read them."""


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "SECONDS", 0.05)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    running = Served(tmp_path)
    yield running
    running.close()


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("beginning", BEGINNINGS.values(), ids=list(BEGINNINGS))
def test_connection_on_which_nothing_comes_any_more_is_closed(
    served: Served, beginning: bytes
) -> None:
    with served.connect() as client:
        client.sendall(beginning)
        read_to_the_end(client)


@pytest.mark.usefixtures("short")
def test_connection_whose_answers_are_not_taken_is_closed(served: Served) -> None:
    closed = select.poll()
    with served.connect() as client:
        client.sendall(MANY)
        closed.register(client, 0)
        assert [event for _, event in closed.poll(PATIENCE * 1000)] == [select.POLLHUP]


@pytest.mark.usefixtures("short")
def test_body_that_does_not_end_is_told(served: Served) -> None:
    with served.connect() as client:
        client.sendall(BODY)
        assert client.recv(64 * 1024).startswith(b"HTTP/1.1 408 ")


@pytest.mark.usefixtures("short")
def test_stream_goes_on_while_nothing_is_to_be_told(served: Served) -> None:
    with served.connect() as reader, served.connect() as silent:
        reader.sendall(b"GET /v1/events HTTP/1.1\r\nHost: switch\r\n\r\n")
        assert reader.recv(64 * 1024).startswith(b"HTTP/1.1 200 ")
        read_to_the_end(silent)
        assert served.daemon is not None
        served.call(served.daemon.events.tell, EventType.NETWORK, Event.CREATE, "back")
        heard = b""
        while b'"back"' not in heard:
            heard += reader.recv(64 * 1024)


@pytest.mark.parametrize(
    "beginning", [*BEGINNINGS.values(), MANY], ids=[*BEGINNINGS, "answers that are not read"]
)
def test_slow_client_keeps_the_switch_neither_from_answering_nor_from_stopping(
    tmp_path: Path, beginning: bytes
) -> None:
    served = Served(tmp_path)
    with served.connect() as client:
        client.sendall(beginning)
        try:
            assert served.ask("GET", "/v1/status").status == 200
        finally:
            served.close()


def read_to_the_end(client: socket.socket) -> None:
    try:
        while client.recv(64 * 1024):
            pass
    except ConnectionResetError:
        return
