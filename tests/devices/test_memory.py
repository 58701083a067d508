from __future__ import annotations

import pytest

from vswitch.devices.base import DeviceGone, Sent
from vswitch.devices.memory import BUFFER_LENGTH, MemoryDevice
from vswitch.wire.offload import GSO_TCPV4, NEEDS_CSUM, OffloadHeader, Offloads

FRAME = bytes(10) + b"\x02" * 12 + b"\x88\xb5" + b"payload"
UNFINISHED = OffloadHeader(NEEDS_CSUM, 0, 0, 0, 14, 2).pack() + FRAME[10:]
SUPER_FRAME = OffloadHeader(NEEDS_CSUM, GSO_TCPV4, 54, 1000, 14, 2).pack() + FRAME[10:]


def test_frames_are_received_in_the_order_they_were_fed() -> None:
    device = MemoryDevice("m")
    device.feed(FRAME + b"1")
    device.feed(bytearray(FRAME + b"2"))
    assert [bytes(frame) for frame in device.receive(10)] == [FRAME + b"1", FRAME + b"2"]
    assert list(device.receive(10)) == []


def test_no_more_than_the_limit_is_received_at_once() -> None:
    device = MemoryDevice("m")
    for _ in range(3):
        device.feed(FRAME)
    assert len(list(device.receive(2))) == 2
    assert len(list(device.receive(2))) == 1


def test_view_kept_beyond_the_next_step_shows_another_frame() -> None:
    device = MemoryDevice("m")
    device.feed(FRAME + b"1")
    device.feed(FRAME + b"2")
    kept, _ = device.receive(2)
    assert bytes(kept) == FRAME + b"2"


def test_received_frame_may_be_changed_without_changing_what_was_fed() -> None:
    device = MemoryDevice("m")
    fed = bytearray(FRAME)
    device.feed(fed)
    for frame in device.receive(1):
        frame[10:16] = b"\xff" * 6
    assert fed == FRAME


def test_frame_too_long_for_the_buffer_is_not_fed() -> None:
    with pytest.raises(ValueError, match="at most"):
        MemoryDevice("m").feed(bytes(BUFFER_LENGTH + 1))


def test_sent_frames_are_copies_and_are_taken_once() -> None:
    device = MemoryDevice("m")
    frame = bytearray(FRAME)
    assert device.send(frame) is Sent.SENT
    frame[10] = 0xEE
    assert device.take() == [FRAME]
    assert device.take() == []


def test_frame_beyond_the_capacity_is_lost_until_some_are_taken() -> None:
    device = MemoryDevice("m", capacity=1)
    assert device.send(FRAME) is Sent.SENT
    assert device.send(FRAME) is Sent.FULL
    device.take()
    assert device.send(FRAME) is Sent.SENT


@pytest.mark.parametrize(
    ("offloads", "frame", "answer"),
    [
        (Offloads.NONE, FRAME, Sent.SENT),
        (Offloads.NONE, UNFINISHED, Sent.REFUSED),
        (Offloads.CHECKSUM, UNFINISHED, Sent.SENT),
        (Offloads.CHECKSUM, SUPER_FRAME, Sent.REFUSED),
        (Offloads.CHECKSUM | Offloads.TSO4, SUPER_FRAME, Sent.SENT),
        (Offloads.ALL, SUPER_FRAME, Sent.SENT),
    ],
)
def test_frame_that_asks_for_more_than_the_device_takes_is_refused(
    offloads: Offloads, frame: bytes, answer: Sent
) -> None:
    assert MemoryDevice("m", offloads).send(frame) is answer


def test_frame_without_an_ethernet_header_is_refused() -> None:
    assert MemoryDevice("m").send(bytes(23)) is Sent.REFUSED


def test_device_that_vanished_says_so() -> None:
    device = MemoryDevice("m")
    device.feed(FRAME)
    device.vanish()
    with pytest.raises(DeviceGone, match="m"):
        list(device.receive(1))
    assert device.send(FRAME) is Sent.GONE


def test_closed_device_has_no_frames_and_keeps_what_was_sent() -> None:
    device = MemoryDevice("m")
    device.feed(FRAME)
    device.send(FRAME)
    device.close()
    assert list(device.receive(1)) == []
    assert device.send(FRAME) is Sent.GONE
    assert device.take() == [FRAME]
