"""The command line called in this process, and a switch that answers what a test tells it to."""

from __future__ import annotations

import socketserver
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Protocol

import pytest

from vswitch.cli import main


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    status: int
    out: str
    err: str


class Vswitch(Protocol):
    """Calls the command line with these words."""

    def __call__(self, *words: str) -> Outcome: ...


@pytest.fixture
def vswitch(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Vswitch:
    def call(*words: str) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["vswitch", *words])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        shown = capsys.readouterr()
        return Outcome(int(ended.value.code or 0), shown.out, shown.err)

    return call


@pytest.fixture
def run_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the command line looks for switches: nobody else's are there."""
    directory = tmp_path / "run"
    directory.mkdir()
    monkeypatch.setattr("vswitch.cli.calls.RUN", directory)
    return directory


class StubSwitch:
    """Answers every request with the same status and bytes; `heard` is what came."""

    def __init__(self, run_directory: Path, name: str) -> None:
        self.status = 200
        self.content = b"[]"
        self.heard: list[str] = []
        self.socket = run_directory / name / "socket"
        self.socket.parent.mkdir()
        self._server = socketserver.ThreadingUnixStreamServer(str(self.socket), self.handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def die(self) -> None:
        """End as a killed switch does: the socket's file stays."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def handler(self) -> type[BaseHTTPRequestHandler]:
        stub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                stub.heard.append(f"{self.command} {self.path}")
                self.send_response(stub.status)
                self.send_header("Content-Length", str(len(stub.content)))
                self.end_headers()
                with suppress(BrokenPipeError):  # of an answer without one it reads no body
                    self.wfile.write(stub.content)

            def log_message(self, *_: object) -> None:
                return

        return Handler


class Switches(Protocol):
    """Starts a stub switch of this name."""

    def __call__(self, name: str) -> StubSwitch: ...


@pytest.fixture
def switches(run_directory: Path) -> Iterator[Switches]:
    started: list[StubSwitch] = []

    def start(name: str) -> StubSwitch:
        started.append(StubSwitch(run_directory, name))
        return started[-1]

    yield start
    for stub in started:
        stub.die()
