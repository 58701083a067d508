"""Endpoints on several networks: interfaces, the way out and names come and go with them."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.linux import services
from tests.linux.lab import OUTSIDE, UPLINK, Lab, eventually

pytestmark = pytest.mark.linux

KINDS = pytest.mark.parametrize("kind", ["tap", "veth"])

API = "172.30.0.2"
WORKER = "172.30.0.3"


@pytest.fixture(scope="module")
def module_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(tmp_path_factory.mktemp("several")) as lab:
        lab.add_network("back", subnet="172.30.0.0/24")
        lab.add_network("quiet", subnet="172.31.0.0/24", internal=True)
        lab.add_endpoint("api", network="back")
        lab.up()
        yield lab


@pytest.fixture
def lab(module_lab: Lab) -> Iterator[Lab]:
    """With a namespace `guest`, that goes with all that was attached."""
    module_lab.create("guest")
    yield module_lab
    module_lab.delete("guest")
    eventually(lambda: module_lab.endpoints() == ["api"], "the guest is gone")


def attach(lab: Lab, *options: str) -> None:
    lab.vswitch("attach", lab.namespace("guest"), "--name", "web", *options)


def interfaces(lab: Lab) -> dict[str, str]:
    links = json.loads(lab.run("guest", "ip", "-json", "-4", "address").stdout)
    return {each["ifname"]: each["addr_info"][0]["local"] for each in links[1:]}


def way_out(lab: Lab) -> list[str]:
    routes = json.loads(lab.run("guest", "ip", "-json", "route", "show", "default").stdout)
    return [each["dev"] for each in routes]


def resolved(lab: Lab, role: str, name: str) -> list[str]:
    asked = lab.run(role, "dig", "@127.0.0.11", "+short", "+tries=1", name)
    return asked.stdout.split()


@KINDS
def test_connected_endpoint_reaches_both_networks_and_is_reached_by_its_names(
    lab: Lab, kind: str
) -> None:
    attach(lab, "--network", "front", "--kind", kind)
    lab.vswitch("network connect", "--alias", "www", "back", "web")
    assert interfaces(lab) == {"eth0": "172.18.0.2", "eth1": WORKER}
    assert way_out(lab) == ["eth0"]
    assert lab.ping("guest", API)
    assert lab.ping("guest", OUTSIDE)
    assert resolved(lab, "guest", "api") == [API]
    assert resolved(lab, "api", "www") == [WORKER]
    lab.vswitch("network disconnect", "back", "web")
    assert interfaces(lab) == {"eth0": "172.18.0.2"}
    assert resolved(lab, "api", "www") == []
    assert not lab.ping("guest", API)


def test_way_out_and_published_ports_follow_the_network_that_leads_out(lab: Lab) -> None:
    attach(lab, "--network", "front", "--network", "name=back,gw-priority=1", "-p", "8080:80")
    services.serve_text(lab.listen("guest", "0.0.0.0", 80), "hello")
    url = f"telnet://{UPLINK}:8080"

    def answers() -> bool:
        done = lab.run("out", "curl", "-s", "--max-time", "2", url, check=False)
        return done.stdout == "hello" and lab.ping("guest", OUTSIDE)

    assert way_out(lab) == ["eth1"]
    assert answers()
    lab.vswitch("network disconnect", "back", "web")
    assert way_out(lab) == ["eth0"]
    assert answers()


def test_internal_network_alone_has_no_way_out_until_there_is_another(lab: Lab) -> None:
    attach(lab, "--network", "quiet")
    assert way_out(lab) == []
    lab.vswitch("network connect", "front", "web")
    assert way_out(lab) == ["eth1"]
    assert lab.ping("guest", OUTSIDE)
    lab.vswitch("network disconnect", "front", "web")
    assert way_out(lab) == []


def test_interface_that_is_deleted_inside_is_a_network_that_is_left(lab: Lab) -> None:
    attach(lab, "--network", "front", "--network", "back")
    lab.run("guest", "ip", "link", "delete", "eth1")
    eventually(lambda: list(interfaces(lab)) == ["eth0"], "one interface is left")
    eventually(lambda: members(lab, "back") == ["api"], "the network is left")
    assert lab.ping("guest", OUTSIDE)
    assert lab.endpoints() == ["api", "web"]


def members(lab: Lab, network: str) -> list[str]:
    (found,) = json.loads(lab.vswitch("network inspect", network).stdout)
    return sorted(each["Name"] for each in found["Containers"].values())


def test_ends_of_lines_that_can_not_be_are_told_and_leave_nothing(lab: Lab) -> None:
    attach(lab, "--network", "front")
    lab.run("guest", "ip", "link", "add", "eth1", "type", "veth")
    refused = lab.vswitch("network connect", "back", "web", check=False)
    assert refused.returncode == 1
    assert "cannot set" in refused.stderr
    assert "eth1" in refused.stderr
    assert members(lab, "back") == ["api"]
    assert way_out(lab) == ["eth0"]
    twice = lab.vswitch("network connect", "front", "web", check=False)
    assert twice.stderr == "vswitch: web is already attached to network front\n"


def test_command_beside_the_switch_stays_there(lab: Lab) -> None:
    both = lab.vswitch("run", "--network", "front", "--network", "none", "--", "true", check=False)
    words = "container cannot be connected to multiple networks"
    assert both.stderr == f"vswitch: {words} with one of the networks in private (none) mode\n"
    attach(lab, "--network", "front")
    host = lab.vswitch("network connect", "host", "web", check=False)
    assert "cannot be connected to any other network" in host.stderr
