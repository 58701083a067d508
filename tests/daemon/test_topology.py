"""How a switch hangs together, in one answer."""

from __future__ import annotations

from pathlib import Path
from random import Random

from tests.cli.topologies import uplink
from tests.daemon.test_api import Served
from vswitch.daemon.api.topology import topology
from vswitch.network.configuration import config
from vswitch.network.inventory import Inventory

CONFIGURATION = """
name = "lab"
[uplink]
interface = "eth1"
address = "192.0.2.50/24"
[networks.front]
subnet = "172.18.0.0/16"
[networks.quiet]
subnet = "172.19.0.0/16"
internal = true
[endpoints.web]
network = "front"
publish = ["8080:80"]
aliases = ["www"]
"""


def test_networks_and_endpoints_are_told_with_the_way_out() -> None:
    inventory = Inventory.of(config.parse(CONFIGURATION, "lab.toml"), Random(1))
    told = topology("lab", (uplink(),), inventory)
    assert (told.switch, told.uplinks) == ("lab", (uplink(),))
    networks = {each.name: (each.subnet, each.gateway, each.uplink) for each in told.networks}
    assert networks == {
        "bridge": ("172.17.0.0/16", "172.17.0.1", "uplink"),
        "front": ("172.18.0.0/16", "172.18.0.1", "uplink"),
        "quiet": ("172.19.0.0/16", "172.19.0.1", None),
    }
    (web,) = told.endpoints
    assert (web.name, web.network, web.kind, web.address) == ("web", "front", "tap", "172.18.0.2")
    assert (web.aliases, web.published) == (("www",), ("0.0.0.0:8080->80/tcp",))


def test_link_is_told_where_both_ends_are() -> None:
    text = (
        CONFIGURATION
        + """
        [endpoints.app]
        network = "front"
        links = ["web:site"]
        [endpoints.app.networks.bridge]
        """
    )
    inventory = Inventory.of(config.parse(text, "lab.toml"), Random(1))
    told = topology("lab", (uplink(),), inventory)
    links = {(each.name, each.network): each.links for each in told.endpoints if each.links}
    assert links == {("app", "front"): ("web:site",)}


def test_network_without_its_uplink_leads_nowhere(tmp_path: Path) -> None:
    served = Served(tmp_path)
    try:
        answer = served.ask("GET", "/v1/topology")
    finally:
        served.close()
    assert answer.status == 200
    assert {each["name"]: each["uplink"] for each in answer.body["networks"]} == {
        "bridge": None,
        "front": None,
    }
