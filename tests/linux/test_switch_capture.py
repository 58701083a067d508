"""`vswitch capture` and the flight recorder against real traffic, read back with tshark."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.linux.lab import APP, OUTSIDE, UPLINK, VSWITCH, WEB, Lab, eventually, execute

pytestmark = pytest.mark.linux


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(tmp_path_factory.mktemp("capture")) as lab:
        lab.add_endpoint("web", kind="veth")
        lab.add_endpoint("app", kind="tap")
        lab.recorder = {"directory": str(lab.directory / "dumps"), "keep": 2}
        lab.up()
        assert lab.ping("app", WEB)
        assert lab.ping("app", OUTSIDE)
        yield lab


def test_file_has_a_translated_frame_at_both_ports_with_one_flow(lab: Lab, tmp_path: Path) -> None:
    file = tmp_path / "all.pcapng"
    before = time.time()
    with Running(lab, file) as running:
        assert lab.ping("app", OUTSIDE)
        assert lab.table("status")["captures"] == 1
    assert re.fullmatch(r"\d+ frames captured, 0 lost\n", running.said)
    assert lab.table("status")["captures"] == 0
    names = ("interface_name", "packet_flags_direction", "time_epoch", "comment")
    incoming, leaving = fields(
        file, "icmp.type == 8", "ip.src", *(f"frame.{name}" for name in names)
    )
    assert incoming[:3] == (APP, "app", "0x00000001")
    assert leaving[:3] == (UPLINK, "uplink", "0x00000002")
    for *_, when, comment in (incoming, leaving):
        assert before - 1 < float(when) < time.time() + 1
        assert f"source becomes {UPLINK}" in comment
    assert re.findall(r"flow \d+", incoming[-1]) == re.findall(r"flow \d+", leaving[-1])
    report = execute("capinfos", "-M", str(file))
    assert complaints(report) == []
    for port in ("uplink", "web", "app"):
        assert f"Name = {port}" in report.stdout


def test_only_what_was_chosen_is_captured(lab: Lab, tmp_path: Path) -> None:
    file = tmp_path / "some.pcapng"
    with Running(lab, file, "--endpoint", "app", "--stage", "out", "icmp", "and", "host", OUTSIDE):
        assert lab.ping("app", OUTSIDE)
        assert lab.ping("app", WEB)
    seen = fields(file, "frame", "frame.interface_name", "ip.src")
    assert seen == [("uplink", UPLINK), ("app", OUTSIDE)]


def test_capture_ends_by_itself_after_a_count_and_after_a_time(lab: Lab, tmp_path: Path) -> None:
    file = tmp_path / "three.pcapng"
    running = Running(lab, file, "--count", "3")
    with running:
        assert lab.ping("app", OUTSIDE)
        running.wait()
    assert running.said == "3 frames captured, 0 lost\n"
    done = lab.vswitch("capture", "-w", str(file), "--duration", "0.1", "udp port 1")
    assert done.stderr == "0 frames captured, 0 lost\n"
    assert fields(file, "frame", "frame.number") == []


def test_pipe_into_tshark_ends_cleanly_on_ctrl_c(lab: Lab) -> None:
    command = " ".join(lab.command("capture", "-w", "-", "icmp"))
    shown = lab.directory / "piped"
    shell = f"{command} 2>{shown}.err | tshark -l -n -r - >{shown} 2>{shown}.tshark"
    pipe = subprocess.Popen(
        ["nsenter", f"--net=/run/netns/{lab.namespace('host')}", "bash", "-c", shell],
        start_new_session=True,
    )
    try:
        eventually(lambda: lab.table("status")["captures"] == 1, "the capture runs")
        assert lab.ping("app", OUTSIDE)
        eventually(lambda: "Echo (ping) reply" in shown.read_text(), "tshark shows it")
        os.killpg(pipe.pid, signal.SIGINT)
        pipe.wait(10)
    finally:
        pipe.kill()
    eventually(lambda: lab.table("status")["captures"] == 0, "the capture is over")
    assert "Traceback" not in Path(f"{shown}.err").read_text()
    assert "captured" in Path(f"{shown}.err").read_text()


def test_reader_that_leaves_ends_the_capture_though_nothing_passes(lab: Lab) -> None:
    command = " ".join(lab.command("capture", "-w", "-", "udp", "port", "1"))
    done = lab.run("host", "bash", "-c", f"set -o pipefail; {command} | head -c 8 >/dev/null")
    assert re.fullmatch(r"0 frames captured, 0 lost\n", done.stderr)
    eventually(lambda: lab.table("status")["captures"] == 0, "the capture is over")


def test_without_a_file_each_frame_is_a_line(lab: Lab) -> None:
    shown = lab.start("host", *lab.command("capture", "--count", "2", "--stage", "in", "icmp"))
    eventually(lambda: lab.table("status")["captures"] == 1, "the capture runs")
    assert lab.ping("app", OUTSIDE)
    lines = shown.communicate(timeout=10)[0].splitlines()
    assert f"app      in  IPv4 {APP} > {OUTSIDE} ICMP echo request" in lines[0]
    assert re.search(r"\[forwarded; flow \d+\]", lines[0])
    assert "uplink   in " in lines[1]
    assert "2 frames captured, 0 lost" in lines


def test_slow_reader_loses_frames_that_are_counted_and_the_traffic_none(
    lab: Lab, tmp_path: Path
) -> None:
    slow = subprocess.Popen(
        lab.command("capture", "-w", "-"), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        eventually(lambda: lab.table("status")["captures"] == 1, "the capture runs")
        pinged = lab.run("app", "ping", "-c800", "-i0.002", "-q", "-s8000", WEB)
        assert " 0% packet loss" in pinged.stdout
        slow.send_signal(signal.SIGINT)
        captured, said = slow.communicate(timeout=10)
    finally:
        slow.kill()
    frames, lost = map(int, re.findall(r"\d+", said.decode()))
    assert lost > 0
    assert frames + lost >= 800 * 6 * 2 * 2
    file = tmp_path / "slow.pcapng"
    file.write_bytes(captured)
    report = execute("capinfos", "-M", str(file))
    assert complaints(report) == []
    assert f"Number of packets:   {frames}" in report.stdout


def test_files_rotate_and_take_no_more_than_their_bound(lab: Lab, tmp_path: Path) -> None:
    bound = ("--rotate-size", "64KiB", "--keep", "3")
    with Running(lab, tmp_path / "row.pcapng", *bound, first=tmp_path / "row-00001.pcapng"):
        lab.run("app", "ping", "-c100", "-i0.002", "-q", "-s1400", WEB)
    files = sorted(tmp_path.iterdir())
    assert len(files) == 3
    assert files[-1].name > "row-00004.pcapng"
    assert all(file.stat().st_size <= 64 * 1024 + 512 for file in files)
    for file in files:
        assert complaints(execute("capinfos", str(file))) == []
        assert {"app", "web"} == {port for (port,) in fields(file, "icmp", "frame.interface_name")}


def test_full_disk_ends_the_capture_with_one_line_and_not_the_traffic(lab: Lab) -> None:
    done = lab.vswitch("capture", "-w", "/dev/full", check=False)
    assert done.returncode == 1
    assert done.stderr == "vswitch: /dev/full: No space left on device\n"
    assert lab.ping("app", OUTSIDE)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("tcp", "prt", "80"), "filter 'tcp prt 80': can't parse filter expression: syntax error"),
        (("--port", "ap"), 'port ap not found (did you mean "app"?)'),
        (("-w", "/no/such/x"), "/no/such/x: No such file or directory"),
    ],
)
def test_capture_that_cannot_be_is_told_in_one_line(
    lab: Lab, options: tuple[str, ...], told: str
) -> None:
    done = lab.vswitch("capture", *options, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"vswitch: {told}\n")


def test_switch_that_stops_ends_the_capture_with_its_counts(tmp_path: Path) -> None:
    file = tmp_path / "all.pcapng"
    with Lab(tmp_path) as lab:
        lab.add_endpoint("web")
        lab.up()
        running = Running(lab, file)
        with running:
            assert lab.down() == 0
            running.wait()
    assert re.fullmatch(r"\d+ frames captured, 0 lost\n", running.said)
    assert complaints(execute("capinfos", str(file))) == []


def test_recorder_tells_afterwards_what_has_passed(lab: Lab, tmp_path: Path) -> None:
    file = tmp_path / "past.pcapng"
    assert lab.ping("app", OUTSIDE)
    lab.run("host", VSWITCH, "recorder", "dump", "--switch", lab.name, "-w", str(file))
    seen = fields(file, f"icmp && ip.addr == {OUTSIDE}", "frame.interface_name", "frame.comment")
    assert {port for port, _ in seen} == {"app", "uplink"}
    assert all("flow" in comment for _, comment in seen)
    assert complaints(execute("capinfos", str(file))) == []


def test_signal_writes_dumps_and_only_the_newest_are_kept(lab: Lab) -> None:
    assert lab.daemon is not None
    for count in (1, 2, 3):
        lab.daemon.send_signal(signal.SIGUSR1)
        eventually(
            lambda count=count: len(lab.log_lines("the flight recorder is in")) == count,
            "the dump is written",
        )
    dumps = sorted((lab.directory / "dumps").iterdir())
    told = [line.split()[-1] for line in lab.log_lines("the flight recorder is in")]
    assert [str(dump) for dump in dumps] == told[1:]
    assert fields(dumps[-1], "icmp", "frame.interface_name")
    assert dumps[-1].stat().st_mode & 0o777 == 0o600


def test_triggers_write_dumps_by_themselves(tmp_path: Path) -> None:
    with Lab(tmp_path) as lab:
        lab.add_endpoint("app")
        lab.recorder = {
            "directory": str(tmp_path / "dumps"),
            "triggers": ["dropped not_published 20/s", "unresolved 2/s", "resets 1000/s"],
        }
        lab.up()
        knock = f"for i in $(seq 500); do echo x >/dev/udp/{UPLINK}/99; sleep 0.005; done"
        ask = "for i in $(seq 500); do getent hosts nobody$i; sleep 0.005; done"
        lab.start("app", "bash", "-c", ask)
        lab.wait_for_log("unresolved 2/s: it is ")
        lab.start("out", "bash", "-c", knock)
        lab.wait_for_log("dropped not_published 20/s: it is ")
        dumps = {path.name.split("-")[-1]: path for path in (tmp_path / "dumps").iterdir()}
        assert set(dumps) == {"not_published.pcapng", "unresolved.pcapng"}
        seen = fields(dumps["not_published.pcapng"], f"ip.dst == {UPLINK}", "frame.comment")
        assert any(comment.startswith("dropped not_published: ") for (comment,) in seen)


class Running:
    """`vswitch capture -w FILE` from its first byte on; the end of the `with` is its SIGINT."""

    def __init__(self, lab: Lab, file: Path, *options: str, first: Path | None = None) -> None:
        self.said = ""
        self._process = lab.start("host", *lab.command("capture", "-w", str(file), *options))
        self._first = first or file

    def __enter__(self) -> Running:
        eventually(
            lambda: self._first.exists() and self._first.stat().st_size > 0, "the capture runs"
        )
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        self.wait()
        assert self._process.returncode == 0, self.said

    def wait(self) -> None:
        if not self.said:
            self.said = self._process.communicate(timeout=10)[0]


def fields(file: Path, display_filter: str, *names: str) -> list[tuple[str, ...]]:
    """What tshark finds in a file, a line for each packet."""
    wanted = [word for name in names for word in ("-e", name)]
    done = execute("tshark", "-n", "-r", str(file), "-Y", display_filter, "-T", "fields", *wanted)
    assert complaints(done) == []
    return [tuple(line.split("\t")) for line in done.stdout.splitlines()]


def complaints(done: subprocess.CompletedProcess[str]) -> list[str]:
    """What a tool of Wireshark's said beside its output, but for its fear of root."""
    return [line for line in done.stderr.splitlines() if "Running as user" not in line]
