"""What pyproject.toml cannot say about the build: the compiled fast path is there where it can be.

Theory of operation. `vswitch.fastpath._fast` is the compiled twin of a module in Python, so an
installation without it is whole, only slower. `VSWITCH_BUILD_EXTENSION` says what is wanted: where
it is unset the extension is built if that works, else one line says that it was not; with `yes` a
build that does not work is an error; with `no` none is tried. A mistake in the Cython source is
an error always: it has nothing to do with the machine.

`CC` and `CFLAGS` have their usual meaning, so that a build with sanitizers is no case of its own:
see `.ci/setup`. What is built runs on every machine of its architecture, never on this one alone.
"""

from __future__ import annotations

import os
from glob import glob
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import BaseError, CCompilerError

VARIABLE = "VSWITCH_BUILD_EXTENSION"

OPTIMISATION = [] if "-O" in os.environ.get("CFLAGS", "") else ["-O3"]

FAST_PATH = Extension(
    "vswitch.fastpath._fast",
    sources=["vswitch/fastpath/_fast.pyx"],
    depends=sorted(glob("vswitch/fastpath/*.px[di]")),
    extra_compile_args=["-Wall", *OPTIMISATION],
)

DIRECTIVES = {"language_level": 3, "boundscheck": False, "wraparound": False, "cdivision": True}
"""The source checks by itself where something could be out of bounds, once per frame."""

NOT_BUILT = "vswitch: the compiled fast path was not built ({problem})"
INSTEAD = "; the reference one will be used, which is slower"
REMEDY = (
    ". For the compiled one, install a C compiler and the headers of Python "
    "(Debian: gcc libc6-dev python3-dev), then vswitch again"
)


class BuildFastPath(build_ext):
    """Build the extension in a directory of its own; go on without where it is optional."""

    def finalize_options(self) -> None:
        """Keep the C that Cython writes out of the source tree."""
        super().finalize_options()
        self.cython_c_in_temp = True
        self.cython_directives = DIRECTIVES

    def build_extension(self, ext: Extension) -> None:
        """Build, or leave nothing behind, an earlier build included, and say so."""
        try:
            super().build_extension(ext)
        except (BaseError, CCompilerError) as problem:
            not_built = NOT_BUILT.format(problem=problem)
            if not ext.optional:
                raise SystemExit(not_built + REMEDY) from problem
            Path(self.get_ext_fullpath(ext.name)).unlink(missing_ok=True)
            print(not_built + INSTEAD + REMEDY)


def extensions() -> list[Extension]:
    """What to build, and whether an installation can do without it."""
    match os.environ.get(VARIABLE, ""):
        case "no":
            return []
        case "yes" | "" as wanted:
            FAST_PATH.optional = not wanted
            return [FAST_PATH]
        case other:
            raise SystemExit(f"vswitch: {VARIABLE}={other}: it is yes, no or not set")


setup(ext_modules=extensions(), cmdclass={"build_ext": BuildFastPath})
