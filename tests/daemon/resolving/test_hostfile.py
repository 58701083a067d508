"""The host's resolv.conf is followed however it comes to say something else."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import cast

import pytest
import uvloop

from vswitch.daemon.resolving.files import hostfile
from vswitch.daemon.resolving.files.hostfile import HostFile
from vswitch.daemon.resolving.files.resolvconf import ResolvConf

PATIENCE = 10.0


class Heard:
    """What a follower was told."""

    def __init__(self, path: Path) -> None:
        self.file = HostFile(path)
        self._told: asyncio.Queue[ResolvConf] = asyncio.Queue()

    def watch(self) -> None:
        self.file.watch(self._told.put_nowait)

    async def servers(self) -> list[str]:
        async with asyncio.timeout(PATIENCE):
            conf = await self._told.get()
        return [str(each) for each in conf.servers]

    @property
    def is_silent(self) -> bool:
        return self._told.empty()


Story = Callable[[Heard, Path], Awaitable[None]]


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Story], None]:
    """With /etc/resolv.conf a link into another directory, as systemd-resolved has it."""
    etc, run = tmp_path / "etc", tmp_path / "run"
    etc.mkdir()
    run.mkdir()
    (run / "stub").write_text("nameserver 127.0.0.53\n")
    (etc / "resolv.conf").symlink_to("../run/stub")

    async def run_story(story: Story) -> None:
        heard = Heard(etc / "resolv.conf")
        heard.watch()
        try:
            await story(heard, tmp_path)
        finally:
            heard.file.close()

    def play(story: Story) -> None:
        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(cast("Coroutine[None, None, None]", run_story(story)))

    return play


def test_it_is_written_to_renamed_over_and_led_elsewhere(play: Callable[[Story], None]) -> None:
    async def story(heard: Heard, root: Path) -> None:
        stub, link = root / "run" / "stub", root / "etc" / "resolv.conf"
        stub.write_text("nameserver 10.0.0.1\n")
        assert await heard.servers() == ["10.0.0.1"]
        (root / "run" / "new").write_text("nameserver 10.0.0.2\n")
        (root / "run" / "new").rename(stub)
        assert await heard.servers() == ["10.0.0.2"]
        other = root / "other"
        other.mkdir()
        (other / "conf").write_text("nameserver 10.0.0.3\n")
        (root / "etc" / "link").symlink_to(other / "conf")
        (root / "etc" / "link").rename(link)
        assert await heard.servers() == ["10.0.0.3"]
        (other / "conf").write_text("nameserver 10.0.0.4\n")
        assert await heard.servers() == ["10.0.0.4"]

    play(story)


def test_what_it_said_stands_while_it_is_not_there(play: Callable[[Story], None]) -> None:
    async def story(heard: Heard, root: Path) -> None:
        stub = root / "run" / "stub"
        stub.unlink()
        stub.symlink_to("later/stub")
        await asyncio.sleep(0.05)
        assert [str(each) for each in heard.file.conf.servers] == ["127.0.0.53"]
        (root / "run" / "later").mkdir()
        await asyncio.sleep(0.05)
        (root / "run" / "later" / "stub").write_text("nameserver 10.0.0.1\n")
        assert await heard.servers() == ["10.0.0.1"]

    play(story)


@pytest.mark.parametrize("by", ["removal", "renaming"])
def test_directory_may_be_another_one(play: Callable[[Story], None], by: str) -> None:
    async def story(heard: Heard, root: Path) -> None:
        run = root / "run"
        if by == "removal":
            shutil.rmtree(run)
        else:
            run.rename(root / "away")
        await asyncio.sleep(0.1)
        assert [str(each) for each in heard.file.conf.servers] == ["127.0.0.53"]
        run.mkdir()
        await asyncio.sleep(0.1)
        (run / "stub").write_text("nameserver 10.0.0.1\n")
        assert await heard.servers() == ["10.0.0.1"]

    play(story)


def test_file_that_is_made_anew_is_read_when_something_is_in_it(
    play: Callable[[Story], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hostfile, "_MOMENT_SECONDS", 1.0)

    async def story(heard: Heard, root: Path) -> None:
        stub = root / "run" / "stub"
        stub.unlink()
        with stub.open("w") as file:
            await asyncio.sleep(0.01)
            file.write("nameserver 10.0.0.1\n")
        assert await heard.servers() == ["10.0.0.1"]
        assert heard.is_silent

    play(story)


def test_nobody_is_told_of_other_files_or_of_what_means_the_same(
    play: Callable[[Story], None],
) -> None:
    async def story(heard: Heard, root: Path) -> None:
        stub = root / "run" / "stub"
        (root / "run" / "other").write_text("nameserver 10.0.0.9\n")
        stub.write_text("# the same\nnameserver 127.0.0.53\n")
        stub.write_text("nameserver 10.0.0.1\n")
        assert await heard.servers() == ["10.0.0.1"]
        assert heard.is_silent

    play(story)


def test_what_has_changed_before_it_was_watched_is_told(tmp_path: Path) -> None:
    async def story() -> None:
        path = tmp_path / "resolv.conf"
        heard = Heard(path)
        assert heard.file.conf == ResolvConf()
        path.write_text("nameserver 10.0.0.1\n")
        heard.watch()
        assert await heard.servers() == ["10.0.0.1"]
        heard.file.close()

    asyncio.run(story())
