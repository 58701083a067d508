"""Which stations ask for an endpoint's address that another one behind the same port has?

Theory of operation. A virtual machine may come back as another station while its lease runs still;
then nobody answers for the address any more, and the new station is to have it. Or the other one is
there, and the new one is a second station behind the port. The network is asked by ARP, and
who has the address says so within `CONTEST_WAIT`, or has lost it.
"""

from __future__ import annotations

from typing import NamedTuple

from vswitch.units import SECOND, Nanoseconds
from vswitch.wire.dhcp_service import Request
from vswitch.wire.values import IpAddress, MacAddress

CONTEST_WAIT: Nanoseconds = 2 * SECOND
"""A machine that is slow to answer is not to lose its address; a client asks again after four
seconds at the earliest (RFC 2131, 4.1)."""


class Contest(NamedTuple):
    """Who asks, and until when who has the address may speak up."""

    request: Request
    port: int
    until: Nanoseconds

    def is_lost_to(self, station: MacAddress, port: int) -> bool:
        """Whether who says by ARP that it has the address is another one behind the same port. From
        behind any other, nobody has a say about an endpoint's address."""
        return port == self.port and station != self.request.client


class Contests:
    """Those that are open, one for each address."""

    def __init__(self) -> None:
        self._open: dict[IpAddress, Contest] = {}

    def begin(self, address: IpAddress, request: Request, port: int, now: Nanoseconds) -> bool:
        """Let somebody ask for an address; whether the network is to be asked, which it is once."""
        before = self._open.get(address)
        until = now + CONTEST_WAIT if before is None else before.until
        self._open[address] = Contest(request, port, until)
        return before is None

    def at(self, address: IpAddress) -> Contest | None:
        """The one about an address."""
        return self._open.get(address)

    def end(self, address: IpAddress) -> None:
        """Somebody has the address, or nobody asks for it any more."""
        self._open.pop(address, None)

    def forget_port(self, port: int) -> None:
        """Nobody is there any more to hear of it."""
        self._open = {a: contest for a, contest in self._open.items() if contest.port != port}

    def next_deadline(self) -> Nanoseconds | None:
        """When `due` has one."""
        return min((contest.until for contest in self._open.values()), default=None)

    def due(self, now: Nanoseconds) -> list[tuple[IpAddress, Contest]]:
        """Those in which nobody has spoken up, each taken out as it is handed out."""
        over = [(a, contest) for a, contest in self._open.items() if contest.until <= now]
        for address, _ in over:
            del self._open[address]
        return over
