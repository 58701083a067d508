"""A brain for tests of what stands before one, and queries for it."""

from __future__ import annotations

from dataclasses import dataclass, field

from scapy.layers.inet import IP, UDP
from scapy.packet import Packet, Raw

from tests.harness import GATEWAYS, Host, Lab
from vswitch.dataplane.responders.dns.front import Answered, Asker, Heard, Passed, Unsaid
from vswitch.dataplane.responders.dns.party import Inquiry, Route
from vswitch.units import Nanoseconds

GATEWAY, OTHER_GATEWAY = GATEWAYS["front"], GATEWAYS["back"]


@dataclass
class Oracle:
    """A front that knows what begins with `known`, passes on what begins with `ask`, and nothing
    else."""

    answer: bytes = b"answer"
    asked: list[tuple[bytes, Asker]] = field(default_factory=list)

    def hear(self, query: bytes, asker: Asker, now: Nanoseconds, *, commit: bool) -> Heard:
        if commit:
            self.asked.append((query, asker))
        if query.startswith(b"known"):
            return Answered(self.answer, "a query for web.front A, answered from names")
        if query.startswith(b"ask"):
            inquiry = Inquiry(query, 1, 1, False, False, Route())
            return Passed(inquiry, "a query for debian.org A, asked of servers")
        return Unsaid("it has no whole header")


def query(
    lab: Lab, host: Host, text: bytes = b"known", to: str = GATEWAY, sport: int = 4000
) -> Packet:
    return lab.routed(host, IP(src=host.ip, dst=to) / UDP(sport=sport, dport=53) / Raw(text))
