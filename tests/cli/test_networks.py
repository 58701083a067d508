"""`vswitch network` as it is typed, against the control socket of a real daemon."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.daemon.test_api import Served
from vswitch.daemon.kernel import links
from vswitch.network.model import EndpointRequest

if TYPE_CHECKING:
    from tests.cli.conftest import Vswitch

SUBNET = "172.28.0.0/16"


@pytest.fixture
def served(run_directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """The one switch that runs, with the networks `bridge` and `front`."""
    monkeypatch.setattr(links, "on_link_subnets", list)
    directory = run_directory / "lab"
    directory.mkdir()
    served = Served(directory)
    try:
        assert served.daemon is not None
        for network in served.daemon.inventory.networks:
            served.daemon.networks.begin(network)
        yield served
    finally:
        served.close()


def lines(out: str) -> list[str]:
    return [" ".join(line.split()) for line in out.splitlines()]


def test_create_prints_the_id_and_nothing_else(vswitch: Vswitch, served: Served) -> None:
    outcome = vswitch("network", "create", "back")
    assert (outcome.status, outcome.err) == (0, "")
    assert re.fullmatch(r"[0-9a-f]{64}\n", outcome.out)
    assert served.ask("GET", "/v1/networks/back").body["Id"] == outcome.out.strip()


def test_flags_of_create_are_dockers(vswitch: Vswitch, served: Served) -> None:
    words = [
        *("network", "create", "-d", "bridge", "--subnet", SUBNET, "--gateway=172.28.5.254"),
        *("--ip-range", "172.28.5.0/24", "--aux-address", "a=172.28.1.5"),
        *("--aux-address", "b=172.28.1.6", "--label", "stage=test", "--label", "kept"),
        *("-o", "com.docker.network.bridge.enable_icc=true", "--mtu", "9000", "back"),
    ]
    assert vswitch(*words).err == ""
    shown = served.ask("GET", "/v1/networks/back").body
    assert shown["IPAM"]["Config"] == [
        {
            "Subnet": SUBNET,
            "IPRange": "172.28.5.0/24",
            "Gateway": "172.28.5.254",
            "AuxiliaryAddresses": {"a": "172.28.1.5", "b": "172.28.1.6"},
        }
    ]
    assert shown["Labels"] == {"stage": "test", "kept": ""}
    assert shown["Options"] == {
        "com.docker.network.bridge.enable_icc": "true",
        "com.docker.network.driver.mtu": "9000",
    }


def test_warning_does_not_come_into_the_way_of_the_id(vswitch: Vswitch, served: Served) -> None:
    outcome = vswitch("network", "create", "-o", "colour=red", "back")
    assert re.fullmatch(r"[0-9a-f]{64}\n", outcome.out)
    assert outcome.err == "vswitch: warning: option colour is unknown\n"


def test_list_has_dockers_columns_by_name(vswitch: Vswitch, served: Served) -> None:
    for name in ("net10", "net2"):
        vswitch("network", "create", name)
    outcome = vswitch("network", "ls")
    shown = lines(outcome.out)
    assert shown[0] == "NETWORK ID NAME DRIVER SCOPE"
    assert [line.split(maxsplit=1)[1] for line in shown[1:]] == [
        "bridge bridge local",
        "front bridge local",
        "host host local",
        "net2 bridge local",
        "net10 bridge local",
        "none null local",
    ]
    assert all(re.fullmatch(r"[0-9a-f]{12}", line.split()[0]) for line in shown[1:])


def test_ids_are_short_unless_asked_for_whole(vswitch: Vswitch, served: Served) -> None:
    whole = vswitch("network", "ls", "-q", "--no-trunc").out.split()
    assert [len(each) for each in whole] == [64] * 4
    assert vswitch("network", "ls", "--quiet").out.split() == [each[:12] for each in whole]
    assert lines(vswitch("network", "ls", "--no-trunc").out)[1].split()[0] == whole[0]


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        (("name=fro",), ["front"]),
        (("name=fro", "name=ba"), ["back", "front"]),
        (("driver=null",), ["none"]),
        (("driver=bridge", "name=n"), ["front"]),
        (("label=stage",), ["back"]),
        (("label=stage=test",), ["back"]),
        (("label=stage=live",), []),
        (("id=x",), []),
    ],
)
def test_list_may_be_filtered(
    vswitch: Vswitch, served: Served, filters: tuple[str, ...], found: list[str]
) -> None:
    vswitch("network", "create", "--label", "stage=test", "back")
    words = [word for each in filters for word in ("--filter", each)]
    shown = json.loads(vswitch("network", "ls", "--json", *words).out)
    assert [each["Name"] for each in shown] == found


def test_inspect_prints_a_list_of_what_is_there(vswitch: Vswitch, served: Served) -> None:
    outcome = vswitch("network", "inspect", "front", "bridge")
    assert outcome.status == 0
    assert outcome.out.startswith('[\n    {\n        "Name": "front",\n        "Id": "')
    there = {each["Name"]: each for each in served.ask("GET", "/v1/networks").body}
    assert json.loads(outcome.out) == [there["front"], there["bridge"]]


def test_inspect_shows_what_there_is_and_tells_what_is_not(
    vswitch: Vswitch, served: Served
) -> None:
    outcome = vswitch("network", "inspect", "frnt", "front", "x/y")
    assert outcome.status == 1
    assert [each["Name"] for each in json.loads(outcome.out)] == ["front"]
    assert outcome.err.splitlines() == [
        'vswitch: network frnt not found (did you mean "front"?)',
        "vswitch: network x/y not found (there is bridge, front, host, none)",
    ]


def test_rm_removes_what_it_can_and_says_by_its_status_that_one_stayed(
    vswitch: Vswitch, served: Served
) -> None:
    made = {name: vswitch("network", "create", name).out.strip() for name in ("one", "two")}
    outcome = vswitch("network", "rm", "one", "bridge", made["two"][:20], "three")
    assert (outcome.status, outcome.out) == (1, f"one\n{made['two'][:20]}\n")
    assert outcome.err.splitlines() == [
        "vswitch: bridge is a pre-defined network and cannot be removed",
        "vswitch: network three not found (there is bridge, front, host, none)",
    ]
    assert vswitch("network", "ls", "-q").out.count("\n") == 4


def test_rm_of_a_network_in_use_names_its_endpoints(vswitch: Vswitch, served: Served) -> None:
    assert served.daemon is not None
    for name in ("web", "db"):
        served.daemon.inventory.add_endpoint(EndpointRequest(name, "front"))
    outcome = vswitch("network", "rm", "front")
    assert outcome.status == 1
    assert outcome.err == "vswitch: network front has active endpoints (web, db)\n"


def test_forced_rm_of_what_is_not_there_is_no_mistake(vswitch: Vswitch, served: Served) -> None:
    outcome = vswitch("network", "rm", "-f", "three")
    assert (outcome.status, outcome.out, outcome.err) == (0, "", "")
    assert vswitch("network", "rm", "-f", "bridge").status == 1


def test_prune_asks_first(
    vswitch: Vswitch, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    vswitch("network", "create", "one")
    monkeypatch.setattr("typer.confirm", lambda _: False)
    assert "WARNING!" in vswitch("network", "prune").out
    assert served.ask("GET", "/v1/networks/one").status == 200
    outcome = vswitch("network", "prune", "-f")
    assert (outcome.status, outcome.out) == (0, "Deleted Networks:\none\n")
    assert vswitch("network", "prune", "-f").out == ""


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--subnet", "10.0.0.1/24"), "invalid network config: invalid subnet 10.0.0.1/24: "),
        (("--gateway", "10.0.0.1"), "every ip-range or gateway must have a corresponding subnet"),
        (
            ("--subnet", SUBNET, "--gateway", "172.28.0.1", "--gateway", "172.28.0.2"),
            "every ip-range or gateway must have a corresponding subnet",
        ),
        (
            ("--subnet", SUBNET, "--subnet", "10.0.0.0/24"),
            "bridge driver doesn't support multiple subnets",
        ),
        (("--aux-address", "a=10.0.0.1"), "no matching subnet for aux-address 10.0.0.1"),
        (("--ipv6",), "IPv6 is not supported yet"),
        (("-d", "macvlan"), "driver macvlan is not supported yet: allowed is bridge"),
        (("--mtu", "9"), "invalid MTU number: 9 (allowed is 68 to 65521)"),
    ],
)
def test_network_that_cannot_be_made_is_told_in_one_line(
    vswitch: Vswitch, served: Served, words: tuple[str, ...], told: str
) -> None:
    outcome = vswitch("network", "create", *words, "back")
    assert (outcome.status, outcome.out) == (1, "")
    assert outcome.err.startswith(f"vswitch: {told}")
    assert outcome.err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (("create",), 2, "NAME"),
        (("rm",), 2, "NETWORK"),
        (("create", "--mtu", "9000", "-o", "com.docker.network.driver.mtu=1400", "x"), 2, "same"),
        (("ls", "--filter", "colour=red"), 1, "invalid filter 'colour=red'"),
        (("inspect", ""), 1, "invalid network name or ID: value is empty"),
    ],
)
def test_wrong_command_line_is_told(
    vswitch: Vswitch, served: Served, words: tuple[str, ...], status: int, told: str
) -> None:
    outcome = vswitch("network", *words)
    assert outcome.status == status
    assert told in outcome.err


@pytest.mark.parametrize("verb", ["create", "ls", "inspect", "rm", "prune"])
def test_help_has_an_example(vswitch: Vswitch, verb: str) -> None:
    shown = vswitch("network", verb, "--help").out
    assert "Example:" in shown
    assert f"vswitch network {verb}" in shown
