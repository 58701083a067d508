"""The host on a network: what it reaches there, who it is there, and what is left of that."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Iterator

import pytest

from tests.linux import services
from tests.linux.lab import (
    APP,
    GATEWAY,
    HOST,
    OUTSIDE,
    SUBNET,
    UPLINK,
    WEB,
    Lab,
    eventually,
)

pytestmark = pytest.mark.linux

LINK = "vs-front"
SERVICE, NOBODY = 2222, 2223
BULK = os.urandom(1024 * 1024) * 8


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A host on `front`, and not on `back`; both sides have services."""
    with Lab(tmp_path_factory.mktemp("hostport")) as lab:
        lab.front = {"subnet": SUBNET, "host": True}
        lab.add_network("back", subnet="172.19.0.0/16")
        lab.add_endpoint("web", publish=["8080:80"])
        lab.add_endpoint("app", kind="veth")
        lab.add_endpoint("db", network="back")
        lab.up()
        for role in ("web", "app", "db", "host"):
            services.serve_http(lab.listen(role, "0.0.0.0", 80))
        for role in ("web", "host"):
            services.serve_bulk(lab.listen(role, "0.0.0.0", 5002), BULK)
            services.serve_udp_echo(lab.bind(role, "0.0.0.0", 5003))
        yield lab


def fetch(lab: Lab, role: str, address: str, port: int = 80) -> str:
    """What an HTTP server tells the client: which address it has; empty where there is none."""
    return lab.run(role, "curl", "-sm5", f"http://{address}:{port}/", check=False).stdout


def addresses(lab: Lab, link: str) -> list[str]:
    """Of a link of the host's, with their prefix lengths."""
    found = lab.run("host", "ip", "-json", "address", "show", link, check=False).stdout or "[]"
    return [
        f"{each['local']}/{each['prefixlen']}"
        for row in json.loads(found)
        for each in row["addr_info"]
    ]


def test_host_has_the_gateways_address_and_no_other(lab: Lab) -> None:
    assert addresses(lab, LINK) == [f"{GATEWAY}/16"]
    assert addresses(lab, "vs-back") == []


@pytest.mark.parametrize("address", [WEB, APP], ids=["tap", "veth"])
def test_host_reaches_endpoints_in_the_gateways_name(lab: Lab, address: str) -> None:
    assert fetch(lab, "host", address) == GATEWAY
    assert lab.ping("host", address)


def test_endpoints_reach_services_of_the_host_at_the_gateways_address(lab: Lab) -> None:
    assert fetch(lab, "web", GATEWAY) == WEB
    assert fetch(lab, "app", GATEWAY) == APP
    assert lab.ping("web", GATEWAY)


def test_datagrams_pass_both_ways(lab: Lab) -> None:
    for role, address, own in (("host", WEB, GATEWAY), ("web", GATEWAY, WEB)):
        asking = lab.bind(role, "0.0.0.0", 4000)
        asking.sendto(b"hello", (address, 5003))
        assert asking.recv(100) == f"{own} hello".encode()


@pytest.mark.parametrize(("role", "address"), [("host", WEB), ("web", GATEWAY)])
def test_bulk_arrives_whole(lab: Lab, role: str, address: str) -> None:
    received = bytearray()
    with lab.connect(role, address, 5002) as download:
        while data := download.recv(services.CHUNK):
            received += data
    assert received == BULK


@pytest.mark.parametrize(("role", "address"), [("host", WEB), ("web", GATEWAY)])
def test_port_where_nobody_listens_refuses(lab: Lab, role: str, address: str) -> None:
    with pytest.raises(ConnectionRefusedError):
        lab.connect(role, address, NOBODY)
    asking = lab.open_socket(role, socket.SOCK_DGRAM)
    asking.connect((address, NOBODY))
    asking.send(b"hello")
    with pytest.raises(ConnectionRefusedError):
        asking.recv(100)


def test_address_where_nobody_is_can_not_be_reached(lab: Lab) -> None:
    with pytest.raises(OSError, match="No route to host"):
        lab.connect("host", "172.18.7.7", 80)


def test_networks_stay_apart(lab: Lab) -> None:
    assert fetch(lab, "host", "172.19.0.2") == ""
    assert fetch(lab, "db", "172.18.0.1") == ""


