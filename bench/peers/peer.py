"""What every peer is: a builder of its own little world, and the paths through it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from bench.topology import World


class Route(Enum):
    """What is asked of whoever lies between a client and a server."""

    ENDPOINTS = "endpoint to endpoint"
    """Both are on one network."""
    NAPT = "through NAPT"
    """The client is inside, the server outside and sees another address."""
    NAMES = "names"
    """The server is a DNS server that knows where an endpoint is."""


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """One way from a client to a server through one contender."""

    contender: str
    route: Route
    client: str
    """A namespace, as is `server`."""
    server: str
    address: str
    """Where the client finds the server."""
    process: subprocess.Popen[bytes] | None = None
    """Whose CPU time is counted. The kernel's own is nobody's."""
    is_ours: bool = False


@dataclass(frozen=True, slots=True)
class Peer:
    """Somebody to measure, and the programs that it takes."""

    name: str
    """By which it is asked for."""
    programs: tuple[str, ...]
    build: Callable[[World], list[Path]]


@dataclass(frozen=True, slots=True)
class Missing:
    """Somebody, or some load, that could not take part."""

    name: str
    reason: str
