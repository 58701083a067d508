"""What vanishes under a running switch: namespaces, interfaces, the uplink. The rest goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.linux import services
from tests.linux.lab import APP, OUTSIDE, WEB, Lab, eventually

pytestmark = pytest.mark.linux

DOOMED = "172.18.0.4"

KINDS = pytest.mark.parametrize("kind", ["tap", "veth"])


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with Lab(tmp_path) as lab:
        lab.add_endpoint("web", kind="veth")
        lab.add_endpoint("app", kind="tap")
        yield lab


@KINDS
def test_endpoint_whose_namespace_is_deleted_under_traffic_is_detached(lab: Lab, kind: str) -> None:
    lab.add_endpoint("doomed", kind=kind, publish=["8080:80"])
    lab.up()
    services.serve_text(lab.listen("web", "0.0.0.0", 80), "hello")
    for destination in (DOOMED, WEB, OUTSIDE):
        lab.start("app", "ping", "-q", "-i", "0.002", destination)
    lab.start("doomed", "ping", "-q", "-i", "0.002", WEB)
    eventually(lambda: lab.port("doomed")["sent_frames"] > 100, "the doomed one has traffic")

    lab.delete("doomed")

    lab.wait_for_log("endpoint doomed detached: ")
    _assert_only_doomed_is_gone(lab)


@KINDS
def test_endpoint_whose_interface_is_deleted_is_detached(lab: Lab, kind: str) -> None:
    lab.add_endpoint("doomed", kind=kind)
    lab.up()
    assert lab.ping("app", DOOMED)

    lab.run("doomed", "ip", "link", "delete", "eth0")

    lab.wait_for_log("endpoint doomed detached: its device is gone")
    _assert_only_doomed_is_gone(lab)


@KINDS
def test_deleted_namespace_really_ends(lab: Lab, kind: str) -> None:
    """Its resolver's socket would keep it alive: seen by a veth pair that ends with it."""
    lab.add_endpoint("doomed", kind=kind)
    lab.up()
    peer = ("peer", "name", "witness", "netns", lab.namespace("out"))
    lab.run("doomed", "ip", "link", "add", "inner", "type", "veth", *peer)
    assert "172.18.0.2" in lab.run("doomed", "dig", "@127.0.0.11", "+short", "web").stdout

    lab.delete("doomed")

    eventually(
        lambda: "witness" not in lab.run("out", "ip", "link").stdout, "the namespace has ended"
    )


def test_name_and_address_of_a_detached_endpoint_are_free_again(lab: Lab) -> None:
    lab.add_endpoint("doomed", publish=["8080:80"])
    lab.up()
    lab.delete("doomed")
    lab.wait_for_log("endpoint doomed detached: ")

    again = lab.guest("--name", "doomed", "-p", "8080:80")
    done = lab.run("host", *again, "ip", "-o", "address", "show", "dev", "eth0")
    assert f"{DOOMED}/16" in done.stdout


def test_interface_that_is_set_down_and_up_stays_attached(lab: Lab) -> None:
    lab.up()
    for role, other, address in (("web", "app", WEB), ("app", "web", APP)):
        assert lab.ping(other, address)
        lab.run(role, "ip", "link", "set", "eth0", "down")
        assert not lab.ping(other, "-W1", address)
        lab.run(role, "ip", "link", "set", "eth0", "up")
        assert lab.ping(other, address)
    assert lab.endpoints() == ["web", "app"]
    assert lab.log_lines("detached") == []


def test_switch_goes_on_without_its_uplink_and_says_so_once(lab: Lab) -> None:
    lab.up()
    lab.start("app", "ping", "-q", "-i", "0.002", OUTSIDE)
    eventually(lambda: lab.port("uplink")["sent_frames"] > 100, "the uplink has traffic")

    lab.run("host", "ip", "link", "delete", "up0")

    lab.wait_for_log("the uplink: its interface is gone")
    assert lab.ping("app", WEB)
    assert not lab.ping("app", "-W1", OUTSIDE)
    assert len(lab.log_lines("the uplink: its interface is gone")) == 1
    assert "Traceback" not in lab.log()
    for table in ("ports", "flows", "neighbours", "fdb"):
        lab.table(table)
    assert lab.take_away() == 0
    assert lab.leftovers() == []


def _assert_only_doomed_is_gone(lab: Lab) -> None:
    assert lab.ping("app", WEB)
    assert lab.ping("web", OUTSIDE)
    assert lab.endpoints() == ["web", "app"]
    assert len(lab.log_lines("endpoint doomed detached")) == 1
    assert "Traceback" not in lab.log()
    assert lab.log_lines("ERROR") == lab.log_lines("WARNING") == []
