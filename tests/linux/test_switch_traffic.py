"""A running switch carries what real programs send: between endpoints, out, and in.

All tests of this file share one switch with `web` on a veth end and `app` on a TAP. A capture in
the outside namespace runs all the while, and the last test reads it.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.linux import services
from tests.linux.lab import APP, GATEWAY, OUTSIDE, SUBNET, UPLINK, WEB, Lab, eventually, execute

pytestmark = pytest.mark.linux

BULK = os.urandom(1024 * 1024) * 50
"""50 MiB: long enough for windows to open and for the kernel to make super-frames."""

BULK_HASH = hashlib.sha256(BULK).hexdigest()

ETHERNET_FRAME = 1514
"""Bytes on the wire of the longest frame that is no super-frame, at the MTU of all links here."""

HASH_PORT, BULK_PORT, ECHO_PORT = 5001, 5002, 5003

PUBLISHED_HTTP, PUBLISHED_HASH, PUBLISHED_BULK, PUBLISHED_ECHO = 8080, 8001, 8002, 8003

PUBLISHED_IDLE, IDLE_PORT = 8004, 4

FIRST_OF_RANGE, RANGE = 9000, range(7000, 7004)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(tmp_path_factory.mktemp("traffic")) as lab:
        publish = [
            f"{PUBLISHED_HTTP}:80",
            f"{PUBLISHED_HASH}:{HASH_PORT}",
            f"{PUBLISHED_BULK}:{BULK_PORT}",
            f"{PUBLISHED_ECHO}:{ECHO_PORT}/udp",
            f"{PUBLISHED_IDLE}:{IDLE_PORT}",
            f"{PUBLISHED_IDLE}:{IDLE_PORT}/udp",
            f"{FIRST_OF_RANGE}-{FIRST_OF_RANGE + 3}:{RANGE[0]}-{RANGE[-1]}",
        ]
        lab.add_endpoint("web", kind="veth", publish=publish)
        lab.add_endpoint("app", kind="tap")
        lab.up()
        _start_servers(lab)
        yield lab


@pytest.fixture(scope="module", autouse=True)
def outside_capture(lab: Lab) -> Path:
    """All that comes to the outside host, from before the first test on."""
    file = lab.directory / "outside.pcap"
    options = ("-i", "eth0", "-Q", "in", "-s", "256", "-U", "--immediate-mode")
    lab.start("out", "tcpdump", "-Z", "root", *options, "-w", str(file))
    eventually(lambda: file.exists() and file.stat().st_size > 0, "tcpdump captures")
    return file


def _start_servers(lab: Lab) -> None:
    for role in ("web", "app", "out"):
        services.serve_http(lab.listen(role, "0.0.0.0", 80))
        services.serve_hash(lab.listen(role, "0.0.0.0", HASH_PORT))
        services.serve_bulk(lab.listen(role, "0.0.0.0", BULK_PORT), BULK)
        services.serve_udp_echo(lab.bind(role, "0.0.0.0", ECHO_PORT))
    for port in RANGE:
        services.serve_text(lab.listen("web", "0.0.0.0", port), f"web:{port}")


@pytest.mark.parametrize(
    ("role", "destination"),
    [
        ("app", WEB),
        ("web", APP),
        ("app", GATEWAY),
        ("app", OUTSIDE),
        ("web", OUTSIDE),
        ("app", UPLINK),
        ("out", UPLINK),
    ],
)
def test_ping_is_answered(lab: Lab, role: str, destination: str) -> None:
    assert lab.ping(role, destination)


def test_ping_too_big_for_one_frame_passes_between_endpoints(lab: Lab) -> None:
    assert lab.ping("app", "-s", "20000", WEB)


def test_outside_cannot_reach_an_inside_address(lab: Lab) -> None:
    lab.run("out", "ip", "route", "replace", SUBNET, "via", UPLINK)
    try:
        assert not lab.ping("out", "-W1", WEB)
        with pytest.raises((TimeoutError, ConnectionRefusedError)):
            _connect_briefly(lab, "out", WEB, 80)
    finally:
        lab.run("out", "ip", "route", "delete", SUBNET)


@pytest.mark.parametrize(
    ("role", "address", "hash_port", "bulk_port"),
    [
        pytest.param("app", WEB, HASH_PORT, BULK_PORT, id="tap to veth"),
        pytest.param("web", APP, HASH_PORT, BULK_PORT, id="veth to tap"),
        pytest.param("app", OUTSIDE, HASH_PORT, BULK_PORT, id="tap out by NAPT"),
        pytest.param("web", OUTSIDE, HASH_PORT, BULK_PORT, id="veth out by NAPT"),
        pytest.param("out", UPLINK, PUBLISHED_HASH, PUBLISHED_BULK, id="in by a publication"),
        pytest.param("app", UPLINK, PUBLISHED_HASH, PUBLISHED_BULK, id="hairpin"),
    ],
)
def test_bulk_arrives_whole_in_both_directions(
    lab: Lab, role: str, address: str, hash_port: int, bulk_port: int
) -> None:
    with lab.connect(role, address, hash_port) as upload:
        upload.sendall(BULK)
        upload.shutdown(socket.SHUT_WR)
        assert upload.makefile().read() == BULK_HASH
    with lab.connect(role, address, bulk_port) as download:
        assert services.digest_of(download) == BULK_HASH


@pytest.mark.parametrize(("role", "port"), [("app", "app"), ("web", "web")])
def test_bulk_crosses_a_port_in_super_frames(lab: Lab, role: str, port: str) -> None:
    before = lab.port(port)
    with lab.connect(role, OUTSIDE, HASH_PORT) as upload:
        upload.sendall(BULK)
        upload.shutdown(socket.SHUT_WR)
        upload.makefile().read()
    after = lab.port(port)
    frames = after["received_frames"] - before["received_frames"]
    octets = after["received_bytes"] - before["received_bytes"]
    assert octets > len(BULK)
    assert octets / frames > 2 * ETHERNET_FRAME


@pytest.mark.parametrize(
    ("role", "address", "port", "size", "seen"),
    [
        pytest.param("app", WEB, ECHO_PORT, 100, APP, id="tap to veth"),
        pytest.param("web", APP, ECHO_PORT, 100, WEB, id="veth to tap"),
        pytest.param("app", WEB, ECHO_PORT, 30_000, APP, id="fragments, tap to veth"),
        pytest.param("web", APP, ECHO_PORT, 30_000, WEB, id="fragments, veth to tap"),
        pytest.param("app", OUTSIDE, ECHO_PORT, 1000, UPLINK, id="out by NAPT"),
        pytest.param("out", UPLINK, PUBLISHED_ECHO, 1000, OUTSIDE, id="in by a publication"),
        pytest.param("app", UPLINK, PUBLISHED_ECHO, 1000, UPLINK, id="hairpin"),
    ],
)
def test_datagram_is_echoed(
    lab: Lab, role: str, address: str, port: int, size: int, seen: str
) -> None:
    datagram = os.urandom(size)
    with lab.open_socket(role, socket.SOCK_DGRAM) as client:
        client.connect((address, port))
        client.send(datagram)
        assert client.recv(65535) == seen.encode() + b" " + datagram


@pytest.mark.parametrize(
    ("role", "url", "seen"),
    [
        pytest.param("app", f"http://{WEB}/", APP, id="between endpoints"),
        pytest.param("app", f"http://{OUTSIDE}/", UPLINK, id="out by NAPT"),
        pytest.param("out", f"http://{UPLINK}:{PUBLISHED_HTTP}/", OUTSIDE, id="published"),
        pytest.param("app", f"http://{UPLINK}:{PUBLISHED_HTTP}/", UPLINK, id="hairpin"),
        pytest.param("web", f"http://{UPLINK}:{PUBLISHED_HTTP}/", UPLINK, id="hairpin to itself"),
        pytest.param("app", f"http://{GATEWAY}:{PUBLISHED_HTTP}/", UPLINK, id="by the gateway"),
    ],
)
def test_server_sees_this_client_address(lab: Lab, role: str, url: str, seen: str) -> None:
    assert lab.run(role, "curl", "-sS", "--max-time", "5", url).stdout == seen


def test_each_port_of_a_published_range_leads_to_its_own(lab: Lab) -> None:
    said = []
    for index in range(len(RANGE)):
        with lab.connect("out", UPLINK, FIRST_OF_RANGE + index) as connection:
            said.append(connection.makefile().read())
    assert said == [f"web:{port}" for port in RANGE]


def test_unpublished_port_is_silent_to_the_outside(lab: Lab) -> None:
    services.serve_text(lab.listen("web", "0.0.0.0", PUBLISHED_HTTP + 1), "leaked")
    with pytest.raises(TimeoutError):
        _connect_briefly(lab, "out", UPLINK, PUBLISHED_HTTP + 1)


def test_unpublished_port_is_refused_to_the_inside(lab: Lab) -> None:
    with pytest.raises(ConnectionRefusedError):
        lab.connect("app", GATEWAY, PUBLISHED_HTTP + 1)


def test_published_port_without_a_server_is_refused_by_the_endpoint(lab: Lab) -> None:
    with pytest.raises(ConnectionRefusedError):
        lab.connect("out", UPLINK, PUBLISHED_IDLE)


def test_time_to_live_that_ends_at_the_gateway_is_told_by_it(lab: Lab) -> None:
    done = lab.run("app", "ping", "-c1", "-W2", "-t1", OUTSIDE, check=False)
    assert f"From {GATEWAY} icmp_seq=1 Time to live exceeded" in done.stdout


def test_outside_host_that_is_not_there_is_told_unreachable(lab: Lab) -> None:
    done = lab.run("app", "ping", "-c1", "-W8", "198.51.100.77", check=False)
    assert f"From {GATEWAY} icmp_seq=1 Destination Host Unreachable" in done.stdout


def test_closed_outside_udp_port_is_told_to_the_endpoint_that_asked(lab: Lab) -> None:
    with lab.open_socket("app", socket.SOCK_DGRAM) as client:
        client.connect((OUTSIDE, IDLE_PORT))
        client.send(b"anybody there?")
        with pytest.raises(ConnectionRefusedError):
            client.recv(100)


def test_closed_published_udp_port_is_told_to_the_outsider_who_asked(lab: Lab) -> None:
    """By the endpoint, whose error quotes its own address: the last test looks for that."""
    with lab.open_socket("out", socket.SOCK_DGRAM) as client:
        client.connect((UPLINK, PUBLISHED_IDLE))
        client.send(b"anybody there?")
        with pytest.raises(ConnectionRefusedError):
            client.recv(100)


def test_ipv6_neighbours_find_each_other(lab: Lab) -> None:
    for role, other in (("app", "web"), ("web", "app")):
        assert lab.ping(role, "-6", f"{_link_local(lab, other)}%eth0")


def test_parallel_connections_share_the_uplink(lab: Lab) -> None:
    lab.start("out", "iperf3", "--server", "--one-off")
    listens = ("ss", "-Hltn", "sport = :5201")
    eventually(lambda: lab.run("out", *listens).stdout != "", "iperf3 listens")
    bulk = ("--parallel", "8", "--bytes", "64M", "--bidir")
    done = json.loads(lab.run("app", "iperf3", "--client", OUTSIDE, *bulk, "--json").stdout)
    for total in ("sum_received", "sum_received_bidir_reverse"):
        assert done["end"][total]["bytes"] > 0


def test_outside_never_sees_an_inside_address_or_station(lab: Lab, outside_capture: Path) -> None:
    """It reads all that the tests before it sent, and makes the same kinds of traffic itself."""
    for role, url in (
        ("app", f"http://{OUTSIDE}/"),
        ("app", f"http://{UPLINK}:{PUBLISHED_HTTP}/"),
        ("out", f"http://{UPLINK}:{PUBLISHED_HTTP}/"),
    ):
        lab.run(role, "curl", "-sS", "--max-time", "5", url)
    lab.ping("app", "-t1", OUTSIDE)
    lab.ping("web", OUTSIDE)
    eventually(lambda: "ICMP" in _read(outside_capture, "icmp"), "the capture has the ping")

    from_us = f"eth.src == {_uplink_mac(lab)}"
    assert _read(outside_capture, f"{from_us} and tcp and ip.src == {UPLINK}")
    assert _read(outside_capture, f"ip.addr == {SUBNET}") == ""
    assert _read(outside_capture, f"arp.src.proto_ipv4 == {SUBNET}") == ""
    for endpoint in ("app", "web"):
        assert _read(outside_capture, f"eth.addr == {_mac(lab, endpoint)}") == ""


def _connect_briefly(lab: Lab, role: str, address: str, port: int) -> None:
    with lab.open_socket(role) as client:
        client.settimeout(1.5)
        client.connect((address, port))


def _read(capture: Path, display_filter: str) -> str:
    return execute("tshark", "-r", str(capture), "-Y", display_filter).stdout


def _link_local(lab: Lab, role: str) -> str:
    shown = lab.run(role, "ip", "-o", "-6", "address", "show", "dev", "eth0", "scope", "link")
    return shown.stdout.split()[3].partition("/")[0]


def _mac(lab: Lab, role: str) -> str:
    return lab.run(role, "cat", "/sys/class/net/eth0/address").stdout.strip()


def _uplink_mac(lab: Lab) -> str:
    shown = lab.run("out", "ip", "neighbour", "show", UPLINK).stdout.split()
    return shown[shown.index("lladdr") + 1]
