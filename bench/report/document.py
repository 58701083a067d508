"""Results for programs: everything, round by round."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from bench.peers import Path
from bench.results import Results
from bench.targets import Judged
from bench.workloads import Sample, Workload


def document(results: Results) -> dict[str, Any]:
    """What is written as JSON."""
    return {
        "machine": asdict(results.machine),
        "targets": [_target(judged) for judged in results.judged()],
        "workloads": [
            {
                "workload": workload.title,
                "unit": workload.unit.name,
                "paths": [_path(workload, path, samples) for path, samples in paths.items()],
            }
            for workload, paths in results.runs.samples.items()
        ],
        "figures": [asdict(figure) for figure in results.figures],
        "missing": [asdict(missing) for missing in results.missing],
    }


def _target(judged: Judged) -> dict[str, Any]:
    return {
        "what": judged.target.name,
        "wanted": judged.target.wanted,
        "found": asdict(judged.found) if judged.found else None,
        "outcome": judged.outcome.value,
    }


def _path(workload: Workload, path: Path, samples: list[Sample]) -> dict[str, Any]:
    return {
        "path": path.contender,
        "ours": path.is_ours,
        "rates": [sample.rate for sample in samples],
        "cpu_seconds_per": {workload.unit.cost: [each.cpu_per(workload.unit) for each in samples]},
        "details": [dict(sample.load.details) for sample in samples],
    }
