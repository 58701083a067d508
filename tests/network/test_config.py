from __future__ import annotations

import datetime
import json
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vswitch.impairment import UNIMPAIRED, Impairment, Impairments
from vswitch.naming import NameSettings, Server
from vswitch.network import publish
from vswitch.network.configuration import config
from vswitch.network.configuration.config import ConfigurationError
from vswitch.network.inventory import Inventory
from vswitch.network.model import (
    DEFAULT_NETWORK,
    Configuration,
    EndpointKind,
    EndpointRequest,
    Network,
    Uplink,
)
from vswitch.wire.values import IpAddress, IpInterface, IpNetwork, MacAddress

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


def ip(text: str) -> IpAddress:
    return IpAddress.parse(text)


def lines(text: str) -> list[str]:
    """What is said against a configuration; each line must be one."""
    with pytest.raises(ConfigurationError) as refused:
        config.parse(text, "lab.toml")
    assert str(refused.value).split("\n") == list(refused.value.lines)
    return list(refused.value.lines)


def test_whole_configuration_is_read() -> None:
    assert config.parse(LAB, "lab.toml") == Configuration(
        name="lab",
        uplinks=(Uplink("up0", IpInterface.parse("198.51.100.2/24"), ip("198.51.100.1")),),
        networks=(
            DEFAULT_NETWORK,
            Network("front", IpNetwork.parse("172.18.0.0/16"), ip("172.18.0.254"), 9000),
            Network("back", IpNetwork.parse("172.19.0.0/16"), ip("172.19.0.1")),
        ),
        endpoints=(
            EndpointRequest(
                "web",
                "front",
                EndpointKind.VETH,
                "webspace",
                ip("172.18.0.2"),
                ("www",),
                (publish.parse("8080:80"), publish.parse("53/udp")),
            ),
            EndpointRequest("app", namespace="app"),
        ),
        dns=NameSettings(
            (
                Server(ip("198.51.100.53")),
                Server(ip("198.51.100.54"), 5353),
                Server(ip("2001:db8::53")),
                Server(ip("2001:db8::54"), 5353),
            )
        ),
    )


def test_name_is_all_that_is_needed() -> None:
    assert config.parse('name = "lab"', "lab.toml") == Configuration(
        "lab", (), (DEFAULT_NETWORK,), ()
    )


def test_mac_address_of_the_uplink_can_be_chosen() -> None:
    text = LAB.replace('mac = "auto"', 'mac = "02:00:5e:10:00:01"')
    uplink = config.parse(text, "lab.toml").uplink
    assert uplink is not None
    assert uplink.mac == MacAddress.parse("02:00:5e:10:00:01")


def test_impairment_is_for_both_directions_but_for_one_that_is_said() -> None:
    slow, lossy = Impairment.parse("delay=20ms"), Impairment.parse("loss=1%")
    text = LAB.replace("[networks.front]", 'impair = "delay=20ms"\n\n[networks.front]', 1)
    keys = 'impair = "delay=20ms"\nimpair_in = "loss=1%"\nimpair_seed = 7'
    configuration = config.parse(text.replace("[endpoints.app]", f"[endpoints.app]\n{keys}"), "")
    assert configuration.uplink is not None
    assert configuration.uplink.impairments == Impairments(slow, slow)
    web, app = configuration.endpoints
    assert web.impairments == UNIMPAIRED
    assert app.impairments == Impairments(lossy, slow, 7)
    admitted = Inventory.of(configuration, Random(1)).endpoint("app")
    assert admitted.impairments == app.impairments


def test_direction_can_be_kept_whole() -> None:
    text = 'name = "lab"\n[endpoints.a]\nimpair = "loss=1%"\nimpair_out = "none"'
    (endpoint,) = config.parse(text, "lab.toml").endpoints
    assert endpoint.impairments == Impairments(Impairment.parse("loss=1%"))


def test_mac_addresses_of_gateways_and_endpoints_can_be_chosen() -> None:
    text = LAB.replace("mtu = 9000", 'mac = "02:00:5e:10:00:01"')
    text = text.replace('kind = "veth"', 'mac = "02:00:5e:10:00:02"')
    text = text.replace("[endpoints.app]", '[endpoints.app]\nmac = "auto"')
    configuration = config.parse(text, "lab.toml")
    assert [str(network.mac) for network in configuration.networks] == [
        "None",
        "02:00:5e:10:00:01",
        "None",
    ]
    macs = [str(endpoint.mac) for endpoint in configuration.endpoints]
    assert macs == ["02:00:5e:10:00:02", "None"]


