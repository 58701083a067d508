"""The loop of a fast path in a thread of its own: ports that come, fail and go, and its end."""

from __future__ import annotations

import errno
import os
import select
import threading
import time
from contextlib import closing
from random import Random

import pytest

from tests.fastpath.looped import (
    GATEWAY,
    IN,
    MOST_WAITING,
    OTHER,
    OUT,
    Looped,
    datagram,
    eventually,
    numbered,
    numbers_in,
)
from tests.fastpath.twin_devices import Hasty, Wired
from vswitch.devices.base import RawDescriptor, Sent
from vswitch.devices.memory import MemoryDevice
from vswitch.fastpath.program import Output
from vswitch.fastpath.twin import LoopingFastPath, Waiting
from vswitch.wire.offload import Offloads

FOURTH = 4
CHANGES = 2000
BURST = 32


class Fickle(Wired):
    """A device that has a descriptor at some times, and at others none that may be used."""

    has_descriptor = True

    def raw(self) -> RawDescriptor | None:
        return super().raw() if self.has_descriptor else None


class Feeder:
    """Bursts of frames that come in by IN, from a thread, with a `pause` in seconds in between."""

    def __init__(self, looped: Looped, frame: bytes, pause: float = 0) -> None:
        self.fed = 0
        self._pause = pause
        self._looped = looped
        self._frame = frame
        self._is_ending = threading.Event()
        self._thread = threading.Thread(target=self._feed)
        self._thread.start()

    def close(self) -> None:
        self._is_ending.set()
        self._thread.join()

    def _feed(self) -> None:
        while not self._is_ending.is_set():
            self._looped.feed(IN, *[self._frame] * BURST)
            self.fed += BURST
            time.sleep(self._pause)


def time_of_thread(looped: Looped) -> float:
    """Seconds that the loop's thread has worked."""
    assert looped.thread.ident is not None
    return time.clock_gettime(time.pthread_getcpuclockid(looped.thread.ident))


# Who is served


def test_port_that_is_left_alone_is_not_read_until_it_is_served_again(looped: Looped) -> None:
    looped.keep(IN, datagram(5000), Output(OUT))
    looped.keep(OTHER, datagram(5001), Output(OUT))
    looped.fastpath.leave_alone(IN)
    looped.feed(IN, *numbered(5000, range(3)))
    looped.feed(OTHER, datagram(5001))
    assert looped.take(OUT, 1) == [datagram(5001)]
    assert looped.received(IN) == 0
    assert looped.fastpath.serve(IN)
    assert numbers_in(looped.take(OUT, 3)) == [0, 1, 2]


def test_port_that_is_left_alone_is_sent_to_all_the_same(looped: Looped) -> None:
    looped.keep(IN, datagram(5000), Output(OUT))
    looped.fastpath.leave_alone(OUT)
    looped.feed(IN, datagram(5000))
    assert looped.take(OUT, 1) == [datagram(5000)]


def test_port_that_is_left_alone_twice_is_left_alone(looped: Looped) -> None:
    looped.fastpath.leave_alone(IN)
    looped.fastpath.leave_alone(IN)
    assert looped.fastpath.serve(IN)


def test_device_without_a_descriptor_is_not_served_and_sent_to_by_the_owner(
    looped: Looped,
) -> None:
    device = MemoryDevice("fourth")
    looped.fastpath.attach(FOURTH, device, GATEWAY)
    assert not looped.fastpath.serve(FOURTH)
    looped.keep(IN, datagram(5000), Output(FOURTH))
    looped.feed(IN, datagram(5000))
    eventually(looped.is_news)
    assert device.take() == []
    looped.hear()
    assert device.take() == [datagram(5000)]
    assert looped.fastpath.port_counters(FOURTH).sent_frames == 1


def test_so_many_frames_wait_for_the_owner_to_send_them_and_the_rest_is_lost(
    looped: Looped,
) -> None:
    device, frames = MemoryDevice("fourth"), numbered(5000, range(MOST_WAITING + 100))
    looped.fastpath.attach(FOURTH, device, GATEWAY)
    looped.keep(IN, frames[0], Output(FOURTH))
    looped.feed(IN, *frames)
    eventually(lambda: looped.received(IN) == len(frames))
    looped.hear()
    assert device.take() == frames[:MOST_WAITING]
    assert looped.fastpath.port_counters(FOURTH).lost == {Sent.FULL: 100}
    looped.feed(IN, frames[-1])
    eventually(lambda: looped.fastpath.hear() == [] and device.sent)
    assert device.take() == [frames[-1]]


def test_other_device_behind_a_port_is_served_when_that_is_asked_for(looped: Looped) -> None:
    looped.keep(IN, datagram(5000), Output(OUT))
    before, after = looped.devices[IN], Wired(Offloads.ALL, vnet_header=True)
    looped.devices[IN] = after
    looped.fastpath.replace_device(IN, after)
    with closing(before):
        assert looped.fastpath.serve(IN)
        looped.feed(IN, datagram(5000))
        assert looped.take(OUT, 1) == [datagram(5000)]
        before.give_up()


