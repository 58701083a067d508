from __future__ import annotations

import pytest

from vswitch.network import expose, publish
from vswitch.network.errors import NetworkError
from vswitch.network.ports import ExposedPorts, PortRange
from vswitch.wire.values import Protocol


@pytest.mark.parametrize(
    ("spec", "protocol", "first", "last"),
    [
        ("80", Protocol.TCP, 80, 80),
        ("80/TCP", Protocol.TCP, 80, 80),
        ("53/udp", Protocol.UDP, 53, 53),
        ("8000-8010", Protocol.TCP, 8000, 8010),
    ],
)
def test_port_or_range_of_either_protocol_is_exposed(
    spec: str, protocol: Protocol, first: int, last: int
) -> None:
    assert expose.parse(spec) == ExposedPorts(protocol, PortRange(first, last))


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("", "invalid range format for --expose: "),
        ("0", "invalid range format for --expose: 0"),
        ("http", "invalid range format for --expose: http"),
        ("90-80", "invalid range format for --expose: 90-80"),
        ("65536", "invalid range format for --expose: 65536"),
        ("8080:80", "invalid port format for --expose: 8080:80"),
        ("80/icmp", "invalid proto: icmp"),
    ],
)
def test_what_is_no_port_is_refused_in_dockers_words(spec: str, told: str) -> None:
    with pytest.raises(NetworkError) as refusal:
        expose.parse(spec)
    assert str(refusal.value) == told


def test_all_are_published_but_those_that_are_already() -> None:
    by_hand = [publish.parse("8081:81"), publish.parse("53:53/udp")]
    exposed = [expose.parse("80-82"), expose.parse("53"), expose.parse("82")]
    chosen = list(expose.publish_all(exposed, by_hand))
    assert [(each.protocol, each.endpoint_ports.first) for each in chosen] == [
        (Protocol.TCP, 80),
        (Protocol.TCP, 82),
        (Protocol.TCP, 53),
    ]
    assert all(each.host_ports is None for each in chosen)


def test_published_port_is_an_exposed_one() -> None:
    (exposed,) = expose.exposed_by([publish.parse("8080:80/udp")])
    assert str(exposed) == "80/udp"
