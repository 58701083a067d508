"""What a DHCP server does about a message, as a value: it is found without changing anything, so
that a message that is only asked about is told the same."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from vswitch.wire.values import IpAddress


class Act(Enum):
    """What is done; the value says it in words, with the address or the reason."""

    OFFER = "offered {0}"
    COMMIT = "given {0} at once (RFC 4039)"
    PROBE = "{0} is for it, once the network is asked whether somebody has it"
    CONTEST = "{0} is for it, unless the station that had it speaks up"
    GIVE = "given {0}"
    REFUSE = "refused: {1}"
    TELL = "told what a host on the network has to know"
    TAKE_BACK = "{0} is given back"
    SPOIL = "{0} is somebody else's, and given to nobody for a while"
    WITHDRAW = "it has chosen another server"
    IGNORE = "not answered: {1}"
    EXHAUSTED = "no address is left for it"
    CROWDED = "no address more for who is behind its port"


class Ruling(NamedTuple):
    """What is done about a message. `str()` gives it in words."""

    act: Act
    address: IpAddress | None = None
    """The one that it is about."""
    why: str = ""

    def __str__(self) -> str:
        return self.act.value.format(self.address, self.why)
