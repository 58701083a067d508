"""Leases with the clients that people have: busybox's udhcpc, ISC's dhclient, a virtual machine.

One switch for all of them. A client configures what it is given with its own script, as its package
brings it, in the namespace that it runs in; what that writes into /etc is written into a copy. The
guest is a whole machine, which tells on its console what it has seen.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.linux import guest
from tests.linux.lab import APP, GATEWAY, OUTSIDE, PATIENCE, WEB, Lab, eventually

pytestmark = pytest.mark.linux

MACHINE = "172.18.0.4"
DOMAIN = "lab.example"
SHORT_LEASE_SECONDS = 3

_SCRIPTS = ("udhcpc", "dhcp", "alternatives", "ld.so.cache", "passwd", "group", "hosts")
"""Of /etc, as far as clients and their scripts look at it."""


@pytest.fixture(scope="module")
def module_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    guest.require_programs("busybox", "udhcpc", "dhclient")
    directory = tmp_path_factory.mktemp("leases")
    etc = directory / "etc"
    etc.mkdir()
    for each in filter(os.path.exists, (f"/etc/{each}" for each in _SCRIPTS)):
        copy: Any = shutil.copytree if os.path.isdir(each) else shutil.copy
        copy(each, etc / Path(each).name)
    (etc / "fstab").touch()
    with Lab(directory) as lab:
        lab.front |= {"dhcp": {"domain": DOMAIN, "range": "172.18.128.0/17"}}
        lab.add_network(
            "short", subnet="172.19.0.0/16", dhcp={"lease_time": f"{SHORT_LEASE_SECONDS}s"}
        )
        lab.add_endpoint("web")
        lab.add_endpoint("app")
        lab.add_machine("vm1")
        lab.add_endpoint("brief", network="short")
        lab.up()
        yield lab


@pytest.fixture
def lab(module_lab: Lab) -> Lab:
    if module_lab.daemon is None:
        module_lab.up()
    return module_lab


def resolv_conf(lab: Lab) -> Path:
    """What the clients of a test find and write as /etc/resolv.conf."""
    path = lab.directory / "etc" / "resolv.conf"
    path.write_text("")
    return path


def client(lab: Lab, role: str, *command: str) -> subprocess.Popen[str]:
    """Start a client in a namespace, with the lab's copy of /etc."""
    words = f'mount --bind {lab.directory / "etc"} /etc && exec "$@"'
    return lab.start(role, "sh", "-c", words, "sh", *command)


def bare(lab: Lab, role: str, interface: str = "eth0") -> None:
    """An interface as it is before anybody configures it."""
    lab.run(role, "ip", "address", "flush", "dev", interface)


def addresses(lab: Lab, role: str, interface: str = "eth0") -> list[str]:
    found = json.loads(lab.run(role, "ip", "-4", "-json", "address", "show", interface).stdout)
    return [f"{at['local']}/{at['prefixlen']}" for each in found for at in each["addr_info"]]


def leases(lab: Lab) -> dict[str, dict[str, Any]]:
    return {row["address"]: row for row in lab.table("leases")}


def udhcpc(lab: Lab, role: str, interface: str = "eth0", *options: str) -> subprocess.Popen[str]:
    words = ("-f", "-i", interface, "-s", "/etc/udhcpc/default.script", *options)
    return client(lab, role, "busybox", "udhcpc", *words)


def end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    process.communicate(timeout=10)


def test_udhcpc_gets_the_endpoints_address_and_goes_on_with_the_next_switch(lab: Lab) -> None:
    written = resolv_conf(lab)
    bare(lab, "app")
    process = udhcpc(lab, "app")
    eventually(lambda: addresses(lab, "app") == [f"{APP}/16"], "the script gives it its address")
    eventually(lambda: "nameserver" in written.read_text(), "the script writes its resolv.conf")
    assert written.read_text().split() == ["domain", DOMAIN, "nameserver", GATEWAY]
    assert f"default via {GATEWAY}" in lab.run("app", "ip", "route").stdout
    assert lab.ping("app", WEB)
    assert lab.ping("app", OUTSIDE)
    lease = leases(lab)[APP]
    assert (lease["endpoint"], lease["network"]) == ("app", "front")
    lab.down()
    lab.up()
    again = leases(lab)[APP]
    assert (again["station"], again["endpoint"]) == (lease["station"], "app")
    process.send_signal(signal.SIGUSR1)  # renew
    eventually(
        lambda: leases(lab)[APP]["expires_in_seconds"] < 3600,
        "the next switch knows the lease, and it goes on",
    )
    assert addresses(lab, "app") == [f"{APP}/16"]
    process.send_signal(signal.SIGUSR2)  # release
    eventually(lambda: APP not in leases(lab), "it gives the address back")
    end(process)


