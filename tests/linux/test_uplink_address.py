"""The host's address changes, goes and comes back while a switch shares it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.linux import services
from tests.linux.lab import HOST, OUTSIDE, Lab, eventually

pytestmark = pytest.mark.linux

OTHER = "198.51.100.33"
PUBLISHED, MAPPED = 8080, 62000


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with Lab(tmp_path) as lab:
        lab.uplink = {"address": "host", "gateway": OUTSIDE}
        lab.front["resets"] = True
        lab.add_endpoint("app", publish=[f"{PUBLISHED}:80"], mappings=[f"{MAPPED}:5000/udp"])
        lab.up()
        services.serve_http(lab.listen("app", "0.0.0.0", 80))
        services.serve_http(lab.listen("out", "0.0.0.0", 80))
        yield lab


def test_flows_of_another_address_end_and_new_ones_have_the_new_one(lab: Lab) -> None:
    connection = conversation(lab)
    lab.run("host", "sysctl", "-w", "net.ipv4.conf.all.promote_secondaries=1")
    change(lab, "add", OTHER)
    change(lab, "delete", HOST)
    eventually(lambda: uplink(lab)["address"] == f"{OTHER}/24", "the switch has the new address")

    with pytest.raises(ConnectionResetError):
        connection.recv(1)
    assert lab.table("flows") == []
    assert uplink(lab)["guard"] is not None
    assert fetch(lab, "app", OUTSIDE) == OTHER
    assert fetch(lab, "out", OTHER, PUBLISHED) == OUTSIDE
    assert_mapped(lab, OTHER)
    held = lab.run("host", "ss", "-Hltun").stdout
    assert f"{OTHER}:{PUBLISHED}" in held
    assert f"{HOST}:" not in held


def test_flows_of_an_address_that_was_away_go_on(lab: Lab) -> None:
    connection = conversation(lab)
    change(lab, "delete", HOST)
    eventually(lambda: uplink(lab)["address"] == "none", "the switch has no address")
    refused = lab.run("app", "ping", "-c1", "-W2", OUTSIDE, check=False).stdout
    assert "Destination Net Unreachable" in refused
    assert uplink(lab)["guard"] is None
    assert "no address at up0" in lab.vswitch("status").stdout

    change(lab, "add", HOST)
    eventually(lambda: uplink(lab)["address"] == f"{HOST}/24", "the address is back")

    assert_goes_on(connection)
    assert fetch(lab, "app", OUTSIDE) == HOST
    assert fetch(lab, "out", HOST, PUBLISHED) == OUTSIDE
    assert_mapped(lab, HOST)
    assert f"{HOST}:{PUBLISHED}" in lab.run("host", "ss", "-Hltun").stdout


def test_address_of_a_subnet_inside_is_not_shared(lab: Lab) -> None:
    change(lab, "add", "172.18.9.9")
    change(lab, "delete", HOST)
    words = "nothing leaves by it: 172.18.9.0/24 overlaps 172.18.0.0/16 of network front"
    lab.wait_for_log(words)
    assert uplink(lab)["address"] == "none"


def test_interface_that_goes_takes_the_way_out_along(lab: Lab) -> None:
    lab.run("host", "ip", "link", "delete", "up0")
    lab.wait_for_log("the uplink: its interface is gone")
    refused = lab.run("app", "ping", "-c1", "-W2", OUTSIDE, check=False).stdout
    assert "Destination Net Unreachable" in refused
    assert "Traceback" not in lab.log()
    assert lab.down() == 0


def change(lab: Lab, verb: str, address: str) -> None:
    lab.run("host", "ip", "address", verb, f"{address}/24", "dev", "up0")


def uplink(lab: Lab) -> Any:
    return lab.table("status")["uplinks"][0]


def fetch(lab: Lab, role: str, address: str, port: int = 80) -> str:
    return lab.run(role, "curl", "-sm10", f"http://{address}:{port}/").stdout


def conversation(lab: Lab) -> socket.socket:
    """A connection of `app` to an HTTP server outside, which waits for the request."""
    connection = lab.connect("app", OUTSIDE, 80)
    eventually(lambda: len(lab.table("flows")) == 1, "the connection is a flow")
    return connection


def assert_goes_on(connection: socket.socket) -> None:
    connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
    assert connection.makefile().read().endswith(HOST)


def assert_mapped(lab: Lab, address: str) -> None:
    """Whoever begins: the static mapping has its port on this address."""
    with lab.bind("out", OUTSIDE, 5001) as outer, lab.bind("app", "0.0.0.0", 5000) as inner:
        outer.sendto(b"in", (address, MAPPED))
        assert inner.recv(10) == b"in"
        inner.sendto(b"out", (OUTSIDE, 5001))
        assert outer.recvfrom(10) == (b"out", (address, MAPPED))
