"""Paths that are narrower than their ends, and datagrams that are longer than a frame.

Behind the outside router is one more host, `far`. Two switches: for one, the narrow place is the
link between router and `far`; for the other, its own uplink, and still more its network `slim`.
Whoever sends learns of it in the words that its programs have for it, and what may be cut arrives
all the same.
"""

from __future__ import annotations

import hashlib
import os
import re
import socket
from collections.abc import Iterator

import pytest

from tests.linux import services
from tests.linux.lab import GATEWAY, OUTSIDE, UPLINK, Done, Lab

pytestmark = pytest.mark.linux

FAR = "192.0.2.9"
ROUTER_TO_FAR = "192.0.2.1"
STRANGER = "198.51.100.5"
"""One more address of the router, which nobody has spoken with."""

ORDINARY_MTU = 1500
NARROW_LINK = 1280
NARROW_UPLINK = 1400
NARROW_NETWORK = 1300

TCP_AND_IP_HEADERS = 20 + 20
UDP_AND_IP_HEADERS = 8 + 20
TIMESTAMPS = 12
"""Bytes of the option that Linux puts into every segment."""

HTTP_PORT, HASH_PORT, BULK_PORT, ECHO_PORT, SIZE_PORT = 80, 1, 2, 3, 4
PUBLISHED, PUBLISHED_SLIM = 8000, 9000
"""What is added to a port of `web` or of `slim` where it is published."""

IP_MTU_DISCOVER, IP_PMTUDISC_DO, IP_MTU = 10, 2, 14
"""Of linux/in.h, which the socket module does not name: never cut, and what fits."""

BULK = os.urandom(1024 * 1024) * 4
BULK_HASH = hashlib.sha256(BULK).hexdigest()

ONE_PROBE_A_HOP = ("-n", "-q1", "-w5", "-m5")


