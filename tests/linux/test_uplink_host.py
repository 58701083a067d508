"""A switch on the host's own address: two who share it, and neither notices the other.

All tests of this file share one switch, whose host has a service and connections of its own, and is
on the network `near` itself. A capture outside runs all the while, and the last test reads it.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from scapy.layers.inet import ICMP, IP, TCP
from scapy.utils import rdpcap

from tests.linux import services
from tests.linux.lab import HOST, OUTSIDE, Lab, eventually

pytestmark = pytest.mark.linux

NAPT_PORTS = range(61000, 65536)
"""What is left beside the kernel's default ephemeral range."""

EPHEMERAL_PORTS = range(32768, 61000)

UNUSED, NEVER_GIVEN_AWAY = 61500, 3333
"""A port of the NAPT that leads nowhere, and one of the host that nobody listens at."""

SERVICE = 2222
"""A port of the host's own program."""

PUBLISHED, PUBLISHED_ECHO, PUBLISHED_BULK = 8080, 5003, 5002

NEAR, NEAR_ECHO, NEAR_CLOSED, NEAR_FAR = 8081, 5013, 8083, 8084
"""Published ports of `near`: a web server, an echo by UDP, nobody, and what is not for the host."""

NEAR_GATEWAY = "172.19.0.1"

BULK = os.urandom(1024 * 1024) * 8


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(tmp_path_factory.mktemp("host")) as lab:
        lab.run("host", "ip", "route", "add", "default", "via", OUTSIDE)
        lab.uplink = {"address": "host", "unsolicited": "drop"}
        publish = [f"{PUBLISHED}:80", f"{PUBLISHED_BULK}:5002", f"{PUBLISHED_ECHO}:5003/udp"]
        lab.add_endpoint("web", publish=publish)
        lab.add_endpoint("app")
        lab.add_network("near", subnet="172.19.0.0/16", host=True)
        closed = (f"{NEAR_CLOSED}:4", f"{NEAR_CLOSED}:4/udp")
        near = [f"{NEAR}:80", f"{NEAR_ECHO}:5003/udp", *closed, f"{NEAR_FAR}:80 from={OUTSIDE}"]
        lab.add_endpoint("near", network="near", publish=near)
        lab.up()
        for role in ("web", "out", "near"):
            services.serve_http(lab.listen(role, "0.0.0.0", 80))
            services.serve_bulk(lab.listen(role, "0.0.0.0", 5002), BULK)
            services.serve_udp_echo(lab.bind(role, "0.0.0.0", 5003))
        services.serve_http(lab.listen("host", "0.0.0.0", SERVICE))
        yield lab


@pytest.fixture(scope="module", autouse=True)
def outside_capture(lab: Lab) -> Path:
    """All that comes to the outside host, from before the first test on."""
    file = lab.directory / "outside.pcap"
    options = ("-i", "eth0", "-Q", "in", "-s", "96", "-U", "--immediate-mode")
    lab.start("out", "tcpdump", "-Z", "root", *options, "-w", str(file))
    eventually(lambda: file.exists() and file.stat().st_size > 0, "tcpdump captures")
    return file


def fetch(lab: Lab, role: str, address: str, port: int = 80) -> str:
    """What an HTTP server tells the client: which address it has."""
    return lab.run(role, "curl", "-sm10", f"http://{address}:{port}/").stdout


def listening(lab: Lab) -> list[str]:
    """The words of `ss` about sockets of the host that others can reach."""
    return lab.run("host", "ss", "-Hltun").stdout.split()


def test_endpoint_is_the_host_outside(lab: Lab) -> None:
    assert fetch(lab, "app", OUTSIDE) == HOST
    asking = lab.bind("app", "0.0.0.0", 4000)
    asking.sendto(b"hello", (OUTSIDE, 5003))
    assert asking.recv(100) == f"{HOST} hello".encode()
    assert lab.ping("app", OUTSIDE)


def test_external_ports_are_none_that_the_host_takes_by_itself(lab: Lab) -> None:
    outside = lab.listen("out", "0.0.0.0", 5010)
    for _ in range(5):
        lab.connect("app", OUTSIDE, 5010)
        _, (address, port) = outside.accept()
        assert address == HOST
        assert port in NAPT_PORTS


