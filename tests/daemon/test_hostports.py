"""The host's own port: made whole or not at all, whichever step the kernel refuses."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import replace
from random import Random

import pytest

from tests.daemon.reloading import Wire
from vswitch import assembly
from vswitch.daemon.hostports import HostPorts
from vswitch.daemon.kernel.links import EndpointLink, LinkError
from vswitch.daemon.runtime import Runtime
from vswitch.dataplane.switch import Switch
from vswitch.devices.base import OpenError
from vswitch.network.inventory import Inventory
from vswitch.network.model import DEFAULT_NETWORK

BRIDGE = replace(DEFAULT_NETWORK, host=True)


class World:
    """A switch with the default network, and a kernel that refuses what the test wants."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.equipped: list[EndpointLink] = []
        self.refuses: str | None = None
        monkeypatch.setattr("vswitch.daemon.kernel.links.find", self._find)
        monkeypatch.setattr("vswitch.devices.tap.TapDevice.open", self._open)
        monkeypatch.setattr("vswitch.daemon.kernel.links.equip_host", self._equip)
        self.switch = Switch(Random(1))
        self.inventory = Inventory((BRIDGE,), (), Random(1))
        self.number = assembly.add_inside(self.switch, self.inventory, BRIDGE, {}).number
        self.runtime = Runtime(self.switch, lambda _: None, lambda: None)
        self.host_ports = HostPorts(self.switch, self.runtime, self.inventory)

    def _find(self, _: str) -> None:
        if self.refuses == "find":
            raise LinkError("no")

    def _open(self, _: str) -> Wire:
        if self.refuses == "open":
            raise OpenError("no")
        return Wire("line")

    def _equip(self, link: EndpointLink) -> None:
        if self.refuses == "equip":
            raise LinkError("no")
        self.equipped.append(link)

    @property
    def is_there(self) -> bool:
        """Whether the dataplane knows of it; it knows all or nothing."""
        network, ports = self.switch.tables.networks[self.number], self.switch.tables.ports
        assert (network.host is not None) == bool(ports)
        return network.host is not None

    def close(self) -> None:
        self.host_ports.close()
        self.runtime.close()


def play(monkeypatch: pytest.MonkeyPatch, story: Callable[[World], Awaitable[None]]) -> None:
    async def bounded() -> None:
        with closing(World(monkeypatch)) as world:
            await story(world)

    asyncio.run(bounded())


def test_host_has_the_gateways_address_and_a_station_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def story(world: World) -> None:
        world.host_ports.add(BRIDGE, world.number)
        (link,) = world.equipped
        network = world.switch.tables.networks[world.number]
        assert (link.name, str(link.address), link.gateway) == (
            "vs-bridge",
            "172.17.0.1/16",
            None,
        )
        assert network.host is not None
        assert network.interface is not None
        assert link.mac == network.host.mac != network.interface.mac
        world.host_ports.remove(BRIDGE)
        assert not world.is_there
        world.host_ports.remove(BRIDGE)

    play(monkeypatch, story)


@pytest.mark.parametrize("step", ["find", "open", "equip"])
def test_nothing_is_left_of_one_that_is_refused(monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    async def story(world: World) -> None:
        world.refuses = step
        with pytest.raises(LinkError) as refused:
            world.host_ports.add(BRIDGE, world.number)
        assert str(refused.value) == "network bridge: host port vs-bridge: no"
        assert not world.is_there
        world.refuses = None
        world.host_ports.add(BRIDGE, world.number)
        assert world.is_there

    play(monkeypatch, story)


def test_one_whose_interface_is_gone_is_given_up(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(world: World) -> None:
        world.host_ports.add(BRIDGE, world.number)
        (port,) = world.switch.tables.ports.values()
        world.host_ports.gone(port)
        assert not world.is_there
        assert caplog.messages[-1] == (
            "network bridge: the host is not on it until the switch is restarted: vs-bridge is gone"
        )

    play(monkeypatch, story)
