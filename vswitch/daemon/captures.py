"""A capture of every port into one pcapng file, begun and ended while the switch runs.

Theory of operation. A capture is a sink of the witness: while one runs, each frame is written where
it comes in and where it leaves, with its verdict as a comment; without one there is no cost. Frames
are cut to the snap length, as a bulk transfer's super-frames would fill a disk in minutes.

A file that cannot be written any more ends the capture and never the traffic: it is logged once,
nothing more is written, and what was written until then stays.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path

from vswitch.dataplane.switch import Switch
from vswitch.debug.pcapng import PcapngWriter
from vswitch.debug.sight import Sight
from vswitch.debug.witness import Witness

log = logging.getLogger(__name__)


class Capture:
    """One running capture. Raises OSError where the file can not be opened."""

    def __init__(self, switch: Switch, witness: Witness, file: Path, snap_length: int) -> None:
        self.file = file
        self.frames = 0
        self.failure: OSError | None = None
        """Why not all that passed is in the file, or None."""
        self._switch = switch
        self._witness = witness
        self._snap_length = snap_length
        self._wall_clock_offset = time.time_ns() - time.monotonic_ns()
        self._stream = file.open("wb")
        self._writer = PcapngWriter(self._stream)
        self._interfaces: dict[int, int] = {}
        witness.add(self._write, snap_length)

    def close(self) -> None:
        """Finish the file. `failure` says whether it is whole."""
        if self.failure is None:
            self._witness.remove(self._write)
        try:
            self._stream.close()
        except OSError as error:
            self.failure = self.failure or error

    def _write(self, sight: Sight) -> None:
        try:
            self._writer.write(
                self._interface(sight.port),
                sight.direction,
                sight.frame,
                sight.when + self._wall_clock_offset,
                original_length=sight.original_length,
                comment=sight.comment,
            )
        except OSError as error:
            self.failure = error
            self._witness.remove(self._write)
            log.error("the capture into %s ends: %s", self.file, error.strerror)
            return
        self.frames += 1

    def _interface(self, number: int) -> int:
        interface = self._interfaces.get(number)
        if interface is None:
            port = self._switch.tables.ports[number]
            network = self._switch.tables.networks[port.network]
            kind = self._switch.fastpath.device(number).kind
            interface = self._writer.add_interface(
                port.name, f"{port.name} on {network.name} ({kind})", snap_length=self._snap_length
            )
            self._interfaces[number] = interface
        return interface
