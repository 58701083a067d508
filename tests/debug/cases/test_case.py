"""case.toml: what it may hold, every mistake in the line that it is told in, and its rewriting."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.debug.replaying import CASE, SWITCH_FILE
from vswitch.debug.cases import case
from vswitch.debug.cases.case import Case
from vswitch.debug.cases.replay import Counts
from vswitch.debug.files.reading import Interface
from vswitch.network.configuration.config import ConfigurationError
from vswitch.units import SECOND
from vswitch.wire.offload import Offloads

HEAD = """
seed = 7
[clock]
start = 2026-01-01T00:00:00.5Z
run_on = 2.5
"""

WHOLE = f"""{HEAD}
{CASE}
[ports.app]
interface = "eth3"
offloads = ["checksum", "tso4"]
[ports.uplink]
mtu = 1400
[expected.fates]
forwarded = 3
flooded = 0
[expected.drops]
ttl_expired = 1
truncated_arp = 2
[expected.unsent]
bad_offload_header = 1
"""


def load(folder: Path, text: str) -> Case:
    (folder / "case.toml").write_text(text)
    return case.load(folder)


def test_whole_case_is_read(tmp_path: Path) -> None:
    loaded = load(tmp_path, WHOLE)
    setup = loaded.setup
    assert (loaded.name, setup.configuration.name) == (tmp_path.name, "small")
    assert (setup.seed, setup.uplink_mtu) == (7, 1400)
    assert (setup.start, setup.run_on) == (1_767_225_600_500_000_000, 2_500_000_000)
    assert setup.offloads["app"] == Offloads.CHECKSUM | Offloads.TSO4
    assert setup.ports == ("app", "db", "uplink")
    assert loaded.counts == Counts(
        {"forwarded": 3}, {"ttl_expired": 1, "truncated_arp": 2}, {"bad_offload_header": 1}
    )


def test_switch_is_all_that_is_needed(tmp_path: Path) -> None:
    loaded = load(tmp_path, CASE)
    assert (loaded.setup.seed, loaded.setup.start, loaded.setup.run_on) == (1, None, 0)
    assert (loaded.setup.uplink_mtu, loaded.setup.offloads, loaded.counts) == (1500, {}, None)


def test_switch_may_stand_in_a_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "lab.toml").write_text(SWITCH_FILE)
    (tmp_path / "one").mkdir()
    assert load(tmp_path / "one", 'switch = "../lab.toml"').setup.configuration.name == "small"
    (tmp_path / "lab.toml").write_text("")
    with pytest.raises(ConfigurationError, match=r"^.*/\.\./lab\.toml: name: missing"):
        load(tmp_path / "one", 'switch = "../lab.toml"')


def test_start_may_be_seconds_since_1970(tmp_path: Path) -> None:
    assert load(tmp_path, f"[clock]\nstart = 1.5\n{CASE}").setup.start == 3 * SECOND // 2


def test_ports_stand_for_the_interfaces_that_are_named_after_them_or_said(tmp_path: Path) -> None:
    loaded = load(tmp_path, WHOLE)
    names = ("eth3", "db", "uplink", "app", "")
    ports = [loaded.port_of(Interface(name, "", 1, 0)) for name in names]
    assert ports == ["app", "db", "uplink", None, None]


START = "allowed is a time with its offset, like 2026-01-01T00:00:00Z, or seconds since 1970"
OFFLOAD = 'allowed is "checksum" or "tso4" or "tso6" or "uso" or "ecn" or "all"'

MISTAKES = [
    # (what stands in WHOLE, what is written there instead, the line that says so)
    ("seed = 7", "seed = 0.5", "seed: found 0.5: allowed is a whole number"),
    (
        "seed = 7",
        "sed = 7",
        'sed: unknown key: allowed is switch, seed, clock, ports, expected; did you mean "seed"?',
    ),
    (
        "2026-01-01T00:00:00.5Z",
        "2026-01-01T00:00:00",
        f"clock.start: found 2026-01-01 00:00:00: {START}",
    ),
    ("2026-01-01T00:00:00.5Z", "-1", f"clock.start: found -1: {START}"),
    ("2026-01-01T00:00:00.5Z", "nan", f"clock.start: found nan: {START}"),
    ("2026-01-01T00:00:00.5Z", "1969-12-31T00:00:00Z", "clock.start: found 1969-12-31"),
    ("2.5", "-2.5", "clock.run_on: found -2.5: allowed is a number of seconds, like 5 or 0.5"),
    ("2.5", "inf", "clock.run_on: found inf: allowed is a number of seconds, like 5 or 0.5"),
    ("run_on", "run_of", 'clock.run_of: unknown key: allowed is start, run_on; did you mean "run_'),
    (
        "[ports.app]",
        "[ports.appp]",
        "ports.appp: there is no such port: allowed is app, db, uplink",
    ),
    ('"eth3"', "3", "ports.app.interface: found 3: allowed is the name of an interface of in.pcap"),
    ('"eth3"', '"db"', "ports.db.interface: is the interface of port app already"),
    ('"tso4"', '"tso5"', f'ports.app.offloads[1]: found "tso5": {OFFLOAD}'),
    (
        '["checksum", "tso4"]',
        '"tso4"',
        'ports.app.offloads: found "tso4": allowed is a list, each item "checksum" or',
    ),
    ("mtu = 1400", "mtu = 67", "ports.uplink.mtu: found 67: allowed is a number of bytes from 68"),
    (
        "offloads = ",
        "mtu = 1400\noffloads = ",
        "ports.app.mtu: found 1400: allowed is mtu for uplink, the others have that of their netw",
    ),
    (
        "[ports.uplink]\nmtu = 1400",
        "[ports]\nuplink = 1400",
        "ports.uplink: found 1400: allowed is a table, [ports.uplink]",
    ),
    (
        "forwarded = 3",
        "forwarded = -3",
        "expected.fates.forwarded: found -3: allowed is a number of frames",
    ),
    (
        "ttl_expired",
        "tll_expired",
        'expected.drops.tll_expired: there is no such counter; did you mean "ttl_expired"?',
    ),
    ("forwarded = 3", "zzz = 3", "expected.fates.zzz: there is no such counter"),
    (
        'address = "10.0.0.2"',
        'address = "10.9.0.2/16"',
        'switch.endpoints.app.address: found "10.9.0.2/16": allowed is an IPv4 address in the net',
    ),
    (
        "[switch.endpoints.db]",
        "[switch.endpoints.uplink]",
        "switch.endpoints.uplink: uplink is the name of the uplink's port: allowed is another one",
    ),
]


@pytest.mark.parametrize(("right", "wrong", "line"), MISTAKES)
def test_mistake_is_told_in_one_line(tmp_path: Path, right: str, wrong: str, line: str) -> None:
    assert right in WHOLE
    with pytest.raises(ConfigurationError) as refused:
        load(tmp_path, WHOLE.replace(right, wrong, 1))
    (only,) = refused.value.lines
    assert only.startswith(f"{tmp_path}/case.toml: {line}")


def test_case_without_a_switch_says_what_it_lacks(tmp_path: Path) -> None:
    for text, line in (
        ("", "switch: missing: allowed is the path of a switch's configuration, or its tables, [s"),
        ("switch = 5", "switch: found 5: allowed is the path of a switch's configuration"),
    ):
        with pytest.raises(ConfigurationError) as refused:
            load(tmp_path, text)
        (only,) = refused.value.lines
        assert only.startswith(f"{tmp_path}/case.toml: {line}")


def test_mistakes_of_case_and_switch_are_told_at_once_in_the_order_of_the_file(
    tmp_path: Path,
) -> None:
    text = WHOLE.replace("seed = 7", 'seed = "x"').replace('"up0"', "5").replace("1400", "1")
    with pytest.raises(ConfigurationError) as refused:
        load(tmp_path, text)
    places = [line.split(": ")[1] for line in refused.value.lines]
    assert places == ["seed", "switch.uplink.interface", "ports.uplink.mtu"]


def test_file_that_is_no_toml_or_nested_beyond_reason_is_told(tmp_path: Path) -> None:
    for text, said in (
        ("[switch", ":1: found "),
        (f"x = {'[' * 5000}{']' * 5000}", ": found values nested too deeply"),
    ):
        with pytest.raises(ConfigurationError) as refused:
            load(tmp_path, text)
        assert str(refused.value).startswith(f"{tmp_path}/case.toml{said}")
    with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
        case.load(tmp_path / "gone")


# Rewriting what is expected

COUNTS = Counts({"forwarded": 4, "answered": 1}, {}, {"full": 2})

REWRITTEN = """
[expected.fates]
answered = 1
forwarded = 4

