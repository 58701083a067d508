from __future__ import annotations

import pytest

from vswitch.devices.base import Device, DeviceGone, Sent
from vswitch.devices.capture import CaptureDevice, Direction
from vswitch.devices.memory import MemoryDevice
from vswitch.wire.offload import Offloads

FRAME = bytes(10) + b"\x02" * 12 + b"\x88\xb5" + b"payload"

Seen = tuple[str, Direction, bytes, int]


class Recorder:
    def __init__(self) -> None:
        self.seen: list[Seen] = []

    def __call__(
        self, device: str, direction: Direction, frame: bytes, original_length: int, /
    ) -> None:
        self.seen.append((device, direction, frame, original_length))


@pytest.fixture
def sink() -> Recorder:
    return Recorder()


def test_every_frame_is_shown_with_its_direction(sink: Recorder) -> None:
    memory = MemoryDevice("web")
    captured = CaptureDevice(memory, sink)
    memory.feed(FRAME + b"in")
    received = [bytes(frame) for frame in captured.receive(10)]
    assert captured.send(FRAME + b"out") is Sent.SENT
    assert received == [FRAME + b"in"]
    assert memory.take() == [FRAME + b"out"]
    assert sink.seen == [
        ("web", Direction.RECEIVED, FRAME + b"in", len(FRAME) - 10 + 2),
        ("web", Direction.SENT, FRAME + b"out", len(FRAME) - 10 + 3),
    ]


def test_received_frame_is_shown_as_it_came_and_not_as_it_was_rewritten(sink: Recorder) -> None:
    memory = MemoryDevice("web")
    memory.feed(FRAME)
    for frame in CaptureDevice(memory, sink).receive(1):
        frame[10:16] = b"\xff" * 6
    assert sink.seen[0][2] == FRAME


def test_snap_length_counts_ethernet_bytes_and_the_original_length_stays(sink: Recorder) -> None:
    memory = MemoryDevice("web")
    captured = CaptureDevice(memory, sink, snap_length=14)
    memory.feed(FRAME)
    assert [bytes(frame) for frame in captured.receive(1)] == [FRAME]
    captured.send(FRAME)
    assert memory.take() == [FRAME]
    assert [(frame, length) for _, _, frame, length in sink.seen] == [
        (FRAME[:24], len(FRAME) - 10)
    ] * 2


def test_frame_that_the_device_did_not_take_is_not_shown(sink: Recorder) -> None:
    captured = CaptureDevice(MemoryDevice("web", capacity=0), sink)
    assert captured.send(FRAME) is Sent.FULL
    assert sink.seen == []


def test_wrapper_is_the_device_to_everybody_else(sink: Recorder) -> None:
    memory = MemoryDevice("web", Offloads.CHECKSUM)
    captured: Device = CaptureDevice(memory, sink)
    assert (captured.name, captured.kind, captured.offloads) == (
        "web",
        "memory",
        Offloads.CHECKSUM,
    )
    assert captured.fileno() == memory.fileno()
    memory.vanish()
    with pytest.raises(DeviceGone):
        list(captured.receive(1))
    captured.close()
    assert memory.send(FRAME) is Sent.GONE
