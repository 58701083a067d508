"""An uplink whose address a real DHCP server gives: dnsmasq, in the world outside."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.linux import services
from tests.linux.lab import OUTSIDE, Lab, eventually

pytestmark = pytest.mark.linux

STATION = "02:00:00:00:00:50"
FIRST, SECOND = "198.51.100.100", "198.51.100.120"
PUBLISHED, MAPPED = 8080, 7000

RENEWED_SOON = "--dhcp-option-force=58,3s"
"""T1. dnsmasq gives no lease for less than two minutes, and takes no less than this for its T1."""


class Server:
    """dnsmasq with one address to give."""

    def __init__(self, lab: Lab, address: str, *options: str) -> None:
        self._log = lab.directory / f"dnsmasq-{address}.log"
        self._process = lab.start(
            "out",
            *("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0"),
            *("--user=root", "--group=root", "--interface=eth0", "--bind-interfaces"),
            *("--dhcp-authoritative", "--no-ping", "--pid-file=", "--leasefile-ro"),
            f"--dhcp-range={address},{address},255.255.255.0,2m",
            f"--dhcp-option=option:router,{OUTSIDE}",
            *options,
            f"--log-facility={self._log}",
        )
        eventually(lambda: self.said("sockets bound exclusively") > 0, "dnsmasq listens")

    def said(self, words: str) -> int:
        """How many lines of the log have `words`."""
        text = self._log.read_text() if self._log.exists() else ""
        return sum(words in line for line in text.splitlines())

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with Lab(tmp_path) as lab:
        lab.uplink = {"address": "dhcp", "mac": STATION}
        lab.front["resets"] = True
        publish, mappings = [f"{PUBLISHED}:80"], [f"{MAPPED}:7000"]
        lab.add_endpoint("app", publish=publish, mappings=mappings)
        services.serve_http(lab.listen("out", "0.0.0.0", 80))
        yield lab


def test_there_is_no_outside_before_the_lease_and_after_the_end_it_is_given_back(lab: Lab) -> None:
    lab.up()
    assert (uplink(lab)["address"], uplink(lab)["dhcp"]) == ("none", "looks for a server")
    assert "no address at up0" in lab.vswitch("status").stdout
    refused = lab.run("app", "ping", "-c1", "-W2", OUTSIDE, check=False).stdout
    assert "From 172.18.0.1 icmp_seq=1 Destination Net Unreachable" in refused

    server = Server(lab, FIRST, "--dhcp-option=option:mtu,1400")
    wait_for(lab, FIRST)

    assert_reached(lab, FIRST)
    assert uplink(lab)["gateway"] == OUTSIDE
    assert uplink(lab)["mac"] == STATION
    assert 0 < uplink(lab)["expires_in_seconds"] <= 120
    shown = lab.vswitch("status").stdout
    assert f"{FIRST}/24 at up0 (packet, {STATION}), gateway {OUTSIDE}" in shown
    assert "by DHCP: has a lease, " in shown
    unfragmented = ("-M", "do", "-s", str(1401 - 28), OUTSIDE)
    too_long = lab.run("app", "ping", "-c1", "-W2", *unfragmented, check=False).stdout
    assert "Frag needed and DF set (mtu = 1400)" in too_long

    assert lab.down() == 0
    eventually(lambda: server.said(f"DHCPRELEASE(eth0) {FIRST} {STATION}") == 1, "it is released")
    assert lab.leftovers() == []
    assert lab.log_lines("ERROR") == []


def test_lease_is_renewed_and_another_one_ends_the_flows_of_the_old(lab: Lab) -> None:
    server = Server(lab, FIRST, RENEWED_SOON)
    lab.up()
    wait_for(lab, FIRST)
    flow = lab.connect("app", OUTSIDE, 80)
    acknowledged = f"DHCPACK(eth0) {FIRST}"
    before = server.said(acknowledged)
    eventually(lambda: server.said(acknowledged) > before, "the lease is renewed")
    assert server.said("DHCPDISCOVER") == 1
    assert len(lab.table("flows")) == 1

    server.stop()
    Server(lab, SECOND, RENEWED_SOON)
    wait_for(lab, SECOND)

    with pytest.raises(ConnectionResetError):
        flow.recv(1)
    assert lab.table("flows") == []
    assert lab.log_lines(f"{FIRST}/24 may not be used any more")
    assert_reached(lab, SECOND)


def uplink(lab: Lab) -> Any:
    return lab.table("status")["uplinks"][0]


def wait_for(lab: Lab, address: str) -> None:
    eventually(lambda: uplink(lab)["address"] == f"{address}/24", f"the switch has {address}")


def assert_reached(lab: Lab, address: str) -> None:
    """Out, and in by a published port and by a mapped one."""
    with lab.listen("app", "0.0.0.0", 80) as web, lab.listen("app", "0.0.0.0", 7000) as mapped:
        assert lab.run("app", "curl", "-sm10", f"http://{OUTSIDE}/").stdout == address
        for listening, port in ((web, PUBLISHED), (mapped, MAPPED)):
            with lab.connect("out", address, port):
                _, (client, _) = listening.accept()
                assert client == OUTSIDE
