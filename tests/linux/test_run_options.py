"""`vswitch run` with docker run's options: networks host and none, names, the background."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.linux.lab import HOST, OUTSIDE, WEB, Done, Lab, eventually
from vswitch.daemon.process.rundir import RUN, log_path

pytestmark = pytest.mark.linux

GUEST = "172.18.0.9"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(tmp_path_factory.mktemp("options")) as lab:
        lab.settings["icc"] = False
        lab.add_endpoint("web", kind="veth")
        lab.up()
        yield lab


@pytest.fixture(autouse=True)
def no_guest_stays(lab: Lab) -> Iterator[None]:
    yield
    for name in lab.endpoints():
        if name != "web":
            lab.vswitch("stop", "-t", "0", name, check=False)
    eventually(lambda: lab.endpoints() == ["web"], "the guests are gone")


def _run(lab: Lab, *words: str, check: bool = True) -> Done:
    return lab.run("host", *lab.command("run"), *words, check=check)


def _row(lab: Lab, name: str) -> dict[str, Any]:
    rows: list[dict[str, Any]] = json.loads(lab.vswitch("endpoint inspect", name).stdout)
    return rows[0]


def test_address_station_and_aliases_are_as_asked_for(lab: Lab) -> None:
    mac = "02:00:00:00:00:99"
    script = "ip -o link show eth0; ip -o -4 address show eth0; dig @127.0.0.11 +short $0"
    options = ("--network", "front", "--ip", GUEST, "--mac-address", mac, "--alias", "www")
    done = _run(lab, *options, "--rm", "sh", "-c", script, "www")
    assert mac in done.stdout
    assert f"{GUEST}/16" in done.stdout
    assert done.stdout.splitlines()[-1] == GUEST


@pytest.mark.parametrize("kind", ["tap", "veth"])
def test_either_kind_of_link_carries_it(lab: Lab, kind: str) -> None:
    script = "ip -json -details link show eth0 && ping -q -c1 -W2 $0 >/dev/null"
    done = _run(lab, "--network", "front", "--kind", kind, "sh", "-c", script, WEB)
    (link,) = json.loads(done.stdout)
    assert link["linkinfo"]["info_kind"] == {"tap": "tun", "veth": "veth"}[kind]


def test_options_behind_the_command_are_the_commands(lab: Lab) -> None:
    assert _run(lab, "--network", "front", "echo", "-h", "--name", "x").stdout == "-h --name x\n"


def test_further_command_finds_what_the_endpoints_own_finds(lab: Lab) -> None:
    _run(lab, "-d", "--network", "front", "--name", "job", "-h", "inner", "sleep", "60")
    script = "hostname; ip -o -4 address show eth0; dig +short +tries=1 job; exit 7"
    done = lab.vswitch("exec", "job", "--", "sh", "-c", script, check=False)
    name, address, resolved = done.stdout.splitlines()
    assert (name, done.returncode) == ("inner", 7)
    assert f" {resolved}/16 " in address


def test_further_command_in_a_named_namespace_has_its_network_and_names(lab: Lab) -> None:
    done = lab.vswitch("exec", "web", "sh", "-c", "cat /etc/resolv.conf; ip -o -4 address")
    assert "nameserver 127.0.0.11" in done.stdout
    assert f" {WEB}/16 " in done.stdout


def test_further_command_that_can_not_be_is_told(lab: Lab) -> None:
    absent = lab.vswitch("exec", "web", "no-such-command", check=False)
    assert (absent.returncode, absent.stderr) == (
        127,
        "vswitch: no-such-command: No such file or directory\n",
    )
    lab.vswitch("tap add", "vm7", "--network", "front")
    machine = lab.vswitch("exec", "vm7", "true", check=False)
    lab.vswitch("tap rm", "vm7")
    words = "vm7 is a virtual machine: nothing of it runs here"
    assert (machine.returncode, machine.stderr) == (1, f"vswitch: {words}\n")


def test_hostname_is_the_commands_alone_and_others_find_it(lab: Lab) -> None:
    before = os.uname().nodename
    script = "hostname; cat /proc/sys/kernel/domainname; hostname -f; dig @127.0.0.11 +short inner"
    options = ("--network", "front", "-h", "inner", "--domainname", "corp.example", "--ip", GUEST)
    done = _run(lab, *options, "sh", "-c", script)
    assert done.stdout == f"inner\ncorp.example\ninner.corp.example\n{GUEST}\n"
    assert os.uname().nodename == before


def test_resolv_conf_of_a_command_is_as_it_was_asked_for(lab: Lab) -> None:
    options = ("--network", "front", "--dns-search", "corp.example", "--dns-option", "ndots:1")
    done = _run(lab, *options, "cat", "/etc/resolv.conf")
    assert "nameserver 127.0.0.11\nsearch corp.example\noptions " in done.stdout
    assert "ndots:1" in done.stdout.splitlines()[-1].split()


def test_hosts_of_a_command_are_its_own(lab: Lab) -> None:
    before = Path("/etc/hosts").read_text()
    script = "getent hosts inner; getent hosts me; getent hosts localhost; cat /etc/hosts"
    options = ("--network", "front", "-h", "inner", "--name", "job", "--ip", GUEST)
    done = _run(lab, *options, "--add-host", "me:host-gateway", "sh", "-c", script)
    inner, me, localhost, *_ = [line.split() for line in done.stdout.splitlines()]
    assert (inner, me) == ([GUEST, "inner", "job"], ["172.18.0.1", "me"])
    assert "localhost" in localhost
    assert Path("/etc/hosts").read_text() == before


_SERVER = """
import signal, socket
servers = [socket.create_server(("", port)) for port in (5432, 5433)]
print("up", flush=True)
signal.pause()
"""

_CLIENT = """
import socket, time
def reached(port):
    try:
        socket.create_connection(("database", port), 0.3).close()
    except socket.gaierror:
        return "unknown"
    except OSError:
        return "shut"
    return "open"
