"""Programs of the benchmark's own: `load.c` makes load, `loop.c` and `loop.py` are yardsticks.

Those in C are compiled when they are needed, into a directory of the run.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

COMPILER = "cc"
_SOURCES = Path(__file__).parent
_FLAGS = ("-O2", "-Wall", "-Wextra")


class NotCompiledError(Exception):
    """What the compiler said."""


def compile_into(directory: Path, name: str) -> Path:
    """Compile NAME.c, if it has not been yet; where the program is. Raises NotCompiledError."""
    program = directory / name
    if not program.exists():
        command = [COMPILER, *_FLAGS, "-o", str(program), str(_SOURCES / f"{name}.c")]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True)
        except OSError as error:
            raise NotCompiledError(f"{COMPILER}: {error.strerror}") from error
        except subprocess.CalledProcessError as error:
            raise NotCompiledError(f"{name}.c: {error.stderr.strip()}") from error
    return program
