"""Commands on network `host` and `none`: listed while they run, and told of like endpoints."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from vswitch.daemon.attaching.bystanders import Bystanders
from vswitch.daemon.events import Events
from vswitch.daemon.messages.events import Event, EventsQuery, EventType
from vswitch.daemon.store import FILE, Store
from vswitch.network.inventory import Inventory
from vswitch.network.model import DEFAULT_NETWORK, EndpointRequest
from vswitch.network.unswitched import Unswitched

PATIENCE = 10


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


@pytest.mark.parametrize(
    "ending", ["its process has ended", "removed", "the switch stops, and removes it"]
)
def test_coming_and_going_is_told_once_with_the_reason(
    sleeper: subprocess.Popen[bytes], ending: str, tmp_path: Path
) -> None:
    async def live() -> list[tuple[EventType, Event, str, dict[str, str]]]:
        events = Events()
        reader = events.begin(EventsQuery())
        bystanders = Bystanders(Inventory([DEFAULT_NETWORK], [], Random(1)), events)
        bystanders.keep_in(Store(tmp_path / FILE))
        await bystanders.add(EndpointRequest("job", "host"), Unswitched.HOST, sleeper.pid)
        match ending:
            case "removed":
                bystanders.remove("job", ending)
            case "the switch stops, and removes it":
                bystanders.close(forget=True)
            case _:
                sleeper.kill()
                async with asyncio.timeout(PATIENCE):
                    while bystanders.present:
                        await asyncio.sleep(0.01)
        bystanders.close(forget=True)
        return [(row.type, row.event, row.name, row.attributes) for row in reader.take()]

    assert asyncio.run(live()) == [
        (EventType.ENDPOINT, Event.ATTACH, "job", {"network": "host", "pid": str(sleeper.pid)}),
        (EventType.ENDPOINT, Event.DETACH, "job", {"network": "host", "reason": ending}),
    ]