def test_gateway_is_the_one_of_the_hosts_default_route(lab: Lab) -> None:
    beyond = "192.0.2.77"
    lab.run("out", "ip", "address", "add", f"{beyond}/32", "dev", "lo")
    assert fetch(lab, "app", beyond) == HOST


def test_published_ports_see_the_true_client(lab: Lab) -> None:
    assert fetch(lab, "out", HOST, PUBLISHED) == OUTSIDE
    asking = lab.bind("out", "0.0.0.0", 4000)
    asking.sendto(b"hello", (HOST, PUBLISHED_ECHO))
    assert asking.recv(100) == f"{OUTSIDE} hello".encode()


def test_endpoints_reach_each_other_by_the_hosts_address(lab: Lab) -> None:
    assert fetch(lab, "app", HOST, PUBLISHED) == HOST


@pytest.mark.parametrize(
    ("role", "address", "port"),
    [("app", OUTSIDE, 5002), ("out", HOST, PUBLISHED_BULK)],
    ids=["out by NAPT", "in by a publication"],
)
def test_bulk_arrives_whole(lab: Lab, role: str, address: str, port: int) -> None:
    received = bytearray()
    with lab.connect(role, address, port) as download:
        while data := download.recv(services.CHUNK):
            received += data
    assert received == BULK


def test_hosts_own_service_and_connections_work_beside(lab: Lab) -> None:
    assert fetch(lab, "out", HOST, SERVICE) == OUTSIDE
    assert fetch(lab, "host", OUTSIDE) == HOST
    asking = lab.open_socket("host", socket.SOCK_DGRAM)
    asking.sendto(b"hello", (OUTSIDE, 5003))
    assert asking.recv(100) == f"{HOST} hello".encode()
    assert lab.ping("host", OUTSIDE)
    assert lab.ping("out", HOST)


def test_hosts_own_connection_has_a_port_of_its_ephemeral_range(lab: Lab) -> None:
    with lab.connect("host", OUTSIDE, 80) as connection:
        assert connection.getsockname()[1] in EPHEMERAL_PORTS


def test_published_ports_are_what_ss_shows(lab: Lab) -> None:
    shown = listening(lab)
    for port in (PUBLISHED, PUBLISHED_BULK, PUBLISHED_ECHO):
        assert f"{HOST}:{port}" in shown


@pytest.mark.parametrize("address", ["0.0.0.0", HOST])
@pytest.mark.parametrize(
    ("kind", "port"),
    [(socket.SOCK_STREAM, PUBLISHED), (socket.SOCK_DGRAM, PUBLISHED_ECHO)],
    ids=["tcp", "udp"],
)
def test_published_port_is_taken_for_other_programs(
    lab: Lab, kind: int, port: int, address: str
) -> None:
    program = lab.open_socket("host", kind)
    program.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    with pytest.raises(OSError, match="Address already in use"):
        program.bind((address, port))


@pytest.mark.parametrize("asked", ["0.0.0.0", HOST])
def test_port_of_another_program_is_refused_in_dockers_words(lab: Lab, asked: str) -> None:
    done = lab.run("host", *lab.guest("-p", f"{asked}:{SERVICE}:80"), "true", check=False)
    assert done.returncode != 0
    words = f"failed to bind host port {asked}:{SERVICE}/tcp: address already in use"
    assert words in done.stderr
    assert fetch(lab, "out", HOST, SERVICE) == OUTSIDE


def test_range_of_which_one_port_is_taken_is_refused_whole(lab: Lab) -> None:
    ports = f"{SERVICE - 1}-{SERVICE}"
    lab.run("host", *lab.guest("-p", f"{ports}:{ports}"), "true", check=False)
    assert f"{HOST}:{SERVICE - 1}" not in listening(lab)


def test_port_is_free_again_when_its_endpoint_has_left(lab: Lab) -> None:
    guest = lab.start("host", *lab.guest("-p", "7777:80"), "sh", "-c", "echo up; exec sleep 60")
    assert guest.stdout is not None
    assert guest.stdout.readline() == "up\n"
    with pytest.raises(OSError, match="Address already in use"):
        lab.listen("host", HOST, 7777)
    guest.terminate()
    eventually(lambda: f"{HOST}:7777" not in listening(lab), "the port is given back")
    lab.listen("host", HOST, 7777)


# As the host itself sees it, where it is on the network


EACH_OF_THE_HOSTS = pytest.mark.parametrize(
    "address", ["127.0.0.1", "127.0.0.2", HOST, NEAR_GATEWAY]
)


