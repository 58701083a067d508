"""How long nothing has been heard: a timer that costs one reading of the clock per sound."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Silence:
    """Calls `on_end` once, when nothing has been heard for so many seconds."""

    def __init__(self, seconds: float, on_end: Callable[[], object]) -> None:
        self._seconds = seconds
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._heard_at = self._loop.time()
        self._timer = self._loop.call_later(seconds, self._look)

    def hear(self) -> None:
        """Something was heard: the time runs from now on."""
        self._heard_at = self._loop.time()

    def close(self) -> None:
        """Wait no longer."""
        self._timer.cancel()

    def _look(self) -> None:
        left = self._heard_at + self._seconds - self._loop.time()
        if left > 0:
            self._timer = self._loop.call_later(left, self._look)
        else:
            self._on_end()
