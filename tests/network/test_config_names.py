"""What a configuration may say about names: servers, records, the cache, what endpoints find."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vswitch.naming import (
    CacheSettings,
    Domain,
    NameSettings,
    NetworkNames,
    Record,
    Server,
    ServerOrder,
)
from vswitch.network import namewords
from vswitch.network.configuration import config
from vswitch.network.configuration.config import ConfigurationError
from vswitch.network.model import Configuration
from vswitch.units import HOUR, MEBIBYTE, MINUTE, SECOND
from vswitch.wire.values import IpAddress

NAMES = """
name = "lab"

[dns]
upstream = ["198.51.100.53", "tls://9.9.9.9#dns.quad9.net", "tls://[2620:fe::fe]:8853#Dns.Quad9.net"]
order = "parallel"
ttl = "30s"
default_network = true
rebind_protection = true
rebind_domains = ["Lab.example."]
log = true
listen = "127.0.0.1:5353"

[dns.cache]
memory = "8MiB"
least_ttl = 5
most_ttl = "1h"
negative_ttl = "5m"
stale = 0
prefetch = false

[dns.domains]
"Corp.example" = ["10.0.0.53", "10.0.0.54:5353"]

[dns.records]
"db.example" = ["10.1.2.3", "2001:db8::3"]
"*.apps.example" = "10.0.0.1"

[networks.shop.dns]
servers = ["198.51.100.54"]
at_gateway = false
allow = ["*.debian.org", "registry.example"]

