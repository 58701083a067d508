"""What one configuration would change of another, and in which order that is done."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vswitch.network import publish
from vswitch.network.changing import steps, wording
from vswitch.network.changing.difference import Sign, compare
from vswitch.network.changing.steps import AddEndpoint, ChangeEndpoint, RemoveEndpoint
from vswitch.network.configuration import config
from vswitch.network.errors import NetworkError
from vswitch.network.model import Configuration

FRONT = '[networks.front]\nsubnet = "172.20.0.0/16"\n'
UPLINK = '[uplink]\ninterface = "eth1"\naddress = "192.0.2.50/24"\naddresses = ["192.0.2.51"]\n'


def of(text: str) -> Configuration:
    head = "" if text.startswith("name") else 'name = "lab"\n'
    return config.parse(f"{head}{text}", "lab.toml")


def lines(before: str, after: str) -> list[str]:
    return [str(each) for each in compare(of(before), of(after))]


def front(keys: str) -> str:
    return f"[networks.front]\n{keys}\n"


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("", FRONT, "+ network front: subnet 172.20.0.0/16"),
        (FRONT, "", "- network front"),
        (
            f"{FRONT}[endpoints.web]",
            f"{FRONT}[endpoints.web.networks.front]\naddress = '172.20.0.9'",
            "~ endpoint web: networks + front 172.20.0.9 (in place)",
        ),
        ("", UPLINK, "+ uplink uplink: interface eth1, address 192.0.2.50/24"),
        (
            f"{FRONT}[endpoints.web]\nnetwork = 'front'",
            f"{FRONT}[endpoints.web]\nnetwork = 'front'\naddress = '172.20.0.9'",
            "~ endpoint web: address + 172.20.0.9 (is attached again)",
        ),
        (
            f"{UPLINK}[endpoints.web]\npublish = ['8080:80', '53:53/udp']",
            f"{UPLINK}[endpoints.web]\npublish = ['8081:80', '53:53/udp']",
            "~ endpoint web: publish 8080:80 → 8081:80 (in place)",
        ),
        (
            f"{FRONT}[endpoints.web]\nnetwork = 'front'\n[endpoints.app]\nnetwork = 'front'",
            front("subnet = '172.21.0.0/16'")
            + "[endpoints.web]\nnetwork = 'front'\n[endpoints.app]\nnetwork = 'front'",
            "~ network front: subnet 172.20.0.0/16 → 172.21.0.0/16, gateway 172.20.0.1 → "
            "172.21.0.1 (is made anew, with its endpoints web, app)",
        ),
        (
            FRONT,
            front("subnet = '172.20.0.0/16'\nicc = false\ntimeouts = { udp = '6m' }"),
            "~ network front: icc true → false, timeouts.udp 5m → 6m (in place)",
        ),
        (
            UPLINK,
            UPLINK.replace("192.0.2.50/24", "192.0.2.60/24"),
            "~ uplink uplink: address 192.0.2.50/24 → 192.0.2.60/24 (is made anew: its "
            "connections end)",
        ),
        (UPLINK, f"{UPLINK}impair = 'loss=1%'", None),
        (
            "",
            "[limits]\nconnections = 1000",
            "! limits: connections 262144 → 1000 (needs a restart)",
        ),
        ("", "name = 'other'", "! name: lab → other (needs a restart)"),
        ("", "[api]\ngroup = 'net'", "! api: group + net (needs a restart)"),
        ("", "ip_forward = false", "~ ip_forward: true → false (in place)"),
        ("", "[dns]\nupstream = ['192.0.2.53']", "~ dns: upstream + 192.0.2.53 (in place)"),
        (
            "[dns]\nupstream = ['192.0.2.53']",
            "[dns]\nupstream = ['tls://9.9.9.9#dns.quad9.net']\nlog = true\n"
            "records = { 'db.example' = ['10.1.2.3', '10.1.2.4'] }\ncache = { stale = 0 }",
            "~ dns: upstream 192.0.2.53 → tls://9.9.9.9#dns.quad9.net, "
            "records + db.example: 10.1.2.3 10.1.2.4, log false → true, cache.stale 1d → 0s "
            "(in place)",
        ),
        (
            FRONT,
            f"{FRONT}dns = {{ servers = ['10.0.0.53'], allow = [] }}",
            "~ network front: dns.servers + 10.0.0.53, dns.allow any name → none (in place)",
        ),
        (
            "[endpoints.a]\ndns = ['10.0.0.53']\n",
            "[endpoints.a]\ndns_search = ['.']\nhostname = 'www'\n",
            "~ endpoint a: dns - 10.0.0.53, dns_search + ., hostname + www (in place)",
        ),
        ("", "[[filters]]\naction = 'drop'\nin_network = 'bridge'", "+ filter drop in bridge"),
    ],
)
def test_change_is_said_in_the_words_of_the_file(before: str, after: str, said: str | None) -> None:
    found = lines(before, after)
    assert len(found) == 1
    assert said in (None, found[0])


def test_filters_in_another_order_are_a_change() -> None:
    one, other = ("[[filters]]\naction = 'drop'\n", "[[filters]]\naction = 'accept'\n")
    assert [each[0] for each in lines(one + other, other + one)] == ["~"]


def test_network_is_isolated_only_anew_as_its_gateway_goes() -> None:
    internal = "subnet = '172.20.0.0/16'\ninternal = true\n"
    (line,) = lines(front(internal), front(f"{internal}gateway_mode = 'isolated'"))
    assert line.endswith("(is made anew)")


def test_port_that_moves_to_another_endpoint_is_free_in_between() -> None:
    before = of(f"{UPLINK}[endpoints.a]\npublish = ['80:80']\n[endpoints.b]\n")
    after = of(f"{UPLINK}[endpoints.a]\n[endpoints.b]\npublish = ['80:80']\n")
    first, second = steps.plan(before, after, compare(before, after))
    assert isinstance(first, ChangeEndpoint)
    assert isinstance(second, ChangeEndpoint)
    assert (first.after.name, first.after.publish) == ("a", ())
    assert second.after.name == "b"


def test_endpoint_of_a_network_that_is_made_anew_comes_again() -> None:
    tables = "[endpoints.web]\nnetwork = 'front'\n"
    before, after = of(FRONT + tables), of(front("subnet = '172.21.0.0/16'") + tables)
    first, *_, last = steps.plan(before, after, compare(before, after))
    assert isinstance(first, RemoveEndpoint)
    assert first.comes_again
    assert isinstance(last, AddEndpoint)


# Any two configurations

PORTS = ("8080:80", "8081:80", "80", "53:53/udp", "9000 from=192.0.2.0/24 once")

networks = st.fixed_dictionaries(
    {"subnet": st.sampled_from(["172.20.0.0/16", "172.21.0.0/16"])},
    optional={
        "mtu": st.sampled_from([1400, 9000]),
        "host": st.booleans(),
        "icc": st.booleans(),
        "internal": st.booleans(),
        "filtering": st.sampled_from(["endpoint-independent", "address-dependent"]),
        "labels": st.just({"stage": "test"}),
        "timeouts": st.sampled_from(["rfc", "linux"]),
        "uplink": st.just("wan"),
        "dns": st.fixed_dictionaries(
            {},
            optional={
                "servers": st.just(["10.0.0.53"]),
                "at_gateway": st.booleans(),
                "allow": st.sampled_from([[], ["*.debian.org"]]),
            },
        ),
        "dhcp": st.sampled_from([True, False, {"lease_time": "30m"}, {"domain": "lab.example"}]),
    },
)
endpoints = st.fixed_dictionaries(
    {},
    optional={
        "network": st.sampled_from(["bridge", "front", "back"]),
        "kind": st.sampled_from(["tap", "veth"]),
        "publish": st.lists(st.sampled_from(PORTS), max_size=2, unique=True),
        "aliases": st.just(["www"]),
        "external": st.just("192.0.2.51"),
        "mappings": st.just(["5000:5000/udp"]),
        "impair": st.just("loss=1%"),
        "expose": st.just(["5432"]),
        "links": st.sampled_from([["a"], ["b:db"]]),
        "role": st.sampled_from(["isolated", "promiscuous"]),
        "dns": st.sampled_from([["192.0.2.54"], ["192.0.2.54", "192.0.2.55:5353"]]),
        "dns_search": st.sampled_from([["corp.example"], ["."]]),
        "dns_options": st.sampled_from([["ndots:1"], ["timeout:2"]]),
        "hostname": st.just("host"),
        "networks": st.sampled_from(
            [{"back": {}}, {"back": {"aliases": ["b"]}}, {"front": {"gateway_priority": 1}}]
        ),
    },
)
names = st.fixed_dictionaries(
    {},
    optional={
        "upstream": st.sampled_from([["192.0.2.53"], ["tls://192.0.2.54#a.example"]]),
        "order": st.sampled_from(["in-order", "parallel"]),
        "ttl": st.sampled_from(["0s", "1m"]),
        "domains": st.just({"corp.example": ["192.0.2.55"]}),
        "records": st.sampled_from([{"a.example": "10.0.0.1"}, {"*.b.example": ["10.0.0.2"]}]),
        "default_network": st.booleans(),
        "rebind_protection": st.booleans(),
        "rebind_domains": st.just(["corp.example"]),
        "log": st.booleans(),
        "listen": st.sampled_from(["127.0.0.1:5353", "127.0.0.2:53"]),
        "cache": st.sampled_from([{"memory": 0}, {"stale": 0, "prefetch": False}]),
    },
)
documents = st.fixed_dictionaries(
    {
        "uplink": st.fixed_dictionaries(
            {
                "interface": st.just("eth1"),
                "address": st.sampled_from(["192.0.2.50/24", "192.0.2.60/24"]),
                "addresses": st.just(["192.0.2.51"]),
            },
            optional={"clamp_mss": st.booleans(), "impair": st.just("delay=1ms")},
        ),
        "uplinks": st.dictionaries(
            st.just("wan"), st.just({"interface": "eth2", "address": "203.0.113.2/24"}), max_size=1
        ),
        "networks": st.dictionaries(st.sampled_from(["front", "back"]), networks, max_size=2),
        "endpoints": st.dictionaries(st.sampled_from(["a", "b", "c"]), endpoints, max_size=3),
        "filters": st.lists(
            st.sampled_from([{"action": "drop"}, {"action": "log", "in_network": "uplink"}]),
            max_size=3,
        ),
    },
    optional={
        "icc": st.booleans(),
        "ip_forward": st.booleans(),
        "bip": st.sampled_from(["172.26.0.1/16", "172.27.0.1/16"]),
        "dns": names,
    },
)


def sound(document: dict[str, Any]) -> Configuration | None:
    configuration, mistakes = config.judge({"name": "lab", **document})
    return None if mistakes else configuration


configurations = documents.map(sound).filter(lambda each: each is not None)


def held(configuration: Configuration) -> object:
    """All that it says, whatever the order of what has a name."""
    named = (configuration.uplinks, configuration.networks, configuration.endpoints)
    by_name = [{each.name: each for each in things} for things in named]
    rest = (configuration.filters, configuration.ip_forward, configuration.dns)
    return by_name, rest, configuration.pools, configuration.recorder


@given(configurations)
def test_configuration_does_not_differ_from_itself(one: Configuration) -> None:
    assert compare(one, one) == ()


@given(configurations, configurations)
@settings(max_examples=30)
def test_all_steps_of_a_plan_lead_to_the_other_configuration(
    before: Configuration, after: Configuration
) -> None:
    changes = compare(before, after)
    assert all(each.sign is not Sign.REFUSED for each in changes)
    now = before
    for step in steps.plan(before, after, changes):
        now = steps.done(now, step)
    assert held(now) == held(after)
    assert compare(now, after) == ()


@given(configurations, configurations)
@settings(max_examples=30)
def test_what_is_left_after_any_step_leads_there_too(
    before: Configuration, after: Configuration
) -> None:
    now = before
    for step in steps.plan(before, after, compare(before, after)):
        now = steps.done(now, step)
        left = now
        for each in steps.plan(now, after, compare(now, after)):
            left = steps.done(left, each)
        assert held(left) == held(after)


@given(
    st.tuples(
        st.sampled_from(["", "192.0.2.1:", "[2001:db8::1]:"]),
        st.sampled_from(["", "80:", "8000-8009:"]),
        st.sampled_from(["80", "80-89"]),
        st.sampled_from(["", "/udp"]),
        st.sampled_from(["", " once", " from=192.0.2.0/24 for=10m rate=5/s"]),
    )
)
def test_publication_is_written_as_it_is_read(parts: tuple[str, ...]) -> None:
    address, host, port, protocol, terms = parts
    written = f"{address}{host or (':' if address else '')}{port}{protocol}{terms}"
    try:
        wanted = publish.parse(written)
    except NetworkError:
        return
    assert publish.parse(wording.publication(wanted)) == wanted
