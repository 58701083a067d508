"""What one party has waiting for servers is its share, and the others are answered meanwhile."""

from __future__ import annotations

import asyncio
from itertools import count

import dns.message
import dns.rcode
import pytest

from tests.daemon.resolving.carrying import Lab, turns
from tests.dataplane.responders.dns.outside import inquiry
from vswitch.daemon.resolving.answering import Answering
from vswitch.daemon.resolving.showing.querylog import QueryLog
from vswitch.dataplane.responders.dns.brain import Brain
from vswitch.dataplane.responders.dns.inside.names import Names
from vswitch.dataplane.responders.dns.outside.shares import Shares
from vswitch.dataplane.responders.dns.party import Party
from vswitch.naming import NameSettings

NOBODY = Names([])


class Parties:
    """Two endpoints that ask servers which say nothing, until a test has them say something."""

    def __init__(self, places: int) -> None:
        self.lab = Lab()
        self.lab.forwarder.shares = Shares(places, greed=1, least=1)
        self._numbers = count()
        self.brain = Brain(NameSettings())
        self.said: dict[str, list[dns.message.Message]] = {"flood": [], "quiet": []}
        self.answering = {
            name: Answering(
                Party(name, lambda: NOBODY, lambda _: inquiry().route),
                *(self.brain, self.lab.forwarder, lambda: 0, QueryLog()),
            )
            for name in self.said
        }

    def ask(self, who: str, name: str) -> None:
        query = dns.message.make_query(name, "A").to_wire()
        self.answering[who].answer(
            query, lambda reply: self.said[who].append(dns.message.from_wire(reply))
        )

    def flood(self, number: int) -> None:
        """Ask for that many names that nobody has asked for before."""
        for _ in range(number):
            self.ask("flood", f"{next(self._numbers)}.example.")

    def codes(self, who: str) -> list[int]:
        return [int(each.rcode()) for each in self.said[who]]


def test_flood_of_one_party_is_refused_beyond_its_share_and_the_other_is_answered(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> None:
        parties = Parties(places=16)
        parties.flood(20)
        await turns()
        assert parties.codes("flood") == [dns.rcode.REFUSED] * 12
        assert parties.lab.forwarder.refused == {"flood": 12}
        parties.lab.carrying.answer(2)
        await turns(8)
        parties.flood(5)
        (line,) = caplog.messages
        assert line == (
            "flood has its share of queries waiting for servers already: more are refused"
        )
        parties.ask("quiet", "www.example.org.")
        await turns()
        parties.lab.carrying.answer()
        await turns(8)
        assert parties.codes("quiet") == [dns.rcode.NOERROR]
        parties.flood(8)
        assert parties.lab.forwarder.refused == {"flood": 15}, "all places were given back"
        for each in parties.answering.values():
            await each.close()
        await parties.lab.forwarder.close()

    asyncio.run(main())


def test_party_that_goes_waits_for_nothing_and_gives_its_places_back() -> None:
    async def main() -> None:
        parties = Parties(places=16)
        parties.flood(8)
        await turns()
        assert len(parties.lab.carrying.waiting) == 8
        await parties.answering["flood"].close()
        assert parties.said["flood"] == []
        assert parties.lab.carrying.waiting == []
        parties.flood(8)
        assert parties.said["flood"] == []
        await parties.answering["flood"].close()
        await parties.lab.forwarder.close()

    asyncio.run(main())