def test_what_is_published_is_reached_from_outside_as_ever(lab: Lab) -> None:
    assert fetch(lab, "out", UPLINK, 8080) == OUTSIDE
    assert fetch(lab, "app", GATEWAY, 8080) != ""


@pytest.mark.parametrize("address", ["localhost", "127.0.1.1", HOST, GATEWAY])
def test_published_port_is_at_every_address_of_the_host(lab: Lab, address: str) -> None:
    assert fetch(lab, "host", address, 8080) == GATEWAY


def test_outside_comes_in_by_the_switchs_address_alone(lab: Lab) -> None:
    assert fetch(lab, "out", UPLINK, 8080) == OUTSIDE
    client = lab.open_socket("out")
    client.settimeout(0.5)
    with pytest.raises(TimeoutError):
        client.connect((HOST, 8080))


def test_port_that_is_published_live_is_at_the_loopback_as_long_as_it_is(lab: Lab) -> None:
    assert fetch(lab, "host", "127.0.0.1", 8081) == ""
    lab.publish("app", "8081:80", "6003:5003/udp")
    assert fetch(lab, "host", "127.0.0.1", 8081) == GATEWAY
    lab.withdraw("app", "8081", "6003/udp")
    with pytest.raises(ConnectionRefusedError):
        lab.connect("host", "127.0.0.1", 8081)


def test_port_may_be_published_for_the_host_alone(lab: Lab) -> None:
    lab.publish("web", "127.0.0.1:8086:80")
    assert fetch(lab, "host", "127.0.0.1", 8086) == GATEWAY
    assert fetch(lab, "out", UPLINK, 8086) == ""
    assert fetch(lab, "app", GATEWAY, 8086) == ""
    lab.withdraw("web", "8086")


def test_datagrams_come_back_from_the_loopback(lab: Lab) -> None:
    lab.publish("web", "6003:5003/udp")
    asking = lab.open_socket("host", socket.SOCK_DGRAM)
    asking.connect(("127.0.0.1", 6003))
    asking.send(b"hello")
    assert asking.recv(100) == f"{GATEWAY} hello".encode()
    lab.withdraw("web", "6003/udp")


def test_bulk_by_the_loopback_arrives_whole(lab: Lab) -> None:
    lab.publish("web", "6002:5002")
    received = bytearray()
    with lab.connect("host", "127.0.0.1", 6002) as download:
        while data := download.recv(services.CHUNK):
            received += data
    assert received == BULK
    lab.withdraw("web", "6002")


def test_service_that_refuses_resets_who_comes_by_the_loopback(lab: Lab) -> None:
    lab.publish("web", f"8082:{NOBODY}")
    with pytest.raises(ConnectionResetError):
        lab.connect("host", "127.0.0.1", 8082).recv(10)
    lab.withdraw("web", "8082")


def test_port_of_a_program_at_the_loopback_is_not_published(lab: Lab) -> None:
    lab.listen("host", "127.0.0.1", 8083)
    refused = lab.vswitch("publish add", "web", "8084:80", "8083:80", check=False)
    text = "failed to bind host port 0.0.0.0:8083/tcp: address already in use"
    assert refused.stderr == f"vswitch: {text}\n"
    assert [row["published"] for row in lab.table("publications")] == ["0.0.0.0:8080->80/tcp"]
    assert fetch(lab, "host", "127.0.0.1", 8084) == ""
    assert fetch(lab, "out", UPLINK, 8084) == ""


def test_endpoint_of_a_network_without_the_host_is_not_at_the_loopback(lab: Lab) -> None:
    lab.publish("db", "8085:80")
    assert fetch(lab, "host", "127.0.0.1", 8085) == ""
    assert fetch(lab, "out", UPLINK, 8085) == OUTSIDE
    lab.withdraw("db", "8085")


def test_flows_of_the_host_are_explained(lab: Lab) -> None:
    with lab.connect("host", WEB, 80):
        rows = lab.table("flows")
        flow = next(row for row in rows if row["original"].startswith(f"{GATEWAY}:"))
        why = lab.vswitch("flows", "--why", str(flow["flow"])).stdout
    assert f"{WEB}:80" in why
    traced = lab.vswitch("trace", LINK, "tcp", f"{GATEWAY}:4000", "to", f"{WEB}:80", "syn").stdout
    assert "forwarded" in traced