def test_default_network_can_be_moved() -> None:
    text = 'name = "lab"\n[networks.bridge]\nsubnet = "10.1.0.0/24"\n[endpoints.a]\naliases = ["b"]'
    (bridge,) = config.parse(text, "lab.toml").networks
    assert (str(bridge.subnet), bridge.predefined) == ("10.1.0.0/24", False)


def test_subnet_from_the_pools_keeps_clear_of_name_servers() -> None:
    text = 'name = "lab"\n[networks.a]\n[dns]\nupstream = ["172.18.0.53"]'
    assert str(config.parse(text, "lab.toml").networks[1].subnet) == "172.19.0.0/16"


@pytest.mark.parametrize("spec", ["8080:80", "8080-8081:80", "80"])
def test_publication_without_an_uplink_is_refused(spec: str) -> None:
    (line,) = lines(f'name = "lab"\n[endpoints.web]\npublish = ["{spec}"]')
    assert line.startswith(f'lab.toml: endpoints.web.publish[0]: found "{spec}": failed to bind')
    assert line.endswith("cannot assign requested address (the switch has no uplink)")


def test_network_without_room_for_its_endpoints_is_refused() -> None:
    text = 'name = "lab"\n[networks.n]\nsubnet = "10.0.0.0/32"\n[endpoints.web]\nnetwork = "n"'
    assert lines(text) == [
        "lab.toml: endpoints.web: "
        "no available addresses on this pool (all of 10.0.0.0/32 is in use)"
    ]


def test_exhausted_pools_are_told() -> None:
    networks = "\n".join(f"[networks.n{number:02}]" for number in range(31))
    assert lines(f'name = "lab"\n{networks}') == [
        "lab.toml: networks.n30: all predefined address pools have been fully subnetted"
    ]


def test_all_mistakes_are_told_in_the_order_of_the_file() -> None:
    text = """
        colour = "red"
        [endpoints.web]
        publish = ["80:http", "81:81", "81:81"]
        kind = "tun"
        network = "back"
        address = "10.0.0.1"
        [endpoints.app]
        network = "front"
        address = "10.9.9.9"
        [networks.front]
        subnet = "10.1.0.1/24"
        mtu = 1
        [networks.back]
        subnet = "10.0.0.0/24"
        gateway = "10.0.1.1"
        mtu = 1
        [networks.last]
        subnet = "10.0.0.128/25"
        [uplink]
        address = "198.51.100.2/24"
        gateway = "192.0.2.1"
        [endpoints.db]
        networks = "last"
        namespace = "web/db"
    """
    assert [line.split(": ")[1] for line in lines(text)] == [
        "colour",
        "endpoints.web.publish[0]",
        "endpoints.web.kind",
        "endpoints.db.networks",
        "endpoints.db.namespace",
        "networks.front.subnet",
        "networks.front.mtu",
        "networks.back.gateway",
        "networks.back.mtu",
        "networks.last.subnet",
        "uplink.interface",
        "name",
    ]


def test_what_hangs_on_a_mistake_is_not_reported_for_it() -> None:
    text = LAB.replace('"172.18.0.0/16"', '"172.18.0.0/33"').replace('"up0"', '""')
    assert [line.split(": ")[1] for line in lines(text)] == [
        "uplink.interface",
        "networks.front.subnet",
    ]


def test_moved_default_network_is_not_in_the_way_while_it_is_mistaken() -> None:
    text = LAB.replace("198.51.100", "172.17.3") + '[networks.bridge]\nsubnet = "10.0.0.0"'
    assert [line.split(": ")[1] for line in lines(text)] == ["networks.bridge.subnet"]


def test_endpoints_are_not_judged_while_the_networks_are_no_table() -> None:
    text = 'name = "lab"\nnetworks = 5\n[endpoints.web]\nnetwork = "front"'
    assert [line.split(": ")[1] for line in lines(text)] == ["networks"]


def test_endpoint_with_a_wrong_value_is_judged_by_its_others() -> None:
    text = LAB.replace('"veth"', '"tun"').replace('"172.18.0.2"', '"172.18.0.254"')
    assert [line.split(": ")[1] for line in lines(text)] == [
        "endpoints.web.kind",
        "endpoints.web.address",
    ]


def test_every_conflict_over_a_host_port_is_told() -> None:
    text = LAB.replace("[endpoints.app]", '[endpoints.app]\npublish = ["8080:80", "53:53/udp"]')
    text = text.replace('"53/udp"', '"53:53/udp", "53:53/tcp"')
    assert [line.split(": ")[1] for line in lines(text)] == [
        "endpoints.app.publish[0]",
        "endpoints.app.publish[1]",
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            'name = "lab"\n[networks\n[dns]\n',
            "2: found \"[networks\": Expected ']' at the end of a table declaration (column 10)",
        ),
        (
            'name = "lab"\nname = "lab"\n',
            '2: found "name = \\"lab\\"": Cannot overwrite a value (column 13)',
        ),
        (
            '# \u2028\nname = "lab"\nname\n',
            "3: found \"name\": Expected '=' after a key in a key/value pair (column 5)",
        ),
        ('name = "lab"\n\ndns = [\n\n', '3: found "dns = [": Invalid value'),
    ],
)
def test_mistake_of_syntax_is_told_with_its_line(text: str, line: str) -> None:
    assert lines(text) == [f"lab.toml:{line}"]


