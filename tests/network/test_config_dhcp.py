"""Leases in a configuration: what they become, and what is said about mistakes."""

from __future__ import annotations

import pytest

from tests.network.test_config import lines
from tests.network.test_difference import lines as changes
from vswitch.leasing import MACHINES_ALONE, Boot, Leasing, Reservation
from vswitch.network.configuration import config
from vswitch.units import HOUR, MINUTE
from vswitch.wire.values import IpAddress, IpNetwork, MacAddress

FRONT = """
name = "lab"
[networks.front]
subnet = "172.18.0.0/16"
aux_addresses = { router = "172.18.0.9" }
"""
PRINTER = MacAddress.parse("52:54:00:12:34:56")


def leasing(keys: str) -> Leasing | None:
    parsed = config.parse(f"{FRONT}{keys}", "lab.toml")
    return next(each for each in parsed.networks if each.name == "front").leasing


def test_every_key_becomes_what_it_says() -> None:
    assert leasing(
        """
        [networks.front.dhcp]
        range = "172.18.128.0/17"
        lease_time = "30m"
        domain = "lab.example"
        search = ["lab.example", "example"]
        ntp = ["172.18.0.8"]
        boot = { server = "172.18.0.7", file = "pxelinux.0" }
        routes = { "10.0.0.0/8" = "172.18.0.9" }
        [networks.front.dhcp.reservations]
        "52:54:00:12:34:56" = "172.18.0.50"
        Scanner = "172.18.0.51"
        """
    ) == Leasing(
        lease_time=30 * MINUTE,
        leased=IpNetwork.parse("172.18.128.0/17"),
        domain="lab.example",
        search=("lab.example", "example"),
        ntp=(IpAddress.parse("172.18.0.8"),),
        boot=Boot("172.18.0.7", "pxelinux.0"),
        routes=((IpNetwork.parse("10.0.0.0/8"), IpAddress.parse("172.18.0.9")),),
        reservations=(
            Reservation(PRINTER, IpAddress.parse("172.18.0.50")),
            Reservation("scanner", IpAddress.parse("172.18.0.51")),
        ),
    )


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("", MACHINES_ALONE),
        ("dhcp = true", Leasing(takes_guests=True, lease_time=HOUR)),
        ("dhcp = {}", Leasing(takes_guests=True, lease_time=HOUR)),
        ("dhcp = false", None),
        ('dhcp = { enabled = false, lease_time = "1h" }', None),
    ],
)
def test_network_leases_to_machines_to_all_or_to_nobody(
    keys: str, expected: Leasing | None
) -> None:
    assert leasing(keys) == expected


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ("dhcp = 1", "networks.front.dhcp: found 1: allowed is true, false or a table"),
        (
            'dhcp = { colour = "1h" }',
            "networks.front.dhcp.colour: unknown key: allowed is enabled, range, lease_time, "
            "reservations, domain, search, routes, boot, ntp",
        ),
        (
            'dhcp = { lease_time = "0s" }',
            'networks.front.dhcp.lease_time: found "0s": allowed is a time from 1s to 365d, '
            'like "1h", "30m" or 3600 (seconds)',
        ),
        (
            'dhcp = { domain = "a b" }',
            'networks.front.dhcp.domain: found "a b": '
            'allowed is a domain name, like "corp.example"',
        ),
        (
            'dhcp = { boot = { server = "a" } }',
            "networks.front.dhcp.boot.file: missing: "
            "allowed is 1 to 255 printable ASCII characters",
        ),
        (
            'dhcp = { range = "172.19.0.0/24" }',
            'networks.front.dhcp.range: found "172.19.0.0/24": '
            "allowed is a part of the network's subnet, 172.18.0.0/16",
        ),
        (
            'dhcp = { range = "172.18.0.1/32" }',
            'networks.front.dhcp.range: found "172.18.0.1/32": '
            "allowed is a part with an address that is nobody's",
        ),
        (
            'dhcp = { routes = { "10/8" = "172.18.0.9" } }',
            'networks.front.dhcp.routes."10/8": the key is a destination: '
            'allowed is an IPv4 subnet, like "10.0.0.0/8"',
        ),
        (
            'dhcp = { routes = { "10.0.0.0/8" = "172.19.0.9" } }',
            'networks.front.dhcp.routes."10.0.0.0/8": found "172.19.0.9": '
            "allowed is an address in the network's subnet, 172.18.0.0/16",
        ),
        (
            'internal = true\ngateway_mode = "isolated"\ndhcp = true',
            "networks.front.dhcp: found true: allowed with a gateway, which leases, "
            "and in gateway mode 'isolated' there is none",
        ),
    ],
)
def test_mistake_is_told_with_its_place_and_what_is_allowed(keys: str, told: str) -> None:
    assert lines(f"{FRONT}{keys}") == [f"lab.toml: {told}"]


