from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vswitch.network import publish
from vswitch.network.errors import NetworkError
from vswitch.network.model import Endpoint, EndpointKind, Membership
from vswitch.network.ports import PortRange, Publication, PublicationRequest, StaticMapping
from vswitch.wire.values import IpAddress, MacAddress, Protocol

TCP, UDP = Protocol.TCP, Protocol.UDP


def request(
    endpoint: tuple[int, int],
    host: tuple[int, int] | None = None,
    address: str | None = None,
    protocol: Protocol = TCP,
) -> PublicationRequest:
    return PublicationRequest(
        protocol,
        None if address is None else IpAddress.parse(address),
        None if host is None else PortRange(*host),
        PortRange(*endpoint),
    )


UNDERSTOOD = {
    "80": request((80, 80)),
    "080": request((80, 80)),
    ":80": request((80, 80)),
    "80/udp": request((80, 80), protocol=UDP),
    "80/UDP": request((80, 80), protocol=UDP),
    "80/": request((80, 80)),
    "0:80": request((80, 80)),
    "8080:80": request((80, 80), (8080, 8080)),
    "8080-8082:80": request((80, 80), (8080, 8082)),
    "8080-8082:80-82/tcp": request((80, 82), (8080, 8082)),
    "80-82": request((80, 82)),
    "192.0.2.1:8080:80": request((80, 80), (8080, 8080), "192.0.2.1"),
    "192.0.2.1::80": request((80, 80), None, "192.0.2.1"),
    "0.0.0.0:1:65535": request((65535, 65535), (1, 1), "0.0.0.0"),
    "[2001:db8::1]:8080:80": request((80, 80), (8080, 8080), "2001:db8::1"),
    "2001:db8::1:8080:80": request((80, 80), (8080, 8080), "2001:db8::1"),
    "[::]::80": request((80, 80), None, "::"),
}

REFUSED = {
    "": "no port specified: <empty>",
    "8080:": "no port specified: 8080:<empty>",
    "8080:/tcp": "no port specified: 8080:/tcp<empty>",
    "80/icmp": "invalid proto: icmp",
    "80/ICMP": "invalid proto: icmp",
    "80/sctp": "invalid proto: sctp",
    "80/tcp/udp": "invalid proto: tcp/udp",
    "localhost:8080:80": "invalid IP address: localhost",
    "192.0.2.256:8080:80": "invalid IP address: 192.0.2.256",
    "[2001:db8::g]:8080:80": "invalid IP address: 2001:db8::g",
    "[::1:8080:80": "invalid IP address: [::1",
    "http": "invalid containerPort: http",
    "8080:http": "invalid containerPort: http",
    "8080:-80": "invalid containerPort: -80",
    "8080:0": "invalid containerPort: 0",
    "8080:65536": "invalid containerPort: 65536",
    "8080:82-80": "invalid containerPort: 82-80",
    "8080:80-81-82": "invalid containerPort: 80-81-82",
    "8080: 80": "invalid containerPort:  80",
    "8080:８０": "invalid containerPort: ８０",
    "8080:" + "9" * 5000: "invalid containerPort: " + "9" * 5000,
    "web:80": "invalid hostPort: web",
    "70000:80": "invalid hostPort: 70000",
    "0-5:80": "invalid hostPort: 0-5",
    "8082-8080:80": "invalid hostPort: 8082-8080",
    "8080:80-82": ("invalid ranges specified for container and host Ports: 80-82 and 8080"),
    "8080-8081:80-82": (
        "invalid ranges specified for container and host Ports: 80-82 and 8080-8081"
    ),
}


@pytest.mark.parametrize("spec", UNDERSTOOD)
def test_specification_is_understood_as_docker_does(spec: str) -> None:
    assert publish.parse(spec) == UNDERSTOOD[spec]


@pytest.mark.parametrize("spec", REFUSED)
def test_mistake_is_named_in_dockers_words(spec: str) -> None:
    with pytest.raises(NetworkError) as refused:
        publish.parse(spec)
    assert str(refused.value) == REFUSED[spec]


def test_first_mistake_in_dockers_order_is_named() -> None:
    with pytest.raises(NetworkError, match="invalid proto: x"):
        publish.parse("nowhere:web:http/x")
    with pytest.raises(NetworkError, match="invalid IP address: nowhere"):
        publish.parse("nowhere:web:http")
    with pytest.raises(NetworkError, match="invalid containerPort: http"):
        publish.parse("web:http")


def test_sctp_says_what_is_translated() -> None:
    with pytest.raises(NetworkError) as refused:
        publish.parse("80/sctp")
    assert refused.value.explained == "invalid proto: sctp (the switch translates tcp and udp)"


MAPPINGS = {
    "5000:5001": StaticMapping(TCP, PortRange(5000, 5000), PortRange(5001, 5001)),
    "5000:5001/udp": StaticMapping(UDP, PortRange(5000, 5000), PortRange(5001, 5001)),
    "6000-6009:7000-7009": StaticMapping(TCP, PortRange(6000, 6009), PortRange(7000, 7009)),
}