def test_empty_file_lacks_a_name() -> None:
    assert lines("") == [
        "lab.toml: name: missing: allowed is a name of 1 to 63 letters, digits, '_', '.' or '-', "
        "the first a letter or digit"
    ]


def test_nesting_beyond_reason_is_told() -> None:
    (line,) = lines("x = " + "[" * 5000 + "]" * 5000)
    assert line.startswith("lab.toml: found values nested too deeply to read")


def test_file_is_read_and_blamed_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "lab.toml"
    path.write_text(LAB)
    assert config.load(path) == config.parse(LAB, "lab.toml")
    path.write_text(LAB.replace('"veth"', '"tun"'))
    with pytest.raises(ConfigurationError) as refused:
        config.load(path)
    assert str(refused.value) == (
        f'{path}: endpoints.web.kind: found "tun": allowed is "tap" or "veth" or "vm"'
    )


def test_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    for path, reason in (
        (tmp_path / "gone.toml", "No such file or directory"),
        (tmp_path, "Is a directory"),
    ):
        with pytest.raises(ConfigurationError) as refused:
            config.load(path)
        assert str(refused.value) == f"{path}: cannot be read: {reason}"


def test_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    path = tmp_path / "lab.toml"
    path.write_bytes(b'name = "lab"\n# caf\xe9\n')
    with pytest.raises(ConfigurationError) as refused:
        config.load(path)
    assert str(refused.value) == f"{path}:2: found the byte 0xe9: allowed is text in UTF-8"


def toml(value: object) -> str:
    """A TOML value on one line."""
    if isinstance(value, dict):
        return (
            f"{{{', '.join(f'{json.dumps(key)} = {toml(item)}' for key, item in value.items())}}}"
        )
    if isinstance(value, list):
        return f"[{', '.join(toml(item) for item in value)}]"
    if isinstance(value, datetime.date):
        return value.isoformat()
    return json.dumps(value)


words = st.one_of(
    st.sampled_from(["", "lab", "front", "bridge", "a b", "\n", "auto", "tap", "8080:80", "80"]),
    st.sampled_from(["10.0.0.0/24", "10.0.0.9/24", "10.0.0.1", "10.0.0.2", "fd00::1"]),
)
scalars = st.one_of(words, st.integers(-1, 70000), st.booleans(), st.just(datetime.date.min))
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3), max_leaves=4)


def tables(*keys: str) -> st.SearchStrategy[dict[str, object]]:
    return st.dictionaries(st.sampled_from([*keys, "stray"]), values, max_size=5)


def named(inner: st.SearchStrategy[dict[str, object]]) -> st.SearchStrategy[object]:
    return st.one_of(st.dictionaries(words, st.one_of(inner, scalars), max_size=3), scalars)


uplinks = st.fixed_dictionaries(
    {"interface": st.sampled_from(["up0", "up1", ""])},
    optional={
        "address": st.sampled_from(["10.0.0.9/24", "192.0.2.1/24", "host", "dhcp", "x"]),
        "addresses": st.lists(st.sampled_from(["10.0.0.1", "10.0.0.2", "x"]), max_size=3),
        "ports": st.lists(st.sampled_from(["80", "1-65535", "x"]), max_size=2),
        "gateway": words,
        "mac": words,
        "device": words,
    },
)

servers = st.sampled_from(["10.0.0.1", "[fd00::1]:53", "tls://10.0.0.1#a.example", "tls://x", "x"])

documents = st.fixed_dictionaries(
    {},
    optional={
        "name": values,
        "uplink": st.one_of(uplinks, values),
        "uplinks": named(uplinks),
        "networks": named(
            tables("subnet", "gateway", "mtu", "uplink", "external", "timeouts", "quotas")
        ),
        "endpoints": named(
            st.one_of(
                tables("network", "kind", "namespace", "address", "aliases", "publish"),
                tables("dns", "dns_search", "dns_options", "hostname", "domainname"),
                tables("network", "publish", "external", "mappings"),
            )
        ),
        "limits": st.one_of(tables("memory", "fragments", "held_syns"), values),
        "dns": st.one_of(
            tables("upstream", "order", "ttl", "records", "domains", "cache", "listen"),
            st.fixed_dictionaries(
                {},
                optional={
                    "upstream": st.lists(servers, max_size=4),
                    "records": st.dictionaries(words, st.one_of(words, st.lists(words))),
                    "domains": st.dictionaries(words, st.lists(servers, max_size=2)),
                },
            ),
            values,
        ),
        "stray": values,
    },
)


