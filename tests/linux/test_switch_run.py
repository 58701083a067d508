"""`vswitch run`: any command on a running switch, for as long as it lives."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.linux.lab import ORDINARY_USER, OUTSIDE, UPLINK, WEB, Done, Lab, eventually

pytestmark = pytest.mark.linux

FIRST_GUEST = "172.18.0.3"
"""The lowest address that no endpoint of the configuration has."""

SAY_ONCE = "import socket as s; c = s.create_server(('', {0})).accept()[0]; c.send(b'I am {0}')"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(tmp_path_factory.mktemp("run")) as lab:
        lab.add_endpoint("web", kind="veth")
        lab.up()
        yield lab


@pytest.fixture(autouse=True)
def no_guest_stays(lab: Lab) -> Iterator[None]:
    yield
    eventually(lambda: lab.endpoints() == ["web"], "the guests are gone")


def _run(lab: Lab, *command: str, options: tuple[str, ...] = ()) -> Done:
    return lab.run("host", *lab.guest(*options), *command, check=False)


def _start(lab: Lab, script: str, *options: str) -> subprocess.Popen[str]:
    """Start a shell script as a guest, and wait for its first line, which has to be `up`."""
    process = lab.start("host", *lab.guest(*options), "sh", "-c", script)
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    return process


def test_command_sees_an_interface_a_resolver_and_the_others(lab: Lab) -> None:
    script = "ip -br -4 address show eth0; cat /etc/resolv.conf; ping -c1 -W2 web; ping -c1 $0"
    done = _run(lab, "sh", "-c", script, OUTSIDE)
    assert done.returncode == 0, done.stdout
    assert f"{FIRST_GUEST}/16" in done.stdout
    assert "nameserver 127.0.0.11" in done.stdout
    assert f"({WEB})" in done.stdout


@pytest.mark.parametrize("status", [0, 1, 7, 255])
def test_exit_status_is_the_commands(lab: Lab, status: int) -> None:
    assert _run(lab, "sh", "-c", f"exit {status}").returncode == status


def test_command_ended_by_a_signal_gives_the_status_that_shells_give(lab: Lab) -> None:
    assert _run(lab, "sh", "-c", "kill -KILL $$").returncode == 128 + signal.SIGKILL


@pytest.mark.parametrize(("command", "status"), [("no-such-command", 127), ("/etc/passwd", 126)])
def test_command_that_cannot_be_run_is_told_in_one_line(
    lab: Lab, command: str, status: int
) -> None:
    done = _run(lab, command)
    assert done.returncode == status
    assert done.stderr.startswith(f"vswitch: {command}: ")
    assert done.stderr.count("\n") == 1


def test_output_and_input_are_the_commands(lab: Lab) -> None:
    done = subprocess.run(
        ["nsenter", f"--net=/run/netns/{lab.namespace('host')}", *lab.guest(), "wc", "-c"],
        input=b"x" * 100_000,
        capture_output=True,
        timeout=20,
    )
    assert done.stdout == b"100000\n"
    assert done.stderr == b""


def test_command_has_the_signals_of_a_fresh_process(lab: Lab) -> None:
    """An interpreter ignores SIGPIPE for itself; a pipeline in the command must not inherit it."""
    status = _run(lab, "grep", "SigIgn", "/proc/self/status").stdout
    assert int(status.split()[1], 16) & 1 << (signal.SIGPIPE - 1) == 0


def test_command_inherits_no_descriptor_of_ours(lab: Lab) -> None:
    assert _run(lab, "ls", "/proc/self/fd").stdout.split() == ["0", "1", "2", "3"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signal_is_passed_on_to_the_command(lab: Lab, number: signal.Signals) -> None:
    script = (
        f"trap 'exit 42' {number.name.removeprefix('SIG')}; echo up; while :; do sleep 0.1; done"
    )
    process = _start(lab, script)
    process.send_signal(number)
    assert process.wait(10) == 42


@pytest.mark.parametrize("port", [80, 81])
def test_published_port_leads_to_the_command_while_it_runs(lab: Lab, port: int) -> None:
    """The second time nothing may be left of the first."""
    process = _start(
        lab, f'echo up; exec python3 -c "{SAY_ONCE.format(port)}"', "-p", f"8080:{port}"
    )
    eventually(lambda: _answer(lab) == f"I am {port}", "the published port answers")
    assert process.wait(10) == 0
    eventually(lambda: lab.endpoints() == ["web"], "the endpoint is gone")
    with pytest.raises(ConnectionRefusedError):
        lab.connect("web", UPLINK, 8080)


def test_name_is_found_by_the_others_while_it_runs(lab: Lab) -> None:
    process = _start(lab, "echo up; exec sleep 60", "--name", "guest")
    dig = ("dig", "@127.0.0.11", "+short", "+time=2", "+tries=1", "guest")
    assert lab.run("web", *dig).stdout == f"{FIRST_GUEST}\n"
    process.send_signal(signal.SIGTERM)
    process.wait(10)
    eventually(lambda: lab.run("web", *dig, check=False).stdout == "", "the name is gone")


def test_two_commands_at_once_reach_each_other(lab: Lab) -> None:
    first = _start(lab, "echo up; exec sleep 60", "--name", "first")
    second = _run(lab, "ping", "-c1", "-W2", "first", options=("--name", "second"))
    assert second.returncode == 0
    assert f"({FIRST_GUEST})" in second.stdout
    first.send_signal(signal.SIGTERM)
    assert first.wait(10) == 128 + signal.SIGTERM


def test_killed_command_line_takes_its_command_and_endpoint_with_it(lab: Lab) -> None:
    process = _start(lab, "echo up; exec sleep 60", "--name", "orphan")
    assert "orphan" in lab.endpoints()
    process.kill()
    process.wait(10)
    eventually(lambda: "orphan" not in lab.endpoints(), "the orphan is gone")


def test_killed_command_frees_its_endpoint(lab: Lab) -> None:
    process = _start(lab, "echo up; exec sleep 60", "--name", "victim")
    lab.run("host", "pkill", "-KILL", "-P", str(process.pid))
    assert process.wait(10) == 128 + signal.SIGKILL


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--network", "frnt"), 'network frnt not found (did you mean "front"?)'),
        (("--name", "web"), "endpoint with name web already exists in network front"),
        (("--name", "a b"), "Invalid endpoint name (a b)"),
        (("-p", "0x50"), "invalid containerPort: 0x50"),
        (("-p", "80:80:80:80"), "invalid"),
    ],
)
def test_mistake_is_told_in_one_line_and_nothing_is_run(
    lab: Lab, tmp_path: Path, options: tuple[str, ...], told: str
) -> None:
    done = _run(lab, "touch", str(tmp_path / "ran"), options=options)
    assert done.returncode == 1
    assert done.stderr.startswith("vswitch: ")
    assert told in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "ran").exists()


def test_published_port_that_is_taken_is_told_with_its_holder(lab: Lab) -> None:
    process = _start(lab, "echo up; exec sleep 60", "--name", "holder", "-p", "8080:80")
    done = _run(lab, "true", options=("-p", "8080:81"))
    assert done.returncode == 1
    assert "holder" in done.stderr
    process.send_signal(signal.SIGTERM)
    process.wait(10)


def test_default_network_gives_an_address_and_no_names(lab: Lab) -> None:
    script = f"ip -br -4 address show eth0; ping -c1 -W2 {OUTSIDE}; dig +short +tries=1 web"
    done = lab.run("host", *lab.command("run"), "--", "sh", "-c", script)
    assert "172.17.0.2/16" in done.stdout
    assert "1 received" in done.stdout
    assert WEB not in done.stdout


def test_networks_are_isolated_from_each_other(lab: Lab) -> None:
    done = lab.vswitch("run", "--", "ping", "-c1", "-W1", WEB, check=False)
    assert done.returncode == 1
    assert "0 received" in done.stdout


def test_host_is_untouched_by_a_run(lab: Lab) -> None:
    before = lab.run("host", "ip", "-o", "address").stdout
    _run(lab, "true")
    assert lab.run("host", "ip", "-o", "address").stdout == before
    assert "127.0.0.11" not in Path("/etc/resolv.conf").read_text()
    assert not list(Path("/tmp").glob(f"vswitch-*{os.getpid()}*"))


def test_ordinary_user_is_told_that_root_is_needed(lab: Lab) -> None:
    done = lab.run("host", *ORDINARY_USER, *lab.guest(), "true", check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("vswitch: vswitch run needs root")


def _answer(lab: Lab) -> str:
    url = f"telnet://{UPLINK}:8080"
    return lab.run("out", "curl", "-s", "--max-time", "1", url, check=False).stdout
