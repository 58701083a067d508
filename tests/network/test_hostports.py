from __future__ import annotations

import pytest

from vswitch.network import publish
from vswitch.network.errors import NetworkError
from vswitch.network.hostports import ANY_HOST_PORT, HostPorts
from vswitch.network.model import Uplink
from vswitch.wire.values import IpInterface, Protocol

UPLINK = Uplink("up0", IpInterface.parse("198.51.100.2/24"))


@pytest.fixture
def host_ports() -> HostPorts:
    return HostPorts(UPLINK)


def take(host_ports: HostPorts, spec: str, holder: str = "web") -> str:
    return str(host_ports.take(publish.parse(spec), holder))


def choose(host_ports: HostPorts, spec: str, holder: str = "web") -> list[str]:
    return [str(made) for made in host_ports.choose(publish.parse(spec), holder)]


def test_named_ports_are_given_as_asked(host_ports: HostPorts) -> None:
    assert take(host_ports, "8080-8081:80-81") == "0.0.0.0:8080-8081->80-81/tcp"
    assert take(host_ports, "198.51.100.2:53:53/udp") == "198.51.100.2:53->53/udp"
    assert host_ports.published() == {
        (Protocol.TCP, 8080),
        (Protocol.TCP, 8081),
        (Protocol.UDP, 53),
    }


def test_unspecified_host_address_is_every_address(host_ports: HostPorts) -> None:
    made = host_ports.take(publish.parse("0.0.0.0:8080:80"), "web")
    assert made.host_address is None


@pytest.mark.parametrize(
    ("first", "second", "text"),
    [
        ("8080:80", "8080:81", "Bind for 0.0.0.0:8080 failed: port is already allocated"),
        (
            "8080:80",
            "198.51.100.2:8080:80",
            "Bind for 198.51.100.2:8080 failed: port is already allocated",
        ),
        (
            "198.51.100.2:8080:80",
            "0.0.0.0:8080:80",
            "Bind for 0.0.0.0:8080 failed: port is already allocated",
        ),
        (
            "8082:80",
            "8080-8083:80-83",
            "Bind for 0.0.0.0:8082 failed: port is already allocated",
        ),
    ],
)
def test_port_of_another_is_refused(
    host_ports: HostPorts, first: str, second: str, text: str
) -> None:
    take(host_ports, first, holder="db")
    with pytest.raises(NetworkError) as refused:
        take(host_ports, second)
    assert refused.value.explained == f"{text} (by endpoint db)"
    assert len(host_ports.published()) == 1


def test_protocols_have_ports_of_their_own(host_ports: HostPorts) -> None:
    take(host_ports, "53:53/tcp")
    assert take(host_ports, "53:53/udp") == "0.0.0.0:53->53/udp"


def test_first_free_port_of_a_range_is_chosen(host_ports: HostPorts) -> None:
    take(host_ports, "8080:80", holder="db")
    assert choose(host_ports, "8080-8081:80", holder="one") == ["0.0.0.0:8081->80/tcp"]
    with pytest.raises(NetworkError) as refused:
        choose(host_ports, "8080-8081:80")
    assert str(refused.value) == "all ports are allocated"
    assert refused.value.hint == "8080-8081/tcp"
    host_ports.release("db")
    assert choose(host_ports, "8080-8081:80") == ["0.0.0.0:8080->80/tcp"]


def test_port_that_nobody_chose_follows_the_last_one_given(host_ports: HostPorts) -> None:
    take(host_ports, "49155:80", holder="db")
    assert choose(host_ports, "80", holder="one") == ["0.0.0.0:49153->80/tcp"]
    assert choose(host_ports, "80-81", holder="two") == [
        "0.0.0.0:49154->80/tcp",
        "0.0.0.0:49156->81/tcp",
    ]
    host_ports.release("one")
    assert choose(host_ports, "198.51.100.2::80") == ["198.51.100.2:49157->80/tcp"]
    assert choose(host_ports, "80/udp") == ["0.0.0.0:49153->80/udp"]


def test_search_for_a_port_starts_over_at_the_end_of_the_range(host_ports: HostPorts) -> None:
    take(host_ports, f"{ANY_HOST_PORT.first + 1}-65534:49154-65534", holder="most")
    assert choose(host_ports, "80", holder="one") == ["0.0.0.0:49153->80/tcp"]
    assert choose(host_ports, "80", holder="two") == ["0.0.0.0:65535->80/tcp"]
    with pytest.raises(NetworkError) as refused:
        choose(host_ports, "80")
    assert refused.value.explained == "all ports are allocated (49153-65535/tcp)"
    host_ports.release("one")
    assert choose(host_ports, "80") == ["0.0.0.0:49153->80/tcp"]


@pytest.mark.parametrize(
    ("spec", "where"),
    [
        ("127.0.0.1:8080:80", "127.0.0.1:8080/tcp"),
        ("198.51.100.3:8080-8082:80-82/udp", "198.51.100.3:8080/udp"),
        ("[::]:8080:80", "[::]:8080/tcp"),
    ],
)
def test_address_that_is_not_the_switchs_cannot_be_published(
    host_ports: HostPorts, spec: str, where: str
) -> None:
    with pytest.raises(NetworkError) as refused:
        take(host_ports, spec)
    text = f"failed to bind host port {where}: cannot assign requested address"
    assert refused.value.explained == f"{text} (the uplink's address is 198.51.100.2)"


def test_nothing_is_published_without_an_uplink() -> None:
    text = "failed to bind host port 0.0.0.0:{}/tcp: cannot assign requested address"
    with pytest.raises(NetworkError) as refused:
        take(HostPorts(None), "8080:80")
    assert refused.value.explained == f"{text.format(8080)} (the switch has no uplink)"
    with pytest.raises(NetworkError) as refused:
        choose(HostPorts(None), "80")
    assert str(refused.value) == text.format(0)
