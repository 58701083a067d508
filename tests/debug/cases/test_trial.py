"""A case against what is expected of it, and the expected made anew."""

from __future__ import annotations

import struct
from io import BytesIO
from pathlib import Path

import pytest

from tests.debug.replaying import CASE, datagram, make_case, meet, updated
from vswitch.debug.cases import case, trial
from vswitch.debug.cases.making import Script, built
from vswitch.debug.files.reading import CaptureError
from vswitch.network.configuration.config import ConfigurationError


def with_short_life(script: Script) -> None:
    """The conversation, but for one datagram that expires on its way."""
    meet(script)
    for number in range(4):
        script.send(1 + number, "app", datagram(number, ttl=1 if number == 2 else 64))


def test_case_is_as_expected_after_an_update(tmp_path: Path) -> None:
    report = trial.check(updated(make_case(tmp_path)))
    assert not report.difference
    assert (report.arrived, report.left) == (7, 7)
    assert report.counts.fates == {"answered": 3, "forwarded": 4}


def test_another_input_is_told_by_frames_and_counters(tmp_path: Path) -> None:
    loaded = updated(make_case(tmp_path))
    loaded.input.write_bytes(built(with_short_life))
    lines = list(trial.check(loaded).difference.lines())
    assert [line for line in lines if not line.startswith(" ")] == [
        "frame 6, on uplink at 3.000000000 s, is missing:",
        "a frame that is not expected, on app at 3.000000000 s, caused by packet 6:",
        "counter fates.dropped: expected 0, got 1",
        "counter fates.forwarded: expected 4, got 3",
        "counter drops.ttl_expired: expected 0, got 1",
    ]


def test_update_tells_what_changes_and_then_nothing_does(tmp_path: Path) -> None:
    loaded = updated(make_case(tmp_path))
    loaded.input.write_bytes(built(with_short_life))
    checked = trial.check(loaded)
    report = trial.update(loaded)
    assert list(report.difference.lines()) == list(checked.difference.lines())
    again = trial.check(case.load(tmp_path))
    assert not again.difference
    assert again.counts.drops == {"ttl_expired": 1}


def test_case_expects_no_counters_where_none_are_named(tmp_path: Path) -> None:
    loaded = updated(make_case(tmp_path))
    (tmp_path / "case.toml").write_text(CASE)
    assert not trial.check(case.load(tmp_path)).difference
    (tmp_path / "case.toml").write_text(f"{CASE}[expected]\n")
    assert trial.check(case.load(tmp_path)).difference.counters
    assert loaded.counts is not None


def test_what_comes_out_is_what_an_update_writes(tmp_path: Path) -> None:
    loaded = updated(make_case(tmp_path))
    out = BytesIO()
    trial.check(loaded, out=out)
    assert out.getvalue() == loaded.expected.read_bytes()


def test_case_without_expected_frames_says_how_to_make_them(tmp_path: Path) -> None:
    with pytest.raises(CaptureError) as refused:
        trial.check(case.load(make_case(tmp_path)))
    assert str(refused.value) == (
        f"{tmp_path}/expected.pcapng: there is none yet: "
        f"vswitch replay --update {tmp_path} makes it"
    )


def test_update_that_fails_changes_nothing(tmp_path: Path) -> None:
    loaded = updated(make_case(tmp_path))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    cut = loaded.input.read_bytes()[:-7]
    loaded.input.write_bytes(cut)
    with pytest.raises(CaptureError, match=r"in\.pcapng: block 11: cut off"):
        trial.update(loaded)
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert after == before | {"in.pcapng": cut}


def test_counters_that_can_not_be_rewritten_leave_the_frames_alone(tmp_path: Path) -> None:
    make_case(tmp_path, toml=f"expected.drops.ttl_expired = 1\n{CASE}")
    with pytest.raises(ConfigurationError, match="can not be rewritten"):
        trial.update(case.load(tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == {"case.toml", "in.pcapng"}


def test_expected_frames_that_can_not_be_read_are_told(tmp_path: Path) -> None:
    loaded = updated(make_case(tmp_path))
    data = loaded.expected.read_bytes()
    loaded.expected.write_bytes(data[:-4] + struct.pack("<I", 1))
    with pytest.raises(CaptureError, match=r"expected\.pcapng: block 11: its lengths"):
        trial.check(loaded)


def test_progress_is_told_from_nothing_to_nearly_all(tmp_path: Path) -> None:
    def many(script: Script) -> None:
        meet(script)
        for number in range(1000):
            script.send(1 + number / 1000, "app", datagram(number))

    told: list[tuple[int, float]] = []
    loaded = case.load(make_case(tmp_path, many))
    trial.update(loaded, progress=lambda frames, share: told.append((frames, share)))
    assert [frames for frames, _ in told] == [0, 256, 512, 768]
    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert 0.6 < shares[-1] < 1
