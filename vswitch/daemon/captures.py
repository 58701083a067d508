"""Who reads along with a running switch: captures that are streamed, and the flight recorder.

Theory of operation. Each capture is a `LiveStream` that hangs on the witness as long as somebody
reads it. What it has packed is sent from here, piece by piece, whenever the reader takes it; the
switch goes on meanwhile, and what has no room is counted (`stream`). A capture ends when its count
or its time is reached, when it is told to by its number, when the switch stops, each time with the
counts of its ports; or without them, when its reader has left.

The recorder is there as long as the switch. The number of readers is bounded, so what they make
wait in memory is bounded too.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress

from vswitch.daemon.messages import CaptureQuery
from vswitch.dataplane.switch import Switch
from vswitch.debug.files.bpf import Filter
from vswitch.debug.live.recorder import Recorder, pcapng_of
from vswitch.debug.live.stream import Flows, LiveStream, Member, Selection
from vswitch.debug.witness import Witness
from vswitch.network.errors import NetworkError
from vswitch.network.inventory import Inventory
from vswitch.network.names import did_you_mean
from vswitch.units import Nanoseconds

READERS = 8
"""Captures and dumps at a time: each may have some 8 MiB waiting, a dump as much as is recorded."""

_LOOK_AGAIN_SECONDS = 0.5
"""How soon it is noticed that the reader of a capture has left, where no frame passes."""


class TooManyReadersError(Exception):
    """There are as many readers as there may be. The text is one line for the user."""


class Capture:
    """One reader's capture, from its first frame on."""

    def __init__(
        self,
        number: int,
        switch: Switch,
        witness: Witness,
        selection: Selection,
        wish: CaptureQuery,
    ) -> None:
        self.number = number
        self._witness = witness
        self._is_over = False
        self._something_waits = asyncio.Event()
        self._stream = LiveStream(
            switch,
            selection,
            clock_offset(),
            snap_length=wish.snap_length,
            count=wish.count,
            on_waiting=self._wake,
        )
        self._timer = (
            asyncio.get_running_loop().call_later(wish.seconds, self.end) if wish.seconds else None
        )
        witness.add(self._stream.see, self._stream.snap_length)

    def end(self) -> None:
        """Let no frame in any more; what waits is still sent, and the counts behind it."""
        if self._is_over:
            return
        self._is_over = True
        self._witness.remove(self._stream.see)
        if self._timer is not None:
            self._timer.cancel()
        self._something_waits.set()

    async def pieces(self, is_read: Callable[[], bool]) -> AsyncGenerator[bytes, None]:
        """The capture as it is to be sent, until it ends; at once where `is_read` says no."""
        while not self._is_over and is_read():
            piece = self._stream.take()
            if piece:
                yield piece
                continue
            self._something_waits.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_AGAIN_SECONDS):
                    await self._something_waits.wait()
        yield self._stream.conclude(time.monotonic_ns())

    def _wake(self) -> None:
        if self._stream.is_full:
            self.end()
        self._something_waits.set()


class Captures:
    """All readers of one switch. `recorder` is None where the configuration wants none."""

    def __init__(self, switch: Switch, inventory: Inventory, recorder_size: int) -> None:
        self.recorder = Recorder(switch, recorder_size) if recorder_size else None
        self._switch = switch
        self._inventory = inventory
        self._witness = Witness(switch)
        self._captures: dict[int, Capture] = {}
        self._dumping = 0
        self._last_number = 0

    def __len__(self) -> int:
        """How many captures run."""
        return len(self._captures)

    async def begin(self, wish: CaptureQuery) -> Capture:
        """Begin a capture; `close` it when its reader is done.

        Raises NetworkError, FilterError or TooManyReadersError.
        """
        members = self._members(wish.endpoint) if wish.endpoint else ()
        tables = self._switch.tables
        _require("port", wish.port, [port.name for port in tables.ports.values()])
        _require("network", wish.network, [each.name for each in tables.networks.values()])
        compiled = await asyncio.to_thread(Filter, wish.filter) if wish.filter else None
        self._require_room()
        selection = Selection(wish.port, wish.network, members, wish.verdict, wish.stage, compiled)
        self._last_number += 1
        capture = Capture(self._last_number, self._switch, self._witness, selection, wish)
        self._captures[capture.number] = capture
        return capture

    def close(self, capture: Capture) -> None:
        """Forget a capture."""
        capture.end()
        self._captures.pop(capture.number, None)

    def end(self, number: int) -> bool:
        """Let a capture end in order; False where there is none of this number."""
        capture = self._captures.get(number)
        if capture is not None:
            capture.end()
        return capture is not None

    def end_all(self) -> None:
        """Let every capture end in order."""
        for capture in self._captures.values():
            capture.end()

    async def dump(self) -> AsyncGenerator[bytes, None]:
        """What the flight recorder holds at this moment, as a pcapng file in pieces.

        Raises NetworkError or TooManyReadersError before the first of them.
        """
        if self.recorder is None:
            raise NetworkError("the flight recorder is off: [recorder] size = 0")
        self._require_room()
        self._dumping += 1
        try:
            snapshot = self.recorder.snapshot()
            for piece in pcapng_of(snapshot, Flows(self._switch), clock_offset()):
                yield piece
                await asyncio.sleep(0)
        finally:
            self._dumping -= 1

    def _require_room(self) -> None:
        if len(self._captures) + self._dumping >= READERS:
            raise TooManyReadersError(f"{READERS} captures run already, which is the limit")

    def _members(self, name: str) -> tuple[Member, ...]:
        endpoint = self._inventory.endpoint(name)
        numbers = {each.name: each.number for each in self._switch.tables.networks.values()}
        return tuple(
            Member(endpoint.port_name(at), numbers[at.network], at.address, at.mac)
            for at in endpoint.memberships
        )


def clock_offset() -> Nanoseconds:
    """What makes the switch's clock count from 1970."""
    return time.time_ns() - time.monotonic_ns()


def _require(what: str, name: str | None, known: list[str]) -> None:
    if name is None or name in known:
        return
    raise NetworkError(f"{what} {name} not found", hint=did_you_mean(name, known))
