"""Capture files on a disk that is not endless."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest

from vswitch.debug.files.blocks import LONGEST_BLOCK, PACKET, Block, Blocks, NotPcapngError
from vswitch.debug.files.pcapng import PcapngWriter
from vswitch.debug.files.reading import CaptureReader
from vswitch.debug.files.rotation import CaptureFile, RotatingFiles, Rotation, files_of
from vswitch.debug.sight import Direction
from vswitch.units import SECOND

FRAME = bytes(10 + 1000)


def blocks(write: Callable[[PcapngWriter], None]) -> list[Block]:
    stream = BytesIO()
    write(PcapngWriter(stream))
    return list(Blocks().feed(stream.getvalue()))


def a_capture(frames: int) -> list[Block]:
    def write(writer: PcapngWriter) -> None:
        writer.add_interface("web")
        for when in range(frames):
            if when == 2:
                writer.add_interface("app")
            writer.write(when % 2 if when > 2 else 0, Direction.SENT, FRAME, when)
        for interface in range(2 if frames > 2 else 1):
            writer.write_statistics(interface, frames, received=frames, dropped=0)

    return blocks(write)


def times(file: Path) -> list[int | None]:
    with CaptureReader.open(file) as reader:
        return [packet.when for packet in reader]


@pytest.mark.parametrize("size", [1, 3, 7, 100, 5000])
def test_stream_is_cut_into_the_same_blocks_wherever_its_pieces_end(size: int) -> None:
    whole = a_capture(5)
    stream = b"".join(block.data for block in whole)
    cutter = Blocks()
    pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
    assert [block for piece in pieces for block in cutter.feed(piece)] == whole


@pytest.mark.parametrize("length", [0, 8, 13, LONGEST_BLOCK + 4, 0xFFFFFFFC])
def test_block_that_lies_about_its_length_is_no_capture(length: int) -> None:
    with pytest.raises(NotPcapngError, match=f"a block of {length} bytes"):
        list(Blocks().feed(PACKET.to_bytes(4, "little") + length.to_bytes(4, "little")))


def test_files_are_numbered_and_each_can_be_read_alone(tmp_path: Path) -> None:
    files = RotatingFiles(tmp_path / "x.pcapng", Rotation(size=3000, keep=100))
    for block in a_capture(9):
        files.write([block], now=0)
    files.close()
    made = files_of(tmp_path / "x.pcapng")
    assert [file.name for file in made] == [f"x-0000{number}.pcapng" for number in range(1, 6)]
    assert [times(file) for file in made] == [[0, 1], [2, 3], [4, 5], [6, 7], [8]]
    assert all(file.stat().st_size <= 3000 for file in made)


def test_many_blocks_at_once_rotate_as_one_by_one(tmp_path: Path) -> None:
    files = RotatingFiles(tmp_path / "x.pcapng", Rotation(size=3000, keep=100))
    files.write(a_capture(9), now=0)
    files.close()
    made = files_of(tmp_path / "x.pcapng")
    assert [times(file) for file in made] == [[0, 1], [2, 3], [4, 5], [6, 7], [8]]


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    files = RotatingFiles(tmp_path / "x.pcapng", Rotation(size=3000, keep=2))
    for block in a_capture(9):
        files.write([block], now=0)
        assert len(list(tmp_path.iterdir())) <= 2
    files.close()
    assert [times(file) for file in files_of(tmp_path / "x.pcapng")] == [[6, 7], [8]]


def test_files_of_an_earlier_capture_count_and_others_are_left_alone(tmp_path: Path) -> None:
    for name in ("x-00007.pcapng", "x-00008.pcapng"):
        (tmp_path / name).write_text("earlier")
    others = {"x.pcapng", "x-1.pcapng", "y-00001.pcapng", "x-00001.pcap", "xx-00001.pcapng"}
    for name in others:
        (tmp_path / name).write_text("another's")
    files = RotatingFiles(tmp_path / "x.pcapng", Rotation(size=100_000, keep=2))
    files.write(a_capture(1), now=0)
    files.close()
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {*others, "x-00008.pcapng", "x-00009.pcapng"}


def test_old_file_is_followed_by_another_with_the_next_frame(tmp_path: Path) -> None:
    files = RotatingFiles(tmp_path / "x.pcapng", Rotation(age=10 * SECOND))
    for number, block in enumerate(a_capture(2)):
        files.write([block], now=number * 100 * SECOND)
    files.close()
    made = files_of(tmp_path / "x.pcapng")
    assert [times(file) for file in made] == [[0], [1]]


def test_time_without_a_frame_makes_no_file(tmp_path: Path) -> None:
    files = RotatingFiles(tmp_path / "x.pcapng", Rotation(age=10 * SECOND))
    for number, block in enumerate(a_capture(0)):
        files.write([block], now=number * 100 * SECOND)
    files.close()
    assert len(files_of(tmp_path / "x.pcapng")) == 1


def test_full_disk_leaves_whole_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = a_capture(3)
    file = CaptureFile(tmp_path / "x.pcapng")
    file.write(whole[:3], now=0)
    size = file.size

    def write_some(descriptor: int, data: memoryview) -> int:
        if len(data) < 1000:
            raise OSError(28, "No space left on device")
        return real_write(descriptor, data[:500])

    import os

    real_write = os.write
    monkeypatch.setattr(os, "write", write_some)
    with pytest.raises(OSError, match="No space left"):
        file.write(whole[3:], now=0)
    file.close()
    assert (tmp_path / "x.pcapng").stat().st_size == size
    assert times(tmp_path / "x.pcapng") == [0]
