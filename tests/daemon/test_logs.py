"""The output of commands in the background: its end is kept, in bounded room."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path

import pytest

from vswitch.cli import background
from vswitch.daemon import logs
from vswitch.daemon.logs import Logs, trim
from vswitch.units import KIBIBYTE

KEPT, PIECE = 64 * KIBIBYTE, 16 * KIBIBYTE
LINE = b"x" * 63 + b"\n"
PATIENCE = 10


def room(path: Path) -> int:
    return path.stat().st_blocks * 512


def kept(path: Path) -> bytes:
    with path.open("rb") as file:
        return background._kept(file)


def test_file_takes_no_more_room_than_is_kept_and_its_end_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "web.log"
    with path.open("ab", buffering=0) as command:
        for number in range(100):
            command.write(b"%63d\n" % number * 100)
            trim(path, KEPT, PIECE)
            assert room(path) < KEPT + 3 * PIECE
    lines = kept(path).splitlines()
    assert 64 * (len(lines) + 1) >= KEPT
    assert lines == [b"%63d" % (number // 100) for number in range(10_000)][-len(lines) :]


def test_line_of_which_the_beginning_is_gone_is_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "web.log"
    path.write_bytes(b"a long line that is cut" * 10_000 + b"\nwhole\n")
    trim(path, KEPT, PIECE)
    assert kept(path) == b"whole\n"


def test_short_output_is_kept_whole(tmp_path: Path) -> None:
    path = tmp_path / "web.log"
    for text in (b"", b"begun\n", b"no end"):
        path.write_bytes(text)
        trim(path, KEPT, PIECE)
        assert kept(path) == text


def test_what_is_written_to_while_the_switch_runs_is_trimmed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "PAUSE_SECONDS", 0.001)
    directory = tmp_path / "logs"
    path = directory / "web.log"

    async def write_and_wait() -> None:
        watched = Logs(directory)
        with path.open("ab", buffering=0) as command:
            for _ in range(3):
                command.write(bytes(logs.KEPT))
                async with asyncio.timeout(PATIENCE):
                    while room(path) >= logs.KEPT + 2 * logs.PIECE:
                        await asyncio.sleep(0.001)
        watched.close()

    asyncio.run(write_and_wait())


def test_file_system_that_can_not_give_back_is_complained_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(path: Path) -> None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.setattr(logs, "trim", refuse)

    async def write_and_wait() -> None:
        watched = Logs(tmp_path)
        (tmp_path / "web.log").write_bytes(b"x")
        async with asyncio.timeout(PATIENCE):
            while not caplog.records:
                await asyncio.sleep(0.001)
        watched.close()

    asyncio.run(write_and_wait())
    assert "web.log grows without bounds: Operation not supported" in caplog.text
