"""Processes that endpoints live with: their end is told once, and they can be made to end."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Iterator

import pytest

from vswitch.daemon.kernel.processes import Process, ProcessError, birth_of, is_alive

PATIENCE = 10


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


@pytest.fixture
def stubborn() -> Iterator[subprocess.Popen[bytes]]:
    script = "trap '' TERM; echo up; while :; do sleep 0.05; done"
    with subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        yield process
        process.kill()


def test_process_is_known_by_its_birth_while_it_lives(sleeper: subprocess.Popen[bytes]) -> None:
    birth = birth_of(sleeper.pid)
    assert is_alive(birth)
    assert not is_alive(birth._replace(started=birth.started - 1))
    assert not is_alive(birth._replace(boot="another"))
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    assert not is_alive(birth), "although nobody has asked for its exit status"
    sleeper.wait(PATIENCE)
    assert not is_alive(birth)


def test_end_of_a_process_is_told_once(sleeper: subprocess.Popen[bytes]) -> None:
    async def live_on() -> int:
        ends: list[None] = []
        told = asyncio.Event()
        process = Process(sleeper.pid)

        def ended() -> None:
            ends.append(None)
            told.set()

        process.watch(ended)
        sleeper.kill()
        async with asyncio.timeout(PATIENCE):
            await told.wait()
        await asyncio.sleep(0)
        process.close()
        return len(ends)

    assert asyncio.run(live_on()) == 1


def test_process_is_asked_to_end(sleeper: subprocess.Popen[bytes]) -> None:
    _stop(sleeper.pid, PATIENCE)
    assert sleeper.wait(PATIENCE) == -signal.SIGTERM


def test_process_that_does_not_end_is_killed(stubborn: subprocess.Popen[bytes]) -> None:
    _stop(stubborn.pid, 0.05)
    assert stubborn.wait(PATIENCE) == -signal.SIGKILL


def test_process_that_is_let_go_is_not_waited_for_and_not_killed(
    stubborn: subprocess.Popen[bytes],
) -> None:
    async def let_go() -> None:
        process = Process(stubborn.pid)
        process.watch(lambda: None)
        stopping = asyncio.create_task(process.stop(PATIENCE))
        await asyncio.sleep(0)
        process.close()
        async with asyncio.timeout(PATIENCE / 2):
            await stopping

    asyncio.run(let_go())
    assert stubborn.poll() is None


def test_process_that_has_ended_is_no_process() -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    with pytest.raises(ProcessError, match=f"^process {ended.pid}: No such process$"):
        asyncio.run(_watch(ended.pid))


async def _watch(pid: int) -> None:
    Process(pid)


def _stop(pid: int, seconds: float) -> None:
    async def stop() -> None:
        process = Process(pid)
        process.watch(lambda: None)
        async with asyncio.timeout(PATIENCE):
            await process.stop(seconds)
        process.close()

    asyncio.run(stop())
