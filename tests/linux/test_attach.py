"""`vswitch attach|detach`: namespaces that were there before, and stay when the endpoint goes."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.linux import services
from tests.linux.lab import OUTSIDE, UPLINK, WEB, Done, Lab, eventually, execute

pytestmark = pytest.mark.linux

GUEST = "172.18.0.9"

KINDS = pytest.mark.parametrize("kind", ["tap", "veth"])


@pytest.fixture(scope="module")
def module_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(tmp_path_factory.mktemp("attach")) as lab:
        lab.add_endpoint("web", kind="veth")
        lab.up()
        yield lab


@pytest.fixture
def lab(module_lab: Lab) -> Iterator[Lab]:
    """With a namespace `guest`, that goes with all that was attached."""
    module_lab.create("guest")
    yield module_lab
    if "guest" in module_lab.namespaces():
        module_lab.delete("guest")
    eventually(lambda: module_lab.endpoints() == ["web"], "the guests are gone")


def _attach(lab: Lab, place: str, *options: str, check: bool = True) -> Done:
    """On network front, unless another one is said."""
    network = () if "--network" in options else ("--network", "front")
    return lab.vswitch("attach", *network, *options, place, check=check)


@pytest.fixture
def sleeper(lab: Lab) -> Iterator[subprocess.Popen[str]]:
    """A process in the guest's namespace; nsenter becomes it, so that its id is its own."""
    net = f"--net=/run/netns/{lab.namespace('guest')}"
    with subprocess.Popen(["nsenter", net, "sleep", "60"], text=True) as process:
        eventually(lambda: Path(f"/proc/{process.pid}/comm").read_text() == "sleep\n", "it sleeps")
        yield process
        process.kill()


@KINDS
def test_attached_namespace_has_what_was_asked_for_and_reaches_all(lab: Lab, kind: str) -> None:
    mac = "02:00:00:00:00:99"
    options = ("--kind", kind, "--name", "guest", "--ip", GUEST, "--mac-address", mac)
    _attach(lab, lab.namespace("guest"), *options, "--network-alias", "visitor")
    (link,) = json.loads(lab.run("guest", "ip", "-json", "address", "show", "eth0").stdout)
    assert link["address"] == mac
    assert GUEST in [each["local"] for each in link["addr_info"]]
    assert lab.ping("guest", WEB)
    assert lab.ping("guest", OUTSIDE)
    for name in ("guest", "visitor"):
        asked = lab.run("web", "dig", "@127.0.0.11", "+short", "+tries=1", name)
        assert asked.stdout == f"{GUEST}\n"
    resolv_conf = lab.run("guest", "cat", "/etc/resolv.conf").stdout
    assert "nameserver 127.0.0.11" in resolv_conf


def test_published_port_of_an_attached_namespace_answers_outside(lab: Lab) -> None:
    _attach(lab, lab.namespace("guest"), "--name", "guest", "-p", "8080:80")
    services.serve_text(lab.listen("guest", "0.0.0.0", 80), "hello")
    url = f"telnet://{UPLINK}:8080"
    assert lab.run("out", "curl", "-s", "--max-time", "2", url, check=False).stdout == "hello"


def test_exposed_ports_are_published_where_all_are(lab: Lab) -> None:
    name = lab.namespace("guest")
    _attach(lab, name, "--name", "guest", "--expose", "80-81", "-p", "8081:81", "-P")
    services.serve_text(lab.listen("guest", "0.0.0.0", 80), "hello")
    (row,) = json.loads(lab.vswitch("ps", "--json").stdout)[1:]
    assert row["exposed"] == ["80-81/tcp", "81/tcp"]
    fixed, chosen = row["published"]
    assert fixed == "0.0.0.0:8081->81/tcp"
    match = re.fullmatch(r"0\.0\.0\.0:(\d+)->80/tcp", chosen)
    assert match is not None
    url = f"telnet://{UPLINK}:{match[1]}"
    assert lab.run("out", "curl", "-s", "--max-time", "2", url, check=False).stdout == "hello"


