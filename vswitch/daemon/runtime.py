"""The loop around the switch: devices that become readable, and deadlines that come.

Theory of operation. Every device's descriptor is watched for reading; when it has frames, the
switch serves one batch of it and the loop goes on to the next, so that no device starves another.
Behind each batch the switch is asked for its next deadline; one timer of the loop stands for all
of them, and there is none while nothing is due. This is the one place where the clock is read for
the dataplane.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from vswitch.dataplane.switch import Served, Switch
from vswitch.dataplane.topology import Port
from vswitch.devices.base import DeviceGone
from vswitch.units import SECOND, Nanoseconds


class Runtime:
    """A switch on an event loop.

    `on_gone` is called with a port whose device has vanished, `on_news` when the switch has learnt
    something about its own addresses.
    """

    def __init__(
        self, switch: Switch, on_gone: Callable[[Port], None], on_news: Callable[[], None]
    ) -> None:
        self._switch = switch
        self._on_gone = on_gone
        self._on_news = on_news
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._armed_for: Nanoseconds | None = None
        self._watched: dict[int, int] = {}

    @staticmethod
    def now() -> Nanoseconds:
        """The dataplane's clock."""
        return time.monotonic_ns()

    def watch(self, port: Port) -> None:
        """Serve a port from now on."""
        descriptor = self._switch.fastpath.device(port.number).fileno()
        self._watched[port.number] = descriptor
        self._loop.add_reader(descriptor, self._serve, port)
        self.rearm()

    def forget(self, port: Port) -> None:
        """Serve a port no longer. Call it before its device is closed."""
        descriptor = self._watched.pop(port.number, None)
        if descriptor is not None:
            self._loop.remove_reader(descriptor)

    def rearm(self) -> None:
        """Set the timer to the switch's next deadline. Call it after every change to the switch."""
        deadline = self._switch.next_deadline()
        if deadline == self._armed_for:
            return
        self._armed_for = deadline
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if deadline is not None:
            delay = max(0, deadline - self.now()) / SECOND
            self._timer = self._loop.call_later(delay, self._tick)

    def close(self) -> None:
        """Stop serving everything."""
        for descriptor in self._watched.values():
            self._loop.remove_reader(descriptor)
        self._watched.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _serve(self, port: Port) -> None:
        try:
            served = self._switch.serve(port.number, self.now())
        except DeviceGone:
            self._report_gone(port)
            return
        self._report_unsendable()
        if served is not Served.BY_FAST_PATH:
            self._tell_news()
            self.rearm()

    def _tick(self) -> None:
        self._timer, self._armed_for = None, None
        now = self.now()
        self._switch.transmit(self._switch.tick(now), now)
        self._report_unsendable()
        self._tell_news()
        self.rearm()

    def _tell_news(self) -> None:
        if self._switch.tables.news:
            self._on_news()

    def _report_unsendable(self) -> None:
        """A device may be found gone by sending to it, before it is ever readable again."""
        gone = self._switch.fastpath.gone
        while gone:
            self._report_gone(self._switch.tables.ports[gone.pop()])

    def _report_gone(self, port: Port) -> None:
        self.forget(port)
        self._on_gone(port)
