"""`vswitch dns` as it is typed, against the control socket of a real daemon; and its tables."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import dns.message
import pytest

from tests.cli.test_show import STATUS
from tests.daemon.test_api import Served
from vswitch.cli.dns import cache_table, server_table
from vswitch.cli.show import _name_servers_words, print_table
from vswitch.daemon.messages.dns import KeptNameRow, Outcome, ServerRow
from vswitch.daemon.resolving.showing.querylog import QueryLog
from vswitch.dataplane.responders.dns.inside.names import Names
from vswitch.dataplane.responders.dns.party import Party, Route
from vswitch.units import MILLISECOND

if TYPE_CHECKING:
    from tests.cli.conftest import Vswitch

NAMES = Names(())
APP = Party("app", lambda: NAMES, lambda _: Route(), "front")
HOST = Party("the host", lambda: NAMES, lambda _: Route())


@pytest.fixture
def served(run_directory: Path) -> Iterator[Served]:
    """The one switch that runs, of which somebody has asked something."""
    directory = run_directory / "lab"
    directory.mkdir()
    served = Served(directory, '[dns]\nupstream = ["192.0.2.53"]\n')
    try:
        yield served
    finally:
        served.close()


def log_of(served: Served) -> QueryLog:
    assert served.daemon is not None
    return served.daemon.responder.resolver.queries


def ask(served: Served, name: str, outcome: Outcome, party: Party = APP, by: str = "") -> None:
    asked = dns.message.make_query(name, "A").to_wire()[2:]
    took = 12 * MILLISECOND if by else 0
    served.call(log_of(served).note, 0, party, asked, outcome, by, took)


@pytest.fixture
def asked(served: Served) -> Served:
    ask(served, "web.front", Outcome.NAMES)
    ask(served, "WEB.front", Outcome.NAMES)
    ask(served, "www.debian.org", Outcome.SERVER, HOST, by="192.0.2.53")
    ask(served, "evil.example", Outcome.NOT_ALLOWED)
    return served


def without_time(out: str) -> list[str]:
    return [line.partition(" ")[2] for line in out.splitlines()]


def test_log_tells_what_became_of_each_query(vswitch: Vswitch, asked: Served) -> None:
    shown = vswitch("dns", "log")
    assert shown.status == 0
    assert without_time(shown.out) == [
        "app (front): A web.front: from names",
        "app (front): A web.front: from names",
        "the host: A www.debian.org: from 192.0.2.53 (12 ms)",
        "app (front): A evil.example: refused: its network does not allow this name",
    ]
    (row,) = map(json.loads, vswitch("dns", "log", "-n", "1", "--json").out.splitlines())
    assert (row["party"], row["outcome"], row["name"]) == ("app", "not_allowed", "evil.example")


def test_top_tells_what_is_asked_most_and_by_whom(vswitch: Vswitch, asked: Served) -> None:
    shown = vswitch("dns", "top", "-n", "1").out.splitlines()
    assert [" ".join(line.split()) for line in shown] == [
        *("queries what became of them", "2 from names", "1 from a server"),
        "1 refused: its network does not allow this name",
        *("queries name", "2 web.front"),
        *("queries who asks", "3 app"),
    ]
    row = json.loads(vswitch("dns", "top", "--json").out)
    assert row["queries"] == 4
    assert row["outcomes"]["names"] == 2


def test_servers_and_cache_of_a_switch_that_has_asked_nobody_are_empty(
    vswitch: Vswitch, served: Served
) -> None:
    assert vswitch("dns", "servers", "--json").out == "[]\n"
    assert vswitch("dns", "cache", "--json").out == "[]\n"
    assert vswitch("dns", "cache", "--flush").out == "forgotten: 0 answers\n"
    assert "192.0.2.53" in vswitch("status").out


@pytest.mark.parametrize("words", [("cache", "a..b"), ("cache", "--flush", "a..b")])
def test_what_is_no_name_is_told_in_one_line(
    vswitch: Vswitch, served: Served, words: tuple[str, ...]
) -> None:
    outcome = vswitch("dns", *words)
    assert outcome.status == 1
    assert outcome.err == 'vswitch: "a..b" is not a name (like registry.example)\n'


@pytest.mark.parametrize("verb", ["log", "top", "cache", "servers"])
def test_each_verb_has_an_example(vswitch: Vswitch, verb: str) -> None:
    assert f"vswitch dns {verb}" in vswitch("dns", verb, "--help").out


def test_rows_are_columns(capsys: pytest.CaptureFixture[str]) -> None:
    kept = KeptNameRow(
        name="www.debian.org",
        type="A",
        said="answer",
        expires_in_seconds=41.6,
        hits=3,
        is_stale=False,
    )
    print_table(cache_table([kept, kept.model_copy(update={"is_stale": True})]))
    server = ServerRow(
        server="192.0.2.53",
        asked_from="host",
        queries=9,
        answers=7,
        failures=1,
        silences=2,
        answers_in_seconds=0.0125,
        is_down=True,
        trouble="Network is unreachable",
    )
    print_table(server_table([server]))
    shown = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert shown == [
        "name type said left hits",
        "www.debian.org A answer 42 s 3",
        "www.debian.org A answer stale 3",
        "server asked from state answers in queries answers failures silences",
        "192.0.2.53 host down: Network is unreachable 12.5 ms 9 7 1 2",
    ]


@pytest.mark.parametrize(
    ("asked", "silent", "words"),
    [
        ((), (), "none: names that nobody here has get SERVFAIL"),
        (("a", "b"), (), "a, b"),
        (("a", "b"), ("a",), "a, b\nno answer from a: asked instead: b"),
        (("a",), ("a",), "a\nno answer from a: nobody is left to ask"),
    ],
)
def test_status_says_who_is_asked_and_who_instead(
    asked: tuple[str, ...], silent: tuple[str, ...], words: str
) -> None:
    row = STATUS.model_copy(update={"name_servers": asked, "silent_servers": silent})
    assert _name_servers_words(row) == words
