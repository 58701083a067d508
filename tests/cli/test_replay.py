"""`vswitch replay`: what it says and how it exits, for cases and for captures from the field."""

from __future__ import annotations

from pathlib import Path

import pytest
from scapy.layers.l2 import Ether
from scapy.utils import wrpcap
from typer.testing import CliRunner, Result

from tests.debug.replaying import SWITCH_FILE, conversation, datagram, make_case, meet, updated
from vswitch import fastpath
from vswitch.cli import replay
from vswitch.cli.app import app
from vswitch.debug.cases.making import Script, built
from vswitch.debug.cases.recording import read_recording
from vswitch.debug.files.reading import CaptureReader
from vswitch.fastpath import available
from vswitch.fastpath.reference import ReferenceFastPath


@pytest.fixture(autouse=True)
def _not_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)


def vswitch_replay(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["replay", *map(str, arguments)])


def problem(*arguments: object) -> str:
    """The one line that is said where nothing could be replayed."""
    result = vswitch_replay(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("vswitch: ")
    return result.stderr.removeprefix("vswitch: ").removesuffix("\n")


def expire(script: Script) -> None:
    meet(script)
    script.send(1, "app", datagram(ttl=1))


def test_case_that_is_as_expected_is_ok(tmp_path: Path) -> None:
    updated(make_case(tmp_path / "one"))
    result = vswitch_replay(tmp_path / "one")
    assert (result.exit_code, result.stdout) == (0, "ok        one: 7 frames arrived, 7 left\n")


def test_difference_is_shown_under_its_case(tmp_path: Path) -> None:
    loaded = updated(make_case(tmp_path / "one"))
    loaded.input.write_bytes(built(expire))
    result = vswitch_replay(loaded.folder)
    lines = result.stdout.splitlines()
    assert result.exit_code == 1
    assert lines[0] == "differs   one: 4 frames arrived, 4 left"
    assert lines[1].startswith("    frame 4, on uplink at 1.000000000 s, is missing:")
    assert lines[-1] == "    counter drops.ttl_expired: expected 0, got 1"


def test_folder_of_cases_is_replayed_whole_and_one_that_can_not_be_is_passed(
    tmp_path: Path,
) -> None:
    for name in ("first", "last"):
        updated(make_case(tmp_path / name))
    make_case(tmp_path / "half made", toml="seed = 1")
    (tmp_path / "no case").mkdir()
    result = vswitch_replay(tmp_path)
    assert result.exit_code == 2
    assert [line.split(":")[0] for line in result.stdout.splitlines()] == [
        "ok        first",
        "ok        last",
    ]
    assert result.stderr.startswith(f"vswitch: {tmp_path}/half made/case.toml: switch: missing")


def test_update_says_what_has_changed_and_when_nothing_has(tmp_path: Path) -> None:
    make_case(tmp_path)
    first = vswitch_replay("--update", tmp_path)
    assert first.exit_code == 0
    assert first.stdout.startswith(f"updated   {tmp_path.name}: 7 frames arrived, 7 left\n")
    assert "a frame that is not expected, on app at 0.000000000 s" in first.stdout
    second = vswitch_replay("--update", tmp_path)
    assert second.stdout == f"unchanged {tmp_path.name}: 7 frames arrived, 7 left\n"
    assert vswitch_replay(tmp_path).exit_code == 0


@pytest.mark.parametrize("ci", ["true", "1"])
def test_update_is_refused_in_ci(tmp_path: Path, ci: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make_case(tmp_path)
    monkeypatch.setenv("CI", ci)
    assert problem("--update", tmp_path).startswith("--update rewrites what is expected")
    assert not (tmp_path / "expected.pcapng").exists()


def test_case_that_has_no_expected_frames_yet_says_so_in_a_line(tmp_path: Path) -> None:
    result = vswitch_replay(make_case(tmp_path))
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1
    assert f"vswitch replay --update {tmp_path} makes it" in result.stderr


def test_what_comes_out_is_kept_where_asked(tmp_path: Path) -> None:
    loaded = updated(make_case(tmp_path / "one"))
    assert vswitch_replay("--out", tmp_path / "kept" / "here", loaded.folder).exit_code == 0
    kept = tmp_path / "kept" / "here" / "one.pcapng"
    assert kept.read_bytes() == loaded.expected.read_bytes()


def test_remarks_about_the_input_are_counted(tmp_path: Path) -> None:
    def build(script: Script) -> None:
        conversation(script)
        script.send(2, "app", datagram())

    updated(make_case(tmp_path, build))
    assert "before the clock's start: 1\n" in vswitch_replay(tmp_path).stdout


def test_folder_without_a_case_is_told(tmp_path: Path) -> None:
    assert problem(tmp_path) == (
        f"{tmp_path}: no case: neither it nor a folder in it has a case.toml"
    )
    assert problem(tmp_path / "gone") == f"{tmp_path}/gone: there is no such folder"


def have(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Let the installation have fast paths of these names, which all are the reference."""
    kinds = dict.fromkeys(names, ReferenceFastPath)
    monkeypatch.setattr(replay, "available", lambda: kinds)
    monkeypatch.setattr(fastpath, "available", lambda: kinds)


@pytest.mark.parametrize("name", ["compiled", "both", "nonsense"])
def test_fast_path_that_is_not_there_is_refused(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    have(monkeypatch, "reference")
    said = problem("--fastpath", name, make_case(tmp_path))
    assert said == f"--fastpath {name}: there is no such fast path here (there is reference)"


def test_fast_path_that_the_environment_names_and_is_not_there_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = updated(make_case(tmp_path))
    monkeypatch.setenv(fastpath.FORCED_BY, "nonsense")
    assert problem(loaded.folder).startswith('no fast path "nonsense" (from VSWITCH_FASTPATH)')


@pytest.mark.parametrize("name", list(available()))
def test_fast_path_that_is_there_runs_a_case(tmp_path: Path, name: str) -> None:
    updated(make_case(tmp_path))
    assert vswitch_replay("--fastpath", name, tmp_path).exit_code == 0


def test_case_that_both_run_has_a_line_for_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    have(monkeypatch, "compiled", "reference")
    loaded = updated(make_case(tmp_path / "one"))
    result = vswitch_replay("--fastpath", "both", "--out", tmp_path / "kept", loaded.folder)
    assert (result.exit_code, result.stdout.splitlines()) == (
        0,
        [
            "ok        one (compiled): 7 frames arrived, 7 left",
            "ok        one (reference): 7 frames arrived, 7 left",
        ],
    )
    kept = [file.read_bytes() for file in (tmp_path / "kept").iterdir()]
    assert kept == [loaded.expected.read_bytes()] * 2


def test_what_is_expected_is_made_by_one_fast_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    have(monkeypatch, "compiled", "reference")
    said = problem("--fastpath", "both", "--update", make_case(tmp_path))
    assert said == "--update takes one fast path, and not --fastpath both"


def test_captures_are_replayed_by_one_fast_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    have(monkeypatch, "compiled", "reference")
    said = problem("--fastpath", "both", "--config", "lab.toml", "--port", "app=x.pcap")
    assert said == "--fastpath both is for cases, which say what is expected of either"


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--port", "app=x.pcap"),
        ("--config", "lab.toml"),
        ("--config", "lab.toml", "--port", "app=x.pcap", "case"),
        ("--config", "lab.toml", "--port", "app=x.pcap", "--update"),
        ("--save-case", "new", "case"),
        ("--config", "lab.toml", "--port", "app=x.pcap", "--save-case", "new", "--out", "kept"),
    ],
)
def test_arguments_that_make_no_sense_together_are_refused(arguments: tuple[str, ...]) -> None:
    result = vswitch_replay(*arguments)
    assert result.exit_code == 2
    assert "--port" in result.stderr


# From the field


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """A configuration, a classic capture of `app` and a pcapng one with all ports."""
    (tmp_path / "lab.toml").write_text(SWITCH_FILE)
    (tmp_path / "all.pcapng").write_bytes(built(conversation))
    with CaptureReader.open(tmp_path / "all.pcapng") as reader:
        frames: dict[str, list[Ether]] = {"app": [], "db": [], "uplink": []}
        for each in read_recording(reader):
            frame = Ether(each.frame[10:])
            frame.time = each.when / 10**9
            frames[each.port].append(frame)
    for port, captured in frames.items():
        wrpcap(str(tmp_path / f"{port}.pcap"), captured)
    return tmp_path


TOLD = """replayed  small: 7 frames arrived, 7 left
    answered: 3
    forwarded: 4
"""


def test_captures_are_replayed_merged_by_time(lab: Path) -> None:
    ports = [f"{port}={lab / port}.pcap" for port in ("app", "db", "up0")]
    ports[2] = f"up0={lab / 'uplink'}.pcap"
    given = [argument for port in ports for argument in ("--port", port)]
    result = vswitch_replay("--config", lab / "lab.toml", *given, "--out", lab / "out")
    assert (result.exit_code, result.stdout) == (0, TOLD)
    with CaptureReader.open(lab / "out" / "small.pcapng") as reader:
        left = [each.port for each in read_recording(reader)]
    assert left == ["app", "db", "uplink", "uplink", "uplink", "uplink", "uplink"]


def test_capture_whose_interfaces_are_ports_needs_no_names(lab: Path) -> None:
    result = vswitch_replay("--config", lab / "lab.toml", "--port", lab / "all.pcapng")
    assert (result.exit_code, result.stdout) == (0, TOLD)


def test_captures_become_a_case_that_is_as_expected(lab: Path) -> None:
    folder = lab / "cases" / "found"
    result = vswitch_replay(
        *("--config", lab / "lab.toml", "--port", lab / "all.pcapng", "--save-case", folder)
    )
    assert (result.exit_code, result.stdout) == (0, TOLD)
    assert {path.name for path in folder.iterdir()} == {
        "README.md",
        "case.toml",
        "expected.pcapng",
        "in.pcapng",
        "switch.toml",
    }
    assert [path.name for path in (lab / "cases").iterdir()] == ["found"]
    assert vswitch_replay(folder).stdout == "ok        found: 7 frames arrived, 7 left\n"


def test_case_is_not_saved_over_another_or_by_halves(lab: Path) -> None:
    folder = lab / "found"
    arguments = ("--config", lab / "lab.toml", "--save-case", folder, "--port")
    (lab / "cut.pcap").write_bytes((lab / "app.pcap").read_bytes()[:-3])
    assert "cut off" in problem(*arguments, f"app={lab / 'cut.pcap'}")
    assert not folder.exists()
    assert not [path for path in lab.iterdir() if path.name.startswith(".")]
    assert vswitch_replay(*arguments, lab / "all.pcapng").exit_code == 0
    assert problem(*arguments, lab / "all.pcapng").endswith("found: the folder is not empty")


@pytest.mark.parametrize(
    ("port", "said"),
    [
        ("web={lab}/app.pcap", "--port web={lab}/app.pcap: there is no port web (there is app, db"),
        ("app={lab}/gone.pcap", "{lab}/gone.pcap: cannot be read: No such file or directory"),
        ("app={lab}/lab.toml", "{lab}/lab.toml: begins with 0a 6e 61 6d: not a capture file"),
        ("{lab}/app.pcap", '{lab}/app.pcap: packet 1: is from interface "", which stands for no'),
    ],
)
def test_capture_that_can_not_be_replayed_is_told(lab: Path, port: str, said: str) -> None:
    given = port.format(lab=lab)
    told = problem("--config", lab / "lab.toml", "--port", given)
    assert told.startswith(said.format(lab=lab))


def test_configuration_that_can_not_be_honoured_is_told(lab: Path) -> None:
    (lab / "lab.toml").write_text("")
    given = ("--config", lab / "lab.toml", "--port", lab / "all.pcapng")
    assert problem(*given).startswith(f"{lab}/lab.toml: name: missing")
