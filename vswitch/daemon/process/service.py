"""`vswitch up` as a process: lock, doors, start, serve until told to stop, end in an orderly way.

Theory of operation. Frames come first: the switch is up when its endpoints are attached and its
control socket takes requests. What answers them, and the queries of endpoints (`answering`), takes
longer to load than all endpoints take to attach, so it is loaded after that, in a thread, and who
asks meanwhile waits for a moment.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import resource
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop

from vswitch.daemon.daemon import Daemon, StartError
from vswitch.daemon.kernel.journal import Journal
from vswitch.daemon.process import doors, privileges, systemd
from vswitch.daemon.process.doors import Doors
from vswitch.daemon.process.rundir import SOCKET
from vswitch.daemon.process.systemd import Manager
from vswitch.daemon.process.watchdog import watched
from vswitch.network.model import Configuration

if TYPE_CHECKING:
    from vswitch.daemon.api import Api

log = logging.getLogger(__name__)

_COLLECTION_THRESHOLDS = (10_000, 100, 20)
"""Allocations before the young are looked through, which takes 2 ms, and how often their elders
are: a pass over all the connections of a full table would delay frames by many milliseconds."""

_STOPPING_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def serve(
    configuration: Configuration,
    fast_path: str | None = None,
    file: Path | None = None,
    *,
    removes: bool = False,
) -> None:
    """Run a switch in the foreground until SIGTERM or SIGINT, by the fast path of that name.

    The process keeps few privileges, for good. On SIGHUP the `file` that the configuration is from
    is read again. Nothing is left at the end where that `removes` what it has.

    Raises AlreadyRunning, DoorError, MissingCapabilitiesError, NoSuchFastPath, StartError, or
    OSError where the run directory can not be used.
    """

    async def begin(opened: Doors) -> None:
        daemon = Daemon(configuration, journal, fast_path)
        daemon.reload.file, daemon.removes = file, removes
        await _serve(daemon, opened, manager)

    manager = Manager.of(os.environ, os.getpid())
    journal = Journal.open(configuration.name)
    try:
        with doors.opened(configuration.api, journal.directory / SOCKET, manager.passed) as opened:
            privileges.reduce()
            _raise_descriptor_limit()
            _calm_garbage_collector()
            uvloop.run(begin(opened))
    finally:
        journal.close()


async def _serve(daemon: Daemon, opened: Doors, manager: Manager) -> None:
    loop = asyncio.get_running_loop()
    for number in _STOPPING_SIGNALS:
        loop.add_signal_handler(number, daemon.ask_to_stop)
    loop.add_signal_handler(signal.SIGUSR1, daemon.recordings.dump_soon, "SIGUSR1")
    try:
        await daemon.start()
        opened.listen()
        async with _reloading(daemon, manager):
            log.info("switch %s is up (pid %d, %s fast path)", *_about(daemon))
            await _answer(daemon, opened, manager)
    except OSError as error:
        raise StartError(str(error)) from error
    finally:
        manager.tell(systemd.STOPPING)
        await daemon.stop()
    log.info("switch %s is down", daemon.configuration.name)


@asynccontextmanager
async def _reloading(daemon: Daemon, manager: Manager) -> AsyncIterator[None]:
    """Read the configuration again on each SIGHUP; the last time is waited for."""
    tasks: set[asyncio.Task[None]] = set()
    loop = asyncio.get_running_loop()

    async def reload() -> None:
        manager.tell(*systemd.reloading(daemon.runtime.now()))
        await daemon.reload.reload_and_log()
        manager.tell(systemd.READY)

    def reload_soon() -> None:
        task = loop.create_task(reload())
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    loop.add_signal_handler(signal.SIGHUP, reload_soon)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        await asyncio.gather(*tasks)


async def _answer(daemon: Daemon, opened: Doors, manager: Manager) -> None:
    """Answer who asks at the doors until it is time to stop."""
    api = (await asyncio.to_thread(_load_api))(daemon, opened)
    try:
        await api.start()
        with watched(manager, daemon.runtime):
            up = f"switch {daemon.configuration.name} is up"
            manager.tell(systemd.READY, systemd.status(up))
            await daemon.stopping.wait()
        log.info("switch %s stops", daemon.configuration.name)
    finally:
        await api.close()


def _load_api() -> type[Api]:
    from vswitch.daemon.api import Api
    from vswitch.daemon.resolving import answering  # noqa: F401

    return Api


def _about(daemon: Daemon) -> tuple[str, int, str]:
    return daemon.configuration.name, os.getpid(), daemon.switch.fastpath.name


def _calm_garbage_collector() -> None:
    """What is there now stays, and tables grow by acyclic objects: look for cycles seldom."""
    gc.freeze()
    gc.set_threshold(*_COLLECTION_THRESHOLDS)


def _raise_descriptor_limit() -> None:
    """Each endpoint takes a few descriptors, and the usual soft limit is 1024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
