"""Dumps of the flight recorder that the switch writes by itself: on SIGUSR1, and by its triggers.

Theory of operation. Once a second the triggers are told what was counted (`debug.live.triggers`
decides which of them fire). A dump is made in small pieces while the switch goes on, and written by
a thread, so a slow disk delays nothing. One is made at a time: what fires meanwhile is in it, or
nearly. The directory holds `keep` dumps of this switch; before one is written the oldest goes.

A dump that can not be written is logged, and the switch goes on.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from vswitch.daemon.captures import Captures, TooManyReadersError
from vswitch.debug.files.rotation import OWNER_ONLY, CaptureFile
from vswitch.debug.live import triggers
from vswitch.debug.live.triggers import Counts, Watch
from vswitch.network.errors import NetworkError
from vswitch.network.model import RecorderSettings

log = logging.getLogger(__name__)

DIRECTORY = Path("/var/lib/vswitch")
"""Where a switch for which no other directory is configured has one of its own."""

LOOK_SECONDS = 1.0
"""Rates are per second, and a ring holds a few seconds of the busiest traffic."""

SIGNAL = "signal"
"""What a dump is named after that was asked for."""

_DIRECTORY_MODE = 0o700


class Recordings:
    """The dumps of the switch called `name`. Belongs to one event loop."""

    def __init__(
        self,
        name: str,
        settings: RecorderSettings,
        captures: Captures,
        counts: Callable[[], Counts],
    ) -> None:
        """The triggers of `settings` are known to be sound (`configured`), here as later."""
        self._name = name
        self._settings = settings
        self._captures = captures
        self._counts = counts
        self._loop = asyncio.get_running_loop()
        self._writing: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Look from now on, where there is something to look for."""
        wanted = triggers.compile_all(self._settings.triggers)
        if wanted and self._captures.recorder is not None:
            self._look_later(Watch(wanted, self._counts(), time.monotonic_ns()))

    async def follow(self, settings: RecorderSettings) -> None:
        """Do what the user wants from now on."""
        await self.close()
        self._settings = settings
        self.begin()

    async def close(self) -> None:
        """Look no more, and finish what is being written."""
        if self._timer is not None:
            self._timer.cancel()
        if self._writing is not None:
            await self._writing

    def dump_soon(self, why: str, slug: str = SIGNAL) -> None:
        """Begin to write a dump, unless one is being written."""
        if self._writing is not None and not self._writing.done():
            log.info("%s: a dump of the flight recorder is being written already", why)
            return
        self._writing = self._loop.create_task(self._dump(why, slug))

    def _look_later(self, watch: Watch) -> None:
        self._timer = self._loop.call_later(LOOK_SECONDS, self._look, watch)

    def _look(self, watch: Watch) -> None:
        for fired in watch.look(self._counts(), time.monotonic_ns()):
            why = f"{fired.trigger}: it is {fired.per_second:.0f}/s"
            self.dump_soon(why, fired.trigger.slug)
        self._look_later(watch)

    async def _dump(self, why: str, slug: str) -> None:
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        path = self._directory / f"{self._name}-{stamp}-{slug}.pcapng"
        try:
            await self._write(path)
        except OSError as error:
            log.error("%s: no dump of the flight recorder: %s: %s", why, path, error.strerror)
        except (NetworkError, TooManyReadersError) as error:
            log.error("%s: no dump of the flight recorder: %s", why, error)
        else:
            log.warning("%s: the flight recorder is in %s", why, path)

    async def _write(self, path: Path) -> None:
        pieces = self._captures.dump()
        first = await anext(pieces)
        file = await asyncio.to_thread(self._open, path)
        try:
            await asyncio.to_thread(file.append, first)
            async for piece in pieces:
                await asyncio.to_thread(file.append, piece)
        finally:
            file.close()
            await pieces.aclose()

    def _open(self, path: Path) -> CaptureFile:
        path.parent.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
        dumps = self._dumps()
        for oldest in dumps[: max(0, len(dumps) - self._settings.keep + 1)]:
            oldest.unlink(missing_ok=True)
        return CaptureFile(path, OWNER_ONLY)

    @property
    def _directory(self) -> Path:
        own = self._settings.directory
        return Path(own) if own else DIRECTORY / self._name

    def _dumps(self) -> list[Path]:
        """This switch's dumps that are there, oldest first."""
        named = re.compile(rf"{re.escape(self._name)}-[0-9]{{8}}T[0-9.]+Z-[a-z0-9_]+\.pcapng")
        return sorted(path for path in self._directory.iterdir() if named.fullmatch(path.name))
