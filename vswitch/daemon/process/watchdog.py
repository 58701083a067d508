"""Telling the service manager that the switch is alive, for as long as it is.

Theory of operation. Twice within the time that the manager gives, the event loop looks whether the
frames' own thread has turned since the last look, and only then says so. So the manager hears
nothing where either of them hangs, and starts the switch anew (systemd.service(5), WatchdogSec).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from vswitch.daemon.process.systemd import ALIVE, Manager
from vswitch.units import SECOND, Nanoseconds

log = logging.getLogger(__name__)

_LOOKS = 2
"""In the time that the manager gives: sd_watchdog_enabled(3) recommends half of it."""


class Turning(Protocol):
    """What carries frames."""

    def has_turned(self) -> bool:
        """Whether it has gone on since it was asked last."""


@contextmanager
def watched(manager: Manager, frames: Turning) -> Iterator[None]:
    """Tell `manager`, where it wants to know, as long as the block runs. For the event loop."""
    if manager.watchdog is None:
        yield
        return
    task = asyncio.get_running_loop().create_task(_tell(manager, frames, manager.watchdog))
    try:
        yield
    finally:
        task.cancel()


async def _tell(manager: Manager, frames: Turning, within: Nanoseconds) -> None:
    while True:
        if frames.has_turned():
            manager.tell(ALIVE)
        else:
            log.error("the thread that carries frames hangs")
        await asyncio.sleep(within / _LOOKS / SECOND)
