"""What a DHCP server answers with: messages, questions, and what has become of grants."""

from __future__ import annotations

from dataclasses import dataclass

from vswitch.dataplane.dhcp.server.news import LeaseNews, Turn
from vswitch.wire.dhcp import MessageType
from vswitch.wire.dhcp_service import Request
from vswitch.wire.values import IpAddress


@dataclass(frozen=True, slots=True)
class Answer:
    """A message of the server's, and what it answers."""

    message: bytes
    kind: MessageType
    request: Request
    address: IpAddress
    """The one that the client is to have; unspecified where none."""
    port: int


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be done about something that has happened."""

    answers: tuple[Answer, ...] = ()
    probes: tuple[IpAddress, ...] = ()
    """Addresses about which the network is to be asked whether somebody has them."""
    turns: tuple[Turn, ...] = ()
    """What has become of grants, to be kept before anything is said."""
    vacated: tuple[IpAddress, ...] = ()
    """Addresses that are no guest's any more."""
    news: tuple[LeaseNews, ...] = ()

    def then(self, other: Step) -> Step:
        """Both, one after the other."""
        return Step(
            self.answers + other.answers,
            self.probes + other.probes,
            self.turns + other.turns,
            self.vacated + other.vacated,
            self.news + other.news,
        )


NOTHING = Step()
