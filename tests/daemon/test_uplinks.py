"""What an uplink does about what it learns, with a kernel that says what the test wants."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from types import SimpleNamespace

import pytest

from tests.daemon.reloading import Wire
from vswitch import assembly
from vswitch.daemon.events import Events, Reader
from vswitch.daemon.exposure import PortTakenError
from vswitch.daemon.guard.address import HostLink
from vswitch.daemon.guard.ports import HostPorts
from vswitch.daemon.guard.ways import Guarded, GuardError, Way, WhyNot
from vswitch.daemon.kernel.journal import Journal
from vswitch.daemon.messages import UplinkRow
from vswitch.daemon.messages.events import EventsQuery
from vswitch.daemon.runtime import Runtime
from vswitch.daemon.uplinks import UplinkError, Uplinks
from vswitch.dataplane.dhcp.client.lease import Lease
from vswitch.dataplane.dhcp.client.outcome import Bound, Changed, Lost, News, Reason
from vswitch.dataplane.mappings import External, Mapping
from vswitch.dataplane.switch import Switch
from vswitch.devices.memory import MemoryDevice
from vswitch.network.inventory import Inventory
from vswitch.network.model import (
    DEFAULT_NETWORK,
    Endpoint,
    EndpointRequest,
    LearntAddress,
    Network,
    Uplink,
)
from vswitch.network.ports import PortRange, PublicationRequest, StaticMapping
from vswitch.translation import Outside
from vswitch.wire.values import IpAddress, IpInterface, IpNetwork, MacAddress, Protocol

LOOPBACK = bytes((127, *os.getpid().to_bytes(4, "big")[2:]))
"""Three bytes of addresses that no other run of these tests uses, and that can be held anywhere."""

FIRST, SECOND = (IpAddress(LOOPBACK + bytes((each,))) for each in (1, 2))
GATEWAY, OTHER_GATEWAY = (IpAddress(LOOPBACK + bytes((each,))) for each in (253, 254))
STATION, OTHER_STATION = (MacAddress.parse(f"02:00:00:00:00:{each}") for each in ("01", "02"))
SUBNET = IpNetwork(IpAddress(LOOPBACK + bytes(1)), 24)
MTU = 1500

SHARED = Uplink("up0", LearntAddress.HOST, ports=None)
BY_DHCP = Uplink("up0", LearntAddress.DHCP)
OWN = Uplink("up1", IpInterface.parse("203.0.113.2/24"), name="wan")

WEB, GAME = 8080, 5000
"""An endpoint's published port and its statically mapped one, outside; inside they are 80 and 7000.
"""


def host(address: IpAddress = FIRST, gateway: IpAddress | None = GATEWAY) -> HostLink:
    return HostLink("up0", 7, IpInterface(address, SUBNET), STATION, MTU, gateway)


class Kernel:
    """What the host has, and what was asked of the kernel about it."""

    def __init__(self) -> None:
        self.host: HostLink | None = host()
        self.ports = HostPorts(range(32768, 61000), frozenset(), frozenset())
        self.refuses_guards = False
        self.guarding: list[IpAddress] = []
        """What is guarded at the moment. There is never more than one."""
        self.guards_made = 0
        self.line = Wire("line")
        self._events = os.pipe()

    def watch(self, interface: str) -> SimpleNamespace:
        def changed() -> None:
            os.read(self._events[0], 100)
            watch.address = self.host.address if self.host else None

        watch = SimpleNamespace(
            address=self.host.address if self.host else None,
            changed=changed,
            fileno=lambda: self._events[0],
            close=lambda: None,
        )
        return watch

    def host_link(self, interface: str) -> HostLink:
        assert self.host is not None
        return self.host

    def choose(self, what: Guarded, **_: object) -> SimpleNamespace:
        if self.refuses_guards:
            raise GuardError(what, [WhyNot(Way.SOCKETS, "taken")])
        assert self.guarding == []
        self.guarding.append(what.address)
        self.guards_made += 1

        def close() -> None:
            if what.address in self.guarding:
                self.guarding.remove(what.address)

        return SimpleNamespace(what=what, way=Way.TCX, why_not=(), close=close)

    async def tell(self, what: HostLink | None) -> None:
        """An address event, behind which the host has `what`."""
        self.host = what
        os.write(self._events[1], b"!")
        for _ in range(5):
            await asyncio.sleep(0)

    def close(self) -> None:
        self.line.close()
        for end in self._events:
            os.close(end)


@dataclass
class World:
    """A switch with one endpoint, and the uplinks under test."""

    kernel: Kernel
    switch: Switch
    inventory: Inventory
    uplinks: Uplinks
    runtime: Runtime
    reader: Reader
    """Of what comes and goes."""

    def open(self, uplink: Uplink) -> None:
        """Open an uplink, and let the default network exist behind it if it is the default one."""
        number = self.uplinks.open(uplink)
        if uplink.name == DEFAULT_NETWORK.uplink:
            outside = {uplink.name: number}
            domain = assembly.add_inside(self.switch, self.inventory, DEFAULT_NETWORK, outside)
            self.inside = domain.number

    def row(self, number: int = 0) -> UplinkRow:
        return self.uplinks.rows()[number]

    def expose(self) -> None:
        """What an attachment does."""
        endpoint = self.endpoint
        self._reserved = self.uplinks.exposure.reserve(endpoint, self.inside)
        self._reserved.__enter__()
        assembly.expose(self.switch, endpoint, self.inside, self.runtime.now())

    def conceal(self) -> None:
        self._reserved.__exit__(None, None, None)

    @property
    def endpoint(self) -> Endpoint:
        return self.inventory.endpoint("web")

    def mapped(self, address: IpAddress) -> Mapping | None:
        return self.switch.tables.mappings.of_external(External(Protocol.UDP, address, GAME))

    def learn(self, news: News) -> None:
        self.switch.tables.learnt.append((1, news))
        self.uplinks.take_news()


Story = Callable[[World], Awaitable[None]]


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    def play(story: Story, *further: Uplink, networks: tuple[Network, ...] = ()) -> None:
        asyncio.run(_play(story, further, networks))

    async def _play(
        story: Story, further: tuple[Uplink, ...], networks: tuple[Network, ...]
    ) -> None:
        inventory = Inventory((DEFAULT_NETWORK, *networks), (SHARED, *further), Random(1))
        inventory.add_endpoint(
            EndpointRequest(
                "web",
                publish=(
                    PublicationRequest(Protocol.TCP, None, PortRange(WEB, WEB), PortRange(80, 80)),
                ),
                mappings=(
                    StaticMapping(Protocol.UDP, PortRange(GAME, GAME), PortRange(7000, 7000)),
                ),
            )
        )
        with closing(Kernel()) as kernel, closing(Journal.open("lab", tmp_path)) as journal:
            monkeypatch.setattr("vswitch.daemon.uplinks.AddressWatch", kernel.watch)
            monkeypatch.setattr("vswitch.daemon.guard.address.host_link", kernel.host_link)
            monkeypatch.setattr("vswitch.daemon.guard.ports.host_ports", lambda: kernel.ports)
            monkeypatch.setattr("vswitch.daemon.guard.ways.choose", kernel.choose)
            monkeypatch.setattr("vswitch.devices.afpacket.PacketDevice.open", lambda _: kernel.line)
            monkeypatch.setattr(
                "vswitch.daemon.kernel.links.find", lambda _: SimpleNamespace(mtu=MTU)
            )
            switch = Switch(Random(1))
            runtime = Runtime(switch, lambda _: None, lambda: None)
            events = Events()
            reader = events.begin(EventsQuery())
            uplinks = Uplinks(switch, runtime, inventory, journal, Random(1), events)
            with closing(uplinks):
                await story(World(kernel, switch, inventory, uplinks, runtime, reader))
                for port in list(switch.tables.ports.values()):
                    runtime.forget(port)
            runtime.close()
            assert kernel.guarding == []

    return play


Play = Callable[..., None]


# The host's own address


def test_guard_follows_the_hosts_address(play: Play) -> None:
    async def story(world: World) -> None:
        world.open(SHARED)
        assert world.kernel.guarding == [FIRST]
        await world.kernel.tell(host(SECOND))
        assert world.kernel.guarding == [SECOND]
        assert world.row().address == f"{SECOND}/24"
        await world.kernel.tell(None)
        assert world.kernel.guarding == []
        assert (world.row().address, world.row().guard) == ("none", None)

    play(story)


def test_address_that_comes_and_goes_is_told(play: Play) -> None:
    async def story(world: World) -> None:
        world.open(SHARED)
        await world.kernel.tell(host(SECOND))
        await world.kernel.tell(None)
        await world.kernel.tell(host())
        told = [(row.event.value, row.attributes["address"]) for row in world.reader.take()]
        assert told == [
            ("create", f"{FIRST}/24"),
            ("learn", f"{SECOND}/24"),
            ("lose", f"{SECOND}/24"),
            ("learn", f"{FIRST}/24"),
        ]

    play(story)


def test_event_about_something_else_changes_nothing(
    play: Play, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(world: World) -> None:
        world.open(SHARED)
        await world.kernel.tell(host())
        assert world.kernel.guards_made == 1
        assert caplog.records == []

    play(story)


def test_gateway_and_station_are_the_hosts_too(play: Play) -> None:
    async def story(world: World) -> None:
        world.open(SHARED)
        assert (world.row().gateway, world.row().mac) == (str(GATEWAY), str(STATION))
        await world.kernel.tell(replace(host(gateway=OTHER_GATEWAY), mac=OTHER_STATION, mtu=1400))
        assert (world.row().gateway, world.row().mac) == (str(OTHER_GATEWAY), str(OTHER_STATION))
        assert world.switch.tables.networks[1].mtu == 1400
        assert world.kernel.guards_made == 1

    play(story)


def test_gateway_of_the_configuration_stays(play: Play) -> None:
    async def story(world: World) -> None:
        world.open(replace(SHARED, gateway=OTHER_GATEWAY))
        await world.kernel.tell(host(SECOND))
        assert world.row().gateway == str(OTHER_GATEWAY)

    play(story)


def test_address_that_can_not_be_guarded_is_not_used(
    play: Play, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(world: World) -> None:
        world.open(SHARED)
        world.kernel.refuses_guards = True
        await world.kernel.tell(host(SECOND))
        assert (world.row().address, world.row().guard) == ("none", None)
        assert "nothing leaves by it: the kernel cannot be kept off" in caplog.text
        world.kernel.refuses_guards = False
        await world.kernel.tell(host())
        assert world.row().address == f"{FIRST}/24"

    play(story)


def test_address_of_a_subnet_that_is_there_already_is_not_used(
    play: Play, caplog: pytest.LogCaptureFixture
) -> None:
    inside = replace(host(), address=IpInterface.parse("172.17.5.5/24"))
    outside = replace(host(), address=IpInterface.parse("203.0.113.77/25"))

    async def story(world: World) -> None:
        world.open(SHARED)
        world.kernel.line = Wire("line")
        world.open(OWN)
        await world.kernel.tell(inside)
        assert world.row().address == "none"
        assert f"172.17.5.0/24 overlaps {DEFAULT_NETWORK.subnet} of network bridge" in caplog.text
        await world.kernel.tell(outside)
        assert world.row().address == "none"
        assert "203.0.113.0/25 overlaps 203.0.113.0/24 of uplink wan" in caplog.text

    play(story, OWN)


def test_own_address_in_the_subnet_of_a_learnt_one_is_refused(play: Play) -> None:
    own = replace(OWN, address=IpInterface(SECOND, SUBNET))

    async def story(world: World) -> None:
        world.open(SHARED)
        with pytest.raises(UplinkError, match=f"uplink wan: {SUBNET} overlaps {SUBNET} of the upl"):
            world.open(own)

    play(story, own)


def test_learnt_subnet_is_told_to_who_places_networks_for_as_long_as_it_is_there(
    play: Play,
) -> None:
    async def story(world: World) -> None:
        world.open(SHARED)
        world.kernel.line = Wire("line")
        world.open(OWN)
        assert list(world.uplinks.learnt_subnets()) == [(SUBNET, "of the uplink")]
        await world.kernel.tell(None)
        assert list(world.uplinks.learnt_subnets()) == []

    play(story, OWN)


def test_ports_are_those_that_the_host_can_spare(play: Play) -> None:
    async def story(world: World) -> None:
        world.kernel.ports = replace(world.kernel.ports, in_use=frozenset({62000}))
        world.open(SHARED)
        assert world.row().ports == "61000-61999,62001-65535"

    play(story)


@pytest.mark.parametrize(
    ("ports", "refusal"),
    [
        (
            (range(2000, 32769),),
            "the uplink: ports 2000-32768 overlap 32768-60999, which the host takes for its own "
            "connections (net.ipv4.ip_local_port_range)",
        ),
        (
            (range(60999, 61001),),
            "the uplink: ports 60999-61000 overlap 32768-60999, which the host takes for its own "
            "connections (net.ipv4.ip_local_port_range)",
        ),
        (
            (range(2000, 3000), range(61000, 62001)),
            "the uplink: port 62000 is in use on the host: leave it out of ports",
        ),
    ],
    ids=["first ephemeral port", "last ephemeral port", "in use"],
)
def test_ports_of_the_configuration_may_not_be_the_hosts(
    play: Play, ports: tuple[range, ...], refusal: str
) -> None:
    async def story(world: World) -> None:
        world.kernel.ports = replace(world.kernel.ports, in_use=frozenset({62000}))
        with pytest.raises(UplinkError) as refused:
            world.open(replace(SHARED, ports=ports))
        assert str(refused.value) == refusal

    play(story)


def test_ports_of_the_configuration_next_to_the_hosts_are_given_away(play: Play) -> None:
    async def story(world: World) -> None:
        world.open(replace(SHARED, ports=(range(2000, 32768), range(61000, 62000))))
        assert world.row().ports == "2000-32767,61000-61999"

    play(story)


# What endpoints have outside


def is_free(protocol: Protocol, address: IpAddress, port: int) -> bool:
    kind = socket.SOCK_STREAM if protocol is Protocol.TCP else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as program:
        try:
            program.bind((str(address), port))
        except OSError:
            return False
    return True


def test_ports_of_an_endpoint_are_held_for_as_long_as_it_is_there(play: Play) -> None:
    async def story(world: World) -> None:
        world.open(SHARED)
        world.expose()
        assert not is_free(Protocol.TCP, FIRST, WEB)
        assert not is_free(Protocol.UDP, FIRST, GAME)
        world.conceal()
        assert is_free(Protocol.TCP, FIRST, WEB)
        assert is_free(Protocol.UDP, FIRST, GAME)

    play(story)


def test_port_of_another_program_is_refused_in_dockers_words_and_nothing_is_held(
    play: Play,
) -> None:
    async def story(world: World) -> None:
        world.open(SHARED)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as program:
            program.bind((str(FIRST), GAME))
            with pytest.raises(PortTakenError) as refused:
                world.expose()
        words = f"failed to bind host port 0.0.0.0:{GAME}/udp: address already in use"
        assert str(refused.value) == words
        assert is_free(Protocol.TCP, FIRST, WEB)

    play(story)


def test_static_mapping_is_held_only_on_the_uplink_of_its_network(play: Play) -> None:
    async def story(world: World) -> None:
        world.open(replace(SHARED, name="wan"))
        with world.uplinks.exposure.reserve(world.endpoint, 1):
            assert not is_free(Protocol.TCP, FIRST, WEB)
            assert is_free(Protocol.UDP, FIRST, GAME)

    play(story)


def test_mappings_and_holds_move_to_the_new_address(play: Play) -> None:
    async def story(world: World) -> None:
        world.open(SHARED)
        world.expose()
        await world.kernel.tell(host(SECOND))
        assert world.mapped(FIRST) is None
        assert world.mapped(SECOND) is not None
        for protocol, port in ((Protocol.TCP, WEB), (Protocol.UDP, GAME)):
            assert is_free(protocol, FIRST, port)
            assert not is_free(protocol, SECOND, port)

    play(story)


def test_mappings_outlive_an_address_that_has_only_been_away(play: Play) -> None:
    async def story(world: World) -> None:
        world.open(SHARED)
        world.expose()
        before = world.mapped(FIRST)
        assert before is not None
        await world.kernel.tell(None)
        assert not is_free(Protocol.TCP, FIRST, WEB)
        await world.kernel.tell(host(gateway=OTHER_GATEWAY))
        assert world.mapped(FIRST) is before
        assert not is_free(Protocol.TCP, FIRST, WEB)

    play(story)


def test_endpoint_that_came_before_the_address_is_mapped_when_it_is_there(play: Play) -> None:
    async def story(world: World) -> None:
        world.open(SHARED)
        await world.kernel.tell(None)
        world.expose()
        assert world.mapped(FIRST) is None
        await world.kernel.tell(host())
        assert world.mapped(FIRST) is not None
        assert not is_free(Protocol.TCP, FIRST, WEB)

    play(story)


def test_port_that_is_taken_at_the_new_address_is_told(
    play: Play, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(world: World) -> None:
        world.open(SHARED)
        world.expose()
        with socket.socket() as program:
            program.bind((str(SECOND), WEB))
            await world.kernel.tell(host(SECOND))
        words = f"endpoint web: failed to bind host port 0.0.0.0:{WEB}/tcp: address already in use"
        assert words in caplog.text
        assert world.row().address == f"{SECOND}/24"

    play(story)


# Addresses by DHCP


def lease(address: str = "198.51.100.50/24", mtu: int | None = None) -> Lease:
    server = IpAddress.parse("198.51.100.1")
    return Lease(
        *(IpInterface.parse(address), server, mtu, (), None, server, STATION),
        *(0, None, None, None),
    )


def test_lease_comes_changes_and_goes(play: Play, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    async def story(world: World) -> None:
        world.open(BY_DHCP)
        assert world.row().address == "none"
        world.learn(Bound(lease(mtu=1400)))
        assert (world.row().address, world.row().gateway) == ("198.51.100.50/24", "198.51.100.1")
        assert world.switch.tables.networks[1].mtu == 1400
        world.learn(Changed(lease(mtu=None)))
        assert world.switch.tables.networks[1].mtu == MTU
        world.learn(Changed(lease(mtu=9000)))
        assert world.switch.tables.networks[1].mtu == MTU
        world.learn(Lost(lease(), Reason.EXPIRED))
        assert world.row().address == "none"
        assert "198.51.100.50/24 may not be used any more: no server has renewed it" in caplog.text

    play(story)


def test_lease_that_comes_to_overlap_a_network_is_given_up(
    play: Play, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(world: World) -> None:
        world.open(BY_DHCP)
        world.learn(Bound(lease()))
        world.learn(Changed(lease("172.17.0.50/24")))
        assert world.row().address == "none"
        assert "the address is not used: 172.17.0.0/24 overlaps" in caplog.text

    play(story)


# Interfaces that go


def test_uplink_whose_interface_is_gone_has_no_address_from_then_on(play: Play) -> None:
    async def story(world: World) -> None:
        world.open(SHARED)
        (port,) = world.switch.tables.ports.values()
        world.runtime.forget(port)
        assert world.uplinks.gone(port)
        assert (world.row().address, world.kernel.guarding) == ("none", [])
        await world.kernel.tell(host(SECOND))
        assert (world.row().address, world.kernel.guarding) == ("none", [])

    play(story)


def test_port_of_an_endpoint_is_no_uplinks(play: Play) -> None:
    async def story(world: World) -> None:
        world.open(SHARED)
        port = world.switch.add_port("web", world.inside, MemoryDevice("web"))
        assert not world.uplinks.gone(port)
        world.switch.remove_port(port.number)

    play(story)


def test_uplink_of_the_switchs_own_gives_away_all_its_ports(play: Play) -> None:
    async def story(world: World) -> None:
        world.open(replace(OWN, name="uplink"))
        (ports,) = Outside().ports
        assert world.row().ports == f"{ports.start}-{ports.stop - 1}"
        assert world.row().guard is None
        with world.uplinks.exposure.reserve(world.endpoint, world.inside):
            assert is_free(Protocol.TCP, FIRST, WEB)

    play(story)


# Uplinks that are taken away and made again


def test_uplink_that_is_taken_away_leaves_nothing_held_and_nothing_guarded(play: Play) -> None:
    async def story(world: World) -> None:
        world.open(SHARED)
        world.expose()
        assert not is_free(Protocol.TCP, FIRST, WEB)
        world.uplinks.remove("uplink")
        assert (world.uplinks.rows(), world.kernel.guarding) == ((), [])
        assert is_free(Protocol.TCP, FIRST, WEB)
        assert [each.name for each in world.switch.tables.networks.values()] == ["bridge"]
        world.conceal()

    play(story)


def test_mapping_is_made_again_where_an_uplink_comes_again_with_the_same_address(
    play: Play,
) -> None:
    address = lease().address.address

    async def story(world: World) -> None:
        world.open(BY_DHCP)
        world.learn(Bound(lease()))
        world.expose()
        assert world.mapped(address) is not None
        world.uplinks.remove("uplink")
        assert world.mapped(address) is None
        world.kernel.line = Wire("line")
        number = world.uplinks.open(BY_DHCP)
        world.switch.changes.set_uplink(world.inside, number)
        world.switch.tables.learnt.append((number, Bound(lease())))
        world.uplinks.take_news()
        assert world.mapped(address) is not None
        world.conceal()

    play(story)
