"""`vswitch tap add|rm`: a TAP in the host's namespace that a virtual machine opens by its name.

The virtual machine is a stand-in: it opens the TAP as QEMU does, by its name, and carries frames
between it and a TAP in a namespace of its own, which is the guest with its kernel.
"""

from __future__ import annotations

import json
import os
import select
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.linux import services
from tests.linux.lab import OUTSIDE, UPLINK, WEB, Lab, eventually
from vswitch.devices.tap import TapDevice

pytestmark = pytest.mark.linux

VM = "172.18.0.9"
BATCH = 64


@pytest.fixture(scope="module")
def module_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(tmp_path_factory.mktemp("vm")) as lab:
        lab.add_endpoint("web", kind="veth")
        lab.up()
        lab.create("guest")
        yield lab


@pytest.fixture
def lab(module_lab: Lab) -> Iterator[Lab]:
    yield module_lab
    for name in module_lab.endpoints():
        if name != "web":
            status, answer = module_lab.ask("DELETE", f"endpoints/{name}")
            assert status < 300, answer


@contextmanager
def virtual_machine(lab: Lab, tap: str, mac: str) -> Iterator[None]:
    """A guest in namespace `guest` behind the TAP, with its address, until the block ends."""
    with ExitStack() as undo:
        outer = lab.call("host", lambda: TapDevice.open(tap))
        undo.callback(outer.close)
        inner = lab.call("guest", lambda: TapDevice.open("eth0"))
        undo.callback(inner.close)
        lab.run("guest", "ip", "link", "set", "eth0", "address", mac)
        lab.run("guest", "ip", "link", "set", "eth0", "up")
        lab.run("guest", "ip", "address", "add", f"{VM}/16", "dev", "eth0")
        lab.run("guest", "ip", "route", "add", "default", "via", "172.18.0.1")
        stop, stopped = os.pipe()
        undo.callback(os.close, stop)
        undo.callback(os.close, stopped)
        thread = threading.Thread(target=_carry, args=(outer, inner, stop), daemon=True)
        thread.start()
        undo.callback(thread.join, 10)
        undo.callback(os.write, stopped, b"x")
        yield


def _carry(one: TapDevice, other: TapDevice, stop: int) -> None:
    while True:
        readable, _, _ = select.select([one, other, stop], [], [])
        if stop in readable:
            return
        for source, target in ((one, other), (other, one)):
            for frame in source.receive(BATCH):
                target.send(frame)


def _add(lab: Lab, name: str, *options: str) -> dict[str, object]:
    lab.vswitch("tap add", name, "--network", "front", *options)
    row: dict[str, object] = lab.table(f"endpoints/{name}")
    return row


def test_guest_that_takes_its_address_by_itself_reaches_all_and_is_reached(lab: Lab) -> None:
    row = _add(lab, "vm1", "--ip", VM, "-p", "8080:80")
    assert row["address"] == f"{VM}/16"
    with virtual_machine(lab, "vm1", str(row["mac"])):
        assert lab.ping("guest", WEB)
        assert lab.ping("guest", OUTSIDE)
        asked = lab.run("web", "dig", "@127.0.0.11", "+short", "+tries=1", "vm1")
        assert asked.stdout == f"{VM}\n"
        assert lab.ping("web", VM)
        services.serve_text(lab.listen("guest", "0.0.0.0", 80), "I am a guest")
        curl = ("curl", "-s", "--max-time", "2")
        assert lab.run("web", *curl, f"telnet://{VM}:80").stdout == "I am a guest"
        assert lab.run("out", *curl, f"telnet://{UPLINK}:8080").stdout == "I am a guest"
        stations = {each["mac"]: each["port"] for each in lab.table("fdb")}
        assert stations[str(row["mac"])] == "vm1"


def test_guest_may_be_switched_off_and_on(lab: Lab) -> None:
    row = _add(lab, "vm1", "--ip", VM)
    for _ in range(2):
        with virtual_machine(lab, "vm1", str(row["mac"])):
            assert lab.ping("guest", WEB)
    assert "vm1" in lab.endpoints()


def test_hosts_side_has_no_address_and_says_nothing(lab: Lab) -> None:
    _add(lab, "vm1")
    (shown,) = json.loads(lab.run("host", "ip", "-json", "address", "show", "vm1").stdout)
    assert shown["addr_info"] == []
    assert {"UP", "NOARP"} <= set(shown["flags"])


def test_owner_may_open_it_by_number_or_name(lab: Lab) -> None:
    _add(lab, "vm1", "--owner", "1234")
    _add(lab, "vm2", "--owner", "nobody")
    _add(lab, "vm3")
    assert _tun_details(lab, "vm1")["persist"] is True
    assert _tun_details(lab, "vm1")["user"] == 1234
    assert _tun_details(lab, "vm2")["user"] in ("nobody", 65534)
    assert "user" not in _tun_details(lab, "vm3")


def _tun_details(lab: Lab, tap: str) -> dict[str, object]:
    (link,) = json.loads(lab.run("host", "ip", "-json", "-details", "link", "show", tap).stdout)
    details: dict[str, object] = link["linkinfo"]["info_data"]
    return details


def test_removed_tap_is_gone_and_all_it_held_is_free(lab: Lab) -> None:
    for _ in range(2):
        _add(lab, "vm1", "--ip", VM, "--mac", "02:00:00:00:00:99", "-p", "8080:80")
        assert lab.vswitch("tap rm", "vm1").stdout == "vm1\n"
        assert lab.endpoints() == ["web"]
        assert "vm1" not in lab.run("host", "ip", "link").stdout


def test_tap_that_is_deleted_by_hand_is_detached(lab: Lab) -> None:
    _add(lab, "vm1", "--ip", VM)
    lab.run("host", "ip", "link", "delete", "vm1")
    eventually(lambda: lab.endpoints() == ["web"], "the machine is gone")
    _add(lab, "vm1", "--ip", VM)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("up0",), "endpoint up0: TAP up0: there is one already"),
        (("far-too-long-a-name",), "far-too-long-a-name is no name for a TAP"),
        (("web",), "endpoint with name web already exists in network front"),
        (("vm1", "--owner", "nobody-knows"), "there is no user nobody-knows"),
        (("vm1", "--ip", WEB), "Address already in use (by endpoint web)"),
        (("vm1", "--network", "host"), "nothing can be attached to network host"),
    ],
)
def test_mistake_is_told_in_one_line_and_makes_nothing(
    lab: Lab, words: tuple[str, ...], told: str
) -> None:
    before = lab.run("host", "ip", "-brief", "link").stdout
    done = lab.vswitch("tap add", "--network", "front", *words, check=False)
    assert done.returncode == 1
    assert told in done.stderr
    assert done.stderr.count("\n") == 1
    assert lab.endpoints() == ["web"]
    assert lab.run("host", "ip", "-brief", "link").stdout == before


def test_machine_of_the_configuration_outlasts_the_switch(tmp_path: Path) -> None:
    with Lab(tmp_path) as lab:
        lab.add_endpoint("web")
        lab.add_machine("vm1", address=VM)
        lab.up()
        lab.create("guest")
        row = lab.table("endpoints/vm1")
        assert (row["kind"], row["namespace"]) == ("vm", "")
        with virtual_machine(lab, "vm1", row["mac"]):
            assert lab.ping("guest", WEB)
            lab.down()
            assert not lab.ping("guest", "-W1", WEB)
            lab.up()
            assert lab.ping("guest", WEB)
        lab.delete("guest")
        assert lab.take_away() == 0
        assert lab.leftovers() == []
