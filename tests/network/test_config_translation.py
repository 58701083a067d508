"""How a configuration says what is translated: every key, and every mistake in its line."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from vswitch.network import publish
from vswitch.network.configuration import config, schema, translations
from vswitch.network.configuration.config import ConfigurationError
from vswitch.network.model import EndpointRequest, Network
from vswitch.translation import (
    MINIMUMS,
    PROFILES,
    Filtering,
    Limits,
    Quotas,
    Refresh,
    Timeouts,
    Translation,
)
from vswitch.units import DAY, HOUR, MEBIBYTE, MINUTE, SECOND
from vswitch.wire.values import IpAddress, IpNetwork

LAB = """
name = "lab"

[uplink]
interface = "up0"
address = "198.51.100.2/24"
addresses = ["198.51.100.7", "198.51.100.8", "198.51.100.9"]

[networks.front]
subnet = "10.1.0.0/16"
external = "198.51.100.7"

[endpoints.web]
network = "front"
external = "198.51.100.9"
publish = ["8080:80"]

[endpoints.db]
mappings = ["5000:5001/udp"]
"""


def lines(text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as refused:
        config.parse(text, "lab.toml")
    return list(refused.value.lines)


def front(keys: str) -> Network:
    """A network whose table has these keys."""
    text = f"{LAB.partition('[networks.front]')[0]}[networks.front]\n{keys}"
    return config.parse(text, "lab.toml").networks[1]


def endpoint(name: str, text: str = LAB) -> EndpointRequest:
    return next(one for one in config.parse(text, "lab.toml").endpoints if one.name == name)


def limits(keys: str) -> Limits:
    return config.parse(f'name = "lab"\n[limits]\n{keys}', "lab.toml").limits


def test_rfcs_hold_where_nothing_is_said() -> None:
    assert front("").translation == Translation()
    configuration = config.parse('name = "lab"', "lab.toml")
    assert configuration.networks[0].translation == Translation()
    assert configuration.limits == Limits()


def test_every_key_of_a_network_is_read() -> None:
    network = front(
        """
        filtering = "address-and-port-dependent"
        refresh = "outbound"
        window_tracking = false
        port_parity = false
        resets = true
        external = "198.51.100.7"
        untranslated = ["192.0.2.0/24", "10.9.0.0/16"]
        timeouts = "linux"
        quotas = { mappings = 10, connections = 20, connections_per_second = 30 }
        """
    )
    assert network.translation == Translation(
        filtering=Filtering.ADDRESS_AND_PORT_DEPENDENT,
        refresh=Refresh.OUTBOUND,
        timeouts=PROFILES["linux"],
        quotas=Quotas(10, 20, 30),
        window_tracking=False,
        keeps_parity=False,
        external=IpAddress.parse("198.51.100.7"),
        untranslated=(IpNetwork.parse("192.0.2.0/24"), IpNetwork.parse("10.9.0.0/16")),
        resets=True,
    )


@pytest.mark.parametrize("filtering", Filtering)
def test_every_filtering_can_be_had(filtering: Filtering) -> None:
    assert front(f'filtering = "{filtering.value}"').translation.filtering is filtering


def test_external_address_may_be_the_uplinks_first() -> None:
    network = front('external = "198.51.100.2"')
    assert network.translation.external == IpAddress.parse("198.51.100.2")


def test_everything_may_be_left_untranslated() -> None:
    network = front('untranslated = ["0.0.0.0/0"]')
    assert network.translation.untranslated == (IpNetwork.parse("0.0.0.0/0"),)


def test_quotas_that_are_not_said_stay_as_they_are() -> None:
    quotas = front("quotas = { connections = 0 }").translation.quotas
    assert quotas == Quotas(connections=0)


@pytest.mark.parametrize("profile", PROFILES)
def test_profile_is_a_name_or_a_key_of_a_table(profile: str) -> None:
    assert front(f'timeouts = "{profile}"').translation.timeouts == PROFILES[profile]
    table = f'[networks.front.timeouts]\nprofile = "{profile}"\nicmp = "90s"'
    expected = replace(PROFILES[profile], icmp=90 * SECOND)
    assert front(table).translation.timeouts == expected


def test_timeouts_are_times_or_numbers_of_seconds() -> None:
    table = '[networks.front.timeouts]\nudp = 150\nudp_mapping = "150"\ntcp_established = "3h30m"'
    assert front(table).translation.timeouts == Timeouts(
        udp=150 * SECOND, udp_mapping=150 * SECOND, tcp_established=3 * HOUR + 30 * MINUTE
    )


def test_every_timeout_has_its_key() -> None:
    keys = [field.name for field in fields(Timeouts)]
    table = "\n".join(f'{key} = "{number}d"' for number, key in enumerate(keys, 1))
    timeouts = front(f"[networks.front.timeouts]\n{table}").translation.timeouts
    assert [getattr(timeouts, key) for key in keys] == [
        number * DAY for number in range(1, len(keys) + 1)
    ]
    assert ["profile", *keys] == list(schema.TimeoutsTable.model_fields)


@pytest.mark.parametrize("key", MINIMUMS)
def test_timeout_may_be_the_least_that_the_rfcs_allow_and_no_less(key: str) -> None:
    least = MINIMUMS[key] // SECOND
    table = "[networks.front.timeouts]\n{} = {}"
    allowed = front(table.format(key, least)).translation.timeouts
    assert getattr(allowed, key) == MINIMUMS[key]
    with pytest.raises(ConfigurationError, match=rf"networks\.front\.timeouts\.{key}: .* or more"):
        front(table.format(key, least - 1))
    for profile in ("linux", "ovs"):
        lower = front(f'{table.format(key, least - 1)}\nprofile = "{profile}"').translation
        assert getattr(lower.timeouts, key) == (least - 1) * SECOND


def test_every_minimum_is_told_with_its_rfc() -> None:
    for key in MINIMUMS:
        table = schema.TimeoutsTable.model_validate({key: 1})
        network = schema.NetworkTable(timeouts=table)
        (mistake,) = translations.too_low("front", network)
        assert "(RFC " in mistake.words


def test_ports_may_rest_for_no_time_at_all() -> None:
    table = '[networks.front.timeouts]\nhold_down = "0s"\nother = "1s"\nudp_short = 1'
    timeouts = front(table).translation.timeouts
    assert (timeouts.hold_down, timeouts.other, timeouts.udp_short) == (0, SECOND, SECOND)


def test_endpoint_has_its_external_address_and_its_mappings() -> None:
    assert endpoint("web").external == IpAddress.parse("198.51.100.9")
    assert endpoint("web").mappings == ()
    assert endpoint("db").external is None
    assert endpoint("db").mappings == (publish.parse_mapping("5000:5001/udp"),)


def test_one_port_may_be_mapped_on_one_address_and_published_on_another() -> None:
    text = LAB.replace('"8080:80"', '"198.51.100.8:5000:80/udp"')
    assert endpoint("web", text).publish == (publish.parse("198.51.100.8:5000:80/udp"),)


def test_limits_are_read() -> None:
    keys = """
        connections = 1000
        memory = "64MiB"
        fragments = "128KiB"
        fragment_timeout = "15s"
        held_syns = 0
        errors_per_second = 7
    """
    assert limits(keys) == Limits(1000, 64 * MEBIBYTE, 131072, 15 * SECOND, 0, 7)
    assert limits("held_syns = 3") == Limits(held_syns=3)


SUBNET = 'subnet = "10.1.0.0/16"'
IN_TIMEOUTS = "\n[networks.front.timeouts]\n"
TIME = 'allowed is a time from 1s to 365d, like "30s", "2h4m" or 120 (seconds)'
COUNT = "allowed is a number from 0 to 16777216, 0 for no limit"
MAPPING = '"external[-end]:port[-end][/tcp|udp]", like "5000:5000/udp"'
IN_USE = "Address already in use"
HAS = "the uplink has 198.51.100.2, 198.51.100.7, 198.51.100.8, 198.51.100.9"
LOWER = 'or less with profile = "linux" or "ovs"'

MISTAKES = [
    # (what stands in LAB, what is written there instead, the line that says so)
    (
        SUBNET,
        f'{SUBNET}\nfiltering = "full-cone"',
        'networks.front.filtering: found "full-cone": allowed is "endpoint-independent" or '
        '"address-dependent" or "address-and-port-dependent"',
    ),
    (
        SUBNET,
        f'{SUBNET}\nrefresh = "inbound"',
        'networks.front.refresh: found "inbound": allowed is "both" or "outbound"',
    ),
    (
        SUBNET,
        f"{SUBNET}\nwindow_tracking = 1",
        "networks.front.window_tracking: found 1: allowed is true or false",
    ),
    (
        SUBNET,
        f'{SUBNET}\nport_parity = "on"',
        'networks.front.port_parity: found "on": allowed is true or false',
    ),
    (SUBNET, f"{SUBNET}\nresets = 0", "networks.front.resets: found 0: allowed is true or false"),
    (
        SUBNET,
        f'{SUBNET}\nuntranslated = "192.0.2.0/24"',
        'networks.front.untranslated: found "192.0.2.0/24": allowed is a list, each item an IPv4 '
        'subnet, like "192.0.2.0/24"',
    ),
    (
        SUBNET,
        f'{SUBNET}\nuntranslated = ["192.0.2.1/24"]',
        'networks.front.untranslated[0]: found "192.0.2.1/24": '
        "invalid subnet 192.0.2.1/24: it should be 192.0.2.0/24",
    ),
    (
        SUBNET,
        f'{SUBNET}\nuntranslated = ["fd00::/64"]',
        'networks.front.untranslated[0]: found "fd00::/64": '
        'allowed is an IPv4 subnet, like "192.0.2.0/24"',
    ),
    (
        '"198.51.100.7"\n\n[endpoints.web]',
        '"198.51.100.6"\n\n[endpoints.web]',
        f'networks.front.external: found "198.51.100.6": cannot assign requested address ({HAS})',
    ),
    (
        '"198.51.100.7"\n\n[endpoints.web]',
        '"any"\n\n[endpoints.web]',
        'networks.front.external: found "any": allowed is one of the uplink\'s addresses',
    ),
    (
        SUBNET,
        f'{SUBNET}\ntimeouts = "bsd"',
        'networks.front.timeouts: found "bsd": allowed is "rfc" or "linux" or "ovs", or a table',
    ),
    (
        SUBNET,
        f"{SUBNET}\ntimeouts = 5",
        'networks.front.timeouts: found 5: allowed is "rfc" or "linux" or "ovs", or a table',
    ),
    (
        'external = "198.51.100.7"',
        f'external = "198.51.100.7"{IN_TIMEOUTS}profile = "bsd"',
        'networks.front.timeouts.profile: found "bsd": allowed is "rfc" or "linux" or "ovs"',
    ),
    (
        'external = "198.51.100.7"',
        f'external = "198.51.100.7"{IN_TIMEOUTS}udq = "5m"',
        "networks.front.timeouts.udq: unknown key: allowed is profile, udp_unanswered, udp, "
        "udp_short, udp_mapping, icmp, tcp_opening, tcp_established, tcp_half_closed, "
        'tcp_closing, tcp_reset, other, hold_down; did you mean "udp"?',
    ),
    (
        'external = "198.51.100.7"',
        f'external = "198.51.100.7"{IN_TIMEOUTS}udp = "5 m"',
        f'networks.front.timeouts.udp: found "5 m": {TIME}',
    ),
    (
        'external = "198.51.100.7"',
        f'external = "198.51.100.7"{IN_TIMEOUTS}other = 0',
        f"networks.front.timeouts.other: found 0: {TIME}",
    ),
    (
        'external = "198.51.100.7"',
        f'external = "198.51.100.7"{IN_TIMEOUTS}udp = "366d"',
        f'networks.front.timeouts.udp: found "366d": {TIME}',
    ),
    (
        'external = "198.51.100.7"',
        f'external = "198.51.100.7"{IN_TIMEOUTS}udp = true',
        f"networks.front.timeouts.udp: found true: {TIME}",
    ),
    (
        'external = "198.51.100.7"',
        f'external = "198.51.100.7"{IN_TIMEOUTS}hold_down = -1',
        f"networks.front.timeouts.hold_down: found -1: {TIME.replace('1s to', '0s to')}",
    ),
    (
        'external = "198.51.100.7"',
        f'external = "198.51.100.7"{IN_TIMEOUTS}udp = "30s"',
        'networks.front.timeouts.udp: found "30s": '
        f"allowed is 2m or more (RFC 4787, REQ-5), {LOWER}",
    ),
    (
        'external = "198.51.100.7"',
        f'external = "198.51.100.7"{IN_TIMEOUTS}profile = "rfc"\ntcp_established = "2h"',
        'networks.front.timeouts.tcp_established: found "2h": '
        f"allowed is 2h4m or more (RFC 5382, REQ-5), {LOWER}",
    ),
    (
        SUBNET,
        f"{SUBNET}\nquotas = 5",
        "networks.front.quotas: found 5: allowed is a table",
    ),
    (
        SUBNET,
        f"{SUBNET}\nquotas.mappings = -1",
        f"networks.front.quotas.mappings: found -1: {COUNT}",
    ),
    (
        SUBNET,
        f"{SUBNET}\nquotas.connections = true",
        f"networks.front.quotas.connections: found true: {COUNT}",
    ),
    (
        SUBNET,
        f"{SUBNET}\nquotas.rate = 5",
        "networks.front.quotas.rate: unknown key: "
        "allowed is mappings, connections, connections_per_second",
    ),
    (
        '"198.51.100.9"\npublish',
        '"198.51.100.6"\npublish',
        f'endpoints.web.external: found "198.51.100.6": cannot assign requested address ({HAS})',
    ),
    (
        '"198.51.100.9"\npublish',
        '"198.51.100.2"\npublish',
        'endpoints.web.external: found "198.51.100.2": '
        f"{IN_USE} (it is the first address of the uplink)",
    ),
    (
        '"198.51.100.9"\npublish',
        '"198.51.100.7"\npublish',
        f'endpoints.web.external: found "198.51.100.7": {IN_USE} (by network front)',
    ),
    (
        'mappings = ["5000:5001/udp"]',
        'external = "198.51.100.9"',
        f'endpoints.db.external: found "198.51.100.9": {IN_USE} (by endpoint web)',
    ),
    (
        'mappings = ["5000:5001/udp"]',
        'publish = ["198.51.100.9:443:443"]',
        'endpoints.db.publish[0]: found "198.51.100.9:443:443": '
        "Bind for 198.51.100.9:443 failed: port is already allocated (by endpoint web)",
    ),
    (
        'publish = ["8080:80"]',
        'mappings = ["80:80"]',
        'endpoints.web.mappings: found ["80:80"]: not allowed with external: '
        "that address has all ports of the endpoint's",
    ),
    (
        '"5000:5001/udp"',
        '"8080:80"',
        'endpoints.db.mappings[0]: found "8080:80": Bind for 198.51.100.2:8080 failed: '
        "port is already allocated (by endpoint web)",
    ),
    (
        '"5000:5001/udp"',
        '"5000:5001/udp", "4999-5001:1-3/udp"',
        'endpoints.db.mappings[1]: found "4999-5001:1-3/udp": Bind for 198.51.100.2:5000 failed: '
        "port is already allocated (by endpoint db)",
    ),
    (
        '["5000:5001/udp"]',
        '"5000:5001/udp"',
        f'endpoints.db.mappings: found "5000:5001/udp": allowed is a list, each item {MAPPING}',
    ),
    (
        '"5000:5001/udp"',
        '"198.51.100.2:5000:5001/udp"',
        f'endpoints.db.mappings[0]: found "198.51.100.2:5000:5001/udp": allowed is {MAPPING}',
    ),
    (
        '"5000:5001/udp"',
        '"5000-5001:5001/udp"',
        f'endpoints.db.mappings[0]: found "5000-5001:5001/udp": allowed is {MAPPING}',
    ),
    ('"5000:5001/udp"', '"80"', f'endpoints.db.mappings[0]: found "80": allowed is {MAPPING}'),
    ('"5000:5001/udp"', "80", f"endpoints.db.mappings[0]: found 80: allowed is {MAPPING}"),
    (
        '"5000:5001/udp"',
        '"5000:http"',
        'endpoints.db.mappings[0]: found "5000:http": invalid containerPort: http',
    ),
]

LIMIT_MISTAKES = [
    ("connections = 0", "connections: found 0: allowed is a number from 1 to 16777216"),
    (
        'memory = "1KiB"',
        'memory: found "1KiB": allowed is a size from "1 MiB" to "1024 GiB", like "256MiB"',
    ),
    ("memory = 5", 'memory: found 5: allowed is a size from "1 MiB" to "1024 GiB", like "256MiB"'),
    (
        'fragments = "63KiB"',
        'fragments: found "63KiB": allowed is a size from "64 KiB" to "1024 GiB", like "4MiB"',
    ),
    (
        'fragment_timeout = "5m"',
        'fragment_timeout: found "5m": '
        'allowed is a time from 1s to 4m15s, like "30s" or 30 (seconds)',
    ),
    (
        "fragment_timeout = 0",
        'fragment_timeout: found 0: allowed is a time from 1s to 4m15s, like "30s" or 30 (seconds)',
    ),
    ("held_syns = -1", "held_syns: found -1: allowed is a number from 0 to 1000000"),
    ("errors_per_second = 0", "errors_per_second: found 0: allowed is a number from 1 to 1000000"),
    (
        "errors_per_second = 1.5",
        "errors_per_second: found 1.5: allowed is a number from 1 to 1000000",
    ),
    (
        "conections = 5",
        "conections: unknown key: allowed is connections, memory, fragments, "
        'fragment_timeout, held_syns, errors_per_second; did you mean "connections"?',
    ),
]


@pytest.mark.parametrize(("right", "wrong", "line"), MISTAKES)
def test_mistake_is_told_in_one_line(right: str, wrong: str, line: str) -> None:
    assert right in LAB
    assert lines(LAB.replace(right, wrong, 1)) == [f"lab.toml: {line}"]


@pytest.mark.parametrize(("key", "line"), LIMIT_MISTAKES)
def test_mistaken_limit_is_told_in_one_line(key: str, line: str) -> None:
    assert lines(f'name = "lab"\n[limits]\n{key}') == [f"lab.toml: limits.{line}"]


def test_nothing_is_external_where_an_address_is_learnt_or_there_is_none() -> None:
    learnt = LAB.replace('"198.51.100.2/24"', '"dhcp"').replace("addresses =", "#")
    hint = 'the uplink has no addresses but what "dhcp" stands for'
    refused = "cannot assign requested address"
    assert [line.partition(": ")[2] for line in lines(learnt)] == [
        f'networks.front.external: found "198.51.100.7": {refused} ({hint})',
    ]
    learnt = learnt.replace('external = "198.51.100.7"', "")
    assert [line.partition(": ")[2] for line in lines(learnt)] == [
        f'endpoints.web.external: found "198.51.100.9": {refused} ({hint})',
    ]
    alone = 'name = "lab"\n[endpoints.a]\nmappings = ["80:80"]\n[endpoints.b]\nexternal = "1.2.3.4"'
    assert [line.partition(": ")[2] for line in lines(alone)] == [
        f'endpoints.a.mappings[0]: found "80:80": {refused} (the switch has no uplink)',
        f'endpoints.b.external: found "1.2.3.4": {refused} (the switch has no uplink)',
    ]


def test_network_with_a_mistaken_key_is_judged_by_its_others() -> None:
    text = LAB.replace(
        SUBNET, f'{SUBNET}\nfiltering = "x"\ntimeouts.udp = "y"\ngateway = "9.9.9.9"'
    )
    assert [line.split(": ")[1] for line in lines(text)] == [
        "networks.front.filtering",
        "networks.front.timeouts.udp",
        "networks.front.gateway",
    ]
