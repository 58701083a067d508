"""Bad lines by the control interface: what a wish changes, what it leaves, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.test_api import Served
from vswitch.dataplane.topology import Network, Side
from vswitch.devices.memory import MemoryDevice

ROUTE = "/v1/impairments"


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Served]:
    """A switch with the ports `web` and `app`."""
    served = Served(tmp_path)
    try:
        add_ports(served, "web", "app")
        yield served
    finally:
        served.close()


def add_ports(served: Served, *names: str) -> None:
    """Ports on devices in memory."""
    assert served.daemon is not None
    switch = served.daemon.switch
    number = switch.new_network_number()
    switch.add_network(Network(number, "front", Side.INSIDE, None, None, 1500))
    for name in names:
        switch.add_port(name, number, MemoryDevice(name))


def said(served: Served) -> dict[str, tuple[str, str, int]]:
    """Of each impaired port both directions and the seed."""
    return {
        row["port"]: (row["incoming"]["impairment"], row["outgoing"]["impairment"], row["seed"])
        for row in served.ask("GET", ROUTE).body
    }


def test_nothing_is_impaired_at_first(api: Served) -> None:
    assert api.ask("GET", ROUTE).body == []


def test_wish_is_granted_and_shown(api: Served) -> None:
    wish = {"incoming": "loss=1% delay=20ms", "outgoing": "rate=1mbit", "seed": 7}
    assert api.ask("PUT", f"{ROUTE}/web", wish).status == 204
    (row,) = api.ask("GET", ROUTE).body
    nothing = dict.fromkeys(
        ("held", "entered", "lost", "duplicated", "reordered", "corrupted", "full"), 0
    )
    assert row == {
        "port": "web",
        "seed": 7,
        "incoming": {"impairment": "delay=20ms loss=1%", **nothing},
        "outgoing": {"impairment": "rate=1mbit queue=100", **nothing},
    }


def test_what_is_not_said_stays_as_it_is(api: Served) -> None:
    api.ask("PUT", f"{ROUTE}/web", {"incoming": "loss=1%", "seed": 7})
    assert said(api) == {"web": ("loss=1%", "none", 7)}
    api.ask("PUT", f"{ROUTE}/web", {"outgoing": "loss=2%"})
    assert said(api) == {"web": ("loss=1%", "loss=2%", 7)}
    api.ask("PUT", f"{ROUTE}/web", {"seed": 8})
    assert said(api) == {"web": ("loss=1%", "loss=2%", 8)}
    api.ask("PUT", f"{ROUTE}/web", {"incoming": "none"})
    assert said(api) == {"web": ("none", "loss=2%", 8)}
    api.ask("PUT", f"{ROUTE}/web", {"outgoing": "none"})
    assert said(api) == {}


def test_ports_are_impaired_and_cleared_one_by_one(api: Served) -> None:
    for port in ("web", "app"):
        api.ask("PUT", f"{ROUTE}/{port}", {"incoming": "loss=1%"})
    assert api.ask("DELETE", f"{ROUTE}/web").status == 204
    assert said(api) == {"app": ("loss=1%", "none", 0)}
    again = api.ask("DELETE", f"{ROUTE}/web")
    assert (again.status, again.problem) == (404, "port web is not impaired")


@pytest.mark.parametrize(
    ("method", "port", "wish", "status", "told"),
    [
        ("PUT", "wbe", {"incoming": "none"}, 404, 'port wbe not found (did you mean "web"?)'),
        ("DELETE", "nobody", {}, 404, "port nobody not found (there is web, app)"),
        ("PUT", "web", {"incoming": "los=1%"}, 400, "los=1%: allowed is none alone, or some of"),
        ("PUT", "web", {"outgoing": "loss=101%"}, 400, "loss=101%: allowed is a share from 0%"),
        ("PUT", "web", {}, 400, "nothing is said: allowed is some of incoming, outgoing, seed"),
        ("PUT", "web", {"seed": 5}, 409, "port web is not impaired: a seed alone does nothing"),
        ("PUT", "web", {"seed": -1}, 400, "seed: "),
        ("PUT", "web", {"incoming": 5}, 400, "incoming: "),
        ("PUT", "web", {"both": "none"}, 400, "both: "),
    ],
)
def test_wish_that_cannot_be_granted_changes_nothing(
    api: Served, method: str, port: str, wish: dict[str, object], status: int, told: str
) -> None:
    answer = api.ask(method, f"{ROUTE}/{port}", wish)
    assert answer.status == status
    assert answer.problem.startswith(told)
    assert said(api) == {}


def test_name_of_two_ports_means_neither(api: Served) -> None:
    add_ports(api, "web")
    answer = api.ask("PUT", f"{ROUTE}/web", {"incoming": "loss=1%"})
    assert (answer.status, answer.problem) == (409, "2 ports are called web")