@KINDS
def test_detached_namespace_is_left_as_it_was_and_all_is_free_again(lab: Lab, kind: str) -> None:
    for _ in range(2):
        options = ("--kind", kind, "--name", "guest", "--ip", GUEST, "-p", "8080:80")
        _attach(lab, lab.namespace("guest"), *options)
        assert lab.ping("guest", WEB)
        assert lab.vswitch("detach", "guest").stdout == "guest\n"
        assert lab.endpoints() == ["web"]
        assert "eth0" not in lab.run("guest", "ip", "link").stdout
        assert not (Path("/etc/netns") / lab.namespace("guest")).exists()
        assert lab.run("guest", "ip", "route").stdout == ""
    assert "guest" in lab.namespaces()


def test_namespace_by_its_path_is_the_same_by_every_way_to_it(lab: Lab) -> None:
    _attach(lab, f"/var/run/netns/{lab.namespace('guest')}")
    row = json.loads(lab.vswitch("endpoint inspect", lab.namespace("guest")).stdout)[0]
    assert row["namespace"] == row["name"] == lab.namespace("guest")


def test_attached_namespace_that_loses_its_name_is_detached(lab: Lab) -> None:
    _attach(lab, lab.namespace("guest"), "--name", "guest")
    lab.delete("guest")
    lab.wait_for_log("endpoint guest detached: ")
    eventually(lambda: lab.endpoints() == ["web"], "the guest is gone")


def test_attached_namespace_that_loses_its_path_elsewhere_is_detached(
    lab: Lab, tmp_path: Path
) -> None:
    path = tmp_path / "sandbox"
    path.touch()
    execute("mount", "--bind", f"/run/netns/{lab.namespace('guest')}", str(path))
    try:
        _attach(lab, str(path), "--name", "guest")
        assert lab.ping("guest", WEB)
    finally:
        execute("umount", str(path))
        path.unlink()
    lab.wait_for_log(f"endpoint guest detached: namespace {path} is gone")
    assert lab.endpoints() == ["web"]


@pytest.mark.parametrize("spelling", ["{}", "/proc/{}/ns/net"])
def test_namespace_of_a_process_is_attached_while_the_process_lives(
    lab: Lab, sleeper: subprocess.Popen[str], spelling: str
) -> None:
    _attach(lab, spelling.format(sleeper.pid), "--name", "guest", "--ip", GUEST)
    assert lab.ping("guest", WEB)
    assert lab.ping("web", GUEST)
    sleeper.kill()
    eventually(lambda: lab.endpoints() == ["web"], "the guest is gone")
    assert "eth0" not in lab.run("guest", "ip", "link").stdout


def test_command_of_an_attached_process_is_stopped(
    lab: Lab, sleeper: subprocess.Popen[str]
) -> None:
    _attach(lab, str(sleeper.pid), "--name", "guest")
    assert lab.vswitch("stop", "guest").stdout == "guest\n"
    assert sleeper.wait(10) == -signal.SIGTERM


def test_endpoint_with_a_namespace_alone_has_no_command_to_stop(lab: Lab) -> None:
    done = lab.vswitch("stop", "web", check=False)
    assert (done.returncode, done.stderr) == (
        1,
        "vswitch: endpoint web runs no command (it lives in a namespace of its own)\n",
    )


def test_name_servers_of_its_own_are_asked_from_inside(lab: Lab) -> None:
    """The server is an address in the guest that nobody else could reach."""
    _attach(lab, lab.namespace("guest"), "--name", "guest", "--dns", "127.0.0.53")
    services.serve_names(lab.bind("guest", "127.0.0.53", 53), {"far.example.": "192.0.2.7"})
    dig = ("dig", "@127.0.0.11", "+short", "+time=2", "+tries=1")
    assert lab.run("guest", *dig, "far.example").stdout == "192.0.2.7\n"
    assert lab.run("guest", *dig, "web").stdout == f"{WEB}\n"
    assert lab.run("web", *dig, "far.example", check=False).stdout != "192.0.2.7\n"


