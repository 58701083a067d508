"""How the time of a frame is told. It imports nothing: the command line needs the words first."""

from __future__ import annotations

from enum import Enum


class Times(Enum):
    """What a line says about time."""

    RELATIVE = "relative"
    """Seconds since the first frame."""
    ABSOLUTE = "absolute"
    """Date and time in UTC."""
