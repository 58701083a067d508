"""How the demo looks where nobody can see colours, and where there is little room."""

from __future__ import annotations

import io
import re

import pytest
from rich.cells import cell_len
from rich.console import Console

from vswitch.cli.demo.screen import Screen, sparkline
from vswitch.cli.demo.steps import Evidence, Finding
from vswitch.cli.demo.tables import flow_table
from vswitch.cli.show import fdb_table
from vswitch.daemon.messages import FdbRow, FlowRow

FLOWS = [
    FlowRow(
        flow=number,
        protocol=protocol,
        state="established",
        network="front",
        original=original,
        reply="",
        translation=translation,
        frames=frames,
        bytes=1023 * 1024 * 1024,
        idle_seconds=0.0,
        expires_in_seconds=1.0,
    )
    for number, (protocol, original, translation, frames) in enumerate(
        (
            (
                "tcp",
                "198.51.100.1:65535 > 198.51.100.2:65535",
                "source 198.51.100.2:65535, destination 198.51.100.1:65535",
                1,
            ),
            ("icmp", "172.18.0.3 > 198.51.100.1 id 7", "source 198.51.100.2:8", 1),
            ("udp", "172.18.0.3:53 > 172.18.0.1:53", "", 0),
        )
    )
]

STATION = FdbRow(network="front", vlan=0, mac="02:00:00:00:00:01", port="web", recent=True)

CONTROL_CODE = re.compile(r"[^\n\x20-\x7e\u00a0-\uffff]")


def show_everything(console: Console) -> None:
    screen = Screen(console)
    screen.opening()
    screen.chapter("A chapter")
    with screen.doing("working"):
        screen.show("a claim", Finding(True, (Evidence("app$ true", "172.18.0.3"),)))
    with screen.bar("moving") as update:
        update(0.5, "half")
    screen.show("another", Finding(False, (Evidence("app$ false", "a word or two " * 9),)))
    screen.show("lines", Finding(True, (Evidence("app$ cat", "one\ntwo"),)))
    screen.table(flow_table(FLOWS, screen.table_columns))
    screen.table(fdb_table([STATION]))
    screen.trouble("trouble", ["a log line"])
    screen.closing("1 of 2", False, [("a command", "what it is for")])


def shown(width: int, *, is_terminal: bool = False) -> str:
    output = io.StringIO()
    show_everything(
        Console(file=output, width=width, force_terminal=is_terminal, highlight=False, _environ={})
    )
    return output.getvalue()


def test_into_a_pipe_goes_plain_text_without_a_frame_of_what_moves() -> None:
    text = shown(80)
    assert not CONTROL_CODE.search(text)
    assert "working" not in text
    assert "moving" not in text


def test_on_a_terminal_it_has_colours_and_moves() -> None:
    text = shown(80, is_terminal=True)
    assert "\x1b[" in text
    assert "working" in text
    assert "moving" in text


@pytest.mark.parametrize("width", [40, 79, 80, 100, 118, 120, 200])
def test_no_line_is_longer_than_the_screen_is_wide(width: int) -> None:
    assert max(cell_len(line) for line in shown(width).splitlines()) <= width


@pytest.mark.parametrize("width", [80, 120])
def test_at_the_usual_widths_no_address_is_cut_in_two(width: int) -> None:
    text = shown(width)
    assert "198.51.100.2:65535" in text
    assert "> 198.51.100.1:65535" in text
    assert "172.18.0.3 id 7" in text
    assert "198.51.100.2 id 8" in text


def test_a_wide_screen_has_a_connection_on_one_line() -> None:
    assert "198.51.100.1:65535 > 198.51.100.2:65535" in shown(118)
    assert "198.51.100.1:65535 > 198.51.100.2:65535" not in shown(80)


def test_a_connection_that_is_not_translated_becomes_nothing_else() -> None:
    table = flow_table(FLOWS[2:], 118)
    console = Console(file=io.StringIO(), width=118)
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    row = console.file.getvalue().splitlines()[-2]
    assert row.count("172.18.0.3:53 > 172.18.0.1:53") == 1


def test_a_long_output_stands_under_its_command() -> None:
    lines = [line.strip() for line in shown(80).splitlines()]
    assert "app$ true → 172.18.0.3" in lines
    at = lines.index("app$ false")
    assert lines[at + 1].startswith("→ a word or two")
    at = lines.index("app$ cat")
    assert lines[at + 1 : at + 3] == ["→ one", "two"]


def test_what_stdout_can_not_encode_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, encoding="ascii", write_through=True))
    Screen.on_stdout().show("a claim", Finding(True, ()))
    assert raw.getvalue() == b" ? a claim\n"


@pytest.mark.parametrize(
    ("values", "bars"),
    [([], ""), ([0.0, 0.0], ""), ([0.0, 7.0], "▁█"), ([1.0, 2.0, 4.0, 8.0], "▂▃▅█")],
)
def test_a_sparkline_is_full_at_the_highest_value(values: list[float], bars: str) -> None:
    assert sparkline(values) == bars
