"""A flow ends with the endpoint that it belongs to, even where the outside never stops sending.

Docker users know the opposite: a sender of UDP that keeps its port goes on reaching the address of
the old container, so that the new one hears nothing, or somebody else does.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.linux.lab import APP, GATEWAY, OUTSIDE, PATIENCE, UPLINK, WEB, Lab, eventually

pytestmark = pytest.mark.linux

PUBLISHED, PORT, SENDER_PORT = 9000, 7000, 6000

ENOUGH = 20
"""Frames that the sender has to repeat before somebody is said to hear nothing."""

LISTENER = f"""
import socket, sys
listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
listener.bind(("", {PORT}))
for peer in sys.argv[1:]:
    listener.sendto(b"anybody there?", (peer, {SENDER_PORT}))
probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
probe.connect(("{GATEWAY}", 9))
print("I am", probe.getsockname()[0], flush=True)
while True:
    said, (address, port) = listener.recvfrom(100)
    print(said.decode(), "from", address, flush=True)
"""
"""Greets the peers that it is given, says who it is, and then what it hears, a line each."""


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with Lab(tmp_path) as lab:
        lab.add_endpoint("web", kind="veth", publish=[f"{PUBLISHED}:{PORT}/udp"])
        lab.add_endpoint("app", kind="tap")
        lab.up()
        yield lab


def test_published_flow_goes_to_who_publishes_the_port_now(lab: Lab) -> None:
    """Not to the old address either, which somebody else has by then."""
    old = lab.bind("web", "0.0.0.0", PORT)
    with _unceasing(lab.bind("out", OUTSIDE, SENDER_PORT), (UPLINK, PUBLISHED)):
        assert old.recvfrom(100) == (b"hello", (OUTSIDE, SENDER_PORT))
        lab.delete("web")
        lab.wait_for_log("endpoint web detached")
        with _guest(lab, "bystander") as bystander:
            assert _next_line(bystander) == f"I am {WEB}"
            with _guest(lab, "heir", "-p", f"{PUBLISHED}:{PORT}/udp") as heir:
                assert _next_line(heir) != f"I am {WEB}"
                for _ in range(ENOUGH):
                    assert _next_line(heir) == f"hello from {OUTSIDE}"
            _assert_has_heard_nothing(lab, bystander, f"I am {WEB}")


def test_flow_to_outside_is_not_inherited_with_the_address(lab: Lab) -> None:
    outside = lab.bind("out", OUTSIDE, SENDER_PORT)
    with _guest(lab, "owner", peers=(OUTSIDE,)) as owner:
        address = _next_line(owner)
        _, seen = outside.recvfrom(100)
        assert seen == (UPLINK, PORT)
        outside.sendto(b"hello", seen)
        assert _next_line(owner) == f"hello from {OUTSIDE}"
    with _unceasing(outside, seen), _guest(lab, "bystander") as bystander:
        assert _next_line(bystander) == address
        before = lab.port("uplink")["received_frames"]
        eventually(
            lambda: lab.port("uplink")["received_frames"] - before >= ENOUGH, "the peer goes on"
        )
        _assert_has_heard_nothing(lab, bystander, address)


@contextmanager
def _unceasing(sender: socket.socket, to: tuple[str, int]) -> Iterator[None]:
    """All the while `sender` says hello, whoever hears it."""
    over = threading.Event()

    def send() -> None:
        while not over.wait(0.01):
            sender.sendto(b"hello", to)

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(PATIENCE)


@contextmanager
def _guest(
    lab: Lab, name: str, *options: str, peers: tuple[str, ...] = ()
) -> Iterator[subprocess.Popen[str]]:
    """A listener in an endpoint of its own, which is gone afterwards."""
    words = lab.guest("--name", name, *options)
    process = lab.start("host", *words, sys.executable, "-c", LISTENER, *peers)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(PATIENCE)
        eventually(lambda: name not in lab.endpoints(), f"{name} is gone")


def _next_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def _assert_has_heard_nothing(lab: Lab, bystander: subprocess.Popen[str], line: str) -> None:
    """The first thing that it hears is what a neighbour says to it now."""
    neighbour = lab.open_socket("app", socket.SOCK_DGRAM)
    neighbour.sendto(b"a word", (line.removeprefix("I am "), PORT))
    assert _next_line(bystander) == f"a word from {APP}"
