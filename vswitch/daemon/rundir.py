"""Where running switches are found: one directory each, with the control socket in it."""

from __future__ import annotations

from pathlib import Path

RUN = Path("/run/vswitch")
"""The directory with one directory for each switch that runs."""

SOCKET = "socket"
"""The control socket's name in a switch's directory."""
