"""Uplinks in a configuration: what each key becomes, and every mistake in its line."""

from __future__ import annotations

import pytest

from vswitch.impairment import Impairment, Impairments
from vswitch.network.configuration import config
from vswitch.network.configuration.config import ConfigurationError
from vswitch.network.model import LearntAddress, Uplink, UplinkDevice
from vswitch.translation import Unsolicited
from vswitch.wire.values import IpAddress, IpInterface, MacAddress

LAB = """
name = "lab"

[uplink]
interface = "up0"
address = "198.51.100.2/24"
gateway = "198.51.100.1"

[uplinks.wan]
interface = "up1"
address = "203.0.113.2/24"
gateway = "203.0.113.1"

[networks.front]
subnet = "10.1.0.0/16"

[networks.back]
subnet = "10.2.0.0/16"
uplink = "wan"

[endpoints.web]
network = "front"
publish = ["8080:80"]
"""

EVERY_PORT = (range(1, 65536),)


def lines(text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as refused:
        config.parse(text, "lab.toml")
    return list(refused.value.lines)


def uplink(keys: str) -> Uplink:
    """The only uplink of a switch, whose table has these keys."""
    text = f'name = "lab"\n[uplink]\ninterface = "up0"\n{keys}'
    (only,) = config.parse(text, "lab.toml").uplinks
    return only


def test_uplinks_are_in_the_order_of_the_file_with_the_default_one_first() -> None:
    further = '[uplinks.a]\ninterface = "up2"\naddress = "192.0.2.2/24"\n'
    configuration = config.parse(LAB.replace("[uplink]", f"{further}[uplink]"), "lab.toml")
    assert [each.name for each in configuration.uplinks] == ["uplink", "a", "wan"]
    assert configuration.uplink is configuration.uplinks[0]
    assert configuration.uplinks[2] == Uplink(
        "up1",
        IpInterface.parse("203.0.113.2/24"),
        IpAddress.parse("203.0.113.1"),
        name="wan",
    )


def test_switch_without_uplinks_has_no_default_one() -> None:
    configuration = config.parse('name = "lab"', "lab.toml")
    assert (configuration.uplinks, configuration.uplink) == ((), None)


def test_network_leaves_by_the_uplink_that_it_names_or_by_the_default_one() -> None:
    networks = config.parse(LAB, "lab.toml").networks
    assert {network.name: network.uplink for network in networks} == {
        "bridge": "uplink",
        "front": "uplink",
        "back": "wan",
    }


def test_uplink_is_as_it_should_be_where_nothing_is_said() -> None:
    only = uplink('address = "198.51.100.2/24"')
    assert (only.also, only.device, only.ports) == ((), UplinkDevice.PACKET, EVERY_PORT)
    assert (only.unsolicited, only.clamps_mss) == (Unsolicited.HOLD, True)
    assert only.addresses == (IpAddress.parse("198.51.100.2"),)


def test_every_key_of_an_uplink_is_read() -> None:
    only = uplink(
        """
        address = "198.51.100.2/24"
        mac = "02:00:00:00:00:01"
        addresses = ["198.51.100.7", "198.51.100.8"]
        device = "macvtap"
        ports = ["61000-65535", "1024-32767", "53"]
        unsolicited = "drop"
        clamp_mss = false
        impair_in = "loss=1%"
        """
    )
    assert only == Uplink(
        "up0",
        IpInterface.parse("198.51.100.2/24"),
        mac=MacAddress.parse("02:00:00:00:00:01"),
        impairments=Impairments(Impairment.parse("loss=1%")),
        also=(IpAddress.parse("198.51.100.7"), IpAddress.parse("198.51.100.8")),
        device=UplinkDevice.MACVTAP,
        ports=(range(53, 54), range(1024, 32768), range(61000, 65536)),
        unsolicited=Unsolicited.DROP,
        clamps_mss=False,
    )
    assert list(map(str, only.addresses)) == ["198.51.100.2", "198.51.100.7", "198.51.100.8"]


@pytest.mark.parametrize(
    ("address", "learnt", "ports"),
    [("host", LearntAddress.HOST, None), ("dhcp", LearntAddress.DHCP, EVERY_PORT)],
)
def test_address_can_be_learnt(
    address: str, learnt: LearntAddress, ports: tuple[range, ...] | None
) -> None:
    only = uplink(f'address = "{address}"')
    assert (only.address, only.subnet, only.addresses) == (learnt, None, ())
    assert only.ports == ports
    assert uplink(f'address = "{address}"\nports = ["1024"]').ports == (range(1024, 1025),)


def test_dhcp_goes_with_a_mac_address_and_a_device_of_its_own() -> None:
    only = uplink('address = "dhcp"\nmac = "02:00:00:00:00:01"\ndevice = "macvtap"')
    assert (str(only.mac), only.device) == ("02:00:00:00:00:01", UplinkDevice.MACVTAP)


def test_gateway_can_be_said_for_an_address_that_is_learnt() -> None:
    assert uplink('address = "host"\ngateway = "192.0.2.1"').gateway == IpAddress.parse("192.0.2.1")


def test_endpoint_may_be_called_uplink_where_there_is_none() -> None:
    (endpoint,) = config.parse('name = "lab"\n[endpoints.uplink]', "lab.toml").endpoints
    assert endpoint.name == "uplink"


ANY_KEY = 'address = "203.0.113.2/24"'
LEARNT = ANY_KEY + '\ngateway = "203.0.113.1"'
IPV4 = "allowed is an IPv4 address in the uplink's subnet"
HOST = "allowed is the address of another host in 203.0.113.0/24"
PORTS = 'allowed is a port or a range of ports, like "1024-32767"'
ALREADY = "that is an address of the switch's already"
NOT_WITH_HOST = 'not allowed with address = "host"'

MISTAKES = [
    # (what stands in LAB, what is written there instead, the line that says so)
    (
        ANY_KEY,
        'address = "hosts"',
        'uplinks.wan.address: found "hosts": allowed is an IPv4 address with its prefix length, '
        'like "198.51.100.2/24", or "host" or "dhcp"',
    ),
    (
        "[networks.front]",
        '[uplinks."w n"]\ninterface = "up2"\naddress = "dhcp"\n[networks.front]',
        'uplinks."w n": Invalid uplink name (w n), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed',
    ),
    (
        "[uplink]",
        "[uplinks]\nx = 5\n[uplink]",
        "uplinks.x: found 5: allowed is a table, [uplinks.x]",
    ),
    (
        ANY_KEY,
        f"{ANY_KEY}\nport = []",
        "uplinks.wan.port: unknown key: allowed is interface, address, gateway, mac, addresses, "
        "device, ports, unsolicited, clamp_mss, impair, impair_in, impair_out, impair_seed; "
        'did you mean "ports"?',
    ),
    (
        '"up1"',
        '"up0"',
        'uplinks.wan.interface: found "up0": that is the interface of the uplink already',
    ),
    (
        LEARNT,
        'address = "198.51.100.9/26"',
        'uplinks.wan.address: found "198.51.100.9/26": overlaps 198.51.100.0/24 of the uplink',
    ),
    (
        LEARNT,
        'address = "172.17.3.2/24"',
        'uplinks.wan.address: found "172.17.3.2/24": overlaps 172.17.0.0/16 of network bridge, '
        "which [networks.bridge] can move",
    ),
    (
        "10.1.0.0/16",
        "203.0.113.128/25",
        'networks.front.subnet: found "203.0.113.128/25": invalid pool request: Pool overlaps '
        "with other one on this address space (203.0.113.0/24 of uplink wan)",
    ),
    ("203.0.113.1", "203.0.114.1", f'uplinks.wan.gateway: found "203.0.114.1": {HOST}'),
    (
        '"203.0.113.1"',
        '"203.0.113.2"',
        'uplinks.wan.gateway: found "203.0.113.2": '
        "that is the switch's own address, uplinks.wan.address",
    ),
    (
        'address = "198.51.100.2/24"\n',
        'address = "198.51.100.2/24"\nmac = "02:00:00:00:00:01"\n[uplinks.x]\ninterface = "up2"\n'
        'address = "192.0.2.1/24"\nmac = "02:00:00:00:00:01"\n[uplinks.y]\ninterface = "up3"\n'
        'address = "198.51.101.1/24"\n#',
        'uplinks.x.mac: found "02:00:00:00:00:01": '
        "MAC address 02:00:00:00:00:01 already in use (by the uplink)",
    ),
    (
        'subnet = "10.2.0.0/16"',
        'subnet = "10.2.0.0/16"\nmac = "02:00:00:00:00:01"\n'
        '[uplinks.x]\ninterface = "up2"\naddress = "192.0.2.1/24"\nmac = "02:00:00:00:00:01"\n'
        "[networks.last]",
        'networks.back.mac: found "02:00:00:00:00:01": '
        "MAC address 02:00:00:00:00:01 already in use (by uplink x)",
    ),
    (
        ANY_KEY,
        f'{ANY_KEY}\naddresses = "203.0.113.7"',
        'uplinks.wan.addresses: found "203.0.113.7": '
        "allowed is a list, each item an IPv4 address in the uplink's subnet",
    ),
    (
        ANY_KEY,
        f'{ANY_KEY}\naddresses = ["203.0.113.7/24"]',
        f'uplinks.wan.addresses[0]: found "203.0.113.7/24": {IPV4}',
    ),
    (
        ANY_KEY,
        f'{ANY_KEY}\naddresses = ["203.0.113.7", "192.0.2.7"]',
        'uplinks.wan.addresses[1]: found "192.0.2.7": '
        "allowed is an address that a host in 203.0.113.0/24 may have",
    ),
    (
        ANY_KEY,
        f'{ANY_KEY}\naddresses = ["203.0.113.255"]',
        'uplinks.wan.addresses[0]: found "203.0.113.255": '
        "allowed is an address that a host in 203.0.113.0/24 may have",
    ),
    (
        ANY_KEY,
        f'{ANY_KEY}\naddresses = ["203.0.113.2"]',
        f'uplinks.wan.addresses[0]: found "203.0.113.2": {ALREADY}',
    ),
    (
        ANY_KEY,
        f'{ANY_KEY}\naddresses = ["203.0.113.7", "203.0.113.7"]',
        f'uplinks.wan.addresses[1]: found "203.0.113.7": {ALREADY}',
    ),
    (
        ANY_KEY,
        f'{ANY_KEY}\naddresses = ["203.0.113.1"]',
        'uplinks.wan.addresses[0]: found "203.0.113.1": '
        "that is the gateway's address, uplinks.wan.gateway",
    ),
    (
        LEARNT,
        'address = "host"\naddresses = ["203.0.113.7"]',
        f'uplinks.wan.addresses: found ["203.0.113.7"]: {NOT_WITH_HOST}: '
        "further addresses go with one of the switch's own",
    ),
    (
        LEARNT,
        'address = "dhcp"\naddresses = ["203.0.113.7"]',
        'uplinks.wan.addresses: found ["203.0.113.7"]: not allowed with address = "dhcp": '
        "further addresses go with one of the switch's own",
    ),
    (
        LEARNT,
        'address = "host"\nmac = "02:00:00:00:00:01"',
        f'uplinks.wan.mac: found "02:00:00:00:00:01": {NOT_WITH_HOST}: '
        "the MAC address is the interface's",
    ),
    (
        LEARNT,
        'address = "host"\ndevice = "macvtap"',
        f'uplinks.wan.device: found "macvtap": {NOT_WITH_HOST}: '
        "a macvtap has a MAC address of its own",
    ),
    (
        ANY_KEY,
        f'{ANY_KEY}\ndevice = "tap"',
        'uplinks.wan.device: found "tap": allowed is "packet" or "macvtap"',
    ),
    (
        ANY_KEY,
        f"{ANY_KEY}\nports = []",
        "uplinks.wan.ports: found []: allowed is one port at least, or no such key",
    ),
    (
        ANY_KEY,
        f'{ANY_KEY}\nports = "1024-65535"',
        'uplinks.wan.ports: found "1024-65535": allowed is a list, each item a port or a range of '
        'ports, like "1024-32767"',
    ),
    (ANY_KEY, f"{ANY_KEY}\nports = [1024]", f"uplinks.wan.ports[0]: found 1024: {PORTS}"),
    (ANY_KEY, f'{ANY_KEY}\nports = ["0-9"]', f'uplinks.wan.ports[0]: found "0-9": {PORTS}'),
    (ANY_KEY, f'{ANY_KEY}\nports = ["9-8"]', f'uplinks.wan.ports[0]: found "9-8": {PORTS}'),
    (
        ANY_KEY,
        f'{ANY_KEY}\nports = ["1", "65536"]',
        f'uplinks.wan.ports[1]: found "65536": {PORTS}',
    ),
    (
        ANY_KEY,
        f'{ANY_KEY}\nports = ["7-9", "1-7"]',
        'uplinks.wan.ports: found ["7-9", "1-7"]: 7 is in 1-7 already: allowed is each port once',
    ),
    (
        ANY_KEY,
        f'{ANY_KEY}\nunsolicited = "reject"',
        'uplinks.wan.unsolicited: found "reject": allowed is "hold" or "drop"',
    ),
    (
        ANY_KEY,
        f'{ANY_KEY}\nclamp_mss = "yes"',
        'uplinks.wan.clamp_mss: found "yes": allowed is true or false',
    ),
    (
        'uplink = "wan"',
        'uplink = "wen"',
        'networks.back.uplink: found "wen": uplink wen not found (did you mean "wan"?)',
    ),
    (
        'uplink = "wan"',
        'uplink = "z"',
        'networks.back.uplink: found "z": uplink z not found (there is uplink, wan)',
    ),
    (
        'uplink = "wan"',
        "uplink = 1",
        "networks.back.uplink: found 1: allowed is the name of an uplink",
    ),
    (
        "[endpoints.web]",
        "[endpoints.wan]",
        "endpoints.wan: wan is the name of uplink wan's port: allowed is another one",
    ),
    (
        "[endpoints.web]",
        "[endpoints.uplink]",
        "endpoints.uplink: uplink is the name of the uplink's port: allowed is another one",
    ),
    (
        '"8080:80"',
        '"192.0.2.9:8080:80"',
        'endpoints.web.publish[0]: found "192.0.2.9:8080:80": failed to bind host port '
        "192.0.2.9:8080/tcp: cannot assign requested address "
        "(the switch has 198.51.100.2, 203.0.113.2)",
    ),
]


@pytest.mark.parametrize(("right", "wrong", "line"), MISTAKES)
def test_mistake_is_told_in_one_line(right: str, wrong: str, line: str) -> None:
    assert right in LAB
    assert lines(LAB.replace(right, wrong, 1)) == [f"lab.toml: {line}"]


def test_further_uplinks_need_a_default_one() -> None:
    text = 'name = "lab"\n[uplinks.wan]\ninterface = "up0"\naddress = "dhcp"'
    assert lines(text) == [
        "lab.toml: uplinks: allowed beside the default uplink, and there is no table [uplink]"
    ]


def test_name_of_the_default_uplink_is_no_name_for_another() -> None:
    words = "allowed is another name: that is the default one's, [uplink]"
    text = LAB.replace("uplinks.wan", "uplinks.uplink").replace('uplink = "wan"', "")
    text = text.replace('"8080:80"', '"198.51.100.2:8080:80"')
    assert lines(text) == [f"lab.toml: uplinks.uplink: {words}"]


def test_network_can_name_no_uplink_where_there_is_none() -> None:
    text = 'name = "lab"\n[networks.front]\nuplink = "uplink"'
    assert lines(text) == [
        'lab.toml: networks.front.uplink: found "uplink": uplink uplink not found '
        "(the switch has no uplink)"
    ]


@pytest.mark.parametrize("mistaken", ["wan", "uplink"])
def test_what_hangs_on_a_mistaken_uplink_is_not_reported_for_it(mistaken: str) -> None:
    text = LAB.replace('uplink = "wan"', 'uplink = "wan"\nexternal = "203.0.113.7"')
    text = text.replace('"8080:80"', '"203.0.113.2:8080:80"') + 'external = "198.51.100.7"'
    if mistaken == "wan":
        assert lines(text.replace('"up1"', '""')) == [
            'lab.toml: uplinks.wan.interface: found "": allowed is the name of an interface: '
            "1 to 15 bytes without '/', ':' or space"
        ]
    else:
        assert [line.split(": ")[1] for line in lines(text.replace('"up0"', '""'))] == [
            "uplink.interface"
        ]


def test_publication_may_be_on_any_address_while_one_is_to_be_learnt() -> None:
    text = LAB.replace('"8080:80"', '"192.0.2.9:8080:80"').replace(LEARNT, 'address = "dhcp"')
    (web,) = config.parse(text, "lab.toml").endpoints
    assert web.publish[0].host_address == IpAddress.parse("192.0.2.9")