def test_device_that_comes_by_a_descriptor_is_never_taken_for_gone(looped: Looped) -> None:
    fickle = Fickle(Offloads.ALL, vnet_header=True)
    looped.plug(FOURTH, fickle)
    frame = datagram(5000)
    looped.keep(IN, frame, Output(FOURTH))
    taken = 0
    with closing(Feeder(looped, frame)) as feeder:
        for _ in range(CHANGES):
            looped.fastpath.leave_alone(FOURTH)
            fickle.has_descriptor = False
            assert not looped.fastpath.serve(FOURTH)
            fickle.has_descriptor = True
            assert looped.fastpath.serve(FOURTH)
            looped.fastpath.hear()
            taken += len(fickle.take())
    eventually(lambda: looped.received(IN) == feeder.fed)
    looped.fastpath.hear()
    taken += len(fickle.take())
    counters = looped.fastpath.port_counters(FOURTH)
    assert looped.fastpath.gone == set()
    assert set(counters.lost) <= {Sent.FULL}
    assert taken == counters.sent_frames == feeder.fed - counters.lost.get(Sent.FULL, 0)


# Devices that fail


def test_device_that_can_not_be_read_is_told_of_once_and_not_served_any_more(
    looped: Looped,
) -> None:
    looped.keep(OTHER, datagram(5001), Output(OUT))
    looped.devices[IN].fail()
    (trouble,) = looped.hear()
    assert (trouble.port, trouble.error.errno) == (IN, errno.ECONNRESET)
    worked = time_of_thread(looped)
    assert not looped.is_news(0.3)
    assert time_of_thread(looped) - worked < 0.1
    looped.feed(OTHER, datagram(5001))
    assert looped.take(OUT, 1) == [datagram(5001)]
    assert looped.received(IN) == 0


def test_device_that_is_readable_and_has_no_frame_is_trouble_too(looped: Looped) -> None:
    looped.plug(FOURTH, Hasty())
    (trouble,) = looped.hear()
    assert (trouble.port, trouble.error.errno) == (FOURTH, errno.EAGAIN)
    assert not looped.is_news(0.1)


def test_port_whose_device_has_failed_is_served_again_when_that_is_asked_for(
    looped: Looped,
) -> None:
    looped.plug(FOURTH, Hasty())
    looped.hear()
    looped.keep(FOURTH, datagram(5000), Output(OUT))
    looped.feed(FOURTH, datagram(5000))
    assert looped.fastpath.serve(FOURTH)
    assert looped.take(OUT, 1) == [datagram(5000)]


def test_device_that_says_when_it_is_sent_to_that_it_is_gone_is_news(looped: Looped) -> None:
    looped.keep(IN, datagram(5000), Output(OUT))
    looped.fastpath.leave_alone(OUT)
    looped.devices[OUT].close()
    looped.feed(IN, datagram(5000))
    assert looped.hear() == []
    assert looped.fastpath.gone == {OUT}


# Changes while frames flow


def test_every_frame_is_accounted_for_while_programs_and_ports_come_and_go(looped: Looped) -> None:
    frame, random = datagram(5000), Random(1)
    taken = waited = 0
    with closing(Feeder(looped, frame, pause=0.001)) as feeder:
        for _ in range(CHANGES):
            looped.plug(FOURTH, Wired(Offloads.ALL, vnet_header=True))
            key = looped.keep(IN, frame, Output(OUT), Output(FOURTH))
            looped.feed(FOURTH, frame)
            if random.random() < 0.5:
                looped.devices[FOURTH].fail()
            if random.random() < 0.5:
                looped.fastpath.remove(key)
            looped.fastpath.hear()
            waiting = looped.fastpath.take_waiting(1, 64)
            waited += sum(one.port == IN for one in waiting)
            taken += len(looped.devices[OUT].take())
            looped.unplug(FOURTH)
    eventually(lambda: looped.received(IN) == feeder.fed)
    looped.fastpath.hear()
    waited += len(looped.fastpath.take_waiting(1, feeder.fed))
    taken += len(looped.devices[OUT].take())
    inwards, outwards = looped.fastpath.port_counters(IN), looped.fastpath.port_counters(OUT)
    assert taken == outwards.sent_frames
    ended = outwards.sent_frames, sum(outwards.lost.values()), waited, inwards.overrun
    assert sum(ended) == feeder.fed
    assert min(taken, waited) > 0


def test_frames_that_wait_go_with_their_port(looped: Looped) -> None:
    looped.plug(FOURTH, Wired(Offloads.ALL, vnet_header=True))
    looped.feed(FOURTH, datagram(5000))
    eventually(lambda: looped.received(FOURTH) == 1)
    looped.unplug(FOURTH)
    looped.feed(IN, datagram(5001))
    assert looped.waiting(1) == [Waiting(IN, bytearray(datagram(5001)))]


# The end


def test_thread_comes_back_and_gives_its_descriptors_back(looped: Looped) -> None:
    looped.feed(IN, datagram(5000))
    looped.end_loop()
    assert not looped.thread.is_alive()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(looped.news)


def test_descriptors_are_as_many_as_before(looped: Looped) -> None:
    looped.end_loop()
    before = set(os.listdir("/proc/self/fd"))
    kind: type[LoopingFastPath] = type(looped.fastpath)
    Looped(kind).close()
    assert set(os.listdir("/proc/self/fd")) == before


def test_port_that_is_taken_away_afterwards_leaves_the_descriptors_of_others_alone(
    looped: Looped,
) -> None:
    looped.end_loop()
    polls = [select.epoll() for _ in range(3)]
    for poll in polls:
        poll.register(looped.devices[IN], select.EPOLLIN)
    looped.fastpath.detach(IN)
    looped.feed(IN, datagram(5000))
    assert [len(poll.poll(0)) for poll in polls] == [1, 1, 1]
    for poll in polls:
        poll.close()
