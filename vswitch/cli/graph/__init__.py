"""`vswitch graph`: how a running switch hangs together, as a drawing or as text for other tools.

`layout` finds a place for everything, `svg` draws it, `texts` says the same in the languages of
Mermaid and of Graphviz, `writing` is the verb itself.
"""

from __future__ import annotations

from enum import Enum


class Format(Enum):
    """What a topology is written as."""

    SVG = "svg"
    """A drawing for browsers and documents."""
    MERMAID = "mermaid"
    """Text that GitHub and GitLab draw within Markdown."""
    DOT = "dot"
    """Text for Graphviz."""
