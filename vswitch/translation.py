"""How the connections of a network are translated: all that a user may choose, as values.

Theory of operation. A network has a `Translation` (who may answer, how long a silent flow lives,
how much one endpoint may hold), an uplink has an `Outside` (which ports of its addresses may be
given away, what becomes of a SYN that nobody asked for), a published port has `Terms` (who may come
in by it), a switch has `Limits`. The defaults are what the RFCs require or recommend; where
somebody depends on Linux's or Open vSwitch's timeouts, these are `PROFILES`. Nothing is decided
here, and nothing here has a clock.

Read first: RFC 4787 (UDP), RFC 5382 (TCP), RFC 5508 (ICMP), RFC 7857 (updates), RFC 6888 (limits).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from vswitch.units import DAY, HOUR, MEBIBYTE, MINUTE, SECOND, Nanoseconds
from vswitch.wire.values import IpAddress, IpNetwork


class Filtering(Enum):
    """Who outside may send to a port that an endpoint has opened (RFC 4787, 5)."""

    ENDPOINT_INDEPENDENT = "endpoint-independent"
    """Everybody: the most transparent."""
    ADDRESS_DEPENDENT = "address-dependent"
    """Each address that the endpoint has sent to by this mapping: REQ-8's choice where filtering
    matters most, and the default."""
    ADDRESS_AND_PORT_DEPENDENT = "address-and-port-dependent"
    """Only who the endpoint has sent to, from that very port: what Linux does."""


class Refresh(Enum):
    """Whose frames keep a flow that is not TCP's alive (RFC 4787, REQ-6)."""

    BOTH = "both"
    """Those of either side."""
    OUTBOUND = "outbound"
    """Only those of the inside: nobody outside can keep a port open."""


class Unsolicited(Enum):
    """What becomes of a SYN from outside to a port that leads nowhere (RFC 5382, REQ-4)."""

    HOLD = "hold"
    """It is held back, as the inside may be about to open to the same peer, and refused then."""
    DROP = "drop"
    """It is dropped, and nothing is said."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long what is silent lives, by what it is."""

    udp_unanswered: Nanoseconds = 300 * SECOND
    udp: Nanoseconds = 300 * SECOND
    """RFC 4787, REQ-5: not under two minutes, five recommended; with an answer or without."""
    udp_short: Nanoseconds = 300 * SECOND
    """To `SHORT_PORTS`, where one answer ends the matter (REQ-5a allows less)."""
    udp_mapping: Nanoseconds = 300 * SECOND
    """Of the external port, from the last frame that the inside has sent by it (REQ-5, REQ-6)."""
    icmp: Nanoseconds = 60 * SECOND
    """RFC 5508, REQ-2: not under one minute."""
    tcp_opening: Nanoseconds = 4 * MINUTE
    """RFC 5382, REQ-5, and RFC 7857, 2.2: partially open."""
    tcp_established: Nanoseconds = 124 * MINUTE
    """RFC 5382, REQ-5: 2 h 4 min, so that a keepalive after two hours still passes."""
    tcp_half_closed: Nanoseconds = 124 * MINUTE
    """One side has finished: the other may go on for as long as it likes (RFC 7857, 2.1)."""
    tcp_closing: Nanoseconds = 4 * MINUTE
    """RFC 7857, 2.2: both sides have finished."""
    tcp_reset: Nanoseconds = 4 * MINUTE
    """RFC 7857, 2.3: a reset need not have been accepted."""
    other: Nanoseconds = 10 * MINUTE
    """Protocols without ports of their own: GRE, ESP. nf_conntrack_generic_timeout."""
    hold_down: Nanoseconds = 120 * SECOND
    """RFC 6888, REQ-8: how long an external port rests before somebody else gets it."""


SHORT_PORTS = frozenset({53, 123})
"""UDP destination ports of one question and one answer: DNS and NTP."""

MINIMUMS = {
    "udp_unanswered": 120 * SECOND,
    "udp": 120 * SECOND,
    "udp_mapping": 120 * SECOND,
    "icmp": 60 * SECOND,
    "tcp_opening": 4 * MINUTE,
    "tcp_established": 124 * MINUTE,
    "tcp_half_closed": 4 * MINUTE,
    "tcp_closing": 4 * MINUTE,
    "tcp_reset": 4 * MINUTE,
}
"""What a NAT must not go below, by the names of `Timeouts` (RFC 4787 REQ-5, RFC 5382 REQ-5, RFC
5508 REQ-2, RFC 7857 2.2 and 2.3)."""

