"""Inquiries that are equal are one, however many wait for its answer; with servers in memory."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import dns.message

from tests.daemon.resolving.carrying import Lab, turns
from tests.dataplane.responders.dns.outside import FIRST, addresses, inquiry
from vswitch.daemon.resolving.asking.forwarding import AT_ONCE
from vswitch.dataplane.responders.dns.outside.searching import Found
from vswitch.dataplane.responders.dns.party import Inquiry, Route

KNOWN = ["203.0.113.7"]


def answer(found: Found | None) -> list[str]:
    return [] if found is None else addresses(dns.message.from_wire(found.reply))


def test_equal_inquiries_are_asked_once_and_all_are_answered() -> None:
    async def main() -> None:
        lab = Lab()
        waiting = [lab.ask() for _ in range(3 * AT_ONCE)]
        other = lab.ask("other.example.")
        assert lab.carrying.sent == 2
        lab.carrying.answer()
        assert [answer(each) for each in await asyncio.gather(*waiting, other)] == [KNOWN] * (
            3 * AT_ONCE + 1
        )
        again = lab.ask()
        assert lab.carrying.sent == 3
        lab.carrying.answer()
        assert answer(await again) == KNOWN
        await lab.forwarder.close()

    asyncio.run(main())


def test_one_who_waits_no_more_takes_the_answer_from_nobody() -> None:
    async def main() -> None:
        lab = Lab()
        first, second = lab.ask(), lab.ask()
        first.cancel()
        await turns()
        lab.carrying.answer()
        assert answer(await second) == KNOWN
        await lab.forwarder.close()

    asyncio.run(main())


def test_inquiry_that_nobody_waits_for_is_given_up() -> None:
    async def main() -> None:
        lab = Lab()
        for each in (lab.ask(), lab.ask()):
            each.cancel()
        await turns()
        assert lab.carrying.waiting == []
        third = lab.ask()
        lab.carrying.answer()
        assert answer(await third) == KNOWN
        await lab.forwarder.close()

    asyncio.run(main())


def test_answers_are_handed_out_some_at_a_time() -> None:
    async def main() -> None:
        lab = Lab()
        waiting = [lab.ask() for _ in range(5 * AT_ONCE)]
        lab.carrying.answer()
        done = [0]
        while not all(each.done() for each in waiting):
            await turns(1)
            done.append(sum(each.done() for each in waiting))
        steps = [after - before for before, after in pairwise(done)]
        assert max(steps) == AT_ONCE
        await lab.forwarder.close()

    asyncio.run(main())


def test_silence_is_told_when_patience_is_over_and_counted() -> None:
    async def main() -> None:
        lab = Lab(patience=0.01)
        waiting = [lab.ask(f"{number}.example.") for number in range(3 * AT_ONCE)]
        assert await asyncio.gather(*waiting) == [None] * (3 * AT_ONCE)
        assert lab.forwarder.unresolved == 3 * AT_ONCE
        assert lab.carrying.waiting == []
        (state,) = lab.forwarder.servers()
        assert state.place.server == FIRST
        assert state.silences == 3 * AT_ONCE
        await lab.forwarder.close()

    asyncio.run(main())


def test_nobody_to_ask_is_told_at_once() -> None:
    async def main() -> None:
        lab = Lab()
        nowhere: Inquiry = inquiry()._replace(route=inquiry().route._replace(servers=()))
        assert await lab.forwarder.ask(nowhere) is None
        await lab.forwarder.close()

    asyncio.run(main())


def test_nobody_is_asked_from_where_nobody_is_any_more() -> None:
    """Whoever waits for it, as at a gateway: a later try would open something there again."""

    async def main() -> None:
        lab, there = Lab(patience=0.01), inquiry()._replace(route=Route((FIRST,), origin="there"))
        waiting, other = lab.forwarder.ask(there), lab.ask()
        lab.forwarder.leave("there")
        await turns()
        assert waiting.cancelled()
        assert [each.health.place.origin for each in lab.carrying.waiting] == [None]
        assert await other is None
        assert {each.place.origin for each in lab.forwarder.servers()} == {None}
        assert lab.forwarder.unresolved == 1
        await lab.forwarder.close()

    asyncio.run(main())


def test_who_waits_when_all_is_closed_is_cancelled() -> None:
    async def main() -> None:
        lab = Lab()
        waiting = lab.ask()
        lab.forwarder.leave("there")
        await lab.forwarder.close()
        await turns()
        assert waiting.cancelled()
        assert lab.carrying.is_closed
        assert lab.carrying.left == ["there"]

    asyncio.run(main())
