"""What a TAP does where the kernel's part cannot be had from a real one."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence

import pytest

from vswitch.devices.base import OpenError
from vswitch.devices.tap import TapDevice
from vswitch.wire.offload import Offloads


def test_frame_that_has_no_header_in_the_kernel_does_not_stop_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reading, writing = os.pipe2(os.O_NONBLOCK)
    device = TapDevice(reading, "vs0", Offloads.ALL, vnet_header=True)
    genuine = os.readv
    failures = [OSError(errno.EINVAL, "Invalid argument")]

    def readv(fd: int, buffers: Sequence[memoryview]) -> int:
        if failures:
            raise failures.pop()
        return genuine(fd, buffers)

    monkeypatch.setattr(os, "readv", readv)
    os.write(writing, b"a frame")
    assert [bytes(frame) for frame in device.receive(8)] == [b"a frame"]
    assert device.unreadable == 1
    device.close()
    os.close(writing)


def test_missing_control_device_is_told_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vswitch.devices.tap.CONTROL", "/dev/net/not-there")
    with pytest.raises(OpenError, match="TAP vs0: /dev/net/not-there: No such file or directory"):
        TapDevice.open("vs0")