def test_host_hears_no_broadcast_of_endpoints(lab: Lab) -> None:
    before = lab.port(LINK)["sent_frames"]
    lab.run("web", "ping", "-c1", "-W1", "-b", "172.18.255.255", check=False)
    lab.run("web", "arping", "-c1", "-w1", "172.18.9.9", check=False)
    assert lab.port(LINK)["sent_frames"] == before


def test_host_comes_and_goes_with_a_network(lab: Lab) -> None:
    lab.vswitch("network create", "--opt", "vswitch.host=true", "--subnet", "172.21.0.0/24", "late")
    assert addresses(lab, "vs-late") == ["172.21.0.1/24"]
    lab.remove_network("late")
    assert "vs-late" not in lab.run("host", "ip", "link").stdout
    lab.create_network("late", options={"vswitch.host": "true"})
    assert len(addresses(lab, "vs-late")) == 1
    lab.remove_network("late")


def test_network_that_the_host_can_not_be_on_is_not_made(lab: Lab) -> None:
    lab.run("host", "ip", "tuntap", "add", "vs-taken", "mode", "tap")
    refused = lab.vswitch("network create", "--opt", "vswitch.host=true", "taken", check=False)
    text = "network taken: host port vs-taken: there is an interface of that name"
    assert refused.stderr == f"vswitch: {text}\n"
    assert [row["Name"] for row in lab.table("networks")].count("taken") == 0
    lab.create_network("taken")
    lab.remove_network("taken")


# Beginning and end, each with a switch of its own


@pytest.fixture
def small(tmp_path: os.PathLike[str]) -> Iterator[Lab]:
    with Lab(tmp_path) as small:  # type: ignore[arg-type]
        small.front = {"subnet": SUBNET, "host": True}
        small.add_endpoint("web")
        yield small


def test_nothing_is_left_by_a_switch_that_stops(small: Lab) -> None:
    small.up()
    assert reaches_web(small)
    assert small.down() == 0
    assert small.leftovers() == []


def test_nothing_of_the_hosts_is_left_by_a_switch_that_is_killed(small: Lab) -> None:
    small.up()
    small.down(signal.SIGKILL)
    eventually(lambda: addresses(small, LINK) == [], "the interface is gone")
    routes = small.run("host", "ip", "route").stdout
    assert SUBNET not in routes
    small.up()
    assert reaches_web(small)


def test_interface_of_somebody_else_is_not_taken(small: Lab) -> None:
    small.run("host", "ip", "tuntap", "add", LINK, "mode", "tap")
    said = small.fail_to_start()
    assert said.endswith(f"network front: host port {LINK}: there is an interface of that name")
    assert addresses(small, LINK) == []
    assert LINK in small.run("host", "ip", "link").stdout


def test_endpoint_whose_port_a_program_has_is_not_attached_and_nothing_is_left(small: Lab) -> None:
    small.add_endpoint("db", publish=["8080:80"])
    small.listen("host", "127.0.0.1", 8080)
    said = small.fail_to_start()
    text = "failed to bind host port 0.0.0.0:8080/tcp: address already in use"
    assert said.endswith(f"endpoint db: {text}")
    assert small.leftovers() == []


def test_interface_that_is_deleted_is_missed_and_the_switch_goes_on(small: Lab) -> None:
    small.up()
    small.run("host", "ip", "link", "delete", LINK)
    small.wait_for_log(f"the host is not on it until the switch is restarted: {LINK} is gone")
    assert small.ping("web", GATEWAY), "the switch answers by itself again"
    assert small.endpoints() == ["web"]


def test_host_is_on_no_network_unless_that_is_said(small: Lab) -> None:
    small.front = {"subnet": SUBNET}
    small.up()
    assert "vs-" not in small.run("host", "ip", "link").stdout
    assert HOST in small.run("host", "ip", "address").stdout


def reaches_web(lab: Lab) -> bool:
    """Whether the endpoint, where nobody listens, refuses the host."""
    with pytest.raises(ConnectionRefusedError):
        lab.connect("host", WEB, 80)
    return True
