"""A plain `vswitch run` is read without typer, and means what typer reads from it."""

from __future__ import annotations

import shlex

import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st

from vswitch.cli import run, straight
from vswitch.cli.app import app
from vswitch.cli.straight import Line
from vswitch.daemon.messages.endpoints import EndpointWish

VSWITCH = typer.main.get_command(app)

VALUES = st.sampled_from(
    ["web", "8080:80", "172.18.0.9", "a=b", "tap", "veth", "-x", "--", "", "ü"]
)

FLAGS = st.sampled_from([flag for option in straight.OPTIONS for flag in option.flags])

WORDS = st.one_of(
    st.tuples(FLAGS, VALUES),
    st.tuples(FLAGS),
    st.builds(lambda flag, value: (f"{flag}={value}",), FLAGS, VALUES),
    st.sampled_from([("--",), ("-",), ("sh", "-c", "--name"), ("-dP",), ("--help",), ("--no-rm",)]),
)


def by_typer(words: list[str]) -> Line | None:
    """What the verb is given by typer, None where it tells of a mistake or helps instead."""
    given: list[Line] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "run", lambda line: given.append(line) or 0)
        with pytest.raises(SystemExit):
            VSWITCH.main(words, "vswitch")
    return given[0] if given else None


def meant(line: Line) -> tuple[object, ...]:
    wish, hosts = EndpointWish.model_validate(line.wish), list(line.added_hosts)
    return line.command, wish, line.switch, line.in_background, hosts


@given(st.lists(WORDS, max_size=6).map(lambda groups: [word for each in groups for word in each]))
@settings(deadline=None, max_examples=150)
def test_line_that_is_read_without_typer_means_the_same_to_typer(words: list[str]) -> None:
    line = straight.read(["run", *words])
    if line is not None:
        by_other = by_typer(["run", *words])
        assert by_other is not None
        assert meant(line) == meant(by_other)


def test_all_options_in_their_plain_form_need_no_typer() -> None:
    words = shlex.split(
        "run --network front --name=web --ip 172.18.0.9 --mac 02:00:00:00:00:09 --alias www"
        " --alias w3 -p 8080:80 --publish=53:53/udp --expose 9 -P --kind veth -h web1"
        " --link db:database --link=cache --role isolated --add-host me:host-gateway"
        " --domainname corp.example --dns 9.9.9.9 --dns-search=. --dns-opt ndots:1"
        " --dns-option timeout:2 -d --rm --switch lab python3 -m http.server"
    )
    line = straight.read(words)
    assert line is not None
    assert line == (
        ["python3", "-m", "http.server"],
        {
            "network": "front",
            "name": "web",
            "address": "172.18.0.9",
            "mac": "02:00:00:00:00:09",
            "aliases": ["www", "w3"],
            "publish": ["8080:80", "53:53/udp"],
            "expose": ["9"],
            "publish_all": True,
            "kind": "veth",
            "hostname": "web1",
            "domainname": "corp.example",
            "dns": ["9.9.9.9"],
            "dns_search": ["."],
            "dns_options": ["ndots:1", "timeout:2"],
            "links": ["db:database", "cache"],
            "role": "isolated",
        },
        "lab",
        True,
        ["me:host-gateway"],
    )
    by_other = by_typer(words)
    assert by_other is not None
    assert meant(line) == meant(by_other)


@pytest.mark.parametrize(
    "words",
    [
        "",
        "ps",
        "run",
        "run --help",
        "run --name",
        "run --name web",
        "run --nmae web ls",
        "run -p8080:80 ls",
        "run -dP ls",
        "run --rm=yes ls",
        "run --kind bridge ls",
        "run --name -x ls",
        "run --network front --network back ls",
        "run --network name=front,ip=172.18.0.9 ls",
    ],
)
def test_what_is_not_plain_is_left_to_typer(words: str) -> None:
    assert straight.read(words.split()) is None


@pytest.mark.parametrize(
    ("words", "file"),
    [
        ("up -c lab.toml", "lab.toml"),
        ("up --config /etc/lab.toml", "/etc/lab.toml"),
        ("up", None),
        ("up -c", None),
        ("up -c --check", None),
        ("up -c lab.toml --rm", None),
        ("down -c lab.toml", None),
    ],
)
def test_start_that_names_its_file_and_no_more_needs_no_typer(words: str, file: str | None) -> None:
    assert straight.configuration(words.split()) == file
