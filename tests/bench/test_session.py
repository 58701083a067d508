from __future__ import annotations

from dataclasses import replace

from bench import session
from bench.peers import Path
from bench.topology import CommandError, World
from bench.workloads import Load, Workload
from tests.bench.made_up import OURS, THEIRS, workload

NO_WORLD: World = None  # type: ignore[assignment]  # no load here has a use for one


def measure(*workloads: Workload, rounds: int) -> session.Runs:
    return session.measure(NO_WORLD, [OURS, THEIRS], workloads, rounds, 1, lambda _: None)


def test_rounds_visit_every_path_and_every_other_round_backwards() -> None:
    visited: list[str] = []

    def run(_world: World, path: Path, _seconds: float) -> Load:
        visited.append("ours" if path.is_ours else "theirs")
        return Load(1.0, 1.0)

    measure(workload("bulk", run), rounds=3)
    assert visited == ["ours", "theirs", "theirs", "ours", "ours", "theirs"]


def test_rates_are_kept_round_by_round() -> None:
    rates = iter([1.0, 2.0, 3.0, 4.0])
    runs = measure(workload("bulk", lambda *_: Load(next(rates), 1.0)), rounds=2)
    assert runs.rates("bulk", OURS.contender) == [1.0, 4.0]
    assert runs.rates("bulk", THEIRS.contender) == [2.0, 3.0]
    assert runs.rates("bulk", "somebody else") is None


def test_who_fails_once_is_named_and_takes_no_part_any_more() -> None:
    visited: list[Path] = []

    def run(_world: World, path: Path, _seconds: float) -> Load:
        visited.append(path)
        if not path.is_ours:
            raise CommandError("iperf3 does not end")
        return Load(1.0, 1.0)

    runs = measure(workload("bulk", run), rounds=2)
    assert visited == [OURS, THEIRS, OURS]
    assert runs.rates("bulk", OURS.contender) == [1.0, 1.0]
    assert runs.rates("bulk", THEIRS.contender) is None
    assert [(each.name, each.reason) for each in runs.missing] == [
        ("bulk: kernel bridge", "iperf3 does not end")
    ]


def test_a_load_whose_program_is_not_installed_is_named() -> None:
    runs = measure(workload("bulk", lambda *_: Load(1.0, 1.0), "no-such-program"), rounds=1)
    assert runs.samples == {}
    assert [each.reason for each in runs.missing] == ["not installed: no-such-program"]


def test_there_is_a_server_behind_every_path_before_the_first_load() -> None:
    seen: list[str] = []

    def run(_world: World, path: Path, _seconds: float) -> Load:
        seen.append(f"load for {path.server}")
        return Load(1.0, 1.0)

    served = replace(workload("bulk", run), serve=lambda _world, server: seen.append(server))
    measure(served, rounds=1)
    assert seen == ["b", "d", "load for b", "load for d"]


def test_whose_server_does_not_start_takes_no_part() -> None:
    def serve(_world: World, namespace: str) -> None:
        if namespace == THEIRS.server:
            raise CommandError("no C compiler")

    runs = measure(replace(workload("bulk"), serve=serve), rounds=1)
    assert runs.rates("bulk", OURS.contender) == [1.0]
    assert [(each.name, each.reason) for each in runs.missing] == [
        ("bulk: kernel bridge", "no C compiler")
    ]
