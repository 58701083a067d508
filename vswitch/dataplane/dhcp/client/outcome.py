"""What an uplink's DHCP client answers with: frames to send, news, and why it took no notice."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from vswitch.dataplane.dhcp.client.lease import Lease


class Ignored(Enum):
    """Why a frame from a server changes nothing; the value says it in words."""

    MALFORMED = "it holds no sound DHCP message of a server"
    NOT_FOR_US = "it is for another client"
    NOT_ASKED = "it answers nothing that is being asked"
    OTHER_SERVER = "it comes from a server that was not asked"
    OTHER_ADDRESS = "it is about an address that was not asked for"
    UNUSABLE = "it lacks something without which there is no lease, or that is no host's"


class Reason(Enum):
    """Why a lease is over; the value says it in words."""

    EXPIRED = "no server has renewed it in time"
    REFUSED = "the server says that the address may not be used any longer"


@dataclass(frozen=True, slots=True)
class Bound:
    """There is an address now, which nobody else on the link has."""

    lease: Lease


@dataclass(frozen=True, slots=True)
class Changed:
    """The address is the same, but something else that the server tells is not."""

    lease: Lease


@dataclass(frozen=True, slots=True)
class Lost:
    """From now on the address must not be used any longer."""

    lease: Lease
    reason: Reason


News: TypeAlias = Bound | Changed | Lost


@dataclass(frozen=True, slots=True)
class Step:
    """What became of something that was heard, or of a deadline."""

    frames: tuple[bytearray, ...] = ()
    """To send by the uplink, in this order, each complete."""
    news: News | None = None
    """What the uplink has to know, if there is anything."""
    ignored: Ignored | None = None
    """Why it changed nothing, where it did not. There are no frames and no news then."""
