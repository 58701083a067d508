"""What nmap finds on the uplink's address, and what a scan by one endpoint does to another.

Nothing here may look like a host of its own: what is not published says nothing to those outside,
and what is published says what its endpoint says.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.linux import services
from tests.linux.lab import OUTSIDE, PATIENCE, UPLINK, Lab

pytestmark = pytest.mark.linux

SERVED, IDLE, UNPUBLISHED = 8080, 8081, 8082
"""External ports: one with a server behind it, one with none, and one that leads nowhere."""

SERVER_PORT, IDLE_PORT = 5003, 4

LIVE_PORT = 5010
SCANNED = 2000
"""Ports that an endpoint tries on an outside host."""

FEW_CONNECTIONS = 500
"""In the whole switch: the scan alone wants four times as many."""

BRIEFLY = ("-n", "-Pn", "-T4", "--max-retries", "1", "-oG", "-")


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(tmp_path_factory.mktemp("scan")) as lab:
        publish = [f"{SERVED}:{SERVER_PORT}", f"{IDLE}:{IDLE_PORT}"]
        lab.add_endpoint("web", publish=[*publish, *(f"{port}/udp" for port in publish)])
        lab.add_endpoint("app")
        lab.up()
        services.serve_text(lab.listen("web", "0.0.0.0", SERVER_PORT), "hello")
        services.serve_udp_echo(lab.bind("web", "0.0.0.0", SERVER_PORT))
        yield lab


class CrampedLab(Lab):
    """A lab whose switch has a small connection table."""

    def write_configuration(self, *, interface: str = "up0") -> Path:
        path = super().write_configuration(interface=interface)
        with path.open("a") as file:
            file.write(f"\n[limits]\nconnections = {FEW_CONNECTIONS}\n")
        return path


@pytest.fixture(params=["default limits", "a small quota", "a small table"])
def scanning(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lab]:
    cramped = request.param == "a small table"
    with CrampedLab(tmp_path) if cramped else Lab(tmp_path) as lab:
        if request.param == "a small quota":
            lab.front["quotas"] = {"connections": FEW_CONNECTIONS}
        lab.add_endpoint("web")
        lab.add_endpoint("app")
        lab.up()
        yield lab


def test_syn_scan_from_outside_tells_published_ports_from_others(published: Lab) -> None:
    assert _scan(published, "out", "-sS", (SERVED, IDLE, UNPUBLISHED)) == {
        SERVED: "open",
        IDLE: "closed",
        UNPUBLISHED: "filtered",
    }


def test_udp_scan_from_outside_tells_published_ports_from_others(published: Lab) -> None:
    assert _scan(published, "out", "-sU", (SERVED, IDLE, UNPUBLISHED)) == {
        SERVED: "open",
        IDLE: "closed",
        UNPUBLISHED: "open|filtered",
    }


@pytest.mark.parametrize(
    ("technique", "state"),
    [
        pytest.param("-sA", "filtered", id="ACK"),
        pytest.param("-sM", "open|filtered", id="FIN and ACK"),
    ],
)
def test_odd_scan_from_outside_hears_nothing_where_nothing_is_published(
    published: Lab, technique: str, state: str
) -> None:
    """A host of its own would answer each of these with a reset."""
    assert _scan(published, "out", technique, (UNPUBLISHED,)) == {UNPUBLISHED: state}


def test_open_port_of_an_endpoint_is_not_found_without_a_publication(published: Lab) -> None:
    assert _scan(published, "out", "-sS", (SERVER_PORT,)) == {SERVER_PORT: "filtered"}


def test_scan_of_an_outside_host_finds_what_it_has(published: Lab) -> None:
    services.serve_text(published.listen("out", OUTSIDE, SERVER_PORT), "hello")
    assert _scan(published, "app", "-sS", (SERVER_PORT, IDLE_PORT), OUTSIDE) == {
        SERVER_PORT: "open",
        IDLE_PORT: "closed",
    }


def test_scan_by_one_endpoint_leaves_live_connections_of_another_alone(scanning: Lab) -> None:
    """One is used all the while, one is silent until the scan is over."""
    listening = scanning.listen("out", OUTSIDE, LIVE_PORT)
    busy, silent = (_connect(scanning, listening) for _ in range(2))
    options = ("-n", "-Pn", "-T4", "--max-retries", "1", "--host-timeout", "20")
    scan = scanning.start("web", "nmap", "-sS", *options, "-p", f"1-{SCANNED}", OUTSIDE)
    exchanges = 0
    while scan.poll() is None:
        _exchange(*busy)
        exchanges += 1
    assert exchanges > 0
    assert scan.stdout is not None
    assert "1 IP address (1 host up) scanned" in scan.stdout.read()
    for connection in (busy, silent):
        _exchange(*connection)
        _finish(*connection)


def _scan(
    lab: Lab, role: str, technique: str, ports: tuple[int, ...], address: str = UPLINK
) -> dict[int, str]:
    """What nmap calls each port."""
    listed = ",".join(map(str, ports))
    done = lab.run(role, "nmap", technique, *BRIEFLY, "-p", listed, address)
    return {int(port): state for port, state in re.findall(r"([0-9]+)/([a-z|]+)/", done.stdout)}


def _connect(lab: Lab, listening: socket.socket) -> tuple[socket.socket, socket.socket]:
    """Both ends of a connection from `app` that has carried something."""
    client = lab.connect("app", OUTSIDE, LIVE_PORT)
    server, _ = listening.accept()
    server.settimeout(PATIENCE)
    _exchange(client, server)
    return client, server


def _exchange(client: socket.socket, server: socket.socket) -> None:
    """A little of a slow transfer, in both directions."""
    for one, other in ((client, server), (server, client)):
        sent = os.urandom(1000)
        one.sendall(sent)
        assert other.recv(len(sent), socket.MSG_WAITALL) == sent


def _finish(client: socket.socket, server: socket.socket) -> None:
    for one, other in ((client, server), (server, client)):
        one.shutdown(socket.SHUT_WR)
        assert other.recv(1) == b""
