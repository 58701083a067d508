"""Filters by the control socket: what a wish may say, where it goes, and what is written down."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.daemon.test_api import Served, api  # noqa: F401
from vswitch.daemon.filters import resumed
from vswitch.daemon.store.kept import KeptFilter, KeptFilters
from vswitch.dataplane.topology import Interface, Network, Side
from vswitch.devices.memory import MemoryDevice
from vswitch.policy import Action, Filter
from vswitch.wire.values import IpInterface, IpNetwork, MacAddress

ROUTE = "/v1/filters"


def chain(served: Served) -> list[Filter]:
    assert served.daemon is not None
    return [entry.filter for entry in served.daemon.switch.tables.filters]


def add(served: Served, **wish: Any) -> dict[str, Any]:
    answer = served.ask("POST", ROUTE, wish)
    assert answer.status == 201, answer.body
    row: dict[str, Any] = answer.body
    return row


def test_wish_becomes_a_filter_and_a_row(api: Served) -> None:  # noqa: F811
    wish = {
        "action": "drop",
        "source": ["192.0.2.0/24", "198.51.100.8"],
        "destination": ["172.18.0.0/16"],
        "protocol": "tcp",
        "source_ports": ["1024-65535"],
        "ports": ["80", "8000-8010"],
        "in_network": "bridge",
        "out_network": "front",
    }
    row = add(api, **wish)
    assert row == {"number": 1, **wish, "matched": 0}
    assert api.ask("GET", ROUTE).body == [row]
    assert chain(api) == [
        Filter(
            Action.DROP,
            source=(IpNetwork.parse("192.0.2.0/24"), IpNetwork.parse("198.51.100.8/32")),
            destination=(IpNetwork.parse("172.18.0.0/16"),),
            protocol=6,
            source_ports=(range(1024, 65536),),
            ports=(range(80, 81), range(8000, 8011)),
            arrives="bridge",
            leaves="front",
        )
    ]


def test_filter_is_asked_where_it_was_wanted_and_keeps_its_number(api: Served) -> None:  # noqa: F811
    for action in ("drop", "log"):
        add(api, action=action)
    add(api, action="return", before=2)
    rows = api.ask("GET", ROUTE).body
    assert [(row["number"], row["action"]) for row in rows] == [
        *((1, "drop"), (3, "return")),
        (2, "log"),
    ]
    assert api.ask("DELETE", f"{ROUTE}/1").status == 204
    assert [row["number"] for row in api.ask("GET", ROUTE).body] == [3, 2]


@pytest.mark.parametrize(
    ("wish", "status", "told"),
    [
        ({"action": "deny"}, 400, 'filter: action: found "deny": allowed is "accept" or "return"'),
        (
            {"action": "drop", "source": ["x"]},
            400,
            'filter: source[0]: found "x": allowed is an IPv4 subnet or address',
        ),
        (
            {"action": "drop", "source": ["10.0.0.1/8"]},
            400,
            "invalid subnet 10.0.0.1/8: it should be 10.0.0.0/8",
        ),
        ({"action": "drop", "ports": ["80"]}, 400, "allowed with a protocol that has ports"),
        (
            {"action": "drop", "protocol": "tcp", "ports": ["0"]},
            400,
            "allowed is a port or",
        ),
        ({"action": "drop", "protocol": 256}, 400, 'allowed is "tcp" or "udp"'),
        (
            {"action": "drop", "in_network": "frnt"},
            400,
            'filter: in_network: found "frnt": network frnt not found: did you mean "front"?',
        ),
        ({"action": "drop", "before": 7}, 404, "filter 7 not found"),
        ({"action": "drop", "where": 1}, 400, "where: unknown key: allowed is action, source, "),
        ({}, 400, "action: missing: it has to be said"),
    ],
)
def test_wish_that_means_nothing_is_refused_in_one_line(
    api: Served,  # noqa: F811
    wish: dict[str, Any],
    status: int,
    told: str,
) -> None:
    answer = api.ask("POST", ROUTE, wish)
    assert answer.status == status
    assert told in answer.problem
    assert chain(api) == []


def test_filter_that_is_not_there_can_not_be_removed(api: Served) -> None:  # noqa: F811
    answer = api.ask("DELETE", f"{ROUTE}/9")
    assert (answer.status, answer.problem) == (404, "filter 9 not found")
    assert api.ask("DELETE", f"{ROUTE}/x").status == 404


def test_flow_is_written_down_that_a_filter_wants_logged(
    api: Served,  # noqa: F811
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The way of a frame through the runtime, as far as there is one without a kernel."""
    assert api.daemon is not None
    switch, filters = api.daemon.switch, api.daemon.filters
    gateway = Interface(MacAddress.parse("02:00:00:00:00:01"), IpInterface.parse("10.9.0.1/16"))
    front = Network(90, "front", Side.INSIDE, gateway, None, 1500)
    switch.add_network(front)
    switch.add_network(Network(91, "back", Side.INSIDE, None, None, 1500))
    switch.add_port("app", 90, MemoryDevice("app"))
    add(api, action="log", in_network="front")
    chain_of_switch = switch.tables.filters
    from vswitch.dataplane.filters import LOGGED, Ends, Flow
    from vswitch.wire.values import IpAddress

    ends = Ends(17, IpAddress.parse("10.9.0.2"), 5, IpAddress.parse("10.8.0.2"), 53)
    flow = Flow(front, switch.tables.networks[91], ends)
    for _ in range(LOGGED + 2):
        chain_of_switch.note(chain_of_switch.judge(flow), flow, 0)
    assert chain_of_switch.has_logged
    filters.write_down()
    assert "filter 1: front to back: udp 10.9.0.2:5 > 10.8.0.2:53" in caplog.messages
    assert caplog.messages[-1] == "2 more flows were to be logged, and came too fast for that"
    assert not chain_of_switch.has_logged


DROP, LOG, ACCEPT = (Filter(action) for action in (Action.DROP, Action.LOG, Action.ACCEPT))
FIRST, SECOND = (Filter(Action.DROP, arrives=name) for name in ("front", "back"))


def resumed_with(configured: tuple[Filter, ...]) -> list[tuple[int | None, Filter]]:
    """What becomes of FIRST and SECOND of the configuration, with an added one around each."""
    chain = tuple(
        KeptFilter(number, rule, is_added=rule not in (FIRST, SECOND))
        for number, rule in ((3, DROP), (1, FIRST), (4, LOG), (2, SECOND), (5, ACCEPT))
    )
    kept = KeptFilters((FIRST, SECOND), chain)
    return resumed(kept, configured)


def test_chain_is_asked_again_as_it_was() -> None:
    numbers = [number for number, _ in resumed_with((FIRST, SECOND))]
    assert numbers == [3, 1, 4, 2, 5]


def test_other_configuration_is_taken_as_it_is_and_what_was_added_keeps_its_place() -> None:
    other = Filter(Action.DROP, leaves="back")
    assert resumed_with((other, SECOND)) == [
        (None, other),
        (3, DROP),
        (4, LOG),
        (2, SECOND),
        (5, ACCEPT),
    ]


def test_filters_outlive_the_daemon_by_their_numbers(tmp_path: Path) -> None:
    before = Served(tmp_path)
    for action in ("drop", "log", "accept"):
        add(before, action=action)
    before.ask("DELETE", f"{ROUTE}/2")
    rows = before.ask("GET", ROUTE).body
    before.close()
    after = Served(tmp_path)
    assert after.daemon is not None
    after.call(after.daemon.filters.resume)
    assert after.ask("GET", ROUTE).body == rows
    assert add(after, action="drop")["number"] == 4
    after.close()
