"""The host's resolv.conf changes while the switch runs: who is asked, and what endpoints find."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.linux import services
from tests.linux.lab import Lab, eventually
from vswitch.naming import PORT

pytestmark = pytest.mark.linux

FIRST, SECOND = "127.0.0.5", "127.0.0.6"
"""Two name servers on the host's loopback, which no endpoint reaches by itself."""


LAY_OVER = """
mount --make-private /
mountpoint -q /etc/resolv.conf && mount --make-private /etc/resolv.conf
mount --bind "$0" /etc/resolv.conf && exec "$@"
"""
"""For the daemon alone, while what it mounts under /run/netns is still seen by everybody."""


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with Lab(tmp_path) as lab:
        yield lab


def test_hosts_servers_are_asked_as_they_are_and_files_follow_that_nobody_has_edited(
    lab: Lab, tmp_path: Path
) -> None:
    host_file = tmp_path / "resolv.conf"
    host_file.write_text(f"nameserver {FIRST}\nsearch one.example\n")
    lab.confinement = (
        *("unshare", "--mount", "--propagation", "unchanged"),
        *("sh", "-c", LAY_OVER, str(host_file)),
    )
    for number, address in enumerate((FIRST, SECOND), start=1):
        names = {"far.example.": f"192.0.2.{number}"}
        services.serve_names(lab.bind("host", address, PORT), names)
    lab.dns = {}
    lab.add_endpoint("web", kind="veth")
    lab.add_endpoint("app", kind="veth")
    lab.up()
    lab.run("host", *lab.command("run"), "-d", "--network", "front", "--name", "job", "sleep", "60")
    row = json.loads(lab.vswitch("endpoint inspect", "job").stdout)[0]
    found = Path(f"/proc/{row['pid']}/root/etc/resolv.conf")

    def asked() -> str:
        return lab.run("web", "dig", "@127.0.0.11", "+short", "+tries=1", "far.example").stdout

    def search(role: str) -> str:
        return lab.run(role, "sed", "-n", "s/^search //p", "/etc/resolv.conf").stdout

    assert (lab.table("status")["name_servers"], asked()) == ([FIRST], "192.0.2.1\n")
    assert (search("web"), search("app")) == ("one.example\n", "one.example\n")
    assert "search one.example\n" in found.read_text()
    edited = Path("/etc/netns", lab.namespace("app"), "resolv.conf")
    edited.write_text("nameserver 127.0.0.11\nsearch own.example\n")
    host_file.write_text(f"nameserver {SECOND}\nsearch two.example\n")
    eventually(lambda: lab.table("status")["name_servers"] == [SECOND], "the host's file is read")
    assert asked() == "192.0.2.2\n"
    assert (search("web"), search("app")) == ("two.example\n", "own.example\n")
    assert "search two.example\n" in found.read_text()
    assert len(lab.log_lines(f"{edited} is somebody's own")) == 1
    lab.vswitch("stop", "-t", "0", "job")
