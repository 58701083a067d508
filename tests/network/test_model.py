from __future__ import annotations

import pytest

from vswitch.network.model import LearntAddress, Uplink
from vswitch.network.ports import PortRange, Publication, PublicationRequest, StaticMapping
from vswitch.wire.values import IpAddress, Protocol


def test_port_range_contains_both_its_ends() -> None:
    ports = PortRange(80, 82)
    assert list(ports) == [80, 81, 82]
    assert len(ports) == 3
    assert 80 in ports
    assert 82 in ports
    assert 79 not in ports
    assert 83 not in ports


@pytest.mark.parametrize(
    ("address", "last", "text"),
    [
        (None, 0, "0.0.0.0:8080->80/udp"),
        ("192.0.2.1", 2, "192.0.2.1:8080-8082->80-82/udp"),
        ("2001:db8::1", 0, "[2001:db8::1]:8080->80/udp"),
    ],
)
def test_publication_reads_as_docker_prints_it(address: str | None, last: int, text: str) -> None:
    host = None if address is None else IpAddress.parse(address)
    host_ports, endpoint_ports = PortRange(8080, 8080 + last), PortRange(80, 80 + last)
    assert str(Publication(Protocol.UDP, host, host_ports, endpoint_ports)) == text


@pytest.mark.parametrize(
    ("host", "endpoint", "chooses"),
    [
        (None, PortRange(80, 80), True),
        (PortRange(8080, 8082), PortRange(80, 80), True),
        (PortRange(8080, 8080), PortRange(80, 80), False),
        (PortRange(8080, 8082), PortRange(80, 82), False),
    ],
)
def test_switch_chooses_the_host_port_unless_ranges_match(
    host: PortRange | None, endpoint: PortRange, chooses: bool
) -> None:
    assert PublicationRequest(Protocol.TCP, None, host, endpoint).chooses_host_port is chooses


def test_static_mapping_reads_both_ways() -> None:
    mapping = StaticMapping(Protocol.UDP, PortRange(5000, 5001), PortRange(7000, 7001))
    assert str(mapping) == "5000-5001<->7000-7001/udp"


def test_uplink_is_told_by_its_name_unless_it_is_the_default_one() -> None:
    assert str(Uplink("up0", LearntAddress.HOST)) == "the uplink"
    assert str(Uplink("up0", LearntAddress.DHCP, name="wan")) == "uplink wan"
    assert str(LearntAddress.DHCP) == "dhcp"
