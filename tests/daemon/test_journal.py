"""The lock, and the record of what a switch made."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from vswitch.daemon.guard import clsact
from vswitch.daemon.kernel.journal import AlreadyRunning, Journal, Swept, Written
from vswitch.daemon.kernel.made import (
    MadeDirectory,
    MadeFile,
    MadeFilter,
    MadeNamespace,
    MadeQdisc,
    Undone,
)

KILLED_WITH_A_FILE_WRITTEN = """
import os, signal, sys
from pathlib import Path
from vswitch.daemon.kernel.journal import Journal
journal = Journal.open("lab", Path(sys.argv[1]))
journal.write_file(Path(sys.argv[2]), "ours")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_second_switch_of_a_name_is_told_the_pid_of_the_first(tmp_path: Path) -> None:
    with closing(Journal.open("lab", tmp_path)):
        with pytest.raises(AlreadyRunning) as refusal:
            Journal.open("lab", tmp_path)
        assert refusal.value.pid == os.getpid()
        assert str(refusal.value) == f"a switch named lab is already running (pid {os.getpid()})"
        Journal.open("other", tmp_path).close()


def test_name_is_free_again_and_nothing_is_left_after_closing(tmp_path: Path) -> None:
    Journal.open("lab", tmp_path).close()
    assert list(tmp_path.iterdir()) == []
    Journal.open("lab", tmp_path).close()


def test_lock_on_a_file_that_its_last_holder_removed_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lab" / "pid"
    real_flock = fcntl.flock
    removals = iter([path.unlink])

    def flock(descriptor: int, operation: int) -> None:
        next(removals, lambda: None)()
        real_flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    with closing(Journal.open("lab", tmp_path)):
        assert path.exists()
        with pytest.raises(AlreadyRunning):
            Journal.open("lab", tmp_path)


def test_shorter_pid_replaces_the_longer_one_of_a_killed_switch(tmp_path: Path) -> None:
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "pid").write_text("99999999999999\n")
    with closing(Journal.open("lab", tmp_path)) as journal:
        assert (journal.directory / "pid").read_text() == f"{os.getpid()}\n"


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\0b"])
def test_name_that_leads_out_of_the_directory_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be the name of a switch"):
        Journal.open(name, tmp_path)