@pytest.mark.parametrize(
    ("reservations", "told"),
    [
        ('p = "10.0.0.1"', 'p: found "10.0.0.1": allowed is an address that 172.18.0.0/16,'),
        ('p = "172.18.255.255"', 'p: found "172.18.255.255": allowed is an address that'),
        ('p = "172.18.0.1"', "allowed is another address: it is that of the gateway"),
        (
            'p = "172.18.0.9"',
            "allowed is another address: it is that of router, in aux_addresses",
        ),
        (
            'p = "172.18.0.5"\nq = "172.18.0.5"',
            'q: found "172.18.0.5": allowed is another address: it is that of p, in reservations',
        ),
        (
            'p = "172.18.0.5"\nP = "172.18.0.6"',
            "P: the station has an address already, as p",
        ),
        (
            '"52:54:00:12:34:5g" = "172.18.0.5"',
            '"52:54:00:12:34:5g": the key is a station: allowed is a MAC '
            'address, like "52:54:00:12:34:56", or a hostname, like "printer"',
        ),
        ('p = "printer"', 'p: found "printer": allowed is an IPv4 address'),
    ],
)
def test_reservation_that_can_not_be_honoured_is_refused(reservations: str, told: str) -> None:
    (line,) = lines(f"{FRONT}[networks.front.dhcp.reservations]\n{reservations}")
    assert told in line


def test_endpoint_can_not_ask_for_an_address_that_is_reserved() -> None:
    reserved = '[networks.front.dhcp.reservations]\nprinter = "172.18.0.5"\n'
    web = '[endpoints.web]\nnetwork = "front"\naddress = "172.18.0.5"\n'
    assert lines(f"{FRONT}{reserved}{web}") == [
        'lab.toml: endpoints.web.address: found "172.18.0.5": Address already in use '
        "(reserved for printer on network front)"
    ]


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("", "dhcp = true", "dhcp + true"),
        ("dhcp = true", "dhcp = false", "dhcp true → false"),
        ("", "dhcp = false", "dhcp + false"),
        (
            'dhcp = { lease_time = "1h" }',
            'dhcp = { lease_time = "2h" }',
            "dhcp.lease_time 1h → 2h",
        ),
        (
            "dhcp = true",
            'dhcp = { reservations = { printer = "172.18.0.5" } }',
            "dhcp.reservations + printer = 172.18.0.5",
        ),
        (
            "dhcp = true",
            'dhcp = { routes = { "10.0.0.0/8" = "172.18.0.9" }, domain = "lab" }',
            "dhcp.domain + lab, dhcp.routes + 10.0.0.0/8 = 172.18.0.9",
        ),
        (
            "dhcp = true",
            'dhcp = { boot = { server = "tftp", file = "grub" } }',
            "dhcp.boot + grub from tftp",
        ),
    ],
)
def test_change_of_leases_is_made_in_place(before: str, after: str, said: str) -> None:
    assert changes(f"{FRONT}{before}".strip(), f"{FRONT}{after}".strip()) == [
        f"~ network front: {said} (in place)"
    ]
