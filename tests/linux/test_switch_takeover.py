"""Everything outlives the daemon: what was brought at run time is there again after its end.

One switch with everything on it is ended, once in each way, and started again; each test looks at
one thing then.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.linux.lab import OUTSIDE, Lab, eventually
from tests.linux.transfers import Transfer
from vswitch.daemon.store import FILE, Store

pytestmark = pytest.mark.linux

GUEST = "172.18.0.9"
OWN = "192.0.2.77/32"
"""An address that somebody inside has given to the guest's interface."""


SLEEP = ("--", "sleep", "600")


def ask(lab: Lab, method: str, path: str, body: object = None) -> Any:
    """What the switch answers to a call that it is to obey."""
    status, answer = lab.ask(method, path, body)
    assert status < 300, answer
    return answer


def publish(lab: Lab, endpoint: str, *specs: str) -> None:
    """Publish ports while the switch runs."""
    ask(lab, "POST", f"endpoints/{endpoint}/publications", {"publish": specs})


class Ended:
    """A switch with everything on it that was ended and started again."""

    def __init__(self, lab: Lab, ending: signal.Signals, undo: ExitStack) -> None:
        self.lab = lab
        self.ending = ending
        self.before: dict[str, Any] = {}
        self._set_up(undo)
        self.before = self.state()
        self.inside = self.inside_now()
        self.transfers = self._begin_transfers(undo)
        (self.left,) = [
            row["expires_in_seconds"]
            for row in lab.table("publications")
            if row["host_ports"][0] == 9090
        ]
        lab.down(ending)
        lab.up()
        self.log = lab.log()

    def state(self) -> dict[str, Any]:
        """What the switch tells of itself and its own."""
        lab = self.lab
        publications = lab.table("publications")
        for row in publications:
            row["expires_in_seconds"] = row["expires_in_seconds"] and "some"
        return {
            "endpoints": lab.table("endpoints"),
            "networks": lab.table("networks"),
            "publications": publications,
            "filters": lab.table("filters"),
        }

    def inside_now(self) -> list[Any]:
        """What the guest sees of its interfaces."""
        run = self.lab.run
        links = json.loads(run("guest", "ip", "-json", "-4", "address").stdout)
        routes = run("guest", "ip", "route").stdout.replace(" linkdown", "").split()
        kept = ("ifindex", "ifname", "addr_info")
        return [[{key: link[key] for key in kept} for link in links], routes]

    def _set_up(self, undo: ExitStack) -> None:
        lab = self.lab
        for role in ("app", "guest"):
            lab.create(role)
        lab.up()
        lab.start("web", "sleep", "600")
        ask(lab, "POST", "networks", {"name": "back", "subnet": "10.9.0.0/24"})
        place = {"path": f"/run/netns/{lab.namespace('guest')}", "name": "guest"}
        published = {"publish": ["8080:80", "81"]}
        ask(lab, "POST", "endpoints", {"network": "front", "address": GUEST, **place, **published})
        lab.vswitch("run", *("-d", "--network", "back", "--name", "runner"), "-p", "80", *SLEEP)
        lab.vswitch("run", *("-d", "--network", "none", "--name", "aside"), *SLEEP)
        undo.callback(self.end_commands)
        for name in ("guest", "app"):
            ask(lab, "POST", "networks/back/connect", {"endpoint": name})
        ask(lab, "POST", "networks/back/disconnect", {"endpoint": "app"})
        ask(lab, "POST", "taps", {"name": "vm1", "network": "front"})
        publish(lab, "guest", "9090:90 for=1h", "9091:91 once")
        publish(lab, "web", "9092:92")
        ask(lab, "DELETE", "endpoints/web/publications/7001")
        ask(lab, "DELETE", "endpoints/guest/publications/8080")
        for action in ("accept", "drop", "log"):
            ask(lab, "POST", "filters", {"action": action, "source": ["203.0.113.0/24"]})
        ask(lab, "DELETE", "filters/2")
        lab.run("guest", "ip", "address", "add", OWN, "dev", "eth0")
        lab.run("guest", "ip", "route", "add", "203.0.113.7", "via", "172.18.0.1")

    def end_commands(self) -> None:
        """Those that run on it, wherever they are by now."""
        for row in self.before.get("endpoints", ()):
            if row["pid"] is not None:
                with suppress(ProcessLookupError):
                    os.kill(row["pid"], signal.SIGKILL)

    def _begin_transfers(self, undo: ExitStack) -> dict[str, Transfer]:
        wanted = {
            "of the configuration's": ("app", "web", "172.18.0.3"),
            "of the guest": ("guest", "web", "172.18.0.3"),
        }
        if self.ending is signal.SIGTERM:
            wanted["outwards"] = ("app", "out", OUTSIDE)
            wanted["of the guest outwards"] = ("guest", "out", OUTSIDE)
        begun = {}
        for port, (name, (client, server, address)) in enumerate(wanted.items(), start=7100):
            begun[name] = Transfer(self.lab, client, server, address, port)
            undo.callback(begun[name].close)
        return begun


