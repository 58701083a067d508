"""A capture of every port into one pcapng file, begun and ended while the switch runs.

Theory of operation. While a capture runs, each port's device is wrapped in a `CaptureDevice` that
copies what passes; without one there is no wrapper and no cost. Ports that come later join in.
Frames are cut to the snap length, as a bulk transfer's super-frames would fill a disk in minutes.

A file that cannot be written any more ends the capture and never the traffic: it is logged once,
nothing more is written, and what was written until then stays.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path

from vswitch.dataplane.switch import Switch
from vswitch.dataplane.topology import Port
from vswitch.debug.pcapng import PcapngWriter
from vswitch.devices.capture import CaptureDevice, Direction

log = logging.getLogger(__name__)


class Capture:
    """One running capture. Raises OSError where the file can not be opened."""

    def __init__(self, switch: Switch, file: Path, snap_length: int) -> None:
        self.file = file
        self.frames = 0
        self.failure: OSError | None = None
        """Why not all that passed is in the file, or None."""
        self._switch = switch
        self._snap_length = snap_length
        self._stream = file.open("wb")
        self._writer = PcapngWriter(self._stream)
        for port in switch.tables.ports.values():
            self.join(port)

    def join(self, port: Port) -> None:
        """Capture one more port."""
        device = self._switch.fastpath.device(port.number)
        network = self._switch.tables.networks[port.network]
        try:
            interface = self._writer.add_interface(
                port.name,
                f"{port.name} on {network.name} ({device.kind})",
                snap_length=self._snap_length,
            )
        except OSError as error:
            self._fail(error)
            return

        def write(_name: str, direction: Direction, frame: bytes, original_length: int) -> None:
            if self.failure is not None:
                return
            try:
                self._writer.write(
                    interface, direction, frame, time.time_ns(), original_length=original_length
                )
                self.frames += 1
            except OSError as error:
                self._fail(error)

        wrapped = CaptureDevice(device, write, snap_length=self._snap_length)
        self._switch.fastpath.replace_device(port.number, wrapped)

    def close(self) -> None:
        """Put the devices back and finish the file. `failure` says whether it is whole."""
        for number in self._switch.tables.ports:
            device = self._switch.fastpath.device(number)
            if isinstance(device, CaptureDevice):
                self._switch.fastpath.replace_device(number, device.device)
        try:
            self._stream.close()
        except OSError as error:
            self._fail(error)

    def _fail(self, error: OSError) -> None:
        if self.failure is None:
            log.error("nothing more is captured into %s: %s", self.file, error.strerror)
        self.failure = error
