"""What is noted of a query that is somebody else's to answer, whatever became of it."""

from __future__ import annotations

import asyncio
import logging

import dns.message
import dns.rrset
import pytest

from tests.harness import Lab
from vswitch.daemon.messages.dns import Outcome
from vswitch.daemon.resolving.answering import Answering
from vswitch.daemon.resolving.asking.forwarding import Forwarder
from vswitch.daemon.resolving.showing.querylog import QueryLog
from vswitch.dataplane.openings import AllowedNames
from vswitch.dataplane.responders.dns.bounds import Bounds
from vswitch.dataplane.responders.dns.brain import Brain
from vswitch.dataplane.responders.dns.inside.names import Names
from vswitch.dataplane.responders.dns.outside.searching import Found
from vswitch.dataplane.responders.dns.party import Inquiry, Party, Route
from vswitch.naming import NameSettings, Server
from vswitch.units import MILLISECOND
from vswitch.wire import domain
from vswitch.wire.values import IpAddress

NAMES = Names(())
KNOWN = {"www.debian.org.": "198.51.100.1", "evil.debian.org.": "10.0.0.1"}


class Outside(Forwarder):
    """Servers that know two names and say so 12 ms later; nobody has a say about `silent`."""

    def __init__(self, asking: Asking) -> None:
        super().__init__(1.0)
        self._asking = asking

    async def ask(self, inquiry: Inquiry) -> Found | None:
        self._asking.now += 12 * MILLISECOND
        name = f"{domain.decode(inquiry.name)}."
        if name.startswith("silent"):
            return None
        reply = dns.message.make_response(dns.message.make_query(name, "A"))
        if name in KNOWN:
            reply.answer.append(dns.rrset.from_text(name, 60, "IN", "A", KNOWN[name]))
        return Found(reply.to_wire(), Server(IpAddress.parse("192.0.2.53")))


class Asking:
    """The endpoint `app` on front, which may ask for names below debian.org."""

    def __init__(self) -> None:
        lab = Lab()
        self.now = 0
        self.front = lab.network("front")
        self.front.allowed = AllowedNames(["*.debian.org"])
        self.openings = lab.switch.tables.openings
        bounds = Bounds(self.front, self.openings)
        party = Party("app", lambda: NAMES, lambda _: Route(), "front", bounds=lambda: bounds)
        self.queries = QueryLog()
        brain = Brain(NameSettings(protects_from_rebinding=True))
        self.answering = Answering(party, brain, Outside(self), lambda: self.now, self.queries)

    def ask(self, *names: str) -> list[Outcome]:
        """One after the other, as who has the socket does; what became of them."""

        async def asked() -> None:
            for name in names:
                query = dns.message.make_query(name, "A").to_wire()
                told = asyncio.Event()
                self.answering.answer_all(
                    [(0, query)],
                    lambda *_, told=told: told.set(),
                    lambda _, told=told: lambda _: told.set(),
                )
                async with asyncio.timeout(5):
                    await told.wait()
            await self.answering.close()

        asyncio.run(asked())
        return [each.outcome for each in self.queries.since(0).noted]


@pytest.fixture
def asking() -> Asking:
    return Asking()


def test_each_way_to_an_answer_is_told_apart(asking: Asking) -> None:
    names = ("www.debian.org", "www.debian.org", "silent.debian.org", "evil.example")
    assert asking.ask(*names) == [
        *(Outcome.SERVER, Outcome.CACHE, Outcome.FAILED),
        Outcome.NOT_ALLOWED,
    ]
    noted = asking.queries.since(0).noted
    assert [each.took for each in noted] == [12 * MILLISECOND, 0, 12 * MILLISECOND, 0]
    assert [each.by for each in noted] == ["192.0.2.53", "", "", ""]


def test_name_that_leads_inside_is_withheld_noted_and_told_in_the_log(
    asking: Asking, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    assert asking.ask("evil.debian.org") == [Outcome.WITHHELD]
    assert caplog.messages == [
        "possible DNS rebinding: evil.debian.org leads to 10.0.0.1, which app is not told"
    ]
    assert len(asking.openings) == 0


def test_address_is_open_before_the_client_is_told(asking: Asking) -> None:
    opened: list[int] = []

    async def asked() -> None:
        query = dns.message.make_query("www.debian.org", "A").to_wire()
        told = asyncio.Event()

        def tell(_: bytes) -> None:
            opened.append(len(asking.openings))
            told.set()

        asking.answering.answer(query, tell)
        async with asyncio.timeout(5):
            await told.wait()

    asyncio.run(asked())
    assert opened == [1]
