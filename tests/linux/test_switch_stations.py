"""A station that moves from one endpoint's port to another's, under traffic that goes on."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from scapy.layers.l2 import ARP, Ether

from tests.linux import services
from tests.linux.lab import OUTSIDE, UPLINK, WEB, Lab, eventually

pytestmark = pytest.mark.linux

ECHO_PORT = 7
"""RFC 862."""


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with Lab(tmp_path) as lab:
        lab.add_endpoint("web", kind="veth", publish=[f"{ECHO_PORT}:{ECHO_PORT}/udp"])
        lab.add_endpoint("app", kind="tap")
        lab.add_endpoint("spare", kind="tap")
        lab.up()
        yield lab


def test_station_keeps_its_conversations_when_it_moves_to_another_port(lab: Lab) -> None:
    services.serve_udp_echo(lab.bind("web", "0.0.0.0", ECHO_PORT))
    neighbour = lab.open_socket("app", socket.SOCK_DGRAM)
    neighbour.connect((WEB, ECHO_PORT))
    outsider = lab.open_socket("out", socket.SOCK_DGRAM)
    outsider.connect((UPLINK, ECHO_PORT))
    for _ in range(3):
        assert _echoes(neighbour)
        assert _echoes(outsider)
    station = lab.run("web", "cat", "/sys/class/net/eth0/address").stdout.strip()
    assert _port_of(lab, station) == "web"

    lab.run("web", "ip", "link", "set", "eth0", "down")
    _become(lab, "spare", station, WEB)
    services.serve_udp_echo(lab.bind("spare", "0.0.0.0", ECHO_PORT))
    _announce(lab, "spare", station, WEB)

    eventually(lambda: _port_of(lab, station) == "spare", "the station has moved")
    assert _echoes(neighbour)
    assert _echoes(outsider)
    eventually(lambda: lab.ping("spare", OUTSIDE), "it reaches the outside by its new port")


def _echoes(client: socket.socket) -> bool:
    client.send(b"still there?")
    return client.recv(1000).endswith(b"still there?")


def _port_of(lab: Lab, station: str) -> str:
    return next((row["port"] for row in lab.table("fdb") if row["mac"] == station), "nowhere")


def _become(lab: Lab, role: str, station: str, address: str) -> None:
    """Take a MAC and an IP address over without a word: IPv6 would speak of itself."""
    lab.run(role, "sysctl", "-q", "net.ipv6.conf.eth0.disable_ipv6=1")
    lab.run(role, "ip", "link", "set", "eth0", "down")
    lab.run(role, "ip", "address", "flush", "dev", "eth0")
    lab.run(role, "ip", "link", "set", "eth0", "address", station)
    lab.run(role, "ip", "address", "add", f"{address}/16", "dev", "eth0")
    lab.run(role, "ip", "link", "set", "eth0", "up")
    lab.run(role, "ip", "route", "add", "default", "via", "172.18.0.1")


def _announce(lab: Lab, role: str, station: str, address: str) -> None:
    """A gratuitous ARP request (RFC 5227, 3): the same address as sender and target."""
    message = ARP(op=1, hwsrc=station, psrc=address, pdst=address)
    frame = bytes(Ether(src=station, dst="ff:ff:ff:ff:ff:ff") / message)
    raw = lab.open_socket(role, socket.SOCK_RAW, socket.AF_PACKET)
    raw.bind(("eth0", 0))
    raw.send(frame)