def test_what_a_killed_switch_made_is_removed_the_latest_first(tmp_path: Path) -> None:
    target = tmp_path / "etc" / "web" / "resolv.conf"
    command = [sys.executable, "-c", KILLED_WITH_A_FILE_WRITTEN, str(tmp_path / "run"), str(target)]
    killed = subprocess.run(command, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert target.read_text() == "ours"

    with closing(Journal.open("lab", tmp_path / "run")) as journal:
        swept = journal.sweep()
        assert [(type(each.thing), each.ending) for each in swept] == [
            (MadeFile, Undone.REMOVED),
            (MadeDirectory, Undone.REMOVED),
            (MadeDirectory, Undone.REMOVED),
        ]
        assert journal.sweep() == ()
    assert not (tmp_path / "etc").exists()


def test_thing_is_recorded_before_it_is_made(tmp_path: Path) -> None:
    with closing(Journal.open("lab", tmp_path)) as journal:
        thing = MadeNamespace("web")
        with journal.making(thing):
            assert '"name": "web"' in (journal.directory / "journal").read_text()
        assert journal.made == (thing,)
        journal.forget(thing)


def test_what_an_endpoint_has_is_found_again_and_spared(tmp_path: Path) -> None:
    run, files = tmp_path / "run", tmp_path / "etc"
    with closing(Journal.open("lab", run)) as journal:
        for endpoint in ("web", "app"):
            journal.write_file(files / endpoint / "resolv.conf", "ours", endpoint)
        journal.finish("web")
    with closing(Journal.open("lab", run)) as journal:
        assert [journal.is_whole(each) for each in ("web", "app")] == [True, False]
        assert [str(each) for each in journal.of("web")] == [f"file {files}/web/resolv.conf"]
        journal.sweep(spare={"web"})
        assert sorted(files.rglob("*")) == [files / "web", files / "web" / "resolv.conf"]
        journal.sweep()
    assert not files.exists()


def test_endpoint_that_loses_something_is_not_whole(tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    with closing(Journal.open("lab", tmp_path)) as journal:
        journal.write_file(path, "ours", "web")
        journal.finish("web")
        journal.remove_file(path)
    with closing(Journal.open("lab", tmp_path)) as journal:
        assert not journal.is_whole("web")


def test_file_of_an_earlier_switch_is_ours_as_long_as_nobody_has_changed_it(tmp_path: Path) -> None:
    same, outdated, changed = (tmp_path / each for each in ("same", "outdated", "changed"))
    with closing(Journal.open("lab", tmp_path)) as journal:
        for path in (same, outdated, changed):
            journal.write_file(path, "ours", "web")
    changed.write_text("theirs")
    number = same.stat().st_ino
    with closing(Journal.open("lab", tmp_path)) as journal:
        assert journal.write_file(same, "ours", "web") is Written.WRITTEN
        assert journal.write_file(outdated, "newer", "web") is Written.WRITTEN
        assert journal.write_file(changed, "newer", "web") is Written.KEPT
        assert same.stat().st_ino == number
        assert (outdated.read_text(), changed.read_text()) == ("newer", "theirs")
        journal.sweep()
    assert not same.exists()
    assert not outdated.exists()
    assert changed.read_text() == "theirs"


def test_filter_of_a_killed_switch_is_removed_before_its_qdisc(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the index of the interface, which may be called otherwise by now."""
    present = ["qdisc of 7", "filter of 7"]

    def remove(thing: str) -> clsact.Removed:
        if thing not in present:
            return clsact.Removed.KEPT
        present.remove(thing)
        return clsact.Removed.REMOVED

    monkeypatch.setattr(clsact, "remove_qdisc", lambda index: remove(f"qdisc of {index}"))
    monkeypatch.setattr(clsact, "remove_filter", lambda index: remove(f"filter of {index}"))
    with closing(Journal.open("lab", tmp_path)) as journal:
        for thing in (MadeQdisc(7, "eth0"), MadeFilter(7, "eth0"), MadeFilter(8, "eth1")):
            with journal.making(thing):
                pass
    with closing(Journal.open("lab", tmp_path)) as journal:
        assert [(str(each.thing), each.ending) for each in journal.sweep()] == [
            ("ingress filter of eth1", Undone.KEPT),
            ("ingress filter of eth0", Undone.REMOVED),
            ("clsact qdisc of eth0", Undone.REMOVED),
        ]
    assert present == []


@pytest.mark.parametrize("was_there", [True, False], ids=["was there", "came meanwhile"])
def test_qdisc_of_somebody_else_never_becomes_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, was_there: bool
) -> None:
    recorded: list[bool] = []

    def make_qdisc(_: int) -> None:
        recorded.append(True)
        raise clsact.QdiscExists

    monkeypatch.setattr(clsact, "has_qdisc", lambda _: was_there)
    monkeypatch.setattr(clsact, "make_qdisc", make_qdisc)
    with closing(Journal.open("lab", tmp_path)) as journal:
        with pytest.raises(clsact.QdiscExists):
            journal.make_qdisc(7, "eth0")
        assert journal.made == ()
        assert recorded == ([] if was_there else [True])


def test_step_that_failed_made_nothing(tmp_path: Path) -> None:
    with closing(Journal.open("lab", tmp_path)) as journal:
        with pytest.raises(RuntimeError), journal.making(MadeNamespace("web")):
            raise RuntimeError
        assert journal.made == ()
    assert list(tmp_path.iterdir()) == []


def test_record_survives_without_being_closed_and_forgetting_does_too(tmp_path: Path) -> None:
    web, app = MadeNamespace("web"), MadeNamespace("app")
    with closing(Journal.open("lab", tmp_path)) as journal:
        with journal.making(web), journal.making(app):
            pass
        journal.forget(web)
    with closing(Journal.open("lab", tmp_path)) as journal:
        assert journal.made == (app,)
        journal.forget(app)


@pytest.mark.parametrize("tail", [b'{"event": "made", "ki', b"\xff\xfe\n", b"[]\n", b"{}\n"])
def test_line_that_is_no_record_is_passed_over(tail: bytes, tmp_path: Path) -> None:
    web, app = MadeNamespace("web"), MadeNamespace("app")
    with closing(Journal.open("lab", tmp_path)) as journal, journal.making(web):
        pass
    with (tmp_path / "lab" / "journal").open("ab") as file:
        file.write(tail)
    with closing(Journal.open("lab", tmp_path)) as journal:
        assert journal.made == (web,)
        with journal.making(app):
            pass
    with closing(Journal.open("lab", tmp_path)) as journal:
        assert journal.made == (web, app)


def test_file_of_somebody_else_is_neither_replaced_nor_removed(tmp_path: Path) -> None:
    target = tmp_path / "resolv.conf"
    target.write_text("theirs")
    with closing(Journal.open("lab", tmp_path / "run")) as journal:
        assert journal.write_file(target, "ours") is Written.KEPT
        assert journal.remove_file(target) is Undone.KEPT
        assert journal.sweep() == ()
    assert target.read_text() == "theirs"


def test_file_that_somebody_changed_since_is_theirs(tmp_path: Path) -> None:
    target = tmp_path / "etc" / "resolv.conf"
    with closing(Journal.open("lab", tmp_path / "run")) as journal:
        assert journal.write_file(target, "ours") is Written.WRITTEN
        target.write_text("edited")
        assert [each.ending for each in journal.sweep()] == [Undone.KEPT, Undone.KEPT]
    assert target.read_text() == "edited"


def test_file_whose_writing_was_cut_short_is_removed(tmp_path: Path) -> None:
    target = tmp_path / "resolv.conf"
    with closing(Journal.open("lab", tmp_path / "run")) as journal:
        journal.write_file(target, "ours")
        os.truncate(target, 0)
        assert journal.remove_file(target) is Undone.REMOVED


def test_directory_goes_with_the_last_file_that_needed_it(tmp_path: Path) -> None:
    web, app = (tmp_path / "etc" / name / "resolv.conf" for name in ("web", "app"))
    with closing(Journal.open("lab", tmp_path / "run")) as journal:
        journal.write_file(web, "ours")
        journal.write_file(app, "ours")
        assert journal.remove_file(web) is Undone.REMOVED
        assert not web.parent.exists()
        assert app.exists()
        assert journal.remove_file(app) is Undone.REMOVED
        assert not (tmp_path / "etc").exists()
        assert journal.made == ()


def test_file_that_is_gone_already_is_no_failure(tmp_path: Path) -> None:
    target = tmp_path / "resolv.conf"
    with closing(Journal.open("lab", tmp_path / "run")) as journal:
        journal.write_file(target, "ours")
        target.unlink()
        (made,) = journal.made
        assert journal.sweep() == (Swept(made, Undone.ABSENT),)


def test_what_could_not_be_removed_is_left_to_the_next_switch(tmp_path: Path) -> None:
    target = tmp_path / "resolv.conf"
    with closing(Journal.open("lab", tmp_path / "run")) as journal:
        journal.write_file(target, "ours")
        (made,) = journal.made
        target.unlink()
        target.mkdir()
        assert journal.sweep() == (Swept(made, Undone.FAILED),)
    target.rmdir()
    with closing(Journal.open("lab", tmp_path / "run")) as journal:
        assert journal.sweep() == (Swept(made, Undone.ABSENT),)
