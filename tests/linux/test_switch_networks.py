"""Networks that come and go while the switch runs: commands on them, apart from each other."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.linux.lab import OUTSIDE, VSWITCH, WEB, Done, Lab, eventually

pytestmark = pytest.mark.linux

ONE, TWO = "10.1.0.0/24", "10.2.0.0/24"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(tmp_path_factory.mktemp("networks")) as lab:
        lab.add_endpoint("web")
        lab.up()
        yield lab


@pytest.fixture(autouse=True)
def nothing_stays(lab: Lab) -> Iterator[None]:
    yield
    eventually(lambda: lab.endpoints() == ["web"], "the guests are gone")
    lab.ask("POST", "networks/prune")
    assert lab.table("status")["networks"] == ["bridge", "front"]


def network(lab: Lab, verb: str, *words: str, check: bool = True) -> Done:
    return lab.run("host", VSWITCH, "network", verb, "--switch", lab.name, *words, check=check)


def inspected(lab: Lab, name: str) -> dict[str, Any]:
    shown: dict[str, Any] = lab.table(f"networks/{name}")
    return shown


def run(lab: Lab, on: str, *command: str, name: str = "guest") -> Done:
    words = lab.command("run", "--network", on, "--name", name, "--", *command)
    return lab.run("host", *words, check=False)


def start(lab: Lab, on: str, name: str) -> subprocess.Popen[str]:
    """A command on a network that stays until it is told to end."""
    words = lab.command("run", "--network", on, "--name", name, "--")
    process = lab.start("host", *words, "sh", "-c", "echo up; exec sleep 60")
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    process.wait(10)


def test_commands_on_networks_that_were_just_made_reach_their_own_and_nobody_elses(
    lab: Lab,
) -> None:
    network(lab, "create", "--subnet", ONE, "one")
    network(lab, "create", "--subnet", TWO, "two")
    first = start(lab, "one", "first")
    own = run(lab, "one", "ping", "-c1", "-W2", "first")
    assert own.returncode == 0, own.stdout + own.stderr
    assert "(10.1.0.2)" in own.stdout
    for on, address in (("two", "10.1.0.2"), ("two", WEB), ("one", WEB), ("front", "10.1.0.2")):
        other = run(lab, on, "ping", "-c1", "-W1", address)
        assert (other.returncode, "0 received" in other.stdout) == (1, True), on
    out = run(lab, "two", "ping", "-c1", "-W2", OUTSIDE)
    assert out.returncode == 0, out.stdout
    end(first)


def test_network_is_removed_when_the_last_command_on_it_has_ended(lab: Lab) -> None:
    made = network(lab, "create", "one").stdout.strip()
    first = start(lab, made[:12], "first")
    assert [each["Name"] for each in inspected(lab, "one")["Containers"].values()] == ["first"]
    refused = network(lab, "rm", "one", check=False)
    assert refused.returncode == 1
    assert refused.stderr == "vswitch: network one has active endpoints (first)\n"
    end(first)
    eventually(lambda: lab.endpoints() == ["web"], "the guest is gone")
    assert network(lab, "rm", "one").stdout == "one\n"
    gone = run(lab, "one", "true")
    assert gone.returncode == 1
    assert gone.stderr.startswith("vswitch: network one not found")


def test_transfer_goes_on_while_networks_come_and_go(lab: Lab) -> None:
    listening = lab.listen("out", OUTSIDE, 7000)
    client = lab.connect("web", OUTSIDE, 7000)
    server, _ = listening.accept()
    server.settimeout(10)
    for number in range(3):
        lab.create_network("one")
        assert run(lab, "one", "ping", "-c1", "-W2", OUTSIDE).returncode == 0
        eventually(lambda: lab.endpoints() == ["web"], "the guest is gone")
        lab.remove_network("one")
        client.sendall(b"%d" % number)
        assert server.recv(1) == b"%d" % number
        server.sendall(b"!")
        assert client.recv(1) == b"!"
    for each in (client, server, listening):
        each.close()


def test_chosen_subnet_keeps_away_from_what_the_host_reaches(lab: Lab) -> None:
    lab.run("host", "ip", "address", "add", "172.19.4.1/24", "dev", "up0")
    try:
        lab.create_network("one")
    finally:
        lab.run("host", "ip", "address", "delete", "172.19.4.1/24", "dev", "up0")
    lab.create_network("two")
    subnets = [inspected(lab, name)["IPAM"]["Config"][0]["Subnet"] for name in ("one", "two")]
    assert subnets == ["172.20.0.0/16", "172.19.0.0/16"]


def test_addresses_and_the_default_route_are_as_the_network_says(lab: Lab) -> None:
    words = ("--subnet", ONE, "--ip-range", "10.1.0.128/25", "--mtu", "1400")
    auxiliary = ("--aux-address", "DefaultGatewayIPv4=10.1.0.9")
    network(lab, "create", *words, *auxiliary, "one")
    shown = run(lab, "one", "sh", "-c", "ip -4 address show eth0; ip route").stdout
    assert "inet 10.1.0.129/24" in shown
    assert "mtu 1400" in shown
    assert "default via 10.1.0.9 dev eth0" in shown


def test_vpn_that_comes_up_over_a_network_is_told_with_a_way_out(lab: Lab) -> None:
    network(lab, "create", "--subnet", ONE, "one")
    lab.run("host", "ip", "tuntap", "add", "dev", "vpn0", "mode", "tun")
    try:
        lab.run("host", "ip", "link", "set", "vpn0", "up")
        lab.run("host", "ip", "route", "add", "10.0.0.0/8", "dev", "vpn0")
        lab.wait_for_log(
            "network one: its subnet 10.1.0.0/24 overlaps 10.0.0.0/8, "
            "which the host has on a link: 172.19.0.0/24 is free"
        )
    finally:
        lab.run("host", "ip", "link", "delete", "vpn0")
