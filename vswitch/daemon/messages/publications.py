"""Published ports, as the control socket speaks of them."""

from __future__ import annotations

from pydantic import Field

from vswitch.daemon.messages.base import Message

MOST_AT_ONCE = 1000
"""Specifications in one request; each may be a run of ports."""


class PublicationsBody(Message):
    """A wish for further published ports, each as `-p` takes it, with its terms behind it."""

    publish: tuple[str, ...] = Field(min_length=1, max_length=MOST_AT_ONCE)


class PublicationRow(Message):
    """A published port, or a run of them, and on which terms it lets clients in."""

    endpoint: str
    network: str
    published: str
    """As Docker prints it: `0.0.0.0:8080->80/tcp`."""
    protocol: str
    host_address: str
    """0.0.0.0 stands for every address of the switch."""
    host_ports: tuple[int, int]
    """The first and the last of the run; they lead to `endpoint_ports`, one to one."""
    endpoint_ports: tuple[int, int]
    sources: tuple[str, ...]
    """Who may come in; none stands for everybody."""
    is_for_one: bool
    is_used_up: bool
    """Whether the one connection that it is for has come."""
    per_second: int
    """New connections at most; 0 stands for no limit."""
    expires_in_seconds: float | None
