"""What comes and goes on a switch, as `/v1/events` tells it: one `EventRow` per line."""

from __future__ import annotations

from enum import Enum

from pydantic import Field

from vswitch.daemon.messages.base import Message


class EventType(Enum):
    """What comes or goes."""

    NETWORK = "network"
    ENDPOINT = "endpoint"
    PUBLICATION = "publication"
    UPLINK = "uplink"
    LEASE = "lease"


class Event(Enum):
    """What became of it, in Docker's verbs where Docker has one."""

    CREATE = "create"
    """A network, publication or uplink is there."""
    DESTROY = "destroy"
    """It is there no more."""
    ATTACH = "attach"
    """An endpoint is up, or a command on network `host` or `none` runs."""
    DETACH = "detach"
    """It is gone, and `reason` says why."""
    CONNECT = "connect"
    """An endpoint is on one more network."""
    DISCONNECT = "disconnect"
    """It is on that one no more."""
    LEARN = "learn"
    """An uplink has this address from now on."""
    GRANT = "grant"
    """A station has been leased an address."""
    END = "end"
    """It has it no longer, and `reason` says why."""
    EXHAUST = "exhaust"
    """A network had no address left for a station."""
    LOSE = "lose"
    """An uplink has no address any more: nothing leaves by it."""


class EventRow(Message):
    """One thing that has come or gone. `time` is in seconds since 1970."""

    time: float
    type: EventType
    event: Event
    name: str
    attributes: dict[str, str]
    missed: int
    """Events right before this one that the reader was too slow for, and will not get."""


class EventsQuery(Message):
    """Which events: where several values are said of a key any of them will do, of several keys
    each has to fit, as with `docker events --filter`."""

    type: tuple[EventType, ...] = ()
    event: tuple[Event, ...] = ()
    name: tuple[str, ...] = ()
    since_seconds: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """Those of the last so many seconds first, as far as the switch remembers them."""
