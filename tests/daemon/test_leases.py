"""Leases as the daemon has them: written before they are told, taken up again, shown, ended.

The switch, its inventory and its state are real; a clock and the guests are the test's. A restart
is another switch with the same state.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from tests.dataplane.dhcp_guests import client, kind, options, renewal
from vswitch import assembly
from vswitch.daemon.events import Events
from vswitch.daemon.leasing import leases as leasing_room
from vswitch.daemon.leasing.leases import LEASES_NO_LONGER, RESERVE, Leases
from vswitch.daemon.leasing.metrics import LeasesCollector
from vswitch.daemon.messages.events import EventsQuery
from vswitch.daemon.runtime import Runtime
from vswitch.daemon.store import Store, StoreError
from vswitch.daemon.store.kept import KeptLease
from vswitch.dataplane.dhcp.server.news import End
from vswitch.dataplane.switch import Switch
from vswitch.devices.memory import MemoryDevice
from vswitch.leasing import MACHINES_ALONE, Leasing
from vswitch.naming import NetworkNames, Server
from vswitch.network.errors import NetworkError
from vswitch.network.inventory import Inventory
from vswitch.network.model import (
    AuxiliaryAddress,
    Configuration,
    EndpointKind,
    EndpointRequest,
    Network,
)
from vswitch.units import HOUR, MILLISECOND, MINUTE, SECOND, Nanoseconds
from vswitch.wire.offload import HEADER_LENGTH
from vswitch.wire.values import IpAddress, IpNetwork, MacAddress

FRONT = Network(
    "front",
    IpNetwork.parse("10.0.0.0/24"),
    IpAddress.parse("10.0.0.1"),
    mac=MacAddress.parse("02:00:00:00:01:01"),
    leasing=Leasing(leased=IpNetwork.parse("10.0.0.64/30")),
)
GUEST, OTHER = "52:54:00:12:34:56", "52:54:00:12:34:57"
FIRST = "10.0.0.64"
BOOT: Nanoseconds = 1_700_000_000 * SECOND
"""What the calendar says when the clock of the boot begins."""


class Clock:
    """Seconds of the boot, and moments of the calendar."""

    def __init__(self) -> None:
        self.now: Nanoseconds = 1000 * SECOND
        self.boot = BOOT

    def rearm(self) -> None:
        return

    def time_ns(self) -> int:
        return self.boot + self.now


class Daemon:
    """One life of a switch: network front with `web`, behind which are guests, and a virtual
    machine, `vm1`."""

    def __init__(
        self, state: Path, clock: Clock, network: Network = FRONT, *endpoints: EndpointRequest
    ) -> None:
        self.clock = clock
        self.store = Store(state)
        self.inventory = Inventory((network,), (), Random(1))
        self.switch = Switch(Random(1))
        self.events = Events()
        self._reader = self.events.begin(EventsQuery())
        runtime = cast(Runtime, _RuntimeOf(clock))
        self.leases = Leases(self.switch, runtime, self.inventory, self.events)
        self.leases.keep_in(self.store)
        self.leases.recall(Configuration("lab", (), (network,), endpoints))
        self.number = assembly.add_inside(self.switch, self.inventory, network, {}).number
        self.leases.begin(network, self.number)
        self.inventory.admit(
            (*endpoints, EndpointRequest("web", "front"), EndpointRequest("vm1", "front", VM))
        )
        self.leases.resume()
        names = [each.name for each in self.inventory.endpoints]
        self.devices = {each: MemoryDevice(each) for each in names}
        self.ports = {
            name: self.switch.add_port(name, self.number, device).number
            for name, device in self.devices.items()
        }

    def end(self) -> None:
        self.leases.close()
        for port in self.ports.values():
            self.switch.remove_port(port)
        self.store.close()

    def detach(self, name: str) -> None:
        """Take an endpoint away, as its end does."""
        self.switch.remove_port(self.ports.pop(name))
        address = self.inventory.endpoint(name).address
        self.switch.changes.forget_address(self.number, address, self.clock.now)
        self.inventory.remove_endpoint(name)

    def say(self, message: Packet, behind: str = "web", *, wait: bool = True) -> Packet | None:
        """Let somebody behind a port say something; the answer, for which the network is probed."""
        self.devices[behind].feed(bytes(HEADER_LENGTH) + bytes(message))
        self.switch.serve(self.ports[behind], self.clock.now)
        if wait:
            self.pass_time(300 * MILLISECOND)
        frames = [Ether(each[HEADER_LENGTH:]) for each in self.devices[behind].take()]
        return next((each for each in frames if DHCP in each and each[BOOTP].op == 2), None)

    def pass_time(self, length: Nanoseconds) -> None:
        self.clock.now += length
        self.switch.transmit(self.switch.tick(self.clock.now), self.clock.now)
        self.leases.take_news()

    def bind(self, station: str = GUEST, behind: str = "web", **said: Any) -> str:
        """Get a lease as a client does."""
        offer = self.say(client(station, "discover", **said), behind)
        assert offer is not None
        chosen = {"server_id": "10.0.0.1", "requested_addr": offer[BOOTP].yiaddr}
        answer = self.say(client(station, "request", **chosen, **said), behind)
        assert answer is not None
        assert kind(answer) == "ack"
        return str(answer[BOOTP].yiaddr)

    def renew(self, address: str, station: str = GUEST, behind: str = "web") -> str | None:
        answer = self.say(renewal(station, address, str(FRONT.mac)), behind)
        return None if answer is None else kind(answer)

    def shown(self) -> list[tuple[str, str, str | None, str | None]]:
        return [
            (row.address, row.station, row.hostname, row.endpoint) for row in self.leases.rows()
        ]

    def told(self) -> list[tuple[str, str, dict[str, str]]]:
        rows = self._reader.take()
        return [(each.event.value, each.name, each.attributes) for each in rows]


class _RuntimeOf:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def now(self) -> Nanoseconds:
        return self._clock.now

    def rearm(self) -> None:
        return


VM = EndpointKind.VM


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(leasing_room.time, "time_ns", clock.time_ns)
    return clock


class Lives:
    """The lives of one switch, one after the other."""

    def __init__(self, state: Path, clock: Clock) -> None:
        self._state = state
        self._clock = clock
        self.present: Daemon | None = None

    def begin(self, network: Network = FRONT, *endpoints: EndpointRequest) -> Daemon:
        self.stop()
        self.present = Daemon(self._state, self._clock, network, *endpoints)
        return self.present

    def stop(self) -> None:
        if self.present is not None:
            self.present.end()
            self.present = None


@pytest.fixture
def lives(tmp_path: Path, clock: Clock) -> Iterator[Lives]:
    lives = Lives(tmp_path / "state.db", clock)
    yield lives
    lives.stop()


def test_guest_gets_an_address_that_is_nobodys_and_is_shown_with_its_name(lives: Lives) -> None:
    daemon = lives.begin()
    assert daemon.bind(hostname="printer") == FIRST
    assert daemon.shown() == [(FIRST, GUEST, "printer", None)]
    (row,) = daemon.leases.rows("front")
    assert 3500 < row.expires_in_seconds <= 3600


def test_lease_is_told_as_an_event_when_it_begins_and_ends_and_not_when_it_goes_on(
    lives: Lives,
) -> None:
    daemon = lives.begin()
    daemon.bind(hostname="printer")
    whose = {"network": "front", "station": GUEST, "hostname": "printer"}
    assert daemon.told() == [("grant", FIRST, whose)]
    assert daemon.renew(FIRST) == "ack"
    assert daemon.told() == []
    daemon.pass_time(2 * HOUR)
    (ended,) = daemon.told()
    assert ended[:2] == ("end", FIRST)
    assert ended[2]["reason"] == "the station has not renewed it in time"


def test_endpoints_are_leased_their_own_addresses_by_the_ports_that_they_are_behind(
    lives: Lives,
) -> None:
    daemon = lives.begin()
    web, machine = daemon.inventory.endpoint("web"), daemon.inventory.endpoint("vm1")
    assert daemon.bind(str(web.mac)) == str(web.address)
    assert daemon.bind(OTHER, behind="vm1", hostname="debian") == str(machine.address)
    assert [row[3] for row in daemon.shown()] == ["web", "vm1"]
    row = daemon.leases.row(daemon.inventory.network("front"), machine.address)
    assert row is not None
    assert (row.station, row.hostname) == (OTHER, "debian")


def test_only_virtual_machines_are_served_where_nobody_has_said_anything(lives: Lives) -> None:
    daemon = lives.begin(replace(FRONT, leasing=MACHINES_ALONE))
    web = daemon.inventory.endpoint("web")
    for station in (GUEST, str(web.mac)):
        assert daemon.say(client(station, "discover")) is None
    assert daemon.bind(behind="vm1") == str(daemon.inventory.endpoint("vm1").address)


def test_nobody_is_served_where_that_is_said(lives: Lives) -> None:
    daemon = lives.begin(replace(FRONT, leasing=None))
    for behind in ("web", "vm1"):
        assert daemon.say(client(GUEST, "discover"), behind) is None
    with pytest.raises(NetworkError, match=f"address {FIRST} is not leased"):
        daemon.leases.release(IpAddress.parse(FIRST), None)


def test_lease_is_written_before_its_station_is_told(
    lives: Lives, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = lives.begin()
    offer = daemon.say(client(GUEST, "discover"))
    assert offer is not None
    written = []

    def put(name: str, kept: object) -> None:
        written.append((name, daemon.devices["web"].take()))

    monkeypatch.setattr(daemon.store.leases, "put", put)
    chosen = {"server_id": "10.0.0.1", "requested_addr": offer[BOOTP].yiaddr}
    answer = daemon.say(client(GUEST, "request", **chosen))
    assert answer is not None
    assert written == [(f"front {FIRST}", [])]


def test_station_hears_nothing_where_its_lease_can_not_be_written(
    lives: Lives, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = lives.begin()
    offer = daemon.say(client(GUEST, "discover"))
    assert offer is not None

    def refuse(*_: object) -> None:
        raise StoreError("the disk is full")

    chosen = {"server_id": "10.0.0.1", "requested_addr": offer[BOOTP].yiaddr}
    with monkeypatch.context() as full:
        full.setattr(daemon.store.leases, "put", refuse)
        assert daemon.say(client(GUEST, "request", **chosen)) is None
    answer = daemon.say(client(GUEST, "request", **chosen))
    assert answer is not None
    assert kind(answer) == "ack"


def test_lease_whose_end_can_not_be_written_is_over_all_the_same(
    lives: Lives, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = lives.begin()
    daemon.bind()

    def refuse(*_: object) -> None:
        raise StoreError("the disk is full")

    with monkeypatch.context() as full:
        full.setattr(daemon.store.leases, "remove", refuse)
        daemon.say(client(GUEST, "release", ciaddr=FIRST, server_id="10.0.0.1"))
    assert daemon.shown() == []
    wish = EndpointRequest("db", "front", address=IpAddress.parse(FIRST))
    assert daemon.inventory.add_endpoint(wish).address == IpAddress.parse(FIRST)


def test_station_that_renews_without_end_writes_a_few_times_in_a_leases_life(
    lives: Lives, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = lives.begin()
    daemon.bind()
    written = []
    put = daemon.store.leases.put

    def counted(name: str, kept: KeptLease) -> None:
        written.append(kept.ends_at)
        put(name, kept)

    monkeypatch.setattr(daemon.store.leases, "put", counted)
    for _ in range(120):
        daemon.pass_time(30 * SECOND)
        assert daemon.renew(FIRST) == "ack"
        (row,) = daemon.leases.rows()
        (kept,) = daemon.store.leases.all().values()
        told = daemon.clock.time_ns() + int(row.expires_in_seconds * SECOND)
        assert kept.ends_at >= told - SECOND
    assert len(written) <= RESERVE + 1


def test_stations_that_ask_without_end_do_not_stop_the_event_loop(
    lives: Lives, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leasing_room, "GRANTS_PER_SECOND", 10)
    daemon = lives.begin(replace(FRONT, leasing=Leasing()))
    answers = []
    for number in range(15):
        station = f"52:54:00:00:01:{number:02x}"
        offer = daemon.say(client(station, "discover"))
        assert offer is not None
        chosen = {"server_id": "10.0.0.1", "requested_addr": offer[BOOTP].yiaddr}
        answers.append(client(station, "request", **chosen))
        daemon.clock.now -= 300 * MILLISECOND
    given = [daemon.say(each, wait=False) for each in answers]
    assert sum(each is not None for each in given) == 10
    daemon.pass_time(SECOND)
    assert daemon.say(answers[-1]) is not None


def test_lease_outlives_a_restart_with_the_time_that_is_left(lives: Lives, clock: Clock) -> None:
    lives.begin().bind(hostname="printer")
    lives.stop()
    clock.now += 20 * MINUTE
    daemon = lives.begin()
    (row,) = daemon.leases.rows()
    assert daemon.shown() == [(FIRST, GUEST, "printer", None)]
    assert 2300 < row.expires_in_seconds < 2400 + 3600 / RESERVE
    assert daemon.renew(FIRST) == "ack"
    assert daemon.bind(OTHER) != FIRST


def test_lease_lasts_no_longer_than_it_was_given_for_where_the_calendar_is_set_back(
    lives: Lives, clock: Clock
) -> None:
    lives.begin().bind()
    lives.stop()
    clock.boot = 0
    (row,) = lives.begin().leases.rows()
    assert 3600 <= row.expires_in_seconds <= 3600 + 3600 / RESERVE


def test_lease_that_is_over_meanwhile_is_dropped(lives: Lives, clock: Clock) -> None:
    lives.begin().bind()
    lives.stop()
    clock.now += 2 * HOUR
    daemon = lives.begin()
    assert daemon.shown() == []
    assert daemon.store.leases.all() == {}


def test_lease_of_an_endpoint_outlives_a_restart_while_it_is_there(lives: Lives) -> None:
    daemon = lives.begin()
    address = daemon.bind(behind="vm1", hostname="debian")
    daemon = lives.begin()
    assert daemon.shown() == [(address, GUEST, "debian", "vm1")]
    assert daemon.told() == []


def test_endpoint_that_goes_before_its_station_has_spoken_to_this_switch_has_no_lease(
    lives: Lives,
) -> None:
    lives.begin().bind(behind="vm1")
    daemon = lives.begin()
    machine = daemon.inventory.endpoint("vm1")
    daemon.detach("vm1")
    assert (daemon.shown(), daemon.store.leases.all()) == ([], {})
    assert [each[2]["reason"] for each in daemon.told()] == [End.LEFT.value]
    wish = EndpointRequest("vm2", "front", VM, address=machine.address)
    assert daemon.inventory.add_endpoint(wish).address == machine.address


def test_lease_goes_with_the_endpoint_and_with_the_network(lives: Lives) -> None:
    daemon = lives.begin()
    daemon.bind(behind="vm1")
    daemon.detach("vm1")
    assert daemon.shown() == []
    daemon.bind(OTHER)
    daemon.detach("web")
    assert [row[1] for row in daemon.shown()] == [OTHER]
    daemon.leases.end(daemon.inventory.remove_network("front"))
    assert daemon.store.leases.all() == {}
    assert daemon.leases.rows() == []


@pytest.mark.parametrize(
    "network",
    [
        replace(
            FRONT,
            subnet=IpNetwork.parse("10.9.0.0/24"),
            gateway=IpAddress.parse("10.9.0.1"),
            leasing=Leasing(),
        ),
        replace(FRONT, leasing=None),
    ],
    ids=["another subnet", "leases nothing"],
)
def test_lease_that_can_not_be_any_more_is_dropped(lives: Lives, network: Network) -> None:
    lives.begin().bind()
    daemon = lives.begin(network)
    assert daemon.shown() == []
    assert daemon.store.leases.all() == {}


def test_configuration_goes_before_a_lease_whose_station_is_told_when_it_renews(
    lives: Lives,
) -> None:
    lives.begin().bind()
    db = EndpointRequest("db", "front", address=IpAddress.parse(FIRST))
    nas = replace(FRONT, auxiliary=(AuxiliaryAddress("nas", IpAddress.parse(FIRST)),))
    assert lives.begin(nas).shown() == []
    assert lives.begin().bind() == FIRST
    daemon = lives.begin(FRONT, db)
    assert daemon.inventory.endpoint("db").address == IpAddress.parse(FIRST)
    assert daemon.shown() == []
    assert daemon.renew(FIRST) == "nak"


def test_endpoint_that_asks_for_a_leased_address_is_refused_while_the_switch_runs(
    lives: Lives,
) -> None:
    daemon = lives.begin()
    daemon.bind(hostname="printer")
    wish = EndpointRequest("db", "front", address=IpAddress.parse(FIRST))
    with pytest.raises(NetworkError) as refused:
        daemon.inventory.add_endpoint(wish)
    assert refused.value.explained == f"Address already in use (leased to {GUEST} (printer))"


def test_lease_is_ended_by_hand_and_its_address_is_free(lives: Lives) -> None:
    daemon = lives.begin()
    daemon.bind()
    daemon.told()
    daemon.leases.release(IpAddress.parse(FIRST), None)
    assert (daemon.shown(), daemon.store.leases.all()) == ([], {})
    assert [each[2]["reason"] for each in daemon.told()] == ["released by hand"]
    wish = EndpointRequest("db", "front", address=IpAddress.parse(FIRST))
    assert daemon.inventory.add_endpoint(wish).address == IpAddress.parse(FIRST)
    with pytest.raises(NetworkError, match=f"address {FIRST} is not leased"):
        daemon.leases.release(IpAddress.parse(FIRST), "front")


def test_lease_ends_when_the_network_leases_to_its_station_no_longer(lives: Lives) -> None:
    daemon = lives.begin()
    daemon.bind()
    daemon.told()
    changed = replace(FRONT, leasing=None)
    daemon.inventory.change_network(changed)
    daemon.leases.change(changed)
    ((event, address, said),) = daemon.told()
    assert (event, address, said["reason"]) == ("end", FIRST, LEASES_NO_LONGER)
    assert (daemon.shown(), daemon.store.leases.all()) == ([], {})
    assert daemon.inventory.leases_on(changed) == ()


def test_terms_change_in_place_and_leases_go_on(lives: Lives) -> None:
    daemon = lives.begin()
    daemon.bind()
    changed = replace(FRONT, leasing=replace(cast(Leasing, FRONT.leasing), domain="lab.example"))
    daemon.inventory.change_network(changed)
    daemon.leases.change(changed)
    assert [row[0] for row in daemon.shown()] == [FIRST]
    answer = daemon.say(client(GUEST, "request", ciaddr=FIRST, param_req_list=[15]))
    assert answer is not None
    assert options(answer)["domain"] == b"lab.example"


def test_stations_are_told_who_answers_them_and_where_the_way_out_is(lives: Lives) -> None:
    daemon = lives.begin()
    daemon.bind()
    asked = client(GUEST, "request", ciaddr=FIRST, param_req_list=[3, 6])
    answer = daemon.say(asked)
    assert answer is not None
    told = options(answer)
    assert (told["router"], told["name_server"]) == ("10.0.0.1", "10.0.0.1")
    servers = (Server(IpAddress.parse("192.0.2.53")), Server(IpAddress.parse("192.0.2.54"), 5353))
    alone = replace(
        FRONT,
        names=NetworkNames(servers, at_gateway=False),
        policy=replace(FRONT.policy, internal=True),
    )
    daemon.inventory.change_network(alone)
    daemon.leases.change(alone)
    answer = daemon.say(asked)
    assert answer is not None
    told = options(answer)
    assert ("router" in told, told["name_server"]) == (False, "192.0.2.53")


def test_port_that_invents_stations_leaves_addresses_to_others(
    lives: Lives, caplog: pytest.LogCaptureFixture
) -> None:
    leasing = Leasing(leased=IpNetwork.parse("10.0.0.0/28"))
    network = replace(FRONT, leasing=leasing)
    daemon = lives.begin(network, EndpointRequest("db", "front"))
    given = 0
    for number in range(20):
        station = f"52:54:00:00:01:{number:02x}"
        given += daemon.say(client(station, "discover")) is not None
        daemon.pass_time(SECOND)
    assert given == 9, "three quarters of 15 without the gateway and three endpoints"
    assert daemon.bind(OTHER, "db")
    assert "as port web has its share of them" in caplog.text


def test_exhausted_pool_says_so_and_is_counted(lives: Lives) -> None:
    daemon = lives.begin(FRONT, EndpointRequest("db", "front"))
    for last, behind in enumerate(("web", "web", "db", "db")):
        daemon.bind(f"52:54:00:00:00:0{last}", behind)
    daemon.told()
    assert daemon.say(client(OTHER, "discover")) is None
    daemon.leases.take_news()
    assert [each[:2] for each in daemon.told()] == [("exhaust", "front")]
    registry = CollectorRegistry()
    registry.register(LeasesCollector(daemon.leases.pools()))
    of_front = {"network": "front"}
    assert registry.get_sample_value("vswitch_leases", of_front) == 4
    assert registry.get_sample_value("vswitch_lease_pool_addresses", of_front) == 4
    assert registry.get_sample_value("vswitch_leases_exhausted_total", of_front) == 1