while True:
    print(reached(5432), reached(5433), flush=True)
    time.sleep(0.05)
"""


def test_link_on_the_default_network_is_a_name_and_opens_what_is_exposed(lab: Lab) -> None:
    """Also when the linked endpoint has been away, and has another address then."""

    def said(name: str) -> str:
        return log_path(RUN / lab.name, name).read_text()

    def serve() -> None:
        _run(lab, "-d", "--name", "db", "--expose", "5432", "python3", "-S", "-c", _SERVER)
        eventually(lambda: said("db") == "up\n", "it listens")

    def reached_again() -> bool:
        return said("app")[already:].count("open shut") > 1

    already = 0
    serve()
    client = ("python3", "-S", "-c", _CLIENT)
    _run(lab, "-d", "--name", "app", "--link", "db:database", *client)
    eventually(reached_again, "it reaches the exposed port alone")
    address = lab.ask("GET", "endpoints/db")[1]["address"]
    lab.ask("POST", "endpoints/db/stop", {"seconds": 0})
    eventually(lambda: "db" not in lab.endpoints(), "it is gone")
    _run(lab, "-d", "--name", "third", "sleep", "60")
    assert lab.ask("GET", "endpoints/third")[1]["address"] == address
    already = len(said("app"))
    serve()
    eventually(reached_again, "it reaches the one that is back")
    assert "open open" not in said("app")
    assert lab.ask("GET", "endpoints/app")[1]["links"] == ["db:database"]


def test_command_on_network_host_is_where_it_was_and_is_listed(lab: Lab) -> None:
    script = "ip -o -4 address; readlink /proc/self/ns/net; hostname"
    options = ("--network", "host", "--name", "beside", "--hostname", "inner")
    done = _run(lab, *options, "sh", "-c", script)
    assert HOST in done.stdout
    ours = lab.run("host", "readlink", "/proc/self/ns/net").stdout
    assert done.stdout.splitlines()[-2:] == [ours.strip(), "inner"]
    _run(lab, "-d", "--network", "host", "--name", "beside", "sleep", "60")
    row = _row(lab, "beside")
    assert (row["network"], row["address"], row["kind"]) == ("host", "", None)
    assert Path(f"/proc/{row['pid']}/comm").read_text() == "sleep\n"
    again = _run(lab, "--network", "front", "--name", "beside", "true", check=False)
    assert "endpoint with name beside already exists in network host" in again.stderr


def test_command_on_network_none_has_a_loopback_and_nothing_else(lab: Lab) -> None:
    script = f"ip -o link; ping -c1 -W2 127.0.0.1; ping -c1 -W1 {OUTSIDE}"
    done = _run(lab, "--network", "none", "sh", "-c", script, check=False)
    links = [line for line in done.stdout.splitlines() if "link/" in line]
    assert len(links) == 1
    assert " lo: " in links[0]
    assert "1 received" in done.stdout
    assert "unreachable" in done.stderr.lower()


@pytest.mark.parametrize("network", ["host", "none"])
def test_published_ports_are_discarded_with_dockers_warning(lab: Lab, network: str) -> None:
    done = _run(lab, "--network", network, "-p", "8080:80", "true")
    warning = f"WARNING: Published ports are discarded when using {network} network mode\n"
    assert done.stderr == warning


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--network", "none", "--ip", GUEST), "user-specified IP address is supported on"),
        (("--network", "host", "--alias", "www"), "network-scoped aliases are only supported"),
        (("--network", "host", "--mac", "02:00:00:00:00:01"), "mac-address and the network mode"),
        (("--network", "host", "--dns", "192.0.2.1"), "dns and the network mode"),
        (("--network", "none", "--name", "web"), "endpoint with name web already exists"),
        (("--network", "none", "--name", "a b"), "Invalid endpoint name (a b)"),
        (("--network", "front", "-h", "not a name"), "invalid hostname format: not a name"),
    ],
)
def test_mistake_is_told_in_one_line_and_nothing_is_run(
    lab: Lab, tmp_path: Path, options: tuple[str, ...], told: str
) -> None:
    done = _run(lab, *options, "touch", str(tmp_path / "ran"), check=False)
    assert done.returncode == 1
    assert told in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "ran").exists()
    assert lab.endpoints() == ["web"]


def test_command_in_the_background_goes_on_and_its_output_is_kept(lab: Lab) -> None:
    script = "echo begun; echo wrong >&2; ping -c1 -W2 web | grep -c '1 rec'; read x; exec sleep 60"
    done = _run(lab, "-d", "--network", "front", "--name", "job", "sh", "-c", script)
    assert (done.stdout, done.stderr) == ("job\n", "")
    eventually(
        lambda: lab.vswitch("logs", "job").stdout == "begun\nwrong\n1\n", "its output is there"
    )
    assert lab.ping("web", "-W2", _row(lab, "job")["address"].partition("/")[0])
    process = _row(lab, "job")["pid"]
    assert os.getsid(process) == process
    assert lab.vswitch("stop", "job").stdout == "job\n"
    eventually(lambda: lab.endpoints() == ["web"], "the job is gone")
    assert lab.vswitch("logs", "job").stdout.startswith("begun\n")
    _run(lab, "-d", "--network", "front", "--name", "job", "sleep", "60")
    assert lab.vswitch("logs", "job").stdout == ""


def test_command_in_the_background_without_a_name_is_called_by_its_process(lab: Lab) -> None:
    name = _run(lab, "-d", "--network", "front", "sleep", "60").stdout.strip()
    assert name == f"run-{_row(lab, name)['pid']}"


def test_command_that_does_not_end_when_asked_is_killed(lab: Lab) -> None:
    script = "trap '' TERM; echo up; while :; do sleep 0.1; done"
    _run(lab, "-d", "--network", "front", "--name", "job", "sh", "-c", script)
    eventually(lambda: lab.vswitch("logs", "job").stdout == "up\n", "it ignores the signal")
    process = _row(lab, "job")["pid"]
    lab.vswitch("stop", "-t", "0.2", "job")
    eventually(lambda: _has_ended(process), "it has ended")


def _has_ended(process: int) -> bool:
    """Also where whoever adopted it has not asked how it ended."""
    try:
        return "State:\tZ" in Path(f"/proc/{process}/status").read_text()
    except FileNotFoundError:
        return True


@pytest.mark.parametrize(("command", "status"), [("no-such-command", 127), ("/etc/passwd", 126)])
def test_command_that_cannot_be_run_is_told_in_the_background_too(
    lab: Lab, command: str, status: int
) -> None:
    done = _run(lab, "-d", "--network", "front", command, check=False)
    assert (done.returncode, done.stdout) == (status, "")
    assert done.stderr.startswith(f"vswitch: {command}: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("name", ["web", "nobody", "../../../etc/passwd"])
def test_what_never_ran_in_the_background_has_no_output(lab: Lab, name: str) -> None:
    done = lab.vswitch("logs", name, check=False)
    assert done.stderr == f"vswitch: {name} has not run in the background on this switch\n"


def test_output_outlives_the_switch_with_its_command_unless_nothing_is_to_be_left(
    tmp_path: Path,
) -> None:
    with Lab(tmp_path) as lab:
        lab.up()
        script = "echo ready; exec sleep 60"
        process = lab.run("host", *lab.guest("-d", "--name", "job"), "sh", "-c", script)
        pid = _row(lab, process.stdout.strip())["pid"]
        try:
            eventually(lambda: lab.vswitch("logs", "job").stdout == "ready\n", "it is ready")
            assert lab.down() == 0
            lab.up()
            assert lab.vswitch("logs", "job").stdout == "ready\n"
            assert lab.take_away() == 0
            assert lab.leftovers() == []
            assert Path(f"/proc/{pid}/comm").read_text() == "sleep\n"
        finally:
            os.kill(pid, signal.SIGKILL)
