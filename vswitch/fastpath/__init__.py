"""The machine that runs decisions: flow key, program, executor.

`key` says which frames are alike, `program` what can be done to them, `reference` does it. The
fast path never asks why: decisions come from `vswitch.dataplane` as packed keys and flat programs.
"""

from __future__ import annotations

from vswitch.fastpath.reference import ReferenceFastPath


def select() -> ReferenceFastPath:
    """The fast path that this installation has."""
    return ReferenceFastPath()
