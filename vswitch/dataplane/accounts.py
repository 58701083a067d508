"""What each endpoint holds: connections, external ports, and the right to more of them.

Theory of operation. Every connection and every mapping is entered into the *account* of the
endpoint that it belongs to: who began it, or whom it leads to where it came from outside. So one
endpoint can be limited without looking at others (RFC 6888, REQ-4 and REQ-5), and when it leaves,
all that it had is found at once.

An account tells apart what is *fleeting* (not answered, half open, closing, reset) from what is
*lasting*. Where there is no room, the endpoint's own oldest fleeting connection may go; what is
lasting, and whatever belongs to somebody else, never does (RFC 6888, REQ-11D).

An account exists while something is in it. Whether a connection may be is asked here and decided
by `admission`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

from vswitch.dataplane.rate import Rate
from vswitch.fastpath.states import State
from vswitch.translation import Timeouts, Translation
from vswitch.units import Nanoseconds
from vswitch.wire.values import IpAddress

if TYPE_CHECKING:
    from vswitch.dataplane.conntrack import Connection


@lru_cache
def tcp_lifetimes(timeouts: Timeouts) -> dict[State, Nanoseconds]:
    """How long a TCP connection lives in silence, in each of its states."""
    return dict.fromkeys(State, timeouts.tcp_established) | {
        State.OPENING: timeouts.tcp_opening,
        State.ORIGINAL_CLOSED: timeouts.tcp_half_closed,
        State.REPLY_CLOSED: timeouts.tcp_half_closed,
        State.CLOSING: timeouts.tcp_closing,
        State.TRANSITORY: timeouts.tcp_reset,
    }


class Account:
    """One endpoint's. `network` is a number."""

    __slots__ = (
        "address",
        "arrivals",
        "fleeting",
        "lasting",
        "mappings",
        "network",
        "paired",
        "tcp_lifetimes",
        "translation",
        "visitors",
    )

    def __init__(self, network: int, address: IpAddress, translation: Translation) -> None:
        self.network = network
        self.address = address
        self.translation = translation
        self.tcp_lifetimes = tcp_lifetimes(translation.timeouts)
        self.fleeting: dict[Connection, None] = {}
        self.lasting: dict[Connection, None] = {}
        """Connections in the order in which they became what they are."""
        self.visitors: dict[Connection, None] = {}
        """Connections of other endpoints that lead here."""
        self.mappings = 0
        self.paired: dict[int, IpAddress] = {}
        """The one address of each uplink that its mappings are on (RFC 4787, REQ-2)."""
        self.arrivals = Rate(translation.quotas.connections_per_second)

    def follow(self, translation: Translation) -> None:
        """Let its network's translation be another one; a rate that is the same goes on."""
        before, self.translation = self.translation, translation
        self.tcp_lifetimes = tcp_lifetimes(translation.timeouts)
        if before.quotas.connections_per_second != translation.quotas.connections_per_second:
            self.arrivals = Rate(translation.quotas.connections_per_second)

    def __iter__(self) -> Iterator[Connection]:
        """All connections that it has to do with."""
        yield from self.fleeting
        yield from self.lasting
        yield from self.visitors

    @property
    def connections(self) -> int:
        """How many connections it holds."""
        return len(self.fleeting) + len(self.lasting)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is in it."""
        return not (self.fleeting or self.lasting or self.visitors or self.mappings)

    @property
    def may_hold_connection(self) -> bool:
        """Whether one more connection is within its quota."""
        quota = self.translation.quotas.connections
        return not quota or self.connections < quota

    @property
    def may_hold_mapping(self) -> bool:
        """Whether one more mapping is within its quota."""
        quota = self.translation.quotas.mappings
        return not quota or self.mappings < quota

    @property
    def oldest_fleeting(self) -> Connection | None:
        """What may go to make room."""
        return next(iter(self.fleeting), None)


class Accounts:
    """All accounts, by network and address."""

    def __init__(self) -> None:
        self._accounts: dict[tuple[int, IpAddress], Account] = {}

    def find(self, network: int, address: IpAddress) -> Account | None:
        """The account of an endpoint that holds something."""
        return self._accounts.get((network, address))

    def of(self, network: int, address: IpAddress, translation: Translation) -> Account:
        """The account of an endpoint, a new one that is kept nowhere yet where it holds nothing."""
        return self._accounts.get((network, address)) or Account(network, address, translation)

    def keep(self, account: Account) -> None:
        """Remember an account, as something is entered into it."""
        self._accounts.setdefault((account.network, account.address), account)

    def settle(self, account: Account) -> None:
        """Forget an account that has become empty."""
        if account.is_empty:
            self._accounts.pop((account.network, account.address), None)

    def __iter__(self) -> Iterator[Account]:
        return iter(self._accounts.values())

    def __len__(self) -> int:
        return len(self._accounts)