PROFILES = {
    "rfc": Timeouts(),
    "linux": Timeouts(
        udp_unanswered=30 * SECOND,
        udp=120 * SECOND,
        udp_short=30 * SECOND,
        udp_mapping=30 * SECOND,
        icmp=30 * SECOND,
        tcp_opening=120 * SECOND,
        tcp_established=5 * DAY,
        tcp_half_closed=120 * SECOND,
        tcp_closing=120 * SECOND,
        tcp_reset=10 * SECOND,
        other=10 * MINUTE,
        hold_down=0,
    ),
    "ovs": Timeouts(
        udp_unanswered=60 * SECOND,
        udp=30 * SECOND,
        udp_short=30 * SECOND,
        udp_mapping=60 * SECOND,
        icmp=60 * SECOND,
        tcp_opening=30 * SECOND,
        tcp_established=24 * HOUR,
        tcp_half_closed=15 * MINUTE,
        tcp_closing=45 * SECOND,
        tcp_reset=30 * SECOND,
        other=60 * SECOND,
        hold_down=0,
    ),
}
"""Timeouts by the name of who has them: the RFCs, Linux's nf_conntrack (6.18), Open vSwitch 3.1's
userspace conntrack."""


@dataclass(frozen=True, slots=True)
class Quotas:
    """How much one endpoint may hold (RFC 6888, REQ-4 and REQ-5); 0 stands for no limit."""

    mappings: int = 16_384
    """External ports, of all protocols: a quarter of what one external address has of each."""
    connections: int = 65_536
    """A quarter of the table's default capacity, so that no single endpoint fills it."""
    connections_per_second: int = 0
    """New ones; a second's worth may come at once."""


@dataclass(frozen=True, slots=True)
class Translation:
    """How one inside network's connections are translated."""

    filtering: Filtering = Filtering.ADDRESS_DEPENDENT
    refresh: Refresh = Refresh.BOTH
    timeouts: Timeouts = Timeouts()
    quotas: Quotas = Quotas()
    window_tracking: bool = True
    """Whether a TCP segment has to be within its window to change a connection's state."""
    keeps_parity: bool = True
    """Whether an even port stays even (RFC 4787, REQ-4; RFC 7857, 8: that may be off)."""
    external: IpAddress | None = None
    """The one address of the uplink that stands for all of the network; None: any of them."""
    untranslated: tuple[IpNetwork, ...] = ()
    """Destinations that see the inside addresses (RFC 6888, REQ-6)."""
    resets: bool = False
    """Whether the peers of a TCP connection that the switch ends are told by a RST."""

    def is_untranslated(self, destination: IpAddress) -> bool:
        """Whether `destination` sees the inside addresses."""
        return (
            any(destination in each for each in self.untranslated) if self.untranslated else False
        )


@dataclass(frozen=True, slots=True)
class Outside:
    """What holds for the addresses of one uplink."""

    ports: tuple[range, ...] = (range(1, 65536),)
    """External ports that may be given away, none of them twice and in rising order."""
    unsolicited: Unsolicited = Unsolicited.HOLD
    unsolicited_after: Nanoseconds = 6 * SECOND
    """RFC 5382, REQ-4: an unsolicited SYN is not answered before."""
    clamps_mss: bool = True
    """Whether TCP's maximum segment size is kept below what the path's ends can carry."""


@dataclass(frozen=True, slots=True)
class Terms:
    """On which terms a published port lets somebody in."""

    sources: tuple[IpNetwork, ...] = ()
    """Who may come in: addresses that clients have of themselves. None at all: everybody."""
    lasts: Nanoseconds | None = None
    """How long it is published; the connections by it end with it. None: until it is withdrawn."""
    is_for_one: bool = False
    """Whether the first connection by it is the last one, whether it is answered or not."""
    per_second: int = 0
    """New connections, of which a second's worth may come at once; 0 stands for no limit."""

    def let_in(self, source: IpAddress) -> bool:
        """Whether `source` is one of those who may come in."""
        return not self.sources or any(source in each for each in self.sources)


@dataclass(frozen=True, slots=True)
class Limits:
    """What the whole switch may hold."""

    connections: int = 262_144
    """nf_conntrack's default on machines of this size."""
    memory: int = 512 * MEBIBYTE
    """Bytes for connections; whichever of the two is less counts."""
    fragments: int = 4 * MEBIBYTE
    """Bytes of datagrams that are not complete yet: nf_defrag's `ipfrag_high_thresh`."""
    fragment_timeout: Nanoseconds = 30 * SECOND
    """nf_defrag's; RFC 791 says 15 at least, RFC 1122 60 for hosts, which keep whole sets."""
    held_syns: int = 1024
    """Unsolicited SYNs that wait to be refused; those beyond are dropped and nothing is said."""
    errors_per_second: int = 100
    """ICMP errors of our own on each port (RFC 1812, 4.3.2.8)."""


DEFAULT_LIMITS = Limits()

OPEN_TO_ALL = Terms()
"""Those of a port that is published with nothing said about it, as Docker's are."""
