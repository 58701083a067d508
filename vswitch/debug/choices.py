"""What a capture may be narrowed to, in words of which there are few.

It imports nothing that takes time: the command line needs the words before it knows whether it
needs a switch.
"""

from __future__ import annotations

from enum import Enum

from vswitch.units import KIBIBYTE

WHOLE_FRAMES = 256 * KIBIBYTE
"""Bytes to keep of a frame: more than any super-frame has, and what Wireshark takes at most."""


class Judged(Enum):
    """What became of a frame."""

    DROPPED = "dropped"
    """Frames that came in and went no further."""
    NATTED = "natted"
    """Frames of connections whose addresses or ports are others behind the switch."""
    FORWARDED = "forwarded"
    """Frames that went on to one port or many, translated or not."""


class Passing(Enum):
    """Where a frame is looked at."""

    IN = "in"
    """As it came in, before any translation."""
    OUT = "out"
    """As it leaves, behind any translation."""
    BOTH = "both"
