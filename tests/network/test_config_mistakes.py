"""Every mistake that a configuration can have, with the exact line that it is told in."""

from __future__ import annotations

import pytest

from vswitch.network.configuration import config
from vswitch.network.configuration.config import ConfigurationError

LAB = """
name = "lab"

[uplink]
interface = "up0"
address = "198.51.100.2/24"
gateway = "198.51.100.1"
mac = "auto"

[networks.front]
subnet = "172.18.0.0/16"
gateway = "172.18.0.254"
mtu = 9000

[networks.back]

[endpoints.web]
network = "front"
kind = "veth"
namespace = "webspace"
address = "172.18.0.2"
aliases = ["www"]
publish = ["8080:80", "53/udp"]

[endpoints.app]

[dns]
upstream = ["198.51.100.53", "198.51.100.54:5353", "2001:db8::53", "[2001:db8::54]:5353"]
"""


def lines(text: str) -> list[str]:
    """What is said against a configuration; each line must be one."""
    with pytest.raises(ConfigurationError) as refused:
        config.parse(text, "lab.toml")
    assert str(refused.value).split("\n") == list(refused.value.lines)
    return list(refused.value.lines)


NAME = "allowed is a name of 1 to 63 letters, digits, '_', '.' or '-', the first a letter or digit"
INTERFACE = "allowed is the name of an interface: 1 to 15 bytes without '/', ':' or space"
UPLINK_ADDRESS = (
    'allowed is an IPv4 address with its prefix length, like "198.51.100.2/24", or "host" or "dhcp"'
)
UPLINK_GATEWAY = "allowed is the address of another host in 198.51.100.0/24"
UPLINK_MAC = 'allowed is "auto" or a unicast MAC address, like "02:00:5e:10:00:01"'
SUBNET = 'allowed is an IPv4 subnet, like "172.18.0.0/16"'
GATEWAY = "allowed is an IPv4 address in the network's subnet"
BIP = 'allowed is an IPv4 address with its prefix length, like "172.26.0.1/16"'
MTU = "allowed is a number of bytes from 68 to 65521"
PUBLISH = '"[ip:][host[-end]:]port[-end][/tcp|udp]", like "8080:80"'
UPSTREAM = (
    'allowed is an IP address, alone or with a port: "198.51.100.53", "198.51.100.53:53"; '
    'or over TLS "tls://9.9.9.9#dns.quad9.net"'
)
OVERLAP = "invalid pool request: Pool overlaps with other one on this address space"
CHARACTERS = "only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
IMPAIR_KEYS = (
    "delay, jitter, loss, duplicate, reorder, corrupt, rate, queue as KEY=VALUE, "
    "like delay=20ms loss=1%"
)
SEED = (
    "endpoints.app.impair_seed: found {}: allowed is a whole number from 0 to 9223372036854775807"
)
CANNOT_BIND = "cannot assign requested address"

