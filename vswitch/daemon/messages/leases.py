"""Leases of addresses, as the control socket speaks of them."""

from __future__ import annotations

from vswitch.daemon.messages.base import Message


class LeasesQuery(Message):
    """Which leases; None: those of all networks."""

    network: str | None = None


class LeaseRow(Message):
    """An address that a station has been leased."""

    network: str
    address: str
    station: str
    hostname: str | None
    """What the station says that it is called."""
    endpoint: str | None
    """Whose own address it is; None for a guest."""
    expires_in_seconds: float


class PoolRow(Message):
    """What a network has to lease to its guests."""

    network: str
    addresses: int
    leased: int
    """To guests and to endpoints."""
    exhausted: int
    """How often there was none left, counted once a second at most."""
