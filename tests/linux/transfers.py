"""TCP transfers that run while something happens to the switch, checked byte for byte."""

from __future__ import annotations

import socket
from threading import Thread

from tests.linux.lab import PATIENCE, Lab, eventually

_PATTERN = bytes(range(256)) * 64 + b"and so on"
"""Not a power of two long: what is lost, doubled or moved is seen."""

_MOST_AT_ONCE = 4096
"""A steady stream and not a flood, that others have the machine, too."""


class Transfer:
    """One that never ends by itself: the client speaks, and the server checks what it hears."""

    def __init__(self, lab: Lab, client: str, server: str, address: str, port: int) -> None:
        listening = lab.listen(server, address, port)
        self._client = lab.connect(client, address, port)
        self._server, _ = listening.accept()
        listening.close()
        self.heard = 0
        self.error: str | None = None
        self._threads = [Thread(target=each, daemon=True) for each in (self._speak, self._hear)]
        for thread in self._threads:
            thread.start()
        self.go_on()

    def go_on(self) -> None:
        """More arrives than can be under way, or the test fails."""
        wanted = self.heard + 256 * 1024
        eventually(
            lambda: self.heard >= wanted or self.error is not None,
            f"the transfer goes on: {self.heard} octets, {self.error}",
        )
        assert self.error is None

    def close(self) -> None:
        """End it."""
        for end in (self._client, self._server):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        for thread in self._threads:
            thread.join(PATIENCE)
        self._client.close()
        self._server.close()

    def _speak(self) -> None:
        sent = 0
        self._client.settimeout(None)
        try:
            while True:
                at = sent % len(_PATTERN)
                sent += self._client.send(_PATTERN[at : at + _MOST_AT_ONCE])
        except OSError as error:
            self.error = self.error or f"the client: {error}"

    def _hear(self) -> None:
        self._server.settimeout(None)
        try:
            while data := self._server.recv(65536):
                self._check(data)
        except OSError as error:
            self.error = self.error or f"the server: {error}"

    def _check(self, data: bytes) -> None:
        at = self.heard % len(_PATTERN)
        repeated = _PATTERN[at:] + _PATTERN * (len(data) // len(_PATTERN) + 1)
        if repeated[: len(data)] != data:
            self.error = self.error or f"octet {self.heard} or one behind it is wrong"
        self.heard += len(data)
