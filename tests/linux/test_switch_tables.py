"""What a running switch tells about itself: tables, JSON, and to whom."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.linux import services
from tests.linux.lab import (
    APP,
    ORDINARY_USER,
    OUTSIDE,
    UPLINK,
    VSWITCH,
    WEB,
    Lab,
)

pytestmark = pytest.mark.linux

TABLES = ("flows", "fdb", "neighbours", "ports", "status")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(tmp_path_factory.mktemp("tables")) as lab:
        lab.add_endpoint("web", kind="veth", publish=["8080:80"])
        lab.add_endpoint("app", kind="tap")
        lab.up()
        services.serve_http(lab.listen("web", "0.0.0.0", 80))
        assert lab.ping("app", WEB)
        assert lab.ping("app", OUTSIDE)
        lab.run("out", "curl", "-sS", "--max-time", "5", f"http://{UPLINK}:8080/")
        yield lab


@pytest.mark.parametrize("table", TABLES)
def test_table_is_plain_columns_in_a_pipe(lab: Lab, table: str) -> None:
    shown = lab.vswitch(table).stdout
    assert shown.isascii()
    assert "\x1b" not in shown
    assert max(map(len, shown.splitlines())) < 200


def test_table_is_drawn_on_a_terminal(lab: Lab) -> None:
    command = " ".join(lab.command("ports"))
    shown = lab.run("host", "script", "--quiet", "--return", "--command", command, "/dev/null")
    assert "┃" in shown.stdout


@pytest.mark.parametrize("table", TABLES)
def test_table_is_json_on_demand(lab: Lab, table: str) -> None:
    shown, told = json.loads(lab.vswitch(table, "--json").stdout), lab.table(table)
    assert shown
    assert type(shown) is type(told)
    assert len(shown) == len(told)


def test_flows_tell_both_directions_of_origin_and_their_translation(lab: Lab) -> None:
    flows = {(row["protocol"], row["translation"].split(":")[0]) for row in lab.table("flows")}
    assert ("icmp", f"source {UPLINK}") in flows
    assert ("tcp", f"destination {WEB}") in flows


def test_fdb_knows_both_stations(lab: Lab) -> None:
    found = {(row["mac"], row["port"]) for row in lab.table("fdb") if row["network"] == "front"}
    assert found == {(_mac(lab, role), role) for role in ("web", "app")}


def test_neighbours_are_those_that_the_switch_had_to_reach(lab: Lab) -> None:
    known = {row["address"]: row["mac"] for row in lab.table("neighbours")}
    assert known[APP] == _mac(lab, "app")
    assert known[WEB] == _mac(lab, "web")
    assert known[OUTSIDE] == _mac(lab, "out")


def test_ports_count_frames_and_name_their_device(lab: Lab) -> None:
    devices = {row["name"]: row["device"] for row in lab.table("ports")}
    assert devices == {"uplink": "afpacket", "web": "afpacket", "app": "tap"}
    assert all(row["received_frames"] > 0 < row["sent_frames"] for row in lab.table("ports"))


def test_status_names_the_switch_and_what_is_on_it(lab: Lab) -> None:
    status = lab.table("status")
    assert lab.daemon is not None
    assert (status["name"], status["pid"]) == (lab.name, lab.daemon.pid)
    assert status["endpoints"] == ["web", "app"]
    (uplink,) = status["uplinks"]
    assert (uplink["address"], uplink["interface"]) == (f"{UPLINK}/24", "up0")


def test_reader_that_leaves_early_is_no_error(lab: Lab) -> None:
    command = " ".join(lab.command("ports"))
    done = lab.run("host", "bash", "-c", f"set -o pipefail; {command} | true", check=False)
    assert done.stderr == ""


def test_unknown_switch_is_told_with_those_that_run(lab: Lab) -> None:
    done = lab.run("host", VSWITCH, "flows", "--switch", "no-such", check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("vswitch: no switch named no-such is running (running: ")
    assert lab.name in done.stderr


def test_ordinary_user_may_not_look(lab: Lab) -> None:
    done = lab.run("host", *ORDINARY_USER, *lab.command("flows"), check=False)
    assert done.returncode == 1
    assert "may only be used by root, and by the group that its switch names" in done.stderr


def test_without_a_choice_between_several_switches_they_are_named(lab: Lab, tmp_path: Path) -> None:
    with Lab(tmp_path) as other:
        other.up()
        done = lab.run("host", VSWITCH, "status", check=False)
        assert done.returncode == 1
        assert done.stderr.startswith("vswitch: several switches are running: say --switch NAME")
        assert lab.name in done.stderr
        assert other.name in done.stderr
        assert other.table("status")["endpoints"] == []


def test_process_in_the_switchs_own_namespace_gets_no_endpoint(lab: Lab) -> None:
    before = lab.run("host", "ip", "-o", "address").stdout
    assert lab.daemon is not None
    status, problem = lab.ask("POST", "endpoints", {"pid": lab.daemon.pid, "network": "front"})
    assert (status, problem["error"].endswith("is the switch's own")) == (409, True)
    assert lab.run("host", "ip", "-o", "address").stdout == before
    assert lab.endpoints() == ["web", "app"]


def _mac(lab: Lab, role: str) -> str:
    return lab.run(role, "cat", "/sys/class/net/eth0/address").stdout.strip()