def test_address_that_moves_to_another_station_is_announced(lab: Lab) -> None:
    """`web` remembers the first one's station, and would go on to speak to that."""
    _attach(lab, lab.namespace("guest"), "--name", "first", "--ip", GUEST)
    assert lab.ping("web", GUEST)
    lab.vswitch("detach", "first")
    lab.run("web", "ip", "neighbour", "change", GUEST, "dev", "eth0", "nud", "reachable")
    mac = "02:00:00:00:00:77"
    _attach(lab, lab.namespace("guest"), "--name", "second", "--ip", GUEST, "--mac", mac)

    def known() -> str:
        return lab.run("web", "ip", "neighbour", "show", GUEST).stdout

    eventually(lambda: mac in known(), "web knows the new station without having asked")


@pytest.mark.parametrize(
    ("place", "options", "told"),
    [
        ("vst-missing", (), "endpoint vst-missing: namespace vst-missing does not exist"),
        ("/nowhere/net", (), "cannot watch /nowhere: No such file or directory"),
        ("/etc/passwd", (), "endpoint passwd: /etc/passwd is no network namespace"),
        ("0", (), "0 is no process id: allowed is 1 to 4194304"),
        ("host", (), "is the switch's own"),
        ("guest", ("--ip", "10.0.0.1"), "no configured subnet contains IP address 10.0.0.1"),
        ("guest", ("--ip", WEB), "Address already in use (by endpoint web)"),
        ("guest", ("--ip", "172.18.0"), "invalid IPv4 address: 172.18.0"),
        ("guest", ("--ip", "fd00::2"), "invalid IPv4 address: fd00::2"),
        ("guest", ("--mac", "02:00"), "02:00 is not a valid mac address"),
        ("guest", ("--mac", "01:00:5e:00:00:01"), "is not a valid mac address"),
        ("guest", ("--dns", "localhost"), "localhost is not an ip address"),
        ("guest", ("--expose", "80:80"), "invalid port format for --expose: 80:80"),
        ("guest", ("--expose", "http"), "invalid range format for --expose: http"),
        ("guest", ("--expose", "80/icmp"), "invalid proto: icmp"),
        ("guest", ("--alias", "a b"), "Invalid alias name (a b)"),
        (
            "guest",
            ("--network", "bridge", "--ip", "172.17.0.9"),
            "user-specified IP address is supported on user-defined networks only",
        ),
        (
            "guest",
            ("--network", "bridge", "--alias", "www"),
            "network-scoped aliases are only supported for user-defined networks",
        ),
        (
            "guest",
            ("--network", "none"),
            "nothing can be attached to network none (allowed for vswitch run alone)",
        ),
    ],
)
def test_mistake_is_told_in_one_line_and_changes_nothing(
    lab: Lab, place: str, options: tuple[str, ...], told: str
) -> None:
    spelled = lab.namespace(place) if place in ("guest", "host") else place
    before = lab.run("guest", "ip", "link").stdout
    done = _attach(lab, spelled, *options, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("vswitch: ")
    assert told in done.stderr
    assert done.stderr.count("\n") == 1
    assert lab.endpoints() == ["web"]
    assert lab.run("guest", "ip", "link").stdout == before


def test_namespace_that_is_attached_is_not_attached_twice(lab: Lab) -> None:
    _attach(lab, lab.namespace("guest"), "--name", "guest")
    again = _attach(lab, lab.namespace("guest"), "--name", "other", check=False)
    assert "already has an endpoint (guest)" in again.stderr
    assert lab.ping("guest", WEB)


def test_list_has_a_row_for_each_endpoint_and_its_ports(lab: Lab) -> None:
    _attach(lab, lab.namespace("guest"), "--name", "guest", "-p", "8080:80", "--expose", "90")
    lines = [line.split() for line in lab.vswitch("ps").stdout.splitlines()]
    assert lines[0] == ["name", "network", "address", "station", "kind", "lives", "in", "ports"]
    row = next(line for line in lines if line[0] == "guest")
    assert row[-2:] == ["0.0.0.0:8080->80/tcp,", "90/tcp"]
    assert lab.namespace("guest") in row
    assert lab.vswitch("endpoint ls", "-q").stdout == "web\nguest\n"
