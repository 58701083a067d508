"""Each way in which the kernel is kept silent on a shared address, with a whole switch.

The better ways are taken from the daemon by a seccomp filter that refuses bpf(2), or one command
of it, which is what an older kernel, or a container runtime's default profile, does.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.linux import services
from tests.linux.lab import HOST, OUTSIDE, Lab

pytestmark = pytest.mark.linux

PORTS = range(61000, 63000)
"""Fewer than there are, as the way with sockets takes one for each."""

PUBLISHED = 8080

CONFINED = """
import ctypes, errno, os, struct, sys

def step(code, if_true, if_false, operand):
    return struct.pack("=HBBI", code, if_true, if_false, operand)

LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_RET|K
NUMBER, FIRST_ARGUMENT = 0, 16  # struct seccomp_data, little-endian
ALLOW, REFUSE = 0x7FFF0000, 0x00050000  # SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO
bpf = {"x86_64": 321, "aarch64": 280}[os.uname().machine]
refused = int(sys.argv[1])
if refused < 0:
    commands, error = b"", errno.ENOSYS
else:
    commands, error = step(LOAD, 0, 0, FIRST_ARGUMENT) + step(EQUAL, 0, 1, refused), errno.EINVAL
program = step(LOAD, 0, 0, NUMBER)
program += step(EQUAL, 0, len(commands) // 8 + 1, bpf) + commands
program += step(RETURN, 0, 0, REFUSE | error) + step(RETURN, 0, 0, ALLOW)
code = ctypes.create_string_buffer(program, len(program))
filter = ctypes.create_string_buffer(struct.pack("@HP", len(program) // 8, ctypes.addressof(code)))
PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
assert ctypes.CDLL(None).prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, filter, 0, 0) == 0
os.execv(sys.argv[2], sys.argv[2:])
"""
"""Starts a program that may not give bpf(2) one command, or with -1 not call it at all."""

NO_TCX, NO_BPF = ("28",), ("-1",)
"""BPF_LINK_CREATE refused with EINVAL, as before Linux 6.6; and everything with ENOSYS."""


@dataclass(frozen=True)
class Situation:
    """What the daemon may do, and what comes of it."""

    refused: tuple[str, ...]
    way: str
    why_not: tuple[str, ...] = ()


TCX = Situation((), "tcx")
CLSACT = Situation(
    NO_TCX,
    "clsact",
    ("tcx: cannot attach by TCX: this kernel has no TCX (Linux 6.6 and later have)",),
)
SOCKETS = Situation(
    NO_BPF,
    "sockets",
    tuple(f"{way}: cannot load a BPF program: this kernel has no BPF" for way in ("tcx", "clsact")),
)


@pytest.fixture(params=[TCX, CLSACT, SOCKETS], ids=lambda situation: situation.way)
def situation(request: pytest.FixtureRequest) -> Situation:
    chosen: Situation = request.param
    return chosen


@pytest.fixture
def lab(situation: Situation, tmp_path: Path) -> Iterator[Lab]:
    with Lab(tmp_path) as lab:
        lab.uplink = {
            "address": "host",
            "gateway": OUTSIDE,
            "ports": [f"{PORTS.start}-{PORTS.stop - 1}"],
        }
        lab.add_endpoint("web", publish=[f"{PUBLISHED}:80"])
        if situation.refused:
            lab.confinement = (sys.executable, "-c", CONFINED, *situation.refused)
        services.serve_http(lab.listen("out", "0.0.0.0", 80))
        yield lab


def test_way_that_is_left_keeps_the_kernel_silent_and_leaves_nothing(
    lab: Lab, situation: Situation
) -> None:
    lab.up()
    services.serve_http(lab.listen("web", "0.0.0.0", 80))
    (uplink,) = lab.table("status")["uplinks"]
    assert (uplink["guard"], tuple(uplink["why_not"])) == (situation.way, situation.why_not)
    shown = lab.vswitch("status").stdout
    assert f"guarded by {situation.way}" in shown
    assert all(f"not by {reason}" in shown for reason in situation.why_not)
    assert_shared(lab)
    assert ("vswitch_guard" in filters(lab)) == (situation.way == "clsact")

    lab.down(signal.SIGKILL)
    with pytest.raises(ConnectionRefusedError):
        lab.connect("out", HOST, PUBLISHED)
    lab.confinement = ()
    lab.up()

    assert filters(lab) == ""
    was_left = [line.partition("switch: ")[2] for line in lab.log_lines("by an earlier switch: ")]
    left = ["ingress filter of up0: removed", "clsact qdisc of up0: removed"]
    assert [line for line in was_left if "up0" in line] == left * (situation.way == "clsact")
    assert_shared(lab)
    assert lab.down() == 0
    assert "clsact" not in lab.run("host", "tc", "qdisc", "show", "dev", "up0").stdout
    assert lab.leftovers() == []


def assert_shared(lab: Lab) -> None:
    """Flows both ways pass, and only the host's own closed port is refused."""
    heard = lab.start("out", "tcpdump", "-nlUQin", "--immediate-mode", "-ieth0", RESETS_AND_ERRORS)
    assert heard.stdout is not None
    while "listening on" not in heard.stdout.readline():
        assert heard.poll() is None
    for role, address, port in (("web", OUTSIDE, 80), ("out", HOST, PUBLISHED)):
        told = lab.run(role, "curl", "-sm10", f"http://{address}:{port}/").stdout
        assert told == {"web": HOST, "out": OUTSIDE}[role]
    lab.bind("out", "0.0.0.0", 0).sendto(b"lost", (HOST, PORTS[-1]))
    with pytest.raises(ConnectionRefusedError):
        lab.connect("out", HOST, PORTS[-1] + 1)
    assert f"{HOST}.{PORTS[-1] + 1} > " in heard.stdout.readline()
    heard.kill()


RESETS_AND_ERRORS = "tcp[tcpflags] & tcp-rst != 0 or icmp[icmptype] == icmp-unreach"


def filters(lab: Lab) -> str:
    return lab.run("host", "tc", "filter", "show", "dev", "up0", "ingress").stdout