@pytest.fixture(scope="module", params=[signal.SIGTERM, signal.SIGKILL], ids=["stop", "kill"])
def ended(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Ended]:
    with Lab(tmp_path_factory.mktemp("takeover")) as lab, ExitStack() as undo:
        lab.add_endpoint("app")
        lab.add_endpoint("web", kind="veth", publish=["7000:70", "7001:71"])
        yield Ended(lab, request.param, undo)


@pytest.mark.parametrize("what", ["endpoints", "networks", "publications", "filters"])
def test_all_is_told_as_it_was(ended: Ended, what: str) -> None:
    """Names, addresses, networks, host ports that nobody chose, and the numbers of filters."""
    assert ended.state()[what] == ended.before[what]


def test_who_lives_on_is_taken_over_in_one_line_each(ended: Ended) -> None:
    for name in ("app", "web", "guest", "runner", "vm1"):
        assert len([line for line in ended.log.splitlines() if f"{name} taken over: " in line]) == 1
    assert "WARNING" not in ended.log


def test_what_somebody_has_added_inside_is_still_there(ended: Ended) -> None:
    assert ended.inside_now() == ended.inside


def test_transfers_go_on(ended: Ended) -> None:
    for transfer in ended.transfers.values():
        transfer.go_on()


def test_time_of_a_publication_has_gone_on(ended: Ended) -> None:
    (row,) = [each for each in ended.lab.table("publications") if each["host_ports"][0] == 9090]
    assert 3000 < row["expires_in_seconds"] < ended.left


def test_who_lives_on_can_do_all_that_it_could(ended: Ended) -> None:
    lab = ended.lab
    assert lab.run("guest", "dig", "@127.0.0.11", "+short", "+tries=1", "web").stdout == (
        "172.18.0.3\n"
    )
    assert lab.ping("web", GUEST)
    assert lab.ping("guest", OUTSIDE)


def test_machine_that_is_removed_and_guest_that_is_detached_leave_nothing(ended: Ended) -> None:
    """Stands last: what was taken over can be taken away, and does not come again."""
    lab = ended.lab
    for transfer in ended.transfers.values():
        transfer.close()
    lab.vswitch("detach", "guest", "vm1")
    assert "eth0" not in lab.run("guest", "ip", "link").stdout
    assert "vm1" not in lab.run("host", "ip", "link").stdout
    lab.down(ended.ending)
    ended.end_commands()
    lab.up()
    assert lab.endpoints() == ["app", "web"]
    (told,) = lab.log_lines("endpoint runner is not taken over: ")
    assert "has ended" in told
    assert lab.vswitch("down", "--remove").stdout == f"{lab.name}\n"
    lab.delete("app")
    lab.delete("guest")
    assert lab.leftovers() == []


def test_who_is_gone_or_another_is_forgotten(tmp_path: Path) -> None:
    """A process that has the number of the one that was attached is another one by its birth."""
    with Lab(tmp_path) as lab:
        lab.add_endpoint("web")
        lab.create("gone")
        lab.create("other")
        sleeper = lab.start("other", "sleep", "600")
        eventually(lambda: "sleep" in _command(sleeper.pid), "it sleeps")
        lab.up()
        gone = {"name": "gone", "path": f"/run/netns/{lab.namespace('gone')}"}
        ask(lab, "POST", "endpoints", {**gone, "publish": ["8080:80"]})
        reused = {"name": "reused", "pid": sleeper.pid, "publish": ["8081:80"]}
        ask(lab, "POST", "endpoints", reused)
        ask(lab, "POST", "taps", {"name": "vm1"})
        publish(lab, "web", "8082:80 for=1s", "8083:80")
        lab.down(signal.SIGKILL)
        lab.delete("gone")
        lab.run("host", "ip", "link", "delete", "vm1")
        with closing(Store(tmp_path / "state" / FILE)) as store:
            kept = store.endpoints.all()["reused"]
            assert kept.home is not None
            assert kept.home.process is not None
            earlier = kept.home.process._replace(started=kept.home.process.started - 1)
            store.endpoints.put("reused", replace(kept, home=replace(kept.home, process=earlier)))
            ended = store.publications.all()["web 0.0.0.0:8082->80/tcp"]
        eventually(lambda: time.time_ns() > (ended.closes_at or 0), "its time is over")
        lab.up()
        assert lab.endpoints() == ["web", "vm1"]
        assert lab.run("host", "ip", "link", "show", "vm1").stdout
        assert [row["host_ports"][0] for row in lab.table("publications")] == [8083]
        for name, why in (("gone", "is gone"), ("reused", "has ended")):
            (told,) = lab.log_lines(f"endpoint {name} is not taken over: ")
            assert why in told
        assert "eth0" not in lab.run("other", "ip", "link").stdout
        ask(lab, "POST", "endpoints", reused)


def _command(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text()