[endpoints.web]
network = "shop"
dns = ["198.51.100.55"]
dns_search = ["corp.example"]
dns_options = ["timeout:2", "ndots:1"]
hostname = "www"
domainname = "corp.example"
"""

SERVER = (
    'allowed is an IP address, alone or with a port: "198.51.100.53", "198.51.100.53:53"; '
    'or over TLS "tls://9.9.9.9#dns.quad9.net"'
)
DOMAIN = 'allowed is a domain name, like "corp.example"'
PATTERN = 'allowed is a domain name, or all below one: "registry.example", "*.debian.org"'


def ip(text: str) -> IpAddress:
    return IpAddress.parse(text)


def parsed(text: str) -> Configuration:
    return config.parse(text, "lab.toml")


def lines(text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as refused:
        parsed(text)
    return refused.value.lines


def test_every_key_about_names_is_read() -> None:
    found = parsed(NAMES)
    assert found.dns == NameSettings(
        upstreams=(
            Server(ip("198.51.100.53")),
            Server(ip("9.9.9.9"), 853, "dns.quad9.net"),
            Server(ip("2620:fe::fe"), 8853, "dns.quad9.net"),
        ),
        order=ServerOrder.PARALLEL,
        domains=(Domain("corp.example", (Server(ip("10.0.0.53")), Server(ip("10.0.0.54"), 5353))),),
        records=(
            Record("db.example", (ip("10.1.2.3"), ip("2001:db8::3"))),
            Record("*.apps.example", (ip("10.0.0.1"),)),
        ),
        ttl=30 * SECOND,
        cache=CacheSettings(
            memory=8 * MEBIBYTE,
            least_ttl=5 * SECOND,
            most_ttl=HOUR,
            most_negative_ttl=5 * MINUTE,
            stale=0,
            prefetch=False,
        ),
        default_network=True,
        protects_from_rebinding=True,
        protected_but=("lab.example",),
        logs=True,
        listen=(ip("127.0.0.1"), 5353),
    )
    names = {each.name: each.names for each in found.networks}
    assert names["shop"] == NetworkNames(
        (Server(ip("198.51.100.54")),),
        at_gateway=False,
        allowed=("*.debian.org", "registry.example"),
    )
    (web,) = found.endpoints
    assert web.dns == (Server(ip("198.51.100.55")),)
    assert (web.dns_search, web.dns_options) == (("corp.example",), ("timeout:2", "ndots:1"))
    assert (web.hostname, web.domainname) == ("www", "corp.example")


def test_configuration_without_such_keys_has_the_defaults() -> None:
    found = parsed('name = "lab"\n[networks.shop]\n[endpoints.web]')
    assert found.dns == NameSettings()
    assert {each.names for each in found.networks} == {NetworkNames()}
    (web,) = found.endpoints
    assert (web.dns, web.dns_search, web.dns_options, web.hostname) == ((), (), (), None)


def test_nothing_allowed_is_another_thing_than_nothing_said() -> None:
    (_, shop) = parsed('name = "lab"\n[networks.shop.dns]\nallow = []').networks
    assert shop.names.allowed == ()


def test_no_network_is_made_where_a_server_is_that_the_switch_asks() -> None:
    text = (
        'name = "lab"\n[networks.a]\ndns = { servers = ["172.18.0.53"] }\n[dns]\n'
        'domains = { "corp.example" = ["172.19.0.53"] }'
    )
    subnets = {each.name: str(each.subnet) for each in parsed(text).networks}
    assert subnets["a"] == "172.20.0.0/16"


SERVERS = SERVER.replace("is an", "is a list, each item an")
TIME = 'allowed is a time from 0s to 365d, like "30s", "2h4m" or 120 (seconds)'
LISTEN = 'allowed is one IP address of the host with a port, like "127.0.0.1:5353"'
SIZE = 'allowed is a size from "64 KiB" to "1024 GiB", like "4MiB", or 0 for none'
CACHE_KEYS = "allowed is memory, least_ttl, most_ttl, negative_ttl, stale, prefetch"
ADDRESSES = "allowed is an IP address, or a list of at least one"
OPTION = 'allowed is an option of resolv.conf(5), like "ndots:1"'
SEARCH = 'allowed is a domain name, like "corp.example", or "." alone for none'

MISTAKES = [
    ('"tls://9.9.9.9#dns.quad9.net"', '"tls://9"', f'dns.upstream[1]: found "tls://9": {SERVER}'),
    ("9.9.9.9#dns.quad9.net", "9.9.9.9", f'dns.upstream[1]: found "tls://9.9.9.9": {SERVER}'),
    ('"parallel"', '"all"', 'dns.order: found "all": allowed is "in-order" or "parallel"'),
    ('"30s"', "-1", f"dns.ttl: found -1: {TIME}"),
    ('["Lab.example."]', '["a..b"]', f'dns.rebind_domains[0]: found "a..b": {DOMAIN}'),
    ('"127.0.0.1:5353"', '"127.0.0.1"', f'dns.listen: found "127.0.0.1": {LISTEN}'),
    ('"127.0.0.1:5353"', '"0.0.0.0:53"', f'dns.listen: found "0.0.0.0:53": {LISTEN}'),
    ('"8MiB"', '"8KiB"', f'dns.cache.memory: found "8KiB": {SIZE}'),
    (
        *("least_ttl = 5", "least_ttl = 7200"),
        "dns.cache.least_ttl: found 7200: allowed is at most most_ttl, 1h",
    ),
    (
        *("stale", "stall"),
        f'dns.cache.stall: unknown key: {CACHE_KEYS}; did you mean "stale"?',
    ),
    ('"Corp.example" =', '"*.corp" =', f'dns.domains."*.corp": {DOMAIN}'),
    (
        *('["10.0.0.53", "10.0.0.54:5353"]', "[]"),
        f'dns.domains."Corp.example": found []: {SERVERS}',
    ),
    (
        *('"*.apps.example"', '"db.Example."'),
        'dns.records."db.Example.": the same name as db.example: allowed is each name once',
    ),
    (
        *('"10.0.0.1"', '"10.0.0"'),
        f'dns.records."*.apps.example": found "10.0.0": {ADDRESSES}',
    ),
    ('"registry.example"', '"*"', f'networks.shop.dns.allow[1]: found "*": {PATTERN}'),
    (
        *("at_gateway", "gateway"),
        "networks.shop.dns.gateway: unknown key: allowed is servers, at_gateway, allow; "
        'did you mean "at_gateway"?',
    ),
    ('"ndots:1"', '"ndots: 1"', f'endpoints.web.dns_options[1]: found "ndots: 1": {OPTION}'),
    ('["corp.example"]', '["a b"]', f'endpoints.web.dns_search[0]: found "a b": {SEARCH}'),
    ('= "corp.example"', '= "*"', f'endpoints.web.domainname: found "*": {DOMAIN}'),
]


@pytest.mark.parametrize(("right", "wrong", "line"), MISTAKES)
def test_mistake_is_told_in_one_line(right: str, wrong: str, line: str) -> None:
    assert right in NAMES
    assert lines(NAMES.replace(right, wrong, 1)) == (f"lab.toml: {line}",)


# Servers, as they are written

addresses = st.one_of(
    st.ip_addresses(v=4).filter(lambda each: not each.is_multicast),
    st.ip_addresses(v=6).filter(lambda each: not each.is_multicast),
).map(lambda each: IpAddress(each.packed))
servers = st.builds(
    Server,
    addresses.filter(lambda each: not each.is_unspecified and not each.is_limited_broadcast),
    st.sampled_from([53, 853, 5353]),
    st.sampled_from([None, "dns.quad9.net"]),
)


@given(servers)
def test_server_is_read_as_it_is_shown(server: Server) -> None:
    assert namewords.server(str(server)) == server


@given(st.text(max_size=20))
def test_any_text_is_a_server_or_none(text: str) -> None:
    try:
        server = namewords.server(text)
    except ValueError:
        return
    assert namewords.server(str(server)) == server


@pytest.mark.parametrize(
    "text",
    ["corp.example", "CORP.example.", "a", "_sip._udp.x", "10.in-addr.arpa", "x" * 63, "xn--bcher"],
)
def test_domain_is_in_small_letters_without_a_last_dot(text: str) -> None:
    assert namewords.domain(text) == text.lower().removesuffix(".")


@pytest.mark.parametrize(
    "text",
    [
        *("", ".", "..", "a..b", ".a", "a b", "*.a", "-a.b", "a-.b", "10.0.0.1", "bücher"),
        *("x" * 64, ".".join(["abcdefg"] * 32)),
    ],
)
def test_what_is_no_domain_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no domain name"):
        namewords.domain(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("ndots", "invalid ndots option ndots"),
        ("ndots:", "invalid number for ndots option: "),
        ("ndots:x", "invalid number for ndots option: x"),
        ("ndots:-1", "invalid number for ndots option: -1"),
        ("", " is no option of a resolver"),
        ("a b", "a b is no option of a resolver"),
    ],
)
def test_option_of_a_resolver_is_refused_in_words(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(why)}$"):
        namewords.option(text)
