"""What a command could not do, in words for the person who typed it."""

from __future__ import annotations

import os


class Problem(Exception):
    """Ends the command: each line of the text goes to stderr, and the exit status is 1."""


def require_root(verb: str) -> None:
    """Raise `Problem` where the process is not root."""
    if os.geteuid() != 0:
        raise Problem(f"{verb} needs root: it makes network namespaces and devices (try sudo)")
