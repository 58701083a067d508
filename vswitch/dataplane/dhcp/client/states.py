"""The states of a DHCP client, what leads from one to another, and how long each is patient.

RFC 2131, figure 5, with one state more: before an address that was given is used, PROBING asks the
link by ARP whether somebody has it all the same, as the text says (4.4.1).
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from vswitch.units import MILLISECOND, SECOND, Nanoseconds

FUZZ: Nanoseconds = SECOND
"""By how much a wait for an answer is longer or shorter, by chance, so that clients do not speak in
chorus after a power cut (RFC 2131, 4.1)."""

RENEWAL_INTERVAL: Nanoseconds = 60 * SECOND
"""The least between two requests for more time (RFC 2131, 4.4.5)."""

PAUSE_AFTER_NAK: tuple[Nanoseconds, Nanoseconds] = (1 * SECOND, 10 * SECOND)
"""From and to, by chance. RFC 2131, 4.4.1, has this pause before every beginning; it is made where
servers that contradict each other would have us run in a circle, and not where somebody waits."""

PAUSE_AFTER_DECLINE: Nanoseconds = 10 * SECOND
"""RFC 2131, 3.1, step 5."""


class State(Enum):
    """Where the client is; the value says it in words."""

    STOPPED = "stopped"
    INIT = "waits before it begins anew"
    SELECTING = "looks for a server"
    REQUESTING = "asks for the address that was offered"
    REBOOTING = "asks for the address that it had before"
    PROBING = "asks whether somebody else has the address"
    BOUND = "has a lease"
    RENEWING = "asks its server for more time"
    REBINDING = "asks any server for more time"


HOLDING = frozenset({State.BOUND, State.RENEWING, State.REBINDING})
"""The states in which the address may be used."""


class Cause(Enum):
    """What makes it go on; the value says it in words."""

    START = "it is started"
    REMEMBER = "it is started with an address of an earlier life"
    RELEASE = "it is to give back what it has, and stop"
    BEGIN = "it has waited long enough"
    OFFER = "a server offers an address"
    ACK = "the server agrees"
    NAK = "the server refuses"
    CONFLICT = "somebody else has the address"
    FREE = "nobody else has the address"
    UNANSWERED = "it has asked often enough"
    T1 = "it is time to renew"
    T2 = "it is time to rebind"
    EXPIRED = "the lease is over"


TRANSITIONS: dict[tuple[State, Cause], State] = {
    (State.STOPPED, Cause.START): State.SELECTING,
    (State.STOPPED, Cause.REMEMBER): State.REBOOTING,
    (State.INIT, Cause.BEGIN): State.SELECTING,
    (State.INIT, Cause.RELEASE): State.STOPPED,
    (State.SELECTING, Cause.OFFER): State.REQUESTING,
    (State.SELECTING, Cause.RELEASE): State.STOPPED,
    (State.REQUESTING, Cause.ACK): State.PROBING,
    (State.REQUESTING, Cause.NAK): State.INIT,
    (State.REQUESTING, Cause.UNANSWERED): State.INIT,
    (State.REQUESTING, Cause.RELEASE): State.STOPPED,
    (State.REBOOTING, Cause.ACK): State.PROBING,
    (State.REBOOTING, Cause.NAK): State.INIT,
    (State.REBOOTING, Cause.UNANSWERED): State.INIT,
    (State.REBOOTING, Cause.RELEASE): State.STOPPED,
    (State.PROBING, Cause.FREE): State.BOUND,
    (State.PROBING, Cause.CONFLICT): State.INIT,
    (State.PROBING, Cause.EXPIRED): State.INIT,
    (State.PROBING, Cause.RELEASE): State.STOPPED,
    (State.BOUND, Cause.T1): State.RENEWING,
    (State.BOUND, Cause.T2): State.REBINDING,
    (State.BOUND, Cause.EXPIRED): State.INIT,
    (State.BOUND, Cause.RELEASE): State.STOPPED,
    (State.RENEWING, Cause.ACK): State.BOUND,
    (State.RENEWING, Cause.NAK): State.INIT,
    (State.RENEWING, Cause.T2): State.REBINDING,
    (State.RENEWING, Cause.EXPIRED): State.INIT,
    (State.RENEWING, Cause.RELEASE): State.STOPPED,
    (State.REBINDING, Cause.ACK): State.BOUND,
    (State.REBINDING, Cause.NAK): State.INIT,
    (State.REBINDING, Cause.EXPIRED): State.INIT,
    (State.REBINDING, Cause.RELEASE): State.STOPPED,
}
"""Where a cause leads; what is not listed changes nothing. BOUND knows T2 and the end as well: a
host that was asleep meets all of them at once, and the last one counts."""


class Patience(NamedTuple):
    """How often a state's question is asked, and how long an answer is waited for each time."""

    waits: tuple[Nanoseconds, ...]
    fuzz: Nanoseconds
    then: Cause | None
    """What follows the last wait; None where that one is repeated for ever."""


_DOUBLING = (4 * SECOND, 8 * SECOND, 16 * SECOND, 32 * SECOND, 64 * SECOND)

PATIENCE = {
    State.SELECTING: Patience(_DOUBLING, FUZZ, None),
    State.REQUESTING: Patience(_DOUBLING[:4], FUZZ, Cause.UNANSWERED),
    State.REBOOTING: Patience(_DOUBLING[:2], FUZZ, Cause.UNANSWERED),
    State.PROBING: Patience((500 * MILLISECOND, 500 * MILLISECOND), 0, Cause.FREE),
}
"""RFC 2131, 4.1, for the waits, and 3.1, step 5, for four requests, which take a minute. Where the
address of an earlier life is asked for there may be no server that knows it, so that is kept short.
RFC 5227, 1.1, has three probes and two seconds of silence, which are for a link that is coming up;
this one has just carried the server's answer, so two probes do, one of which may be lost."""
