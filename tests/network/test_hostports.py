from __future__ import annotations

import pytest

from vswitch.network import publish
from vswitch.network.errors import NetworkError
from vswitch.network.hostports import AnyPort, HostPorts
from vswitch.network.model import LearntAddress, Uplink
from vswitch.network.ports import PortRange
from vswitch.translation import OPEN_TO_ALL, Terms
from vswitch.wire.values import IpAddress, IpInterface, Protocol

UPLINK = Uplink("up0", IpInterface.parse("198.51.100.2/24"))
FURTHER = IpAddress.parse("198.51.100.7")
SEVERAL = (
    Uplink("up0", IpInterface.parse("198.51.100.2/24"), also=(FURTHER,)),
    Uplink("up1", IpInterface.parse("203.0.113.2/24"), name="wan"),
)
LEARNING = Uplink("up2", LearntAddress.DHCP, name="mobile")


@pytest.fixture
def host_ports() -> HostPorts:
    return HostPorts((UPLINK,))


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
    take(host_ports, f"{AnyPort().ports.first + 1}-65534:49154-65534", holder="most")
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
        ("[::1]:8080:80", "[::1]:8080/tcp"),
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
        take(HostPorts(()), "8080:80")
    assert refused.value.explained == f"{text.format(8080)} (the switch has no uplink)"
    with pytest.raises(NetworkError) as refused:
        choose(HostPorts(()), "80")
    assert str(refused.value) == text.format(0)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("198.51.100.2:80:80", "198.51.100.7:80:80"),
        ("198.51.100.2:80:80", "203.0.113.2:80:80"),
        ("198.51.100.2:80-89:80-89", "203.0.113.2:85:80"),
    ],
)
def test_addresses_have_ports_of_their_own(first: str, second: str) -> None:
    several = HostPorts(SEVERAL)
    assert take(several, first, holder="db").startswith(first.rpartition(":")[0])
    assert take(several, second, holder="web").startswith(second.rpartition(":")[0])
    with pytest.raises(NetworkError) as refused:
        take(several, second, holder="other")
    assert refused.value.hint == "by endpoint web"
    several.release("web")
    assert take(several, second, holder="other").startswith(second.rpartition(":")[0])


@pytest.mark.parametrize("address", ["198.51.100.2", "198.51.100.7", "203.0.113.2"])
def test_port_of_every_address_is_that_of_each(address: str) -> None:
    several = HostPorts(SEVERAL)
    take(several, "80:80", holder="db")
    with pytest.raises(NetworkError, match=rf"^Bind for {address}:80 failed"):
        take(several, f"{address}:80:80")
    several.release("db")
    take(several, f"{address}:80:80", holder="db")
    with pytest.raises(NetworkError, match=r"^Bind for 0\.0\.0\.0:80 failed"):
        take(several, "80:80")


def test_port_is_chosen_by_what_is_free_on_the_address() -> None:
    several = HostPorts(SEVERAL)
    take(several, "198.51.100.2:8080:80", holder="db")
    assert choose(several, "203.0.113.2:8080-8081:80") == ["203.0.113.2:8080->80/tcp"]
    assert choose(several, "198.51.100.2:8080-8081:80") == ["198.51.100.2:8081->80/tcp"]
    with pytest.raises(NetworkError, match="all ports are allocated"):
        choose(several, "8080-8081:80")


def test_addresses_of_all_uplinks_are_told() -> None:
    with pytest.raises(NetworkError) as refused:
        take(HostPorts(SEVERAL), "192.0.2.1:80:80")
    assert refused.value.hint == "the switch has 198.51.100.2, 198.51.100.7, 203.0.113.2"


def test_address_may_be_any_until_it_is_learnt() -> None:
    ports = HostPorts((UPLINK, LEARNING))
    assert take(ports, "192.0.2.5:80:80") == "192.0.2.5:80->80/tcp"
    with pytest.raises(NetworkError, match="cannot assign requested address"):
        take(ports, "[2001:db8::1]:80:80")
    ports.learn("mobile", IpAddress.parse("192.0.2.6"))
    assert take(ports, "192.0.2.6:80:80") == "192.0.2.6:80->80/tcp"
    assert take(ports, "198.51.100.2:81:81") == "198.51.100.2:81->81/tcp"
    with pytest.raises(NetworkError) as refused:
        take(ports, "192.0.2.5:81:81")
    assert refused.value.hint == "the switch has 198.51.100.2, 192.0.2.6"
    ports.learn("mobile", None)
    assert take(ports, "192.0.2.5:81:82") == "192.0.2.5:81->82/tcp"


def test_switch_that_has_learnt_nothing_yet_says_so() -> None:
    with pytest.raises(NetworkError) as refused:
        take(HostPorts((LEARNING,)), "[2001:db8::1]:80:80")
    assert refused.value.hint == "the switch has no address yet"


def test_mapped_ports_and_published_ones_exclude_each_other() -> None:
    ports = HostPorts(SEVERAL)
    mapping = publish.parse_mapping("5000-5001:1-2/udp")
    ports.take_mapping(mapping, FURTHER, "db")
    assert take(ports, "198.51.100.2:5000:1/udp") == "198.51.100.2:5000->1/udp"
    assert take(ports, "5000:1/tcp") == "0.0.0.0:5000->1/tcp"
    for spec in ("198.51.100.7:5001:1/udp", "5001:1/udp"):
        with pytest.raises(NetworkError) as refused:
            take(ports, spec)
        assert refused.value.hint == "by endpoint db"
    with pytest.raises(NetworkError, match=r"^Bind for 198\.51\.100\.7:5000 failed"):
        ports.take_mapping(publish.parse_mapping("4999-5000:1-2/udp"), FURTHER, "web")
    ports.take_mapping(publish.parse_mapping("4999:1/udp"), FURTHER, "web")
    ports.release("db")
    ports.take_mapping(mapping, FURTHER, "web")


