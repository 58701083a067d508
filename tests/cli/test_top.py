"""`vswitch top`: rates between two moments, and how they look."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from tests.cli.test_show import FLOW, PORT, STATUS
from tests.daemon.test_api import Served
from tests.daemon.test_impairments import add_ports
from vswitch.cli.top.figures import short, sparkline
from vswitch.cli.top.rates import Drop, FlowRate, PortRate, Rate, Rates, grown, rates
from vswitch.cli.top.snapshot import FLOWS_AT_MOST, Snapshot
from vswitch.cli.top.view import DROPS_SHOWN, FLOWS_IN_A_PIPE, View, shown
from vswitch.daemon.messages import FlowRow, PortRow
from vswitch.units import SECOND

if TYPE_CHECKING:
    from tests.cli.conftest import Vswitch

NOON = datetime(2026, 1, 1, 12)
ZERO = Rate(0, 0)


def port(name: str = "web", **counters: object) -> PortRow:
    nothing = {"lost": {}, "drops": {}, **dict.fromkeys(COUNTERS, 0)}
    return PORT.model_copy(update={"name": name, **nothing, **counters})


COUNTERS = ("received_frames", "received_bytes", "sent_frames", "sent_bytes")


def flow(number: int, frames: int, octets: int, **fields: str) -> FlowRow:
    update = {"flow": number, "frames": frames, "bytes": octets, **fields}
    return FLOW.model_copy(update=update)


def moment(
    seconds: float,
    ports: tuple[PortRow, ...] = (),
    flows: tuple[FlowRow, ...] | None = (),
    names: dict[str, str] | None = None,
) -> Snapshot:
    return Snapshot(int(seconds * SECOND), STATUS, ports, flows, names or {})


# Rates


def test_rate_of_a_port_is_what_has_passed_by_the_time_that_has() -> None:
    before = port(received_frames=100, received_bytes=1000, sent_frames=7, sent_bytes=70)
    after = port(received_frames=140, received_bytes=3000, sent_frames=7, sent_bytes=70)
    passed = rates(moment(10, (before,)), moment(12, (after,)))
    assert passed.seconds == 2
    assert passed.ports == (PortRate("web", "front", Rate(20, 8000), ZERO, 0, 0),)


def test_what_is_lost_and_dropped_is_a_rate_and_told_by_reason() -> None:
    before = port(lost={"full": 1}, drops={"no_route": 5, "ttl_expired": 2})
    after = port(lost={"full": 4}, drops={"no_route": 5, "ttl_expired": 3, "land": 9})
    passed = rates(moment(0, (before,)), moment(2, (after,)))
    assert (passed.ports[0].lost, passed.ports[0].dropped) == (1.5, 5)
    assert passed.drops == (
        Drop("web", "land", 9),
        Drop("web", "full", 3, is_lost=True),
        Drop("web", "ttl_expired", 1),
    )


def test_lost_frame_is_told_apart_from_a_dropped_one_of_the_same_name() -> None:
    after = port(lost={"too_big": 1}, drops={"too_big": 2})
    passed = rates(moment(0, (port(),)), moment(1, (after,)))
    assert passed.drops == (Drop("web", "too_big", 2), Drop("web", "too_big", 1, is_lost=True))


def test_port_that_came_in_between_has_passed_all_that_it_counts() -> None:
    passed = rates(moment(0), moment(1, (port(sent_frames=5, sent_bytes=50),)))
    assert passed.ports[0].sent == Rate(5, 400)


def test_port_of_another_name_in_the_same_place_is_another_one() -> None:
    before, after = port("web", sent_frames=5), port("app", sent_frames=6)
    assert rates(moment(0, (before,)), moment(1, (after,))).ports[0].sent.frames == 6


def test_port_that_has_gone_is_not_told_of() -> None:
    assert rates(moment(0, (port(),)), moment(1)).ports == ()


def test_busiest_flow_is_first_and_idle_ones_are_left_out() -> None:
    before = (flow(1, 10, 1000), flow(2, 10, 1000), flow(3, 10, 1000))
    after = (flow(1, 11, 1100), flow(2, 10, 1000), flow(3, 20, 9000), flow(4, 1, 400))
    passed = rates(moment(0, flows=before), moment(1, flows=after))
    assert passed.flows is not None
    assert [(each.flow, each.rate) for each in passed.flows] == [
        (3, Rate(10, 64_000)),
        (4, Rate(1, 3200)),
        (1, Rate(1, 800)),
    ]


def test_addresses_of_endpoints_are_told_by_name() -> None:
    names = {"172.18.0.3": "app", "172.18.0.30": "db"}
    row = flow(
        1,
        1,
        60,
        original="172.18.0.3:40000 > 172.18.0.30:80",
        translation="destination 172.18.0.30:80",
    )
    passed = rates(moment(0), moment(1, flows=(row,), names=names))
    assert passed.flows is not None
    assert passed.flows[0].tuple == "app:40000 > db:80"
    assert passed.flows[0].translation == "destination db:80"


@pytest.mark.parametrize("address", ["172.18.0.33", "1.172.18.0.3", "172.18.0.3.4"])
def test_address_that_only_looks_alike_keeps_its_figures(address: str) -> None:
    row = flow(1, 1, 60, original=f"{address} > {address} id 5")
    passed = rates(moment(0), moment(1, flows=(row,), names={"172.18.0.3": "app"}))
    assert passed.flows is not None
    assert passed.flows[0].tuple == f"{address} > {address} id 5"


@pytest.mark.parametrize(("old", "new"), [(None, ()), ((), None), (None, None)])
def test_flows_that_are_too_many_at_either_moment_have_no_rates(
    old: tuple[FlowRow, ...] | None, new: tuple[FlowRow, ...] | None
) -> None:
    assert rates(moment(0, flows=old), moment(1, flows=new)).flows is None


@given(before=st.integers(0, 10**12), more=st.integers(0, 10**12))
def test_counter_has_grown_by_the_difference_and_begins_anew_below(before: int, more: int) -> None:
    assert grown(before, before + more) == more
    assert grown(before + more + 1, before) == before


# Figures


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (7, "7"),
        (2.5, "2.5"),
        (99.94, "99.9"),
        (99.96, "100"),
        (999, "999"),
        (999.4, "999"),
        (999.6, "1.0 k"),
        (1000, "1.0 k"),
        (12_345, "12.3 k"),
        (99_960, "100 k"),
        (999_600, "1.0 M"),
        (1_234_567_890, "1.2 G"),
        (5e12, "5.0 T"),
        (5e15, "5000 T"),
    ],
)
def test_rate_is_told_in_about_three_digits(number: float, text: str) -> None:
    assert short(number) == text


@given(number=st.floats(0, 1e14))
def test_rate_takes_a_few_characters(number: float) -> None:
    assert len(short(number)) <= 6


@pytest.mark.parametrize(
    ("values", "bars"),
    [
        ([], ""),
        ([0, 0], "▁▁"),
        ([1, 1], "██"),
        ([0, 7, 14], "▁▅█"),
        (range(8), "▁▂▃▄▅▆▇█"),
    ],
)
def test_line_is_measured_by_its_highest_value(values: list[float], bars: str) -> None:
    assert sparkline(values) == bars


# The view


def port_rate(name: str, bits: float = 0) -> PortRate:
    return PortRate(name, "front", Rate(1, bits), ZERO, 0, 0)


def flow_rate(number: int) -> FlowRate:
    return FlowRate(number, "tcp", "established", f"app:{number} > web:80", "", Rate(1, 480))


def passed(
    ports: tuple[PortRate, ...] = (),
    flows: tuple[FlowRate, ...] | None = (),
    drops: tuple[Drop, ...] = (),
) -> Rates:
    return Rates(1, ports, flows, drops)


def on_terminal(view: View, width: int = 120, height: int = 40) -> str:
    console = Console(width=width, height=height, force_terminal=True, color_system=None)
    with console.capture() as shown:
        console.print(view.drawn(width, height))
    return shown.get()


def in_pipe(view: View) -> str:
    console = Console(width=1000)
    with console.capture() as shown:
        for part in view.plain():
            console.print(part)
    return shown.get()


def test_before_the_first_rates_nothing_is_said() -> None:
    assert on_terminal(View()) == "measuring\n"
    assert in_pipe(View()) == ""


def test_terminal_shows_ports_flows_and_drops_with_their_reasons() -> None:
    view = View()
    drop = Drop("uplink", "not_published", 12)
    view.take(STATUS, passed((port_rate("web", 2e9),), (flow_rate(7),), (drop,)), NOON)
    text = on_terminal(view)
    assert "vswitch lab" in text
    assert "8 of 100 connections" in text
    assert "2.0 G" in text
    assert "app:7 > web:80" in text
    line = next(line for line in text.splitlines() if "not_published" in line)
    assert line.split()[:4] == ["uplink", "12:00:00", "12", "not_published"]
    assert "from outside, and neither part of a connection" in line


def test_line_of_a_port_has_its_last_rates() -> None:
    view = View()
    for bits in (0, 7, 14):
        view.take(STATUS, passed((port_rate("web", bits),)), NOON)
    assert " ▁▅█" in on_terminal(view)


def test_port_that_comes_again_begins_a_new_line() -> None:
    view = View()
    for ports in ((port_rate("web", 9),), (), (port_rate("web", 5),)):
        view.take(STATUS, passed(ports), NOON)
    assert " █ " in on_terminal(view)


@pytest.mark.parametrize(("width", "height"), [(40, 16), (80, 24), (99, 30), (100, 50), (200, 20)])
def test_view_fits_the_terminal(width: int, height: int) -> None:
    view = View()
    ports = tuple(port_rate(f"endpoint-{number}", 1e9) for number in range(60))
    flows = tuple(flow_rate(number) for number in range(90))
    drops = tuple(Drop("uplink", f"reason_{number}", 1) for number in range(9))
    view.take(STATUS, passed(ports, flows, drops), NOON)
    lines = on_terminal(view, width, height).splitlines()
    assert max(map(len, lines)) <= width
    assert len(lines) <= height


def test_pipe_gets_all_ports_and_the_busiest_flows_and_no_drawing() -> None:
    view = View()
    ports = tuple(port_rate(f"endpoint-{number}") for number in range(60))
    flows = tuple(flow_rate(number) for number in range(90))
    view.take(STATUS, passed(ports, flows), NOON)
    text = in_pipe(view)
    assert text.isascii()
    assert text.count("endpoint-") == 60
    assert text.count(" > web:80") == FLOWS_IN_A_PIPE
    assert "because" not in text


def test_flows_that_are_too_many_are_said_to_be() -> None:
    view = View()
    view.take(STATUS, passed(flows=None), NOON)
    assert f"more than {FLOWS_AT_MOST} flows: too many to look at" in in_pipe(view)
    assert f"more than {FLOWS_AT_MOST} flows: too many to look at" in on_terminal(view, width=80)


def test_drop_stays_in_view_with_its_time_and_total_and_the_oldest_goes() -> None:
    view = View()
    first = Drop("uplink", "no_route", 2)
    view.take(STATUS, passed(drops=(first, Drop("web", "land", 1))), NOON)
    view.take(STATUS, passed(), NOON.replace(minute=1))
    view.take(STATUS, passed(drops=(first,)), NOON.replace(minute=2))
    lines = [line.split()[:4] for line in in_pipe(view).splitlines() if " 12:" in line]
    assert lines == [["uplink", "12:02:00", "4", "no_route"], ["web", "12:00:00", "1", "land"]]
    for number in range(DROPS_SHOWN - 1):
        view.take(STATUS, passed(drops=(Drop("app", f"reason_{number}", 1),)), NOON)
    assert "no_route" in in_pipe(view)
    assert "land" not in in_pipe(view)


def test_lost_frame_has_its_devices_reason() -> None:
    view = View()
    view.take(STATUS, passed(drops=(Drop("web", "too_big", 1, is_lost=True),)), NOON)
    assert "larger than the interface's MTU" in in_pipe(view)


def test_ports_keep_their_places_while_they_fit_and_the_busiest_stay() -> None:
    ports = [port_rate("a", 1), port_rate("b", 5), port_rate("c", 3)]
    assert [each.name for each in shown(ports, 3)] == ["a", "b", "c"]
    assert [each.name for each in shown(ports, 2)] == ["b", "c"]


# The verb


@pytest.fixture
def served(run_directory: Path) -> Iterator[Served]:
    directory = run_directory / "lab"
    directory.mkdir()
    served = Served(directory)
    try:
        add_ports(served, "web", "app")
        yield served
    finally:
        served.close()


def test_in_a_pipe_each_look_is_printed(vswitch: Vswitch, served: Served) -> None:
    outcome = vswitch("top", "-n", "2", "--interval", "0.1")
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out.count("vswitch lab   ") == 2
    assert [line.split()[0] for line in outcome.out.splitlines() if " front " in line] == [
        *("web", "app"),
        *("web", "app"),
    ]


def test_json_is_a_line_for_each_look(vswitch: Vswitch, served: Served) -> None:
    lines = vswitch("top", "-n", "2", "--interval", "0.1", "--json").out.splitlines()
    looks = [json.loads(line) for line in lines]
    assert [[each["name"] for each in look["ports"]] for look in looks] == [["web", "app"]] * 2
    assert looks[0]["ports"][0]["received"] == {"frames": 0.0, "bits": 0.0}
    assert looks[0]["seconds"] >= 0.1


@pytest.mark.parametrize(
    "words", [("--interval", "0"), ("--interval", "soon"), ("-n", "0"), ("extra",)]
)
def test_wrong_command_line_has_status_2(
    vswitch: Vswitch, served: Served, words: tuple[str, ...]
) -> None:
    assert vswitch("top", *words).status == 2