@pytest.mark.parametrize("spec", MAPPINGS)
def test_static_mapping_is_written_like_a_publication(spec: str) -> None:
    assert publish.parse_mapping(spec) == MAPPINGS[spec]


@pytest.mark.parametrize("spec", ["80", ":80", "0:80", "80-81:80", "192.0.2.1:80:80", "[::]:1:1"])
def test_static_mapping_leaves_no_choice_and_has_no_address(spec: str) -> None:
    with pytest.raises(NetworkError) as refused:
        publish.parse_mapping(spec)
    assert str(refused.value) == f'allowed is "{publish.MAPPING_GRAMMAR}", like "5000:5000/udp"'


def test_static_mapping_has_dockers_words_for_what_docker_knows() -> None:
    with pytest.raises(NetworkError, match=r"^invalid hostPort: 70000$"):
        publish.parse_mapping("70000:80")


@pytest.mark.parametrize(
    ("text", "ports"),
    [
        ("0", PortRange(0, 0)),
        ("80", PortRange(80, 80)),
        ("1-65535", PortRange(1, 65535)),
        ("2-1", None),
        ("65536", None),
        ("-1", None),
        ("1-", None),
        ("", None),
    ],
)
def test_ports_are_a_number_or_a_rising_range(text: str, ports: PortRange | None) -> None:
    assert publish.parse_ports(text) == ports


ports = st.integers(1, publish.HIGHEST_PORT)
addresses = st.one_of(
    st.none(),
    st.binary(min_size=4, max_size=4).map(IpAddress),
    st.binary(min_size=16, max_size=16).map(IpAddress),
)


@st.composite
def requests(draw: st.DrawFn) -> PublicationRequest:
    first = draw(ports)
    endpoint_ports = PortRange(first, draw(st.integers(first, publish.HIGHEST_PORT)))
    length = len(endpoint_ports)
    if length == 1 and draw(st.booleans()):
        length = draw(st.integers(1, 100))
    host_ports = None
    if draw(st.booleans()):
        host_first = draw(st.integers(1, publish.HIGHEST_PORT + 1 - length))
        host_ports = PortRange(host_first, host_first + length - 1)
    protocol = draw(st.sampled_from([TCP, UDP]))
    return PublicationRequest(protocol, draw(addresses), host_ports, endpoint_ports)


def written(request: PublicationRequest) -> str:
    text = f"{request.endpoint_ports}/{request.protocol.name.lower()}"
    if request.host_address is not None:
        bare = str(request.host_address)
        host = f"[{bare}]" if request.host_address.version == 6 else bare
        return f"{host}:{request.host_ports or ''}:{text}"
    return text if request.host_ports is None else f"{request.host_ports}:{text}"


@given(request=requests())
def test_what_is_written_is_read_back(request: PublicationRequest) -> None:
    assert publish.parse(written(request)) == request


@given(spec=st.one_of(st.text(), st.text(alphabet="0123456789:-[]/.tcpud", max_size=40)))
def test_any_text_is_understood_or_refused(spec: str) -> None:
    try:
        request = publish.parse(spec)
    except NetworkError:
        return
    assert 1 <= request.endpoint_ports.first <= request.endpoint_ports.last <= 65535
    if request.host_ports is not None:
        assert 1 <= request.host_ports.first <= request.host_ports.last <= 65535
        assert len(request.endpoint_ports) in (1, len(request.host_ports))


WEB = Endpoint(
    "web",
    EndpointKind.TAP,
    None,
    (Membership("front", IpAddress.parse("172.18.0.2"), MacAddress.parse("02:00:00:00:00:02")),),
    publications=(
        Publication(TCP, None, PortRange(8080, 8080), PortRange(80, 80)),
        Publication(UDP, None, PortRange(8080, 8080), PortRange(80, 80)),
        Publication(TCP, IpAddress.parse("192.0.2.1"), PortRange(90, 99), PortRange(1, 10)),
    ),
)


@pytest.mark.parametrize(
    ("spec", "at"),
    [
        ("8080", 0),
        ("8080/tcp", 0),
        ("0.0.0.0:8080", 0),
        ("8080/UDP", 1),
        ("90-99", 2),
        ("192.0.2.1:90-99/tcp", 2),
    ],
)
def test_what_is_published_is_named_by_its_host_ports(spec: str, at: int) -> None:
    assert publish.published(WEB, spec) == (WEB.publications[at],)


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ("80", "no public port '80/tcp' published for web"),
        ("90/udp", "no public port '90/udp' published for web"),
        ("90", "no public port '90/tcp' published for web"),
        ("192.0.2.2:90-99", "no public port '90-99/tcp' published for web"),
        ("http", "invalid hostPort: http"),
        ("0", "invalid hostPort: 0"),
        ("", "invalid hostPort: "),
        ("8080:80", "invalid IP address: 8080"),
        ("80/icmp", "invalid proto: icmp"),
    ],
)
def test_what_is_not_published_is_told_with_what_is(spec: str, text: str) -> None:
    with pytest.raises(NetworkError) as refused:
        publish.published(WEB, spec)
    assert str(refused.value) == text
    if "no public port" in text:
        assert refused.value.hint.startswith("published is 0.0.0.0:8080->80/tcp, ")
