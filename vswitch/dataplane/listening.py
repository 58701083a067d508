"""Who listens for queries by TCP at the gateways' port 53, and what waits until somebody does.

A *listener* is a port of the switch with a TCP behind it. It is made when a first segment asks for
it, so a switch that nobody asks so has none; that segment, and a few others, are *early*. Whoever
runs the switch sees `is_wanted`, makes one and lets them come in again. What is handed on, and what
may come back, is `stream_stage`'s.
"""

from __future__ import annotations

from typing import NamedTuple

from vswitch.fastpath.twin import Waiting
from vswitch.wire.buffer import Buffer
from vswitch.wire.values import MacAddress

MOST_EARLY = 16
"""Frames that wait for a listener, which is made within some ten milliseconds."""


class Listener(NamedTuple):
    """The number of the port, and the station behind it."""

    port: int
    mac: MacAddress


class Listening:
    """At most one listener. Nobody listens, and nobody would, until somebody says so."""

    def __init__(self) -> None:
        self.listener: Listener | None = None
        self.is_possible = False
        """Whether one is made where one is wanted."""
        self.is_wanted = False
        """Whether one is, and is not there."""
        self._early: list[Waiting] = []

    def want(self, port: int, frame: Buffer) -> None:
        """Let a frame wait until there is a listener, as long as there is room."""
        self.is_wanted = True
        if len(self._early) < MOST_EARLY:
            self._early.append(Waiting(port, bytearray(frame)))

    def begin(self, listener: Listener) -> None:
        """There is one from now on."""
        self.listener, self.is_wanted = listener, False

    def give_up(self) -> None:
        """There can be none for now: the port is closed."""
        self.is_possible, self.is_wanted = False, False
        self._early = []

    def take_early(self) -> list[Waiting]:
        """What has waited, which is to be decided about anew."""
        early, self._early = self._early, []
        return early

    def forget_port(self, number: int) -> None:
        """A port went away; where it was the listener's, another one can be made."""
        if self.listener is not None and self.listener.port == number:
            self.listener = None
