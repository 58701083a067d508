"""Reading a bulk transfer's progress, and the programs that stand in for missing tools."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from vswitch.cli.demo import bulk
from vswitch.cli.demo.bulk import Sample, Total
from vswitch.cli.demo.scenery import peer

IPERF3 = """\
Connecting to host 198.51.100.1, port 5201
[  5] local 172.18.0.3 port 35458 connected to 198.51.100.1 port 5201
[ ID] Interval           Transfer     Bitrate         Retr  Cwnd
[  5]   0.00-0.25   sec   120 MBytes  4029 Mbits/sec    0   1.2 MBytes
[  5]   0.25-0.50   sec  98.8 MBytes  3313.5 Mbits/sec    1   1.3 MBytes
- - - - - - - - - - - - - - - - - - - - - - - - -
[ ID] Interval           Transfer     Bitrate         Retr
[  5]   0.00-3.00   sec  1390 MBytes  3887 Mbits/sec    1             sender
[  5]   0.00-3.01   sec  1388 MBytes  3871 Mbits/sec                  receiver

iperf Done.
"""


def test_iperf3_is_read_line_by_line() -> None:
    read = [bulk.read(line) for line in IPERF3.splitlines()]
    assert [each for each in read if each] == [
        Sample(0.25, 4029e6),
        Sample(0.5, 3313.5e6),
        Total(3.01, 3871e6),
    ]


def test_a_total_says_how_much_it_was() -> None:
    assert Total(2.0, 4e9).octets == 1_000_000_000


@contextmanager
def running(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(peer(*arguments), stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "listening\n"
            yield process
        finally:
            process.kill()


@pytest.fixture
def port() -> int:
    with socket.create_server(("", 0)) as free:
        number: int = free.getsockname()[1]
        return number


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(peer(*arguments), capture_output=True, text=True, timeout=20)


def test_the_stand_in_for_iperf3_speaks_its_words(port: int) -> None:
    with running("sink", port):
        done = run("source", "127.0.0.1", port, 0.6)
    assert done.returncode == 0
    *samples, total = [bulk.read(line) for line in done.stdout.splitlines()]
    assert samples
    assert all(isinstance(sample, Sample) for sample in samples)
    assert isinstance(total, Total)
    assert total.octets > 0


def test_the_web_server_says_whom_it_sees(port: int) -> None:
    with running("serve", "web", port):
        done = run("fetch", f"http://127.0.0.1:{port}/", 5)
    assert done.stdout == "I am web, you are 127.0.0.1\n"


def test_the_stand_in_for_curl_tells_a_refusal_as_curl_does(port: int) -> None:
    done = run("fetch", f"http://127.0.0.1:{port}/", 5)
    assert done.returncode == 7
    assert "refused" in done.stderr


def test_the_stand_in_for_curl_gives_up_as_curl_does(port: int) -> None:
    with socket.create_server(("127.0.0.1", port)):
        done = run("fetch", f"http://127.0.0.1:{port}/", 0.3)
    assert done.returncode == 28


def test_a_wrong_command_line_is_refused() -> None:
    assert run("fly").returncode == 2


def test_it_runs_on_this_interpreter_alone() -> None:
    assert peer("sink", 1)[:2] == (sys.executable, "-I")
