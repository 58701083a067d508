"""Policy between real programs: what a configuration shuts, and filters that come live."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.linux import services
from tests.linux.lab import APP, GATEWAY, OUTSIDE, UPLINK, VSWITCH, WEB, Lab

pytestmark = pytest.mark.linux

VAULT = "172.20.0.2"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """`web` and `app` on a network with `icc` off, `safe` on an internal one, a server outside."""
    with Lab(tmp_path_factory.mktemp("policy")) as lab:
        lab.front |= {"icc": False, "spoof_guard": True}
        lab.add_network("vault", subnet="172.20.0.0/16", internal=True)
        lab.add_endpoint("web", publish=["8080:80"])
        lab.add_endpoint("app")
        lab.add_endpoint("safe", network="vault")
        lab.up()
        services.serve_text(lab.listen("out", OUTSIDE, 80), "outside")
        services.serve_text(lab.listen("web", WEB, 80), "web")
        yield lab


@pytest.fixture
def lab(running: Lab) -> Iterator[Lab]:
    """After each test there is no filter."""
    yield running
    for row in running.table("filters"):
        running.ask("DELETE", f"filters/{row['number']}")


def filter_(lab: Lab, *words: str) -> str:
    return lab.run("host", VSWITCH, "filter", *words, "--switch", lab.name).stdout.strip()


def heard(lab: Lab, role: str, address: str, port: int = 80) -> str:
    """What a server says to who connects."""
    with lab.connect(role, address, port) as connection:
        return connection.makefile().read()


def test_endpoints_reach_everything_but_each_other(lab: Lab) -> None:
    assert lab.ping("app", GATEWAY)
    assert lab.ping("app", OUTSIDE)
    assert not lab.ping("app", WEB)
    assert not lab.ping("web", APP)
    assert lab.table("status")["drops"]["endpoints_isolated"] >= 2


def test_published_port_is_open_to_neighbours_all_the_same(lab: Lab) -> None:
    assert heard(lab, "app", UPLINK, 8080) == heard(lab, "out", UPLINK, 8080) == "web"


def test_internal_network_has_no_way_out_and_its_gateway_answers(lab: Lab) -> None:
    routes = lab.run("safe", "ip", "-4", "route").stdout
    assert "default" not in routes
    assert lab.ping("safe", "172.20.0.1")
    lab.run("safe", "ip", "route", "add", "default", "via", "172.20.0.1")
    with pytest.raises(OSError, match="No route to host"):
        lab.connect("safe", OUTSIDE, 80)


def test_guest_that_takes_another_address_is_not_heard(lab: Lab) -> None:
    lab.run("app", "ip", "address", "add", "172.18.0.99/16", "dev", "eth0")
    assert not lab.ping("app", "-I", "172.18.0.99", OUTSIDE)
    assert lab.ping("app", OUTSIDE)
    assert lab.table("status")["drops"]["address_spoofed"] >= 1


def test_filter_ends_the_connections_that_it_is_about_and_no_other(lab: Lab) -> None:
    listening = lab.listen("out", OUTSIDE, 7)
    talks: dict[str, tuple[socket.socket, socket.socket]] = {}
    for role in ("app", "web"):
        near = lab.connect(role, OUTSIDE, 7)
        talks[role] = near, listening.accept()[0]
    number = filter_(lab, "add", "reject", "--source", APP, "--protocol", "tcp", "--port", "7")
    near, far = talks["web"]
    near.sendall(b"still here")
    assert far.recv(100) == b"still here"
    near, _ = talks["app"]
    near.sendall(b"hello?")
    with pytest.raises(ConnectionResetError):
        near.recv(1)
    with pytest.raises(ConnectionRefusedError):
        lab.connect("app", OUTSIDE, 7)
    assert heard(lab, "app", OUTSIDE) == "outside"
    filter_(lab, "rm", number)
    lab.connect("app", OUTSIDE, 7)


def test_only_one_client_outside_reaches_what_is_published(lab: Lab) -> None:
    lab.run("out", "ip", "address", "add", "198.51.100.8/24", "dev", "eth0")
    number = filter_(lab, "add", "reject", "--in", "uplink")
    client = ("--in", "uplink", "--source", "198.51.100.8")
    filter_(lab, "add", "return", *client, "--before", number)
    with pytest.raises(ConnectionRefusedError):
        lab.connect("out", UPLINK, 8080)
    allowed = lab.open_socket("out")
    allowed.bind(("198.51.100.8", 0))
    allowed.connect((UPLINK, 8080))
    assert allowed.makefile().read() == "web"


def test_logged_flow_stands_in_the_log(lab: Lab) -> None:
    number = filter_(lab, "add", "log", "--protocol", "tcp", "--port", "80", "--source", APP)
    assert heard(lab, "app", OUTSIDE) == "outside"
    lab.wait_for_log(f"filter {number}: front to uplink: tcp {APP}:")


def test_accepted_flow_passes_where_icc_shuts_it(lab: Lab) -> None:
    filter_(lab, "add", "accept", "--in", "front", "--out", "front", "--source", APP)
    assert heard(lab, "app", WEB) == "web"
    assert not lab.ping("web", APP)


def test_trace_names_the_rule(lab: Lab) -> None:
    number = filter_(lab, "add", "drop", "--in", "front", "--protocol", "udp", "--port", "53")
    words = f"app udp {APP}:5000 > {OUTSIDE}:53"
    told = lab.run("host", VSWITCH, "trace", "--switch", lab.name, *words.split()).stdout
    assert f"filter {number} says drop in front udp port 53" in told
    assert "filter_dropped" in told