def test_station_behind_an_endpoint_is_a_guest_and_is_found_by_what_it_says(lab: Lab) -> None:
    resolv_conf(lab)
    lab.run("app", "ip", "link", "add", "link", "eth0", "guest0", "type", "macvlan")
    process = udhcpc(lab, "app", "guest0", "-x", "hostname:printer")
    eventually(lambda: addresses(lab, "app", "guest0") != [], "the guest has an address")
    (own,) = addresses(lab, "app", "guest0")
    address = own.removesuffix("/16")
    lease = leases(lab)[address]
    assert (lease["hostname"], lease["endpoint"]) == ("printer", None)
    assert address.startswith("172.18.1")
    known = {"MacAddress": lease["station"], "Name": "printer"}
    assert lab.table("networks/front")["Leases"][address] == known
    for name in ("printer", f"printer.{DOMAIN}"):
        assert address in lab.run("web", "getent", "ahostsv4", name).stdout
    refused = lab.vswitch("tap add", "late", "--network", "front", "--ip", address, check=False)
    assert f"Address already in use (leased to {lease['station']} (printer))" in refused.stderr
    shown = lab.vswitch("leases", "front").stdout
    assert " ".join(shown.splitlines()[-1].split()).startswith(
        f"front {address} {lease['station']} printer -"
    )
    assert lab.vswitch("leases release", address).stdout == f"{address}\n"
    assert address not in leases(lab)
    end(process)
    lab.run("app", "ip", "link", "delete", "guest0")


def test_dhclient_gets_a_lease_renews_it_and_gives_it_back(lab: Lab) -> None:
    written, files = resolv_conf(lab), lab.directory / "dhclient"
    bare(lab, "brief")
    words = ("-sf", "/sbin/dhclient-script", "-lf", f"{files}.leases", "-pf", f"{files}.pid")
    process = client(lab, "brief", "dhclient", "-d", "-v", *words, "eth0")
    assert process.stdout is not None
    bound = (line for line in process.stdout if line.startswith("bound to "))
    assert next(bound, None) is not None, "dhclient has its address, and its script is done"
    assert addresses(lab, "brief") == ["172.19.0.2/16"]
    assert "default via 172.19.0.1" in lab.run("brief", "ip", "route").stdout
    assert "nameserver 172.19.0.1" in written.read_text()
    assert next(bound, None) is not None, "it has renewed its lease"
    assert leases(lab)["172.19.0.2"]["endpoint"] == "brief"
    client(lab, "brief", "dhclient", "-r", *words, "eth0").communicate(timeout=30)
    process.communicate(timeout=30)
    eventually(lambda: "172.19.0.2" not in leases(lab), "it gives the address back")


STORY = """
hostname debian
udhcpc -i eth0 -n -q -t 20 -T 1 -O mtu -x hostname:debian -s /leased
nslookup -type=a web >/answer && echo "STAGE resolved $(grep -A 1 ^Name: /answer | tr '\\n' ' ')"
ping -c 1 -w 20 web >/dev/null && echo "STAGE pinged"
"""


def test_virtual_machine_gets_its_lease_and_finds_another_endpoint_by_its_name(lab: Lab) -> None:
    guest.require()
    card = "virtio-net-pci,netdev=net,mac=52:54:00:00:00:01,romfile="
    tap = "tap,id=net,ifname=vm1,script=no,downscript=no"
    words = guest.command(lab.directory, STORY, "-netdev", tap, "-device", card)
    console = lab.run("host", *words, timeout=guest.PATIENCE_SECONDS + PATIENCE).stdout
    reached = guest.stages(console)
    assert [*reached] == ["booted", "leased", "resolved", "pinged", "done"], console
    assert reached["leased"] == (
        f"{MACHINE}/16 router={GATEWAY} dns={GATEWAY} domain={DOMAIN} mtu=1500 lease=3600"
    )
    assert WEB in reached["resolved"]
    machine = lab.table("endpoints/vm1")
    assert machine["by_dhcp"]
    assert machine["lease"]["hostname"] == "debian"
    assert MACHINE in lab.run("web", "getent", "ahostsv4", "debian").stdout


def test_tap_says_how_its_guest_comes_to_its_address(lab: Lab) -> None:
    said = lab.vswitch("tap add", "vm2", "--network", "front").stdout
    assert lab.table("endpoints/vm2")["resolv_conf"] == ""
    machine = lab.table("endpoints/vm2")
    told = f"The guest gets {machine['address']} by DHCP, with gateway {GATEWAY}."
    assert said.splitlines()[-1] == told
    assert lab.ask("DELETE", "endpoints/vm2")[0] == 204