MISTAKES = [
    # (what stands in LAB, what is written there instead, the line that says so)
    ('name = "lab"\n', "", f"name: missing: {NAME}"),
    ('"lab"', '"my lab"', f'name: found "my lab": {NAME}'),
    ('"lab"', '"../lab"', f'name: found "../lab": {NAME}'),
    ('"lab"', f'"{"x" * 64}"', f'name: found "{"x" * 56}...: {NAME}'),
    ('"lab"', '""', f'name: found "": {NAME}'),
    ('"lab"', "5", f"name: found 5: {NAME}"),
    (
        '"lab"',
        '"lab"\nuplnk = 1',
        "uplnk: unknown key: allowed is name, uplink, uplinks, networks, endpoints, dns, recorder, "
        "limits, api, bip, icc, default_address_pools, ip_forward, filters, state_directory; "
        'did you mean "uplink"?',
    ),
    (
        '"lab"',
        '"lab"\nzzz = 1',
        "zzz: unknown key: allowed is name, uplink, uplinks, networks, endpoints, dns, recorder, "
        "limits, api, bip, icc, default_address_pools, ip_forward, filters, state_directory",
    ),
    (
        '"lab"',
        '"lab"\nstate_directory = "state"',
        'state_directory: found "state": allowed is the absolute path of a directory',
    ),
    ('interface = "up0"\n', "", f"uplink.interface: missing: {INTERFACE}"),
    (
        '"up0"',
        '"an-interface-too-long"',
        f'uplink.interface: found "an-interface-too-long": {INTERFACE}',
    ),
    ('"up0"', '"üüüüüüüü"', f'uplink.interface: found "üüüüüüüü": {INTERFACE}'),
    ('"up0"', '"up/0"', f'uplink.interface: found "up/0": {INTERFACE}'),
    ('"up0"', '"up 0"', f'uplink.interface: found "up 0": {INTERFACE}'),
    ('"up0"', '".."', f'uplink.interface: found "..": {INTERFACE}'),
    ('"up0"', "true", f"uplink.interface: found true: {INTERFACE}"),
    ('address = "198.51.100.2/24"\n', "", f"uplink.address: missing: {UPLINK_ADDRESS}"),
    (
        "198.51.100.2/24",
        "198.51.100.2",
        f'uplink.address: found "198.51.100.2": {UPLINK_ADDRESS}',
    ),
    (
        "198.51.100.2/24",
        "2001:db8::2/64",
        f'uplink.address: found "2001:db8::2/64": {UPLINK_ADDRESS}',
    ),
    ("198.51.100.2/24", "127.0.0.1/8", f'uplink.address: found "127.0.0.1/8": {UPLINK_ADDRESS}'),
    ("198.51.100.2/24", "224.0.0.1/24", f'uplink.address: found "224.0.0.1/24": {UPLINK_ADDRESS}'),
    (
        "198.51.100.2/24",
        "198.51.100.2/0",
        f'uplink.address: found "198.51.100.2/0": {UPLINK_ADDRESS}',
    ),
    (
        "198.51.100.2/24",
        "198.51.100.0/24",
        'uplink.address: found "198.51.100.0/24": '
        "that is the network or broadcast address of 198.51.100.0/24",
    ),
    (
        '"198.51.100.2/24"\ngateway = "198.51.100.1"',
        '"172.17.3.2/24"',
        'uplink.address: found "172.17.3.2/24": overlaps 172.17.0.0/16 of network bridge, '
        "which [networks.bridge] can move",
    ),
    ("198.51.100.1", "192.0.2.1", f'uplink.gateway: found "192.0.2.1": {UPLINK_GATEWAY}'),
    ("198.51.100.1", "198.51.100.255", f'uplink.gateway: found "198.51.100.255": {UPLINK_GATEWAY}'),
    (
        "198.51.100.1",
        "198.51.100.2",
        'uplink.gateway: found "198.51.100.2": that is the switch\'s own address, uplink.address',
    ),
    (
        "198.51.100.1",
        "router",
        'uplink.gateway: found "router": allowed is an IPv4 address in the uplink\'s subnet',
    ),
    ('"auto"', '"02:00"', f'uplink.mac: found "02:00": {UPLINK_MAC}'),
    ('"auto"', '"01:00:5e:00:00:01"', f'uplink.mac: found "01:00:5e:00:00:01": {UPLINK_MAC}'),
    ('"auto"', '"00:00:00:00:00:00"', f'uplink.mac: found "00:00:00:00:00:00": {UPLINK_MAC}'),
    (
        'mac = "auto"',
        'macs = "auto"',
        "uplink.macs: unknown key: allowed is interface, address, gateway, mac, addresses, "
        "device, ports, unsolicited, clamp_mss, impair, impair_in, impair_out, impair_seed; "
        'did you mean "mac"?',
    ),
    (
        'mac = "auto"',
        'impair = "los=1%"',
        f'uplink.impair: found "los=1%": los=1%: allowed is none alone, or some of {IMPAIR_KEYS}',
    ),
    (
        "172.18.0.0/16",
        "172.18.0.1/16",
        'networks.front.subnet: found "172.18.0.1/16": '
        "invalid subnet 172.18.0.1/16: it should be 172.18.0.0/16",
    ),
    ("172.18.0.0/16", "172.18/16", f'networks.front.subnet: found "172.18/16": {SUBNET}'),
    ("172.18.0.0/16", "172.18.0.0", f'networks.front.subnet: found "172.18.0.0": {SUBNET}'),
    ("172.18.0.0/16", "fd00::/64", f'networks.front.subnet: found "fd00::/64": {SUBNET}'),
    (
        "172.18.0.0/16",
        "127.0.0.0/16",
        'networks.front.subnet: found "127.0.0.0/16": '
        "allowed is a subnet of unicast addresses, and 127.0.0.0/8 has none",
    ),
    (
        "172.18.0.0/16",
        "198.51.100.0/28",
        f'networks.front.subnet: found "198.51.100.0/28": {OVERLAP} '
        "(198.51.100.0/24 of the uplink)",
    ),
    (
        "172.18.0.0/16",
        "172.16.0.0/12",
        f'networks.front.subnet: found "172.16.0.0/12": {OVERLAP} '
        "(172.17.0.0/16 of network bridge, which [networks.bridge] can move)",
    ),
    (
        "172.18.0.254",
        "172.19.0.1",
        'networks.front.gateway: found "172.19.0.1": '
        "invalid gateway 172.19.0.1: parent subnet 172.18.0.0/16 doesn't contain this address",
    ),
    (
        "172.18.0.254",
        "172.18.0.0",
        'networks.front.gateway: found "172.18.0.0": '
        "Address already in use (it is the network or broadcast address of 172.18.0.0/16)",
    ),
    ("172.18.0.254", "fd00::1", f'networks.front.gateway: found "fd00::1": {GATEWAY}'),
    ("9000", "67", f"networks.front.mtu: found 67: {MTU}"),
    ("9000", "65522", f"networks.front.mtu: found 65522: {MTU}"),
    ("9000", '"9000"', f'networks.front.mtu: found "9000": {MTU}'),
    ("9000", "true", f"networks.front.mtu: found true: {MTU}"),
    ("9000", "9000.0", f"networks.front.mtu: found 9000.0: {MTU}"),
    (
        "mtu = 9000",
        'mac = "01:00:5e:00:00:01"',
        f'networks.front.mac: found "01:00:5e:00:00:01": {UPLINK_MAC}',
    ),
    (
        'mac = "auto"\n\n[networks.front]',
        'mac = "02:00:00:00:00:01"\n\n[networks.front]\nmac = "02:00:00:00:00:01"',
        'networks.front.mac: found "02:00:00:00:00:01": '
        "MAC address 02:00:00:00:00:01 already in use (by the uplink)",
    ),
    (
        "mtu = 9000\n\n[networks.back]",
        'mac = "02:00:00:00:00:01"\n\n[networks.back]\nmac = "02:00:00:00:00:01"',
        'networks.back.mac: found "02:00:00:00:00:01": '
        "MAC address 02:00:00:00:00:01 already in use (by the gateway of network front)",
    ),
    ('kind = "veth"', "mac = 5", f"endpoints.web.mac: found 5: {UPLINK_MAC}"),
    (
        'kind = "veth"',
        'mac = "00:00:00:00:00:00"',
        f'endpoints.web.mac: found "00:00:00:00:00:00": {UPLINK_MAC}',
    ),
    ("mtu =", "zzz =", "networks.front.zzz: unknown key"),
    (
        "mtu = 9000",
        'ip_range = "172.16.0.0/12"',
        "networks.front.ip_range: "
        'found "172.16.0.0/12": invalid ip-range 172.16.0.0/12: '
        "CIDR block is bigger than its parent subnet 172.18.0.0/16",
    ),
    (
        "mtu = 9000",
        'ip_range = "172.18.5.1/24"',
        "networks.front.ip_range: "
        'found "172.18.5.1/24": invalid subnet 172.18.5.1/24: it should be 172.18.5.0/24',
    ),
    (
        "mtu = 9000",
        'aux_addresses = { router = "172.19.0.9" }',
        'networks.front.aux_addresses.router: found "172.19.0.9": '
        "auxiliary address: (router:172.19.0.9) must belong to the master pool: 172.18.0.0/16",
    ),
    (
        "mtu = 9000",
        "aux_addresses = { router = 9 }",
        "networks.front.aux_addresses.router: found 9: allowed is an IPv4 address",
    ),
    (
        "mtu = 9000",
        "labels = { stage = 9 }",
        "networks.front.labels.stage: found 9: allowed is a text",
    ),
    ('"lab"', '"lab"\nbip = "172.26.0.1"', f'bip: found "172.26.0.1": {BIP}'),
    ('"lab"', '"lab"\nbip = "fd00::1/64"', f'bip: found "fd00::1/64": {BIP}'),
    (
        '"lab"',
        '"lab"\nbip = "172.26.0.0/16"',
        'bip: found "172.26.0.0/16": that is the network or broadcast address of 172.26.0.0/16',
    ),
    (
        '"lab"',
        '"lab"\nbip = "127.0.0.1/8"',
        'bip: found "127.0.0.1/8": '
        "allowed is a subnet of unicast addresses, and 127.0.0.0/8 has none",
    ),
    (
        '"lab"',
        '"lab"\ndefault_address_pools = [{ base = "10.0.0.0/16", size = 8 }]',
        "default_address_pools[0].size: "
        "found 8: allowed is a prefix length from 16, that of its base, to 32",
    ),
    (
        '"lab"',
        '"lab"\ndefault_address_pools = [{ base = "10.0.0.0/16" }]',
        "default_address_pools[0].size: missing: allowed is a prefix length from 1 to 32",
    ),
    (
        "mtu =",
        "icq =",
        'networks.front.icq: unknown key; did you mean "icc"?',
    ),
    (
        "[networks.back]",
        '[networks."back room"]',
        f'networks."back room": Invalid network name (back room), {CHARACTERS}',
    ),
    (
        "[networks.back]",
        '[networks."back\\nroom"]',
        rf'networks."back\nroom": Invalid network name (back\nroom), {CHARACTERS}',
    ),
    (
        '"front"',
        '"fornt"',
        'endpoints.web.network: found "fornt": network fornt not found (did you mean "front"?)',
    ),
    (
        '"front"',
        '"x"',
        'endpoints.web.network: found "x": network x not found (there is bridge, front, back)',
    ),
    ('"front"', "1", "endpoints.web.network: found 1: allowed is the name of a network"),
    ('"veth"', '"tun"', 'endpoints.web.kind: found "tun": allowed is "tap" or "veth" or "vm"'),
    ('"veth"', "[]", 'endpoints.web.kind: found []: allowed is "tap" or "veth" or "vm"'),
    (
        '"webspace"',
        '"web/space"',
        'endpoints.web.namespace: found "web/space": '
        f"Invalid namespace name (web/space), {CHARACTERS}",
    ),
    (
        '"webspace"',
        "1",
        "endpoints.web.namespace: found 1: allowed is the name of a network namespace",
    ),
    (
        '"webspace"',
        '"app"',
        "endpoints.app.namespace: namespace app already has an endpoint (web)",
    ),
    (
        '"172.18.0.2"',
        '"172.18.0.254"',
        'endpoints.web.address: found "172.18.0.254": '
        "Address already in use (by the gateway of network front)",
    ),
    (
        '"172.18.0.2"',
        '"172.19.0.2"',
        'endpoints.web.address: found "172.19.0.2": no configured subnet contains '
        "IP address 172.19.0.2 (the network's subnet is 172.18.0.0/16)",
    ),
    (
        '"172.18.0.2"',
        '"172.18.0.2/16"',
        f'endpoints.web.address: found "172.18.0.2/16": {GATEWAY}',
    ),
    (
        "[endpoints.app]",
        '[endpoints.app]\nnetwork = "front"\naddress = "172.18.0.2"',
        'endpoints.app.address: found "172.18.0.2": Address already in use (by endpoint web)',
    ),
    (
        "[endpoints.app]",
        '[endpoints.app]\naddress = "172.17.0.2"',
        'endpoints.app.address: found "172.17.0.2": '
        "user-specified IP address is supported on user-defined networks only",
    ),
    (
        "[endpoints.app]",
        '[endpoints.app]\naliases = ["a"]',
        'endpoints.app.aliases: found ["a"]: '
        "network-scoped aliases are only supported for user-defined networks",
    ),
    (
        '["www"]',
        '["www", "w w"]',
        f'endpoints.web.aliases[1]: found "w w": Invalid alias name (w w), {CHARACTERS}',
    ),
    (
        '["www"]',
        '"www"',
        'endpoints.web.aliases: found "www": allowed is a list, each item a name, like "www"',
    ),
    ('["www"]', "[80]", 'endpoints.web.aliases[0]: found 80: allowed is a name, like "www"'),
    (
        '"8080:80"',
        '"8080:http"',
        'endpoints.web.publish[0]: found "8080:http": invalid containerPort: http',
    ),
    (
        '"53/udp"',
        '"53/sctp"',
        'endpoints.web.publish[1]: found "53/sctp": '
        "invalid proto: sctp (the switch translates tcp and udp)",
    ),
    ('"8080:80"', "80", f"endpoints.web.publish[0]: found 80: allowed is {PUBLISH}"),
    (
        '["8080:80", "53/udp"]',
        '"80"',
        f'endpoints.web.publish: found "80": allowed is a list, each item {PUBLISH}',
    ),
    (
        '"8080:80"',
        '"127.0.0.1:8080:80"',
        'endpoints.web.publish[0]: found "127.0.0.1:8080:80": failed to bind host port '
        f"127.0.0.1:8080/tcp: {CANNOT_BIND} (the host is not on network front)",
    ),
    (
        "[endpoints.app]",
        '[endpoints.app]\npublish = ["8080:80"]',
        'endpoints.app.publish[0]: found "8080:80": '
        "Bind for 0.0.0.0:8080 failed: port is already allocated (by endpoint web)",
    ),
    (
        "publish =",
        "publsh =",
        'endpoints.web.publsh: unknown key; did you mean "publish"?',
    ),
    (
        "[endpoints.app]",
        '[endpoints.app]\nimpair_in = "reorder=2%"',
        'endpoints.app.impair_in: found "reorder=2%": reorder=2%: allowed only with delay: '
        "a frame overtakes others by not being delayed",
    ),
    (
        "[endpoints.app]",
        "[endpoints.app]\nimpair_out = 20",
        'endpoints.app.impair_out: found 20: allowed is an impairment, like "delay=20ms loss=1%", '
        'or "none"',
    ),
    ("[endpoints.app]", "[endpoints.app]\nimpair_seed = true", f"{SEED.format('true')}"),
    ("[endpoints.app]", "[endpoints.app]\nimpair_seed = -1", f"{SEED.format('-1')}"),
    (
        "[endpoints.app]",
        '[endpoints."an app"]',
        f'endpoints."an app": Invalid endpoint name (an app), {CHARACTERS}',
    ),
    (
        "[endpoints.app]",
        "[endpoints]\napp = 1",
        "endpoints.app: found 1: allowed is a table, [endpoints.app]",
    ),
    (
        "[networks.back]",
        "[networks]\nback = 1",
        "networks.back: found 1: allowed is a table, [networks.back]",
    ),
    ('"198.51.100.53"', '"ns1"', f'dns.upstream[0]: found "ns1": {UPSTREAM}'),
    ('"198.51.100.53"', '"0.0.0.0"', f'dns.upstream[0]: found "0.0.0.0": {UPSTREAM}'),
    ('"198.51.100.53"', '"224.0.0.251"', f'dns.upstream[0]: found "224.0.0.251": {UPSTREAM}'),
    ('"198.51.100.53"', "53", f"dns.upstream[0]: found 53: {UPSTREAM}"),
    (":5353", ":0", f'dns.upstream[1]: found "198.51.100.54:0": {UPSTREAM}'),
    (":5353", ":65536", f'dns.upstream[1]: found "198.51.100.54:65536": {UPSTREAM}'),
    (
        "upstream =",
        "upstreams =",
        "dns.upstreams: unknown key: allowed is upstream, order, domains, records, ttl, "
        "default_network, rebind_protection, rebind_domains, log, listen, cache; "
        'did you mean "upstream"?',
    ),
]


@pytest.mark.parametrize(("right", "wrong", "line"), MISTAKES)
def test_mistake_is_told_in_one_line(right: str, wrong: str, line: str) -> None:
    assert right in LAB
    assert lines(LAB.replace(right, wrong, 1)) == [f"lab.toml: {line}"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("uplink = 5", "uplink: found 5: allowed is a table, [uplink]"),
        (
            "uplinks = 5",
            "uplinks: found 5: allowed is a table of further uplinks, [uplinks.NAME]",
        ),
        ("limits = 5", "limits: found 5: allowed is a table, [limits]"),
        ("dns = 5", "dns: found 5: allowed is a table, [dns]"),
        ("networks = 5", "networks: found 5: allowed is a table of networks, [networks.NAME]"),
        (
            "endpoints = []",
            "endpoints: found []: allowed is a table of endpoints, [endpoints.NAME]",
        ),
        ("networks.name = 5", "networks.name: found 5: allowed is a table, [networks.name]"),
        ("name.x = 5", f"name: {NAME}"),
    ],
)
def test_value_in_place_of_a_table_is_told(text: str, line: str) -> None:
    name = "" if text.startswith("name") else 'name = "lab"\n'
    assert lines(name + text) == [f"lab.toml: {line}"]