def test_mapping_on_an_address_that_is_not_known_yet_has_its_ports_on_all() -> None:
    ports = HostPorts((UPLINK, LEARNING))
    ports.take_mapping(publish.parse_mapping("5000:1"), None, "db")
    with pytest.raises(NetworkError, match=r"^Bind for 198\.51\.100\.2:5000 failed"):
        take(ports, "198.51.100.2:5000:1")


def test_whole_address_leaves_no_port_of_it_to_others() -> None:
    ports = HostPorts(SEVERAL)
    ports.take_address(FURTHER, "db")
    with pytest.raises(NetworkError) as refused:
        take(ports, "198.51.100.7:80:80")
    assert refused.value.explained == (
        "Bind for 198.51.100.7:80 failed: port is already allocated (by endpoint db)"
    )
    with pytest.raises(NetworkError, match="all ports are allocated"):
        choose(ports, "198.51.100.7::80")
    with pytest.raises(NetworkError) as refused:
        ports.take_address(FURTHER, "web")
    assert refused.value.explained == "Address already in use (by endpoint db)"
    assert take(ports, "80:80") == "0.0.0.0:80->80/tcp"
    ports.release("db")
    assert choose(ports, "198.51.100.7::80") == ["198.51.100.7:49153->80/tcp"]


def test_address_of_which_a_port_is_taken_is_not_whole() -> None:
    ports = HostPorts(SEVERAL)
    take(ports, "198.51.100.7:80:80", holder="db")
    with pytest.raises(NetworkError) as refused:
        ports.take_address(FURTHER, "web")
    assert refused.value.explained == (
        "Address already in use (by a published or mapped port of endpoint db)"
    )
    ports.release("db")
    take(ports, "80:80", holder="app")
    ports.take_address(FURTHER, "web")


# Which port somebody gets who asks for any


def test_any_port_is_one_of_the_hosts_range_that_it_does_not_keep_back() -> None:
    given = HostPorts((UPLINK,), AnyPort(PortRange(40000, 40003), frozenset({40001, 40003})))
    assert choose(given, "80-81") == ["0.0.0.0:40000->80/tcp", "0.0.0.0:40002->81/tcp"]
    with pytest.raises(NetworkError) as refused:
        choose(given, "82")
    assert refused.value.explained == "all ports are allocated (40000-40003/tcp)"


def test_what_the_host_keeps_back_may_be_asked_for_by_number() -> None:
    given = HostPorts((UPLINK,), AnyPort(kept_back=frozenset({8080})))
    assert take(given, "8080:80") == "0.0.0.0:8080->80/tcp"
    assert choose(given, "8080-8081:80", holder="app") == ["0.0.0.0:8081->80/tcp"]


def test_port_of_a_hosts_program_is_passed_over() -> None:
    def is_in_use(protocol: Protocol, port: int) -> bool:
        return (protocol, port) == (Protocol.TCP, 8080)

    given = HostPorts((UPLINK,), AnyPort(is_in_use=is_in_use))
    assert choose(given, "8080-8082:80") == ["0.0.0.0:8081->80/tcp"]
    assert choose(given, "8080-8082:80/udp") == ["0.0.0.0:8080->80/udp"]


# Several at once, and back again


def test_several_are_published_together_in_their_order(host_ports: HostPorts) -> None:
    requests = [publish.parse(spec) for spec in ("8080-8081:80", "8080:90", "100-101:1-2")]
    assert [str(each) for each in host_ports.publish(requests, "web")] == [
        "0.0.0.0:8081->80/tcp",
        "0.0.0.0:8080->90/tcp",
        "0.0.0.0:100-101->1-2/tcp",
    ]


@pytest.mark.parametrize("last", ["8080:80", "8080-8080:80-80", "70-80", "192.0.2.1:1:1"])
def test_all_are_published_or_none(last: str) -> None:
    ports = HostPorts((UPLINK,), AnyPort(PortRange(60000, 60005)))
    take(ports, "8080:80", holder="db")
    before = ports.published()
    with pytest.raises(NetworkError):
        ports.publish([publish.parse(spec) for spec in ("81:81", "82", last)], "web")
    assert ports.published() == before


def test_withdrawn_ports_are_free_and_the_others_are_not(host_ports: HostPorts) -> None:
    requests = [publish.parse(spec) for spec in ("8080:80", "9000-9009:1-10/udp")]
    _, run = host_ports.publish(requests, "web")
    host_ports.withdraw([run])
    assert take(host_ports, "9005:80/udp", holder="db") == "0.0.0.0:9005->80/udp"
    with pytest.raises(NetworkError, match="port is already allocated"):
        take(host_ports, "8080:80", holder="db")


def test_terms_are_those_that_were_asked_for(host_ports: HostPorts) -> None:
    requests = [publish.parse(spec) for spec in ("8080:80 once", "81 rate=5/s", "82:82")]
    made = host_ports.publish(requests, "web")
    assert [each.terms for each in made] == [
        Terms(is_for_one=True),
        Terms(per_second=5),
        OPEN_TO_ALL,
    ]