@pytest.fixture(scope="module")
def narrow_link(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(tmp_path_factory.mktemp("link")) as lab:
        _start(lab, far_mtu=NARROW_LINK)
        yield lab


@pytest.fixture(scope="module")
def narrow_uplink(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(tmp_path_factory.mktemp("uplink")) as lab:
        for role, link in (("host", "up0"), ("out", "eth0")):
            lab.run(role, "ip", "link", "set", link, "mtu", str(NARROW_UPLINK))
        _start(lab, far_mtu=ORDINARY_MTU)
        yield lab


@pytest.fixture(params=["narrow_link", "narrow_uplink"])
def lab(request: pytest.FixtureRequest) -> Lab:
    either: Lab = request.getfixturevalue(request.param)
    return either


def _start(lab: Lab, *, far_mtu: int) -> None:
    _add_far(lab, far_mtu)
    lab.add_network("slim", subnet="172.19.0.0/16", mtu=NARROW_NETWORK)
    for name, network, first in (("web", "front", PUBLISHED), ("slim", "slim", PUBLISHED_SLIM)):
        publish = [
            f"{first + HASH_PORT}:{HASH_PORT}",
            f"{first + ECHO_PORT}:{ECHO_PORT}/udp",
            f"{first + SIZE_PORT}:{SIZE_PORT}",
        ]
        lab.add_endpoint(name, kind="veth", network=network, publish=publish)
    lab.add_endpoint("app", kind="tap")
    lab.up()
    services.serve_http(lab.listen("far", FAR, HTTP_PORT))
    services.serve_bulk(lab.listen("far", FAR, BULK_PORT), BULK)
    for role in ("far", "web", "slim"):
        services.serve_hash(lab.listen(role, "0.0.0.0", HASH_PORT))
        services.serve_udp_echo(lab.bind(role, "0.0.0.0", ECHO_PORT))


def _add_far(lab: Lab, mtu: int) -> None:
    """`far` promises to take segments of an ordinary link: only the router knows better."""
    lab.create("far")
    peer = ("peer", "name", "eth0", "netns", lab.namespace("far"))
    lab.run("out", "ip", "link", "add", "far0", "mtu", str(mtu), "type", "veth", *peer)
    for role, link, address in (("out", "far0", ROUTER_TO_FAR), ("far", "eth0", FAR)):
        lab.run(role, "ip", "address", "add", f"{address}/24", "dev", link)
        lab.run(role, "ip", "link", "set", link, "up")
        lab.run(role, "sysctl", "-qw", "net.ipv4.icmp_ratelimit=0")
    lab.run("out", "sysctl", "-qw", "net.ipv4.ip_forward=1")
    promise = str(ORDINARY_MTU - TCP_AND_IP_HEADERS)
    lab.run(
        "far", "ip", "route", "add", "default", "via", ROUTER_TO_FAR,
        "mtu", str(mtu), "advmss", promise,
    )  # fmt: skip


@pytest.mark.parametrize(
    "method",
    [
        pytest.param((), id="UDP"),
        pytest.param(("-I",), id="ICMP"),
        pytest.param(("-T", "-p", str(HTTP_PORT)), id="TCP"),
    ],
)
def test_traceroute_names_gateway_router_and_target(
    narrow_link: Lab, method: tuple[str, ...]
) -> None:
    done = narrow_link.run("app", "traceroute", *ONE_PROBE_A_HOP, *method, FAR)
    assert _hops(done) == [GATEWAY, OUTSIDE, FAR]


def test_router_behind_tells_ping_how_much_fits(narrow_link: Lab) -> None:
    assert f"From {OUTSIDE} icmp_seq=1 Frag needed and DF set (mtu = {NARROW_LINK})" in _ping_whole(
        narrow_link, "app", 1400
    )
    assert _path_mtu(narrow_link, "app") == NARROW_LINK


def test_gateway_tells_ping_how_much_fits_into_the_uplink(narrow_uplink: Lab) -> None:
    words = f"From {GATEWAY} icmp_seq=1 Frag needed and DF set (mtu = {NARROW_UPLINK})"
    assert words in _ping_whole(narrow_uplink, "app", 1450)
    assert _path_mtu(narrow_uplink, "app") == NARROW_UPLINK


def test_tracepath_finds_the_narrow_link_behind_the_router(narrow_link: Lab) -> None:
    _forget_paths(narrow_link, "app")
    assert _told_by_tracepath(narrow_link, "app") == f"pmtu {NARROW_LINK} hops 3 back 3"


def test_tracepath_finds_the_narrow_uplink(narrow_uplink: Lab) -> None:
    _forget_paths(narrow_uplink, "app")
    assert _told_by_tracepath(narrow_uplink, "app") == f"pmtu {NARROW_UPLINK} hops 3 back 3"


def test_upload_learns_of_the_narrow_link_and_arrives_whole(narrow_link: Lab) -> None:
    for role in ("app", "web"):
        _forget_paths(narrow_link, role)
        assert _upload(narrow_link, role, FAR, HASH_PORT) == BULK_HASH
        assert _path_mtu(narrow_link, role) == NARROW_LINK


def test_bulk_passes_a_narrow_uplink_in_both_directions(narrow_uplink: Lab) -> None:
    for role in ("app", "web"):
        assert _upload(narrow_uplink, role, FAR, HASH_PORT) == BULK_HASH
        with narrow_uplink.connect(role, FAR, BULK_PORT) as download:
            assert services.digest_of(download) == BULK_HASH
    assert _upload(narrow_uplink, "far", UPLINK, PUBLISHED + HASH_PORT) == BULK_HASH


@pytest.mark.parametrize(
    ("client", "server", "address", "port", "narrowest"),
    [
        pytest.param("app", "far", FAR, SIZE_PORT, NARROW_UPLINK, id="out"),
        pytest.param("far", "web", UPLINK, PUBLISHED + SIZE_PORT, NARROW_UPLINK, id="in"),
        pytest.param("app", "web", UPLINK, PUBLISHED + SIZE_PORT, ORDINARY_MTU, id="hairpin"),
    ],
)
def test_both_ends_of_tcp_send_what_fits_from_the_start(
    narrow_uplink: Lab, client: str, server: str, address: str, port: int, narrowest: int
) -> None:
    """How much one end sends at once is the other's promise: lowered on its way."""
    for role in (client, server):
        _forget_paths(narrow_uplink, role)
    with (
        narrow_uplink.listen(server, "0.0.0.0", SIZE_PORT) as listening,
        narrow_uplink.connect(client, address, port) as connection,
        listening.accept()[0] as accepted,
    ):
        for end in (connection, accepted):
            size = end.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)
            assert size == narrowest - TCP_AND_IP_HEADERS - TIMESTAMPS


def test_sender_outside_is_told_how_much_fits_into_a_narrow_network(narrow_uplink: Lab) -> None:
    _forget_paths(narrow_uplink, "far")
    with narrow_uplink.open_socket("far", socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO)
        sender.connect((UPLINK, PUBLISHED_SLIM + ECHO_PORT))
        sender.send(bytes(NARROW_NETWORK))
        with pytest.raises(OSError, match="Message too long"):
            sender.recv(65535)
        assert sender.getsockopt(socket.IPPROTO_IP, IP_MTU) == NARROW_NETWORK
        seen = FAR.encode() + b" "
        fits = os.urandom(NARROW_NETWORK - UDP_AND_IP_HEADERS - len(seen))
        sender.send(fits)
        assert sender.recv(65535) == seen + fits


@pytest.mark.parametrize(
    ("role", "address"),
    [
        ("app", FAR),
        ("web", FAR),
        ("app", OUTSIDE),
        ("app", GATEWAY),
        ("web", GATEWAY),
        ("app", UPLINK),
        ("out", UPLINK),
        ("far", UPLINK),
    ],
)
def test_ping_longer_than_any_frame_is_answered(lab: Lab, role: str, address: str) -> None:
    assert lab.ping(role, "-s", "5000", address)


@pytest.mark.parametrize(
    ("role", "address", "port", "seen"),
    [
        pytest.param("app", FAR, ECHO_PORT, UPLINK, id="out by NAPT, from a tap"),
        pytest.param("web", FAR, ECHO_PORT, UPLINK, id="out by NAPT, from a veth end"),
        pytest.param("far", UPLINK, PUBLISHED + ECHO_PORT, FAR, id="in by a publication"),
        pytest.param("far", UPLINK, PUBLISHED_SLIM + ECHO_PORT, FAR, id="in to slim"),
        pytest.param("slim", FAR, ECHO_PORT, UPLINK, id="out of slim"),
        pytest.param("app", UPLINK, PUBLISHED_SLIM + ECHO_PORT, UPLINK, id="hairpin to slim"),
        pytest.param("app", UPLINK, PUBLISHED + ECHO_PORT, UPLINK, id="hairpin"),
        pytest.param("web", UPLINK, PUBLISHED + ECHO_PORT, UPLINK, id="hairpin to itself"),
    ],
)
@pytest.mark.parametrize("size", [8000, 60_000])
def test_datagram_longer_than_any_frame_is_echoed(
    lab: Lab, role: str, address: str, port: int, seen: str, size: int
) -> None:
    datagram = os.urandom(size)
    with lab.open_socket(role, socket.SOCK_DGRAM) as client:
        client.connect((address, port))
        client.send(datagram)
        assert client.recv(65535) == seen.encode() + b" " + datagram


def test_first_datagram_to_a_host_that_was_never_met_arrives_whole(narrow_link: Lab) -> None:
    """All of its fragments wait until the host has said which station it is."""
    narrow_link.run("out", "ip", "address", "add", f"{STRANGER}/24", "dev", "eth0")
    services.serve_udp_echo(narrow_link.bind("out", STRANGER, ECHO_PORT))
    datagram = os.urandom(8000)
    with narrow_link.open_socket("app", socket.SOCK_DGRAM) as client:
        client.connect((STRANGER, ECHO_PORT))
        client.send(datagram)
        assert client.recv(65535) == UPLINK.encode() + b" " + datagram


def _hops(done: Done) -> list[str]:
    return re.findall(r"(?m)^ *[0-9]+  (\S+) ", done.stdout)


def _ping_whole(lab: Lab, role: str, size: int) -> str:
    """What ping says of one echo request to `far` with so many bytes, which nobody may cut."""
    _forget_paths(lab, role)
    command = ("ping", "-c1", "-W2", "-M", "do", "-s", str(size), FAR)
    return lab.run(role, *command, check=False).stdout


def _told_by_tracepath(lab: Lab, role: str) -> str:
    found = re.search(r"Resume: (.*\S)", lab.run(role, "tracepath", "-n", "-m5", FAR).stdout)
    assert found
    return found[1]


def _upload(lab: Lab, role: str, address: str, port: int) -> str:
    """What the other end says is the hash of what it got."""
    with lab.connect(role, address, port) as upload:
        upload.sendall(BULK)
        upload.shutdown(socket.SHUT_WR)
        return upload.makefile().read()


def _forget_paths(lab: Lab, role: str) -> None:
    lab.run(role, "ip", "route", "flush", "cache")


def _path_mtu(lab: Lab, role: str) -> int | None:
    """What the kernel has learned about the way to `far`."""
    found = re.search(r" mtu ([0-9]+)", lab.run(role, "ip", "route", "get", FAR).stdout)
    return int(found[1]) if found else None