@given(document=documents)
def test_any_document_is_honoured_or_refused_in_lines(document: dict[str, object]) -> None:
    text = "\n".join(f"{key} = {toml(value)}" for key, value in document.items())
    try:
        configuration = config.parse(text, "lab.toml")
    except ConfigurationError as refused:
        said = refused.lines
    else:
        inventory = Inventory.of(configuration, Random(2))
        assert len(inventory.endpoints) == len(configuration.endpoints)
        return
    assert said
    assert len(set(said)) == len(said)
    for line in said:
        assert line.startswith("lab.toml: ")
        assert line.isprintable()


# Where networks are placed


def placed(text: str, *keep_clear: str) -> dict[str, tuple[str, str]]:
    """The subnet and the gateway of each network."""
    clear = [IpNetwork.parse(each) for each in keep_clear]
    configuration = config.parse(f'name = "lab"\n{text}', "lab.toml", clear)
    return {each.name: (str(each.subnet), str(each.gateway)) for each in configuration.networks}


def test_default_network_is_where_bip_says_and_stays_a_predefined_one() -> None:
    configuration = config.parse('name = "lab"\nbip = "172.26.0.5/24"', "lab.toml")
    (bridge,) = configuration.networks
    assert (str(bridge.subnet), str(bridge.gateway)) == ("172.26.0.0/24", "172.26.0.5")
    assert bridge.predefined


def test_subnet_that_the_default_network_has_left_is_for_others() -> None:
    text = 'bip = "172.26.0.5/24"\n[networks.front]\n[networks.back]\nsubnet = "172.26.0.0/25"'
    (only,) = lines(f'name = "lab"\n{text}')
    assert "(172.26.0.0/24 of network bridge" in only
    assert placed(text.partition("[networks.back]")[0])["front"][0] == "172.17.0.0/16"


def test_default_network_is_described_once() -> None:
    text = 'name = "lab"\nbip = "172.26.0.5/24"\n[networks.bridge]\n'
    assert lines(text) == [
        'lab.toml: bip: found "172.26.0.5/24": not allowed with [networks.bridge], '
        "which has a subnet and a gateway of its own"
    ]
    text = 'name = "lab"\nicc = false\n[networks.bridge]\n'
    assert lines(text) == [
        "lab.toml: icc: found false: not allowed with [networks.bridge], "
        "which has a key of its own for that"
    ]


def test_endpoints_of_the_default_network_may_be_apart() -> None:
    (bridge,) = config.parse('name = "lab"\nicc = false', "lab.toml").networks
    assert bridge.predefined
    assert bridge.policy.icc is False


def test_subnets_that_nobody_chose_come_from_the_pools_of_the_configuration() -> None:
    pools = 'default_address_pools = [{ base = "10.9.0.0/24", size = 25 }, '
    pools += '{ base = "10.10.0.0/16", size = 24 }]\n'
    found = placed(pools + "[networks.a]\n[networks.b]\n[networks.c]\n", "10.10.0.7/32")
    assert [subnet for subnet, _ in found.values()] == [
        *("172.17.0.0/16", "10.9.0.0/25", "10.9.0.128/25", "10.10.1.0/24"),
    ]


def test_subnet_that_nobody_chose_is_not_one_of_the_hosts() -> None:
    text = '[networks.a]\n[networks.b]\nsubnet = "172.18.0.0/16"\n'
    assert placed(text, "172.16.0.0/14", "172.20.1.0/24")["a"][0] == "172.21.0.0/16"
    assert placed(text, "172.18.1.0/24")["b"][0] == "172.18.0.0/16"


def test_range_and_auxiliary_addresses_are_kept_free_of_the_gateway() -> None:
    text = (
        '[networks.a]\nsubnet = "10.1.0.0/16"\nip_range = "10.1.5.0/24"\n'
        'aux_addresses = { router = "10.1.5.0" }\nlabels = { stage = "test" }\n'
    )
    assert placed(text)["a"] == ("10.1.0.0/16", "10.1.5.1")
    network = config.parse(f'name = "lab"\n{text}', "lab.toml").networks[1]
    assert network.labels == (("stage", "test"),)


def test_any_subnet_of_a_size_may_be_asked_for() -> None:
    assert placed('[networks.a]\nsubnet = "0.0.0.0/24"\n')["a"][0] == "172.18.0.0/24"