[expected.unsent]
full = 2
"""


def test_counters_are_added_to_a_case_that_has_none(tmp_path: Path) -> None:
    loaded = load(tmp_path, f"# one\n{CASE}")
    case.write_counts(loaded, COUNTS)
    assert (tmp_path / "case.toml").read_text() == f"# one\n{CASE}{REWRITTEN}"
    assert case.load(tmp_path).counts == COUNTS


def test_counters_are_replaced_and_the_rest_stays_as_it_is(tmp_path: Path) -> None:
    tail = '[ports.app] # its port\ninterface = "[expected"\n'
    text = f"# [expected]\n{CASE}[expected.drops] # old\nttl_expired = 5 # old\n\n{tail}"
    case.write_counts(load(tmp_path, text), COUNTS)
    assert (tmp_path / "case.toml").read_text() == f"# [expected]\n{CASE}{tail}{REWRITTEN}"


def test_counters_that_are_all_zero_are_expected_to_be(tmp_path: Path) -> None:
    case.write_counts(load(tmp_path, WHOLE), Counts({}, {}, {}))
    assert case.load(tmp_path).counts == Counts({}, {}, {})


def test_rewriting_the_same_changes_nothing(tmp_path: Path) -> None:
    case.write_counts(load(tmp_path, WHOLE), COUNTS)
    before = (tmp_path / "case.toml").read_text()
    case.write_counts(case.load(tmp_path), COUNTS)
    assert (tmp_path / "case.toml").read_text() == before


@pytest.mark.parametrize("written", ["expected.fates.forwarded = 1", "expected = {}"])
def test_counters_that_are_no_tables_are_not_rewritten(tmp_path: Path, written: str) -> None:
    loaded = load(tmp_path, f"{written}\n{CASE}")
    with pytest.raises(ConfigurationError, match="expected: can not be rewritten"):
        case.write_counts(loaded, COUNTS)
    assert (tmp_path / "case.toml").read_text() == f"{written}\n{CASE}"
