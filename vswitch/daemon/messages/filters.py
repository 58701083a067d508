"""The user's filters on the control socket.

Field names are those of `[[filters]]` in a configuration, and so is what each may hold.
"""

from __future__ import annotations

from vswitch.daemon.messages.base import Message


class FilterBody(Message):
    """A wish for one more filter, in front of the one numbered `before` or as the last."""

    action: str
    source: tuple[str, ...] = ()
    destination: tuple[str, ...] = ()
    protocol: str | int | None = None
    source_ports: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    in_network: str | None = None
    out_network: str | None = None
    before: int | None = None


class FilterRow(Message):
    """A filter as it is, in the order in which they are asked."""

    number: int
    """It stays the same whatever comes before or goes."""
    action: str
    source: tuple[str, ...]
    destination: tuple[str, ...]
    protocol: str | None
    source_ports: tuple[str, ...]
    ports: tuple[str, ...]
    in_network: str | None
    out_network: str | None
    matched: int
    """Flows."""
