"""The machine that runs decisions: flow key, program, executor.

`key` says which frames are alike, `program` what can be done to them, `reference` does it, and
`window` knows which TCP segments are part of their connection. The fast path never asks why:
decisions come from `vswitch.dataplane` as packed keys and flat programs.

There are two that do the same (`twin`): `reference`, which is there to be read and runs everywhere,
and its compiled twin in `_fast`, which exists where this installation could compile it.
"""

from __future__ import annotations

import logging
import os

from vswitch.fastpath.reference import ReferenceFastPath
from vswitch.fastpath.twin import CAPACITY, FastPath

FORCED_BY = "VSWITCH_FASTPATH"
"""The environment variable that names the fast path to use."""

_log = logging.getLogger(__name__)


class NoSuchFastPath(Exception):
    """This installation has no fast path of that name. Its text is one line for the user."""


def available() -> dict[str, type[FastPath]]:
    """The fast paths of this installation by name, the best one first."""
    try:
        from vswitch.fastpath._fast import CompiledFastPath
    except ImportError as error:
        if not isinstance(error, ModuleNotFoundError):
            _log.warning("the compiled fast path can not be loaded, so it is not used: %s", error)
        return {ReferenceFastPath.name: ReferenceFastPath}
    return {
        CompiledFastPath.name: CompiledFastPath,
        ReferenceFastPath.name: ReferenceFastPath,
    }


def select(capacity: int = CAPACITY, name: str | None = None) -> FastPath:
    """The fast path called `name`, else the one that the environment names, else the best one.

    It has room for `capacity` entries. Raises NoSuchFastPath.
    """
    choice, known = name or os.environ.get(FORCED_BY), available()
    if not choice:
        return next(iter(known.values()))(capacity)
    if choice not in known:
        where = "" if name else f" (from {FORCED_BY})"
        names = " and ".join(known)
        raise NoSuchFastPath(f'no fast path "{choice}"{where}: this installation has {names}')
    return known[choice](capacity)
