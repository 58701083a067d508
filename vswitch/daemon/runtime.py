"""The loop around the switch: devices that become readable, and deadlines that come.

Theory of operation. A fast path that is able to (`LoopingFastPath`) serves its ports in a thread of
its own, and the event loop hears of what is left to do: frames that nothing is known about, a few
of each port in turn, so that one endpoint's flood does not keep the others waiting, and devices
whose errors somebody has to understand. Whatever the event loop is busy with, frames of known flows
pass.

All other ports, and all of them with the reference fast path, are watched by the event loop: when
one has frames, the switch serves one batch of it, and the loop goes on to the next.

Behind each batch the switch is asked for its next deadline; one timer of the loop stands for all
of them, and there is none while nothing is due. This is the one place where the clock is read for
the dataplane.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

from vswitch.dataplane.switch import Served, Switch
from vswitch.dataplane.topology import Port
from vswitch.devices.base import DeviceGone
from vswitch.fastpath.twin import LoopingFastPath, Trouble
from vswitch.impairment import Impairments
from vswitch.units import SECOND, Nanoseconds

AT_ONCE = 16
"""Frames that are decided about before the event loop turns to something else."""


class Runtime:
    """A switch on an event loop.

    `on_gone` is called with a port whose device has vanished, `on_news` when the switch has learnt
    something about its own addresses, a filter has something to be written down, or something that
    was published has come to its end by itself.
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
        self._served: set[int] = set()
        self._watched: dict[int, int] = {}
        """By number of a port: the descriptor that the event loop watches."""
        self._is_deciding = False
        self._thread: _Thread | None = None
        if isinstance(switch.fastpath, LoopingFastPath):
            self._thread = _Thread(switch.fastpath)
            self._loop.add_reader(self._thread.news, self._hear, self._thread.fastpath)

    @staticmethod
    def now() -> Nanoseconds:
        """The dataplane's clock."""
        return time.monotonic_ns()

    def watch(self, port: Port) -> None:
        """Serve a port from now on, as is right for the device that it has now."""
        self.forget(port)
        self._served.add(port.number)
        if self._thread is None or not self._thread.fastpath.serve(port.number):
            descriptor = self._switch.fastpath.device(port.number).fileno()
            self._watched[port.number] = descriptor
            self._loop.add_reader(descriptor, self._serve, port)
        self.rearm()

    def watch_anew(self, port: Port) -> None:
        """Go on as is right for the device that a port has now, where it is served at all."""
        if port.number in self._served:
            self.watch(port)
        self.rearm()

    def impair(self, port: Port, wanted: Impairments) -> None:
        """Let a port's line be as bad as that from now on, and serve it as is right then."""
        self._switch.impair(port.number, wanted, self.now())
        self.watch_anew(port)

    def forget(self, port: Port) -> None:
        """Serve a port no longer. Call it before its device is closed."""
        self._served.discard(port.number)
        if self._thread is not None:
            self._thread.fastpath.leave_alone(port.number)
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

    def tell_news(self) -> None:
        """Call `on_news` where the switch has some. Call it after what may have made some."""
        if self._switch.news.is_any:
            self._on_news()

    def has_turned(self) -> bool:
        """Whether the thread that serves ports, where there is one, is alive: it has turned since
        this was asked last, as it is told to by asking, however quiet its ports are."""
        return self._thread is None or self._thread.has_turned()

    def close(self) -> None:
        """Stop serving everything."""
        for descriptor in self._watched.values():
            self._loop.remove_reader(descriptor)
        self._watched.clear()
        self._served.clear()
        if self._timer is not None:
            self._timer.cancel()
        if self._thread is not None:
            self._loop.remove_reader(self._thread.news)
            self._thread.close()
            self._thread = None

    # What the fast path's own thread has left to do

    def _hear(self, fastpath: LoopingFastPath) -> None:
        for trouble in self._switch.hear(fastpath, self.now()):
            self._overcome(trouble)
        if not self._is_deciding:
            self._decide(fastpath)

    def _decide(self, fastpath: LoopingFastPath) -> None:
        """Decide about some frames, and about more of them when others have had their turn."""
        now = self.now()
        waiting = fastpath.take_waiting(now, AT_ONCE)
        served = self._switch.decide(waiting, now)
        self._is_deciding = len(waiting) == AT_ONCE and self._thread is not None
        if self._is_deciding:
            self._loop.call_soon(self._decide, fastpath)
        self._report_unsendable()
        if served is not Served.BY_FAST_PATH:
            self.tell_news()
            self.rearm()

    def _overcome(self, trouble: Trouble) -> None:
        """Let a device say what its error means, and serve it as is right from then on."""
        if trouble.port not in self._served:
            return
        port = self._switch.tables.ports[trouble.port]
        try:
            self._switch.fastpath.device(port.number).overcome(trouble.error)
        except DeviceGone:
            self._report_gone(port)
            return
        self.watch(port)

    # What the event loop serves

    def _serve(self, port: Port) -> None:
        try:
            served = self._switch.serve(port.number, self.now())
        except DeviceGone:
            self._report_gone(port)
            return
        self._report_unsendable()
        if served is not Served.BY_FAST_PATH:
            self.tell_news()
            self.rearm()
        if self._thread is not None and self._thread.fastpath.serve(port.number):
            self._loop.remove_reader(self._watched.pop(port.number))

    def _tick(self) -> None:
        self._timer, self._armed_for = None, None
        now = self.now()
        if self._thread is not None:
            self._hear(self._thread.fastpath)
        self._switch.transmit(self._switch.tick(now), now)
        self._report_unsendable()
        self.tell_news()
        self.rearm()

    def _report_unsendable(self) -> None:
        """A device may be found gone by sending to it, before it is ever readable again."""
        gone = self._switch.fastpath.gone
        while gone:
            self._report_gone(self._switch.tables.ports[gone.pop()])

    def _report_gone(self, port: Port) -> None:
        """Once, although it may be sent to until somebody has taken the port away."""
        if port.number in self._served:
            self.forget(port)
            self._on_gone(port)


class _Thread:
    """The loop of a fast path, running."""

    def __init__(self, fastpath: LoopingFastPath) -> None:
        self.fastpath = fastpath
        self.news = fastpath.open_loop()
        self._thread = threading.Thread(target=fastpath.loop, name="fast path", daemon=True)
        self._thread.start()
        self._turns: int | None = None

    def has_turned(self) -> bool:
        before, self._turns = self._turns, self.fastpath.nudge()
        return before != self._turns

    def close(self) -> None:
        self.fastpath.end_loop()
        self._thread.join()
        self.fastpath.close_loop()
