"""The machine that runs decisions: flow key, program, executor.

`key` says which frames are alike, `program` what can be done to them, `reference` does it, and
`window` knows which TCP segments are part of their connection. The fast path never asks why:
decisions come from `vswitch.dataplane` as packed keys and flat programs.
"""

from __future__ import annotations

from vswitch.fastpath.reference import CAPACITY, ReferenceFastPath


def select(capacity: int = CAPACITY) -> ReferenceFastPath:
    """The fast path that this installation has, with room for so many entries."""
    return ReferenceFastPath(capacity)