@EACH_OF_THE_HOSTS
def test_host_is_served_at_its_addresses_and_the_outside_keeps_its_own(
    lab: Lab, address: str
) -> None:
    with lab.connect("host", address, NEAR), lab.connect("out", HOST, NEAR):
        assert fetch(lab, "host", address, NEAR) == NEAR_GATEWAY
        assert fetch(lab, "out", HOST, NEAR) == OUTSIDE


@EACH_OF_THE_HOSTS
def test_datagrams_come_back_to_the_host_from_where_it_sent_them(lab: Lab, address: str) -> None:
    outside, host = (lab.open_socket(role, socket.SOCK_DGRAM) for role in ("out", "host"))
    outside.connect((HOST, NEAR_ECHO))
    host.connect((address, NEAR_ECHO))
    for asking, seen in ((outside, OUTSIDE), (host, NEAR_GATEWAY)) * 2:
        asking.send(b"hello")
        assert asking.recv(100) == f"{seen} hello".encode()


@EACH_OF_THE_HOSTS
def test_service_that_refuses_refuses_the_host(lab: Lab, address: str) -> None:
    with pytest.raises(ConnectionResetError):
        lab.connect("host", address, NEAR_CLOSED).recv(10)
    asking = lab.open_socket("host", socket.SOCK_DGRAM)
    asking.connect((address, NEAR_CLOSED))
    asking.send(b"hello")
    with pytest.raises(ConnectionRefusedError):
        asking.recv(10)


def test_terms_hold_for_the_host(lab: Lab) -> None:
    with pytest.raises(ConnectionResetError):
        lab.connect("host", HOST, NEAR_FAR).recv(10)
    assert lab.port("vs-near")["drops"]["source_not_allowed"] == 1
    assert fetch(lab, "out", HOST, NEAR_FAR) == OUTSIDE


@pytest.mark.parametrize("address", ["0.0.0.0", HOST, "127.0.0.9"])
@pytest.mark.parametrize(
    ("kind", "port"), [(socket.SOCK_STREAM, NEAR), (socket.SOCK_DGRAM, NEAR_ECHO)]
)
def test_port_that_serves_the_host_is_taken_for_other_programs(
    lab: Lab, kind: int, port: int, address: str
) -> None:
    program = lab.open_socket("host", kind)
    program.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    with pytest.raises(OSError, match="Address already in use"):
        program.bind((address, port))


def test_status_tells_the_way_and_the_ports(lab: Lab) -> None:
    (uplink,) = lab.table("status")["uplinks"]
    assert uplink["address"] == f"{HOST}/24"
    assert (uplink["gateway"], uplink["device"]) == (OUTSIDE, "packet")
    assert uplink["ports"] == f"{NAPT_PORTS.start}-{NAPT_PORTS.stop - 1}"
    assert uplink["mac"] in lab.run("host", "ip", "link", "show", "up0").stdout
    shown = lab.vswitch("status").stdout
    assert f"shared with the host, guarded by {uplink['guard']}" in shown
    assert f"ports {uplink['ports']}" in shown


def test_nobody_heard_a_kernel_that_knows_of_none_of_it(lab: Lab, outside_capture: Path) -> None:
    """To ports of the switch nothing else answers; a closed port of the host itself is refused."""
    lost = lab.open_socket("out")
    lost.settimeout(0.2)
    with pytest.raises(TimeoutError):
        lost.connect((HOST, UNUSED))
    lab.open_socket("out", socket.SOCK_DGRAM).sendto(b"lost", (HOST, UNUSED))
    with pytest.raises(ConnectionRefusedError):
        lab.connect("out", HOST, NEVER_GIVEN_AWAY)

    def resets() -> list[int]:
        packets = rdpcap(str(outside_capture))
        return [
            packet[TCP].sport for packet in packets if TCP in packet and "R" in packet[TCP].flags
        ]

    eventually(lambda: NEVER_GIVEN_AWAY in resets(), "the host's own reset is seen")
    assert resets() == [NEVER_GIVEN_AWAY]
    errors = [
        each for each in rdpcap(str(outside_capture)) if ICMP in each and each[ICMP].type == 3
    ]
    assert errors == []
    sources = {each[IP].src for each in rdpcap(str(outside_capture)) if IP in each}
    assert sources == {HOST}
