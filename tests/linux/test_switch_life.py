"""How a switch begins and ends: orderly, killed, twice, and not at all."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.linux.lab import ORDINARY_USER, OUTSIDE, WEB, Lab

pytestmark = pytest.mark.linux


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with Lab(tmp_path) as lab:
        lab.add_endpoint("web", kind="veth")
        lab.add_endpoint("app", kind="tap")
        yield lab


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopped_switch_leaves_only_who_lives_on(lab: Lab, number: signal.Signals) -> None:
    """The namespace of `web` is somebody else's; that of `app` is ours, and nobody is in it."""
    lab.create("web")
    lab.up()
    assert lab.ping("app", WEB)
    assert lab.namespaces() == {"host", "out", "web", "app"}
    assert (lab.run_directory / "socket").stat().st_mode & 0o777 == 0o600

    assert lab.down(number) == 0

    assert lab.namespaces() == {"host", "out", "web"}
    assert f"{WEB}/16" in lab.run("web", "ip", "address").stdout
    assert lab.log_lines("ERROR") == lab.log_lines("WARNING") == []
    assert "Traceback" not in lab.log()


def test_switch_that_is_to_leave_nothing_leaves_only_what_was_there_before(lab: Lab) -> None:
    lab.create("web")
    lab.up()
    lab.start("app", "sleep", "600")
    assert lab.take_away() == 0
    assert lab.leftovers() == ["namespace web"]
    assert "eth0" not in lab.run("web", "ip", "link").stdout
    assert lab.log_lines("ERROR") == lab.log_lines("WARNING") == []


def test_resolv_conf_that_was_there_before_stays(lab: Lab) -> None:
    theirs = Path("/etc/netns") / lab.namespace("web") / "resolv.conf"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("nameserver 192.0.2.53\n")
    lab.up()
    assert lab.run("web", "cat", "/etc/resolv.conf").stdout == "nameserver 192.0.2.53\n"

    lab.down()

    assert theirs.read_text() == "nameserver 192.0.2.53\n"
    assert lab.leftovers() == [str(theirs.parent)]


def test_start_after_a_kill_sweeps_what_is_stale_and_works(lab: Lab) -> None:
    lab.create("web")
    lab.add_endpoint("old", kind="veth")
    lab.up()
    assert lab.down(signal.SIGKILL) == -signal.SIGKILL
    assert len([left for left in lab.leftovers() if left.startswith("veth")]) == 2
    assert lab.namespaces() == {"host", "out", "web", "app", "old"}

    lab.drop_endpoint("old")
    lab.up()

    assert lab.ping("app", WEB)
    assert lab.ping("web", OUTSIDE)
    assert lab.log_lines(f"left by an earlier switch: namespace {lab.namespace('old')}: removed")
    assert len([left for left in lab.leftovers() if left.startswith("veth")]) == 1
    lab.take_away()
    assert lab.leftovers() == ["namespace web"]


def test_second_switch_of_a_name_is_told_who_runs(lab: Lab) -> None:
    lab.up()
    assert lab.daemon is not None
    second = lab.second_up()
    assert second.returncode == 1
    pid = lab.daemon.pid
    assert second.stderr == f"vswitch: a switch named {lab.name} is already running (pid {pid})\n"
    assert lab.ping("app", WEB)
    assert lab.endpoints() == ["web", "app"]


_ADD_ETH0 = ("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth1")


def _eth0_is_taken(lab: Lab) -> None:
    lab.create("app")
    lab.run("app", *_ADD_ETH0)


def _eth0_of_a_veth_is_taken(lab: Lab) -> None:
    lab.create("web")
    lab.run("web", *_ADD_ETH0)


def _port_53_is_taken(lab: Lab) -> None:
    lab.create("web")
    lab.create("app")
    lab.bind("app", "0.0.0.0", 53)


def _endpoint_is_in_our_own(lab: Lab) -> None:
    lab.add_endpoint("host")


@pytest.mark.parametrize(
    ("prepare", "told"),
    [
        pytest.param(_eth0_is_taken, "endpoint app: cannot set vs", id="eth0 taken, tap"),
        pytest.param(_eth0_of_a_veth_is_taken, "endpoint web: cannot make", id="eth0 taken, veth"),
        pytest.param(_port_53_is_taken, "cannot listen at 127.0.0.11:53 in", id="port 53 taken"),
        pytest.param(_endpoint_is_in_our_own, "is the switch's own", id="own namespace"),
    ],
)
def test_switch_that_cannot_start_says_why_and_leaves_nothing(
    lab: Lab, prepare: Callable[[Lab], None], told: str
) -> None:
    prepare(lab)
    before = lab.leftovers()
    _assert_fails_with(lab, told)
    assert lab.leftovers() == before


def test_switch_without_its_uplink_interface_says_so_and_leaves_nothing(lab: Lab) -> None:
    lab.run("host", "ip", "link", "delete", "up0")
    _assert_fails_with(lab, "up0")
    assert lab.leftovers() == []


def test_switch_stops_under_a_client_that_never_ends_its_request(lab: Lab) -> None:
    lab.up()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(lab.run_directory / "socket"))
        client.sendall(b"POST /v1/endpoints HTTP/1.1\r\nHost: s\r\nContent-Length: 99\r\n\r\n{")
        assert lab.endpoints() == ["web", "app"]
        assert lab.down() == 0
    assert lab.leftovers() == []


def test_switch_stops_under_a_command_that_runs_on_it(lab: Lab) -> None:
    lab.up()
    guest = lab.start("host", *lab.guest(), "sh", "-c", "echo up; exec sleep 60")
    assert guest.stdout is not None
    assert guest.stdout.readline() == "up\n"
    assert lab.take_away() == 0
    assert lab.leftovers() == []
    assert guest.poll() is None


def test_stale_switch_is_not_taken_for_a_running_one(lab: Lab) -> None:
    lab.up()
    lab.down(signal.SIGKILL)
    assert (lab.run_directory / "socket").exists()
    done = lab.vswitch("flows", check=False)
    assert done.returncode == 1
    assert f"no switch named {lab.name} is running" in done.stderr


def test_ordinary_user_is_told_that_root_is_needed(lab: Lab) -> None:
    done = lab.second_up(*ORDINARY_USER)
    assert done.returncode == 1
    assert done.stderr.startswith("vswitch: vswitch up needs root")


def _assert_fails_with(lab: Lab, told: str) -> None:
    last = lab.fail_to_start()
    assert last.startswith("vswitch: ")
    assert told in last
    assert len(lab.log_lines("vswitch: ")) == 1
    assert "Traceback" not in lab.log()
