"""Every fast path does what the reference does, whatever is done to it: see `twins`.

That this would find a mistake is shown with mistakes planted in a copy of the reference.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from random import Random

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.fastpath.twin_steps import a_story
from tests.fastpath.twins import TwinsDiffer, hold_against
from vswitch import fastpath
from vswitch.fastpath import available
from vswitch.fastpath.reference import ReferenceFastPath
from vswitch.fastpath.routine import Plan, Routine
from vswitch.fastpath.twin import FastPath

STORIES = 1000
"""Among so many each of the planted mistakes shows, most of them soon."""


@pytest.mark.parametrize("kind", available().values(), ids=lambda kind: kind.name)
@settings(max_examples=200, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(seed=st.integers(0, (1 << 32) - 1))
def test_fast_path_does_what_the_reference_does(kind: type[FastPath], seed: int) -> None:
    hold_against(ReferenceFastPath, kind, a_story(Random(seed)))


MISTAKES = {
    "an unfinished checksum is changed by the ports, too": (
        "routine", "update_partial(field, unfinished)", "update_partial(field, finished)",
    ),
    "a checksum of zero is taken for one": (
        "routine", "elif field or not self.zero_is_none:", "else:",
    ),
    "a checksum that becomes zero stays zero": (
        "routine", "% _ONES or self.zero", "% _ONES",
    ),
    "a packet may be one byte longer than its frame": (
        "key", "payload > length - _TRANSPORT", "payload > length - _TRANSPORT + 1",
    ),
    "a datagram may be longer than its packet": (
        "key", "<= datagram <= payload", "<= datagram",
    ),
    "a packet that expires is a hit": ("key", "ttl < 2", "ttl < 1"),
    "fragments are hits": ("key", "or fragment & _FRAGMENTED", ""),
    "a segment may begin one octet before the window": (
        "window", "(end - sent + peer_widest + 1)", "(end - sent + peer_widest + 2)",
    ),
    "a segment may begin one octet behind the window": (
        "window", "(limit - sequence) &", "(limit - sequence + 1) &",
    ),
    "a segment may acknowledge what is one octet too old": (
        "window", "_SPACE > 2 * widest", "_SPACE > 1 + 2 * widest",
    ),
    "an entry of an earlier generation is a hit": (
        "reference", "if generation != self._generation:", "if generation > self._generation:",
    ),
    "an entry that is kept again begins to count anew": (
        "reference", "entry.inherit(known)", "pass",
    ),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake_is_found(mistake: str, plant: Callable[..., type[FastPath]]) -> None:
    broken = plant(*MISTAKES[mistake])
    assert any(differs(broken, seed) for seed in range(STORIES))


def differs(kind: type[FastPath], seed: int) -> bool:
    try:
        hold_against(ReferenceFastPath, kind, a_story(Random(seed)))
    except TwinsDiffer:
        return True
    return False


@pytest.fixture
def plant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., type[FastPath]]:
    """Makes a copy of the reference in which one module says something else."""

    def plant(module: str, right: str, wrong: str) -> type[FastPath]:
        copy = tmp_path / "planted"
        copy.mkdir()
        (copy / "__init__.py").touch()
        own = {"clamp", "entry", "key", "reference", "routine", "soundness", "track", "window"}
        for name in own:
            text = (Path(fastpath.__file__).parent / f"{name}.py").read_text()
            if name == module:
                assert text.count(right) == 1
                text = text.replace(right, wrong)
            text = re.sub(rf"vswitch\.fastpath\.({'|'.join(own)})\b", r"planted.\1", text)
            (copy / f"{name}.py").write_text(text)
        monkeypatch.syspath_prepend(tmp_path)
        for name in [name for name in sys.modules if name.partition(".")[0] == "planted"]:
            monkeypatch.delitem(sys.modules, name)
        from planted.reference import ReferenceFastPath as Planted
        from planted.routine import Plan as PlantedPlan

        class WithPlannedMistake(Planted):
            def install(self, key: bytes, routine: Routine, flow: int) -> None:
                parts = [getattr(routine.plan, field.name) for field in fields(Plan)]
                super().install(key, routine._replace(plan=PlantedPlan(*parts)), flow)

        kind: type[FastPath] = WithPlannedMistake
        return kind

    return plant
