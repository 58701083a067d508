"""A switch that is brought to another configuration: who may go on goes on, byte for byte."""

from __future__ import annotations

import hashlib
import json
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.linux.lab import OUTSIDE, PATIENCE, UPLINK, WEB, Done, Lab, eventually
from tests.linux.services import serve_hash, serve_text

pytestmark = pytest.mark.linux

PORT = 7000
PIECE = bytes(range(256)) * 256

PAUSE_SECONDS = 0.005
"""From one piece to the next: a transfer that is always under way, and leaves the machine to all
others."""


class Transfer:
    """A TCP connection from inside that sends until it is told to finish."""

    def __init__(self, lab: Lab, role: str, address: str) -> None:
        self._connection = lab.connect(role, address, PORT)
        self._is_over = threading.Event()
        self._sent = hashlib.sha256()
        self.pieces = 0
        self.error: OSError | None = None
        self._thread = threading.Thread(target=self._send, daemon=True)
        self._thread.start()

    def goes_on(self) -> None:
        """Wait until more has been sent than was until now."""
        before = self.pieces
        eventually(lambda: self.pieces > before + 20 or self.error is not None, "more is sent")
        assert self.error is None

    def finish(self) -> None:
        """The other side has received what was sent."""
        self._is_over.set()
        self._thread.join(PATIENCE)
        assert (self._thread.is_alive(), self.error) == (False, None)
        self._connection.shutdown(socket.SHUT_WR)
        assert self._connection.recv(100).decode() == self._sent.hexdigest()

    def _send(self) -> None:
        try:
            while not self._is_over.is_set():
                self._connection.sendall(PIECE)
                self._sent.update(PIECE)
                self.pieces += 1
                time.sleep(PAUSE_SECONDS)
        except OSError as error:
            self.error = error


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """A switch with web and app on `front`, and the network `old` with `gone` on it."""
    with Lab(tmp_path) as lab:
        lab.add_endpoint("web")
        lab.add_endpoint("app")
        lab.add_network("old", subnet="172.20.0.0/16")
        lab.add_endpoint("gone", network="old")
        yield lab


def lines(done: Done) -> list[str]:
    return done.stdout.splitlines()


def test_transfers_go_on_while_networks_endpoints_and_ports_come_and_go(lab: Lab) -> None:
    lab.up()
    serve_hash(lab.listen("out", OUTSIDE, PORT))
    serve_hash(lab.listen("web", WEB, PORT))
    transfers = [Transfer(lab, "app", OUTSIDE), Transfer(lab, "app", WEB)]
    for each in transfers:
        each.goes_on()

    lab.drop_tables("old")
    lab.drop_endpoint("gone")
    lab.add_network("new", subnet="172.21.0.0/16")
    lab.add_endpoint("fresh", network="new")
    lab.add_endpoint("web", publish=["8080:80"])
    file = str(lab.write_configuration())
    shown = lab.vswitch("diff", file, check=False)
    assert (shown.returncode, lines(shown)) == (
        1,
        [
            "- network old",
            "+ network new: subnet 172.21.0.0/16",
            "- endpoint gone",
            "~ endpoint web: publish + 8080:80 (in place)",
            "+ endpoint fresh: network new",
        ],
    )
    assert lines(lab.vswitch("reload", file)) == lines(shown)

    for each in transfers:
        each.goes_on()
    assert lab.endpoints() == ["web", "app", "fresh"]
    assert "gone" not in lab.namespaces()
    assert lab.ping("fresh", "172.21.0.1")
    serve_text(lab.listen("web", WEB, 80), "web")
    assert lab.connect("out", UPLINK, 8080).recv(100) == b"web"
    assert json.loads(lab.vswitch("diff", "--json").stdout) == []
    for each in transfers:
        each.finish()


def test_file_is_read_again_on_sighup_and_a_bad_one_changes_nothing(lab: Lab) -> None:
    lab.up()
    lab.add_network("broken", subnet="172.18.0.0/16")
    lab.write_configuration()
    assert lab.daemon is not None
    lab.daemon.send_signal(signal.SIGHUP)
    lab.wait_for_log("the configuration is not changed as a whole: ")
    assert "Pool overlaps" in lab.log()
    lab.drop_tables("broken")

    lab.front = {**lab.front, "mtu": 1400}
    lab.write_configuration()
    lab.daemon.send_signal(signal.SIGHUP)
    lab.wait_for_log("the configuration is read again: changed")
    (link,) = json.loads(lab.run("web", "ip", "-json", "link", "show", "eth0").stdout)
    assert link["mtu"] == 1400
    assert lab.ping("web", "172.18.0.3")
    assert lab.down() == 0
    assert lab.leftovers() == []
