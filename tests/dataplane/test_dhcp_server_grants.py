"""The DHCP server of a network: what is kept of its grants, and ends with what."""

from __future__ import annotations

import pytest

from tests.dataplane.dhcp_guests import (
    FIRST,
    GATEWAY,
    IP,
    LEASE_SECONDS,
    OTHER,
    SECOND_ADDRESS,
    STRANGER,
    UDP,
    GuestLab,
    client,
    ip,
    kind,
    reboot,
    renewal,
    select,
)
from vswitch.dataplane.dhcp.server.book import Grant
from vswitch.dataplane.dhcp.server.news import (
    End,
    Ended,
    Renewed,
)
from vswitch.dataplane.verdict import Fate
from vswitch.units import SECOND
from vswitch.wire.values import MacAddress

# What is kept


def test_station_is_told_nothing_that_could_not_be_written_down() -> None:
    lab = GuestLab()
    assert lab.ask(lab.g, client(lab.g.mac, "discover")) is not None
    lab.inventory.can_write = False
    assert lab.ask(lab.g, select(lab.g.mac, FIRST)) is None
    lab.inventory.can_write = True
    assert lab.ask(lab.g, select(lab.g.mac, FIRST)) is not None


def test_grants_of_an_earlier_life_hold_and_those_that_can_not_are_returned() -> None:
    lab = GuestLab()
    number, station = lab.network("front").number, MacAddress.parse(lab.g.mac)
    sound = Grant(ip(FIRST), station, b"", "box", lab.now + 100 * SECOND)
    over = Grant(ip("10.0.9.8"), MacAddress.parse(OTHER), b"", None, lab.now)
    twice = Grant(ip(FIRST), MacAddress.parse(OTHER), b"", None, lab.now + 100 * SECOND)
    gateways = Grant(ip(GATEWAY), MacAddress.parse(STRANGER), b"", None, lab.now + 100 * SECOND)
    lost = lab.switch.changes.restore_leases(number, [sound, over, twice, gateways], lab.now)
    assert lost == [over, twice, gateways]
    assert lab.switch.tables.dhcp_servers.grants(number) == [sound]
    assert lab.turns() == []
    ack = lab.ask(lab.g, reboot(lab.g.mac, FIRST))
    assert ack is not None
    lab.pass_time(LEASE_SECONDS * SECOND)
    assert [type(each) for each in lab.turns()] == [Renewed, Ended]


def test_endpoint_that_leaves_takes_its_lease_along_and_a_guest_keeps_his() -> None:
    lab = GuestLab()
    lab.bind(lab.vm)
    lab.bind(lab.g, OTHER)
    lab.turns()
    lab.detach(lab.vm)
    (ended,) = lab.turns()
    assert isinstance(ended, Ended)
    assert (str(ended.grant.address), ended.reason) == ("10.0.0.7", End.LEFT)
    assert lab.grants == {OTHER: FIRST}
    ack = lab.ask(lab.g, renewal(OTHER, FIRST, lab.g.gateway_mac))
    assert ack is not None
    assert kind(ack) == "ack"


def test_endpoint_that_leaves_takes_its_lease_of_an_earlier_life_along() -> None:
    lab = GuestLab()
    number, station = lab.network("front").number, MacAddress.parse(lab.vm.mac)
    grant = Grant(ip("10.0.0.7"), station, b"", None, lab.now + 100 * SECOND)
    assert lab.switch.changes.restore_leases(number, [grant], lab.now) == []
    lab.detach(lab.vm)
    assert lab.turns() == [Ended(grant, End.LEFT)]


def test_offer_is_not_made_to_a_port_that_is_gone() -> None:
    lab = GuestLab()
    lab.send(lab.g, client(lab.g.mac, "discover"))
    gone = lab.g
    lab.detach(gone)
    lab.pass_time(1 * SECOND)
    assert lab.heard(gone) == []
    assert lab.bind(lab.b) == FIRST


def test_lease_that_is_taken_back_is_refused_when_its_station_wants_more_time() -> None:
    lab = GuestLab()
    lab.bind(lab.g)
    number = lab.network("front").number
    ended = lab.switch.changes.end_lease(number, ip(FIRST), lab.now)
    assert ended is not None
    assert str(ended.station) == lab.g.mac
    assert lab.switch.changes.end_lease(number, ip(FIRST), lab.now) is None
    assert lab.bind(lab.g, OTHER) == SECOND_ADDRESS


def test_what_a_guest_has_begun_ends_with_its_lease() -> None:
    lab = GuestLab()
    lab.bind(lab.g)
    packet = IP(src=FIRST, dst="198.51.100.1") / UDP(sport=5000, dport=7000) / b"out"
    lab.send(lab.g, lab.routed(lab.g, packet))
    assert len(lab.switch.tables.connections) == 1
    lab.send(lab.g, client(lab.g.mac, "release", ciaddr=FIRST, server_id=GATEWAY))
    assert len(lab.switch.tables.connections) == 0


def test_network_that_leases_no_longer_is_silent() -> None:
    lab = GuestLab()
    lab.bind(lab.g)
    lab.turns()
    lab.switch.changes.stop_leasing(lab.network("front").number)
    assert lab.ask(lab.g, reboot(lab.g.mac, FIRST)) is None
    assert lab.grants == {}
    assert lab.turns() == []


def test_network_without_a_gateway_can_not_lease() -> None:
    lab = GuestLab()
    lab.switch.changes.set_interface(lab.network("back").number, None, None, lab.now)
    with pytest.raises(ValueError, match="network back has no gateway"):
        lab.switch.changes.lease(
            lab.network("back").number,
            lab.switch.tables.dhcp_servers.by_network[lab.network("front").number].terms,
            lab.inventory,
        )


# Asking without doing


def test_message_that_is_only_asked_about_changes_nothing_and_is_told_the_same() -> None:
    lab = GuestLab()
    lab.bind(lab.g)
    lab.turns()
    for message, words in (
        (client(lab.g.mac, "discover"), f"DHCP DISCOVER of {lab.g.mac}: offered {FIRST}"),
        (client(OTHER, "discover"), f"DHCP DISCOVER of {OTHER}: {SECOND_ADDRESS} is for it"),
        (reboot(lab.g.mac, FIRST), f"DHCP REQUEST of {lab.g.mac}: given {FIRST}"),
        (client(lab.g.mac, "release", ciaddr=FIRST, server_id=GATEWAY), "is given back"),
    ):
        verdict = lab.switch.trace(lab.g.port, bytearray(10) + bytes(message), lab.now)
        assert words in " ".join(map(str, verdict.trail))
        assert verdict.fate is (Fate.ANSWERED if verdict.deliveries else Fate.ABSORBED)
    lab.pass_time(1 * SECOND)
    assert lab.heard(lab.g) == []
    assert lab.turns() == []
    assert lab.grants == {lab.g.mac: FIRST}


# Time


def test_server_that_has_nothing_to_wait_for_is_not_looked_at_as_time_passes() -> None:
    lab = GuestLab()
    servers = lab.switch.tables.dhcp_servers
    assert servers.next_deadline() is None
    lab.bind(lab.g)
    assert servers.next_deadline() is not None
    lab.send(lab.g, client(lab.g.mac, "release", ciaddr=FIRST, server_id=GATEWAY))
    lab.pass_time(2 * LEASE_SECONDS * SECOND)
    assert servers.next_deadline() is None
    assert lab.bind(lab.g) == FIRST
