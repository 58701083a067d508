"""A capture of every port into one pcapng file, begun and ended while the switch runs.

Theory of operation. While a capture runs, each port's device is wrapped in a `CaptureDevice` that
copies what passes; without one there is no wrapper and no cost. Ports that come later join in.
Frames are cut to the snap length, as a bulk transfer's super-frames would fill a disk in minutes.
"""

from __future__ import annotations

import time
from pathlib import Path

from vswitch.dataplane.switch import Switch
from vswitch.dataplane.topology import Port
from vswitch.debug.pcapng import PcapngWriter
from vswitch.devices.capture import CaptureDevice, Direction


class Capture:
    """One running capture. Raises OSError where the file can not be written."""

    def __init__(self, switch: Switch, file: Path, snap_length: int) -> None:
        self.file = file
        self.frames = 0
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
        interface = self._writer.add_interface(
            port.name,
            f"{port.name} on {network.name} ({device.kind})",
            snap_length=self._snap_length,
        )

        def write(_name: str, direction: Direction, frame: bytes, original_length: int) -> None:
            self.frames += 1
            self._writer.write(
                interface, direction, frame, time.time_ns(), original_length=original_length
            )

        wrapped = CaptureDevice(device, write, snap_length=self._snap_length)
        self._switch.fastpath.replace_device(port.number, wrapped)

    def close(self) -> None:
        """Put the devices back and finish the file."""
        for number in self._switch.tables.ports:
            device = self._switch.fastpath.device(number)
            if isinstance(device, CaptureDevice):
                self._switch.fastpath.replace_device(number, device.device)
        self._stream.close()
