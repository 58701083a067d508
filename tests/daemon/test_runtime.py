"""A switch on an event loop: frames that are decided about, that pass, and devices that go."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from random import Random

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from tests.fastpath.looped import LOOPING, eventually
from tests.fastpath.twin_devices import Hasty, Wired
from vswitch.daemon.runtime import Runtime
from vswitch.dataplane.switch import Switch
from vswitch.dataplane.topology import Network, Port, Side
from vswitch.fastpath import available
from vswitch.impairment import UNIMPAIRED, Impairment, Impairments
from vswitch.wire.offload import HEADER_LENGTH, Offloads

PATIENCE = 20
"""Seconds: far more than anything here takes on a machine that is busy."""

THREAD = "fast path"

pytestmark = pytest.mark.parametrize("name", list(available()))


class Running:
    """Endpoints a, b and c on one network without a gateway, served by a runtime."""

    def __init__(self, name: str) -> None:
        self.switch = Switch(Random(1), fast_path=name)
        self.gone: list[Port] = []
        self.runtime = Runtime(self.switch, self.gone.append, lambda: None)
        number = self.switch.new_network_number()
        self.switch.add_network(Network(number, "front", Side.INSIDE, None, None, 1500))
        self.devices = {each: Wired(Offloads.ALL, vnet_header=True) for each in "abc"}
        self.ports = {
            each: self.switch.add_port(each, number, device)
            for each, device in self.devices.items()
        }
        for port in self.ports.values():
            self.runtime.watch(port)

    def plug(self, name: str, device: Wired) -> None:
        """Let there be one more endpoint."""
        port = self.switch.add_port(name, self.ports["a"].network, device)
        self.devices[name], self.ports[name] = device, port
        self.runtime.watch(port)

    def close(self) -> None:
        self.runtime.close()
        for device in self.devices.values():
            device.give_up()

    def send(self, sender: str, receiver: str, payload: bytes = b"data") -> bytes:
        """Let an endpoint send; the frame."""
        packet = IP(src=f"10.0.0.{ord(sender)}", dst=f"10.0.0.{ord(receiver)}")
        packet /= UDP(sport=5000, dport=5000) / payload
        header = Ether(src=station(sender), dst=station(receiver))
        frame = bytes(HEADER_LENGTH) + bytes(header / packet)
        self.devices[sender].feed(frame)
        return frame

    async def hears(self, receiver: str, count: int = 1) -> list[bytes]:
        """The next frames that an endpoint gets, so many at least, while the event loop runs."""
        frames: list[bytes] = []
        async with asyncio.timeout(PATIENCE):
            while len(frames) < count:
                await asyncio.sleep(0.001)
                frames += self.devices[receiver].take()
        return frames

    async def meet(self) -> None:
        """Let everybody be known, and forget what that brought."""
        for sender, receiver in ("ab", "ba", "ca", "ab", "ba"):
            self.send(sender, receiver)
            await self.hears(receiver)
        self.devices["c"].take()

    def decided(self) -> int:
        """How many frames the fast path has left to the switch."""
        return sum(self.switch.counters.fates.values())

    def impair(self, name: str, incoming: str) -> None:
        port = self.ports[name]
        impairments = Impairments(Impairment.parse(incoming), Impairment(), 1)
        self.switch.impair(port.number, impairments, self.runtime.now())
        self.runtime.watch_anew(port)

    def cure(self, name: str) -> None:
        port = self.ports[name]
        self.switch.impair(port.number, UNIMPAIRED, self.runtime.now())
        self.runtime.watch_anew(port)


def station(endpoint: str) -> str:
    return f"02:00:00:00:00:{ord(endpoint):02x}"


@asynccontextmanager
async def running(name: str) -> AsyncIterator[Running]:
    lab = Running(name)
    try:
        yield lab
    finally:
        lab.close()


def run(name: str, scene: Callable[[Running], Awaitable[None]]) -> None:
    """Play a scene on an event loop of its own."""

    async def play() -> None:
        async with running(name) as lab:
            await scene(lab)

    asyncio.run(play())


def test_frames_are_decided_about_and_later_ones_pass(name: str) -> None:
    async def scene(lab: Running) -> None:
        frame = lab.send("a", "b")
        assert await lab.hears("b") == [frame]
        assert lab.devices["c"].take() == [frame]
        await lab.meet()
        decided = lab.decided()
        for number in range(20):
            frame = lab.send("a", "b", bytes([number]))
            assert await lab.hears("b") == [frame]
        assert lab.decided() == decided
        assert lab.devices["c"].take() == []

    run(name, scene)


def test_more_frames_than_are_decided_about_at_once_are_all_decided_about(name: str) -> None:
    async def scene(lab: Running) -> None:
        frames = [lab.send("a", "b", bytes([number])) for number in range(100)]
        assert await lab.hears("b", 100) == frames
        assert lab.decided() == 100
        assert await lab.hears("c", 100) == frames

    run(name, scene)


def test_thread_lets_frames_pass_while_the_event_loop_is_busy(name: str) -> None:
    async def scene(lab: Running) -> None:
        await lab.meet()
        frame = lab.send("a", "b")
        taken: list[bytes] = []
        if name in LOOPING:
            eventually(lambda: taken.extend(lab.devices["b"].take()) or taken)
        else:
            taken = await lab.hears("b")
        assert taken == [frame]

    run(name, scene)


def test_port_is_served_by_its_line_while_it_is_impaired(name: str) -> None:
    async def scene(lab: Running) -> None:
        await lab.meet()
        lab.impair("a", "duplicate=100%")
        frame = lab.send("a", "b")
        assert await lab.hears("b", 2) == [frame, frame]
        lab.impair("a", "delay=20ms")
        began = time.monotonic_ns()
        frame = lab.send("a", "b")
        assert await lab.hears("b") == [frame]
        assert time.monotonic_ns() - began >= 20_000_000
        lab.cure("a")
        frame = lab.send("a", "b")
        assert await lab.hears("b") == [frame]

    run(name, scene)


def test_thread_serves_a_port_again_that_is_not_impaired_any_more(name: str) -> None:
    async def scene(lab: Running) -> None:
        await lab.meet()
        lab.impair("a", "duplicate=100%")
        lab.cure("a")
        lab.send("a", "b")
        await lab.hears("b")
        frame, taken = lab.send("a", "b"), []
        if name in LOOPING:
            eventually(lambda: taken.extend(lab.devices["b"].take()) or taken)
        else:
            taken = await lab.hears("b")
        assert taken == [frame]

    run(name, scene)


def test_port_that_is_forgotten_is_not_read(name: str) -> None:
    async def scene(lab: Running) -> None:
        await lab.meet()
        lab.runtime.forget(lab.ports["c"])
        lab.send("c", "b", b"not read")
        lab.runtime.watch_anew(lab.ports["c"])
        frame = lab.send("a", "b")
        assert await lab.hears("b") == [frame]
        counters = lab.switch.fastpath.port_counters(lab.ports["c"].number)
        assert counters.received_frames == 1
        lab.runtime.watch(lab.ports["c"])
        assert len(await lab.hears("b")) == 1

    run(name, scene)


async def goes_on_and_tells_of_c_once(lab: Running) -> None:
    for _ in range(20):
        lab.send("b", "c")
        frame = lab.send("a", "b")
        assert frame in await lab.hears("b")
    async with asyncio.timeout(PATIENCE):
        while not lab.gone:
            await asyncio.sleep(0.001)
    await asyncio.sleep(0.05)
    assert lab.gone == [lab.ports["c"]]


def test_device_that_can_not_be_read_any_more_is_told_of_once(name: str) -> None:
    async def scene(lab: Running) -> None:
        await lab.meet()
        lab.devices["c"].fail()
        await goes_on_and_tells_of_c_once(lab)

    run(name, scene)


def test_device_that_is_found_gone_by_sending_is_told_of_once(name: str) -> None:
    async def scene(lab: Running) -> None:
        await lab.meet()
        lab.devices["c"].close()
        await goes_on_and_tells_of_c_once(lab)

    run(name, scene)


def test_device_that_was_readable_for_nothing_is_served_on(name: str) -> None:
    async def scene(lab: Running) -> None:
        lab.plug("d", Hasty())
        await lab.meet()
        frame = lab.send("d", "b")
        assert await lab.hears("b") == [frame]
        assert lab.gone == []

    run(name, scene)


def test_end_leaves_no_thread_and_no_frame_is_read_after_it(name: str) -> None:
    async def scene(lab: Running) -> None:
        await lab.meet()
        assert (THREAD in threads()) == (name in LOOPING)
        lab.runtime.close()
        assert THREAD not in threads()
        lab.send("a", "b")
        await asyncio.sleep(0.05)
        assert lab.devices["b"].take() == []

    run(name, scene)


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate()]
