"""Clients and the server together, over any story: no address twice, and everybody ends bound."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.dataplane.dhcp_guests import (
    BOOTP,
    GATEWAY,
    GuestLab,
    arp_answer,
    client,
    kind,
    renewal,
)
from tests.harness import Host
from vswitch.dataplane.dhcp.client.client import DhcpClient
from vswitch.dataplane.dhcp.client.states import State
from vswitch.dataplane.dhcp.server.news import Ended, Renewed
from vswitch.units import MILLISECOND, MINUTE, SECOND
from vswitch.wire.offload import FINISHED
from vswitch.wire.values import IpNetwork, MacAddress

STATIONS = [f"02:00:00:00:77:{number:02x}" for number in range(5)]
ADDRESSES = [f"10.0.9.{number}" for number in range(4)]
ELSEWHERE = [GATEWAY, "10.0.0.2", "10.0.0.7", "10.0.0.0", "192.0.2.9"]

stations, ports = st.sampled_from(STATIONS), st.sampled_from(["g", "vm", "a"])
addresses = st.sampled_from(ADDRESSES + ELSEWHERE)
identifiers = st.sampled_from([None, b"\xffone", b"\xfftwo"])


class Clients(RuleBasedStateMachine):
    """Five stations and two names for them, behind three ports, and a pool of four addresses."""

    def __init__(self) -> None:
        super().__init__()
        self.lab = GuestLab(pool=IpNetwork.parse("10.0.9.0/30"))
        self.transaction = 1000
        self.kept: dict[str, str] = {}
        """Stations by address, as whoever keeps grants has them."""

    def say(self, port: str, message: object) -> list[object]:
        return self.lab.say(self.lab.hosts[port], message)

    def identity(self, identifier: bytes | None) -> dict[str, bytes]:
        return {} if identifier is None else {"client_id": identifier}

    @rule(port=ports, station=stations, identifier=identifiers, rapid=st.booleans())
    def discover(self, port: str, station: str, identifier: bytes | None, rapid: bool) -> None:
        said = self.identity(identifier) | ({"rapid_commit": b""} if rapid else {})
        self.say(port, client(station, "discover", **said))

    @rule(port=ports, station=stations, identifier=identifiers)
    def bind(self, port: str, station: str, identifier: bytes | None) -> None:
        self.transaction += 1
        said = {"xid": self.transaction, **self.identity(identifier)}
        offer = self.lab.ask(self.lab.hosts[port], client(station, "discover", **said))
        if offer is not None:
            chosen = {"server_id": GATEWAY, "requested_addr": offer[BOOTP].yiaddr}
            self.say(port, client(station, "request", **chosen, **said))

    @rule(port=ports, station=stations, identifier=identifiers, address=addresses)
    def select(self, port: str, station: str, identifier: bytes | None, address: str) -> None:
        chosen = {"server_id": GATEWAY, "requested_addr": address, **self.identity(identifier)}
        self.say(port, client(station, "request", **chosen))

    @rule(port=ports, station=stations, identifier=identifiers, address=addresses)
    def reboot(self, port: str, station: str, identifier: bytes | None, address: str) -> None:
        said = self.identity(identifier)
        self.say(port, client(station, "request", requested_addr=address, **said))

    @rule(port=ports, station=stations, identifier=identifiers, address=addresses)
    def renew(self, port: str, station: str, identifier: bytes | None, address: str) -> None:
        gateway, said = self.lab.g.gateway_mac, self.identity(identifier)
        self.say(port, renewal(station, address, gateway, **said))

    @rule(port=ports, station=stations, address=addresses, declines=st.booleans())
    def give_up(self, port: str, station: str, address: str, declines: bool) -> None:
        if declines:
            said = {"server_id": GATEWAY, "requested_addr": address}
            self.say(port, client(station, "decline", **said))
        else:
            self.say(port, client(station, "release", server_id=GATEWAY, ciaddr=address))

    @rule(station=stations, address=st.sampled_from(ADDRESSES))
    def squat(self, station: str, address: str) -> None:
        self.lab.send(self.lab.b, arp_answer(station, address, self.lab.b.gateway_mac))

    @rule(station=stations)
    def speak_up(self, station: str) -> None:
        self.lab.send(self.lab.vm, arp_answer(station, "10.0.0.7", self.lab.vm.gateway_mac))

    @rule(taken=st.sampled_from(ADDRESSES))
    def give_to_an_endpoint(self, taken: str) -> None:
        """As the inventory does: none that is leased."""
        lab = self.lab
        grants = lab.switch.tables.dhcp_servers.grants(lab.network("front").number)
        if taken not in {str(each.address) for each in grants}:
            self.lab.inventory.taken ^= {taken}

    @rule(time=st.sampled_from([100 * MILLISECOND, 40 * SECOND, 20 * MINUTE, 61 * MINUTE]))
    def wait(self, time: int) -> None:
        self.lab.pass_time(time)

    @invariant()
    def no_address_is_given_twice_or_is_somebody_elses(self) -> None:
        lab = self.lab
        grants = lab.switch.tables.dhcp_servers.grants(lab.network("front").number)
        given = [str(each.address) for each in grants]
        assert len(set(given)) == len(given)
        assert GATEWAY not in given
        assert not lab.inventory.taken & set(given)
        assert all(address == "10.0.0.7" or address in ADDRESSES for address in given)
        assert all(each.until > lab.now for each in grants)

    @invariant()
    def what_is_kept_is_what_is_granted(self) -> None:
        for turn in self.lab.turns():
            address, station = str(turn.grant.address), str(turn.grant.station)
            if isinstance(turn, Ended):
                assert self.kept.pop(address) == station
            else:
                assert (address in self.kept) == isinstance(turn, Renewed)
                self.kept[address] = station
        grants = self.lab.switch.tables.dhcp_servers.grants(self.lab.network("front").number)
        assert self.kept == {str(each.address): str(each.station) for each in grants}


Clients.TestCase.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)
TestClients = Clients.TestCase


# Our own client against our own server


def converse(lab: GuestLab, host: Host, ours: DhcpClient, lost: list[bool]) -> None:
    """Let a client speak with the server until it is bound; of what either says, the messages that
    are `lost` do not arrive."""
    fate = iter(lost)
    sent = list(ours.start(lab.now))
    for _ in range(200):
        for frame in sent:
            if not next(fate, False):
                host.device.feed(bytes(frame))
                lab.switch.serve(host.port, lab.now)
        sent = []
        for raw in lab.received_raw(host):
            if ours.is_for_client(raw) and not next(fate, False):
                sent += ours.hear(raw, lab.now).frames
        if ours.state is State.BOUND:
            return
        if not sent:
            deadlines = [ours.next_deadline(), lab.switch.next_deadline()]
            soonest = min(each for each in deadlines if each is not None)
            lab.pass_time(max(0, soonest - lab.now))
            sent += ours.tick(lab.now).frames


@settings(max_examples=60, deadline=None)
@given(lost=st.lists(st.booleans(), max_size=14), seed=st.integers(0, 9), at_home=st.booleans())
def test_client_of_ours_ends_bound_whatever_is_lost(
    lost: list[bool], seed: int, at_home: bool
) -> None:
    lab = GuestLab()
    host = lab.vm if at_home else lab.g
    ours = DhcpClient(MacAddress.parse(host.mac), Random(seed), hostname="box")
    converse(lab, host, ours, lost)
    assert ours.lease is not None
    assert str(ours.lease.address) == ("10.0.0.7/16" if at_home else "10.0.9.0/16")
    assert str(ours.lease.gateway) == GATEWAY
    assert lab.grants == {host.mac: str(ours.lease.address.address)}


def test_client_of_ours_keeps_its_lease_for_as_long_as_it_likes_and_gives_it_back() -> None:
    lab = GuestLab()
    ours = DhcpClient(MacAddress.parse(lab.g.mac), Random(1))
    converse(lab, lab.g, ours, [])
    for _ in range(50):
        deadline = ours.next_deadline()
        assert deadline is not None
        lab.pass_time(max(0, deadline - lab.now))
        for frame in ours.tick(lab.now).frames:
            lab.g.device.feed(bytes(frame))
            lab.switch.serve(lab.g.port, lab.now)
        for raw in lab.received_raw(lab.g):
            ours.hear(raw, lab.now)
        assert ours.lease is not None
    for frame in ours.release():
        lab.g.device.feed(bytes(frame))
        lab.switch.serve(lab.g.port, lab.now)
    assert lab.grants == {}


# Whatever is said


@settings(max_examples=40, deadline=None)
@given(
    noise=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=8),
    cut=st.integers(0, 320),
    what=st.sampled_from(["discover", "request", "decline", "release", "inform"]),
)
def test_damaged_message_raises_nothing_and_leaves_the_lease_of_others(
    noise: list[tuple[int, int]], cut: int, what: str
) -> None:
    lab = GuestLab()
    lab.bind(lab.vm)
    message = client(
        lab.g.mac, what, client_id=b"\xffme", hostname=b"box", vendor_class_id=b"x" * 60
    )
    octets = bytearray(bytes(message))
    for place, value in noise:
        octets[14 + place % (len(octets) - 14)] = value
    lab.send(lab.g, bytes(octets[: len(octets) - cut]), FINISHED)
    lab.pass_time(1 * SECOND)
    assert lab.grants[lab.vm.mac] == "10.0.0.7"
    lab.heard(lab.vm)
    offer = lab.ask(lab.vm, client(lab.vm.mac, "discover"))
    assert offer is not None
    assert kind(offer) == "offer"
