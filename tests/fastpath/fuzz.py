"""`make fuzz`: hold the compiled fast path against the reference until time is up.

Each story comes from a seed. Where one makes a difference it is told with as few steps as show it,
and the seed, with which `--seed` begins again.
"""

from __future__ import annotations

import argparse
import sys
import time
from random import Random

from tests.fastpath.twin_steps import a_story
from tests.fastpath.twins import TwinsDiffer, hold_against
from vswitch.fastpath import available
from vswitch.fastpath.reference import ReferenceFastPath


def main() -> int:
    """The exit status: 0 no difference, 1 one was found, 2 there is nothing to compare."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=1.0, help="how long (1)")
    parser.add_argument("--seed", type=int, default=time.time_ns() >> 20, help="of the first story")
    options = parser.parse_args()
    others = [kind for kind in available().values() if kind is not ReferenceFastPath]
    if not others:
        print("fuzz: there is no compiled fast path here to hold against the reference")
        return 2
    end = time.monotonic() + 60 * options.minutes
    seed = options.seed
    while time.monotonic() < end:
        for kind in others:
            try:
                hold_against(ReferenceFastPath, kind, a_story(Random(seed)))
            except TwinsDiffer as difference:
                print(f"{difference}\nfuzz: {kind.name} differs: --seed {seed}")
                return 1
        seed += 1
    print(f"fuzz: no difference in {seed - options.seed} stories from --seed {options.seed} on")
    return 0


if __name__ == "__main__":
    sys.exit(main())
