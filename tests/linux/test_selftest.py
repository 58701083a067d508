"""What the kernel says of a resolver that nobody in a namespace gets an answer from."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.linux.conftest import Namespaces
from vswitch.daemon.kernel.netns import Namespace
from vswitch.daemon.resolving import selftest
from vswitch.daemon.resolving.listening.listeners import Resolver
from vswitch.daemon.resolving.selftest import unanswered
from vswitch.dataplane.responders.dns.inside.names import Names
from vswitch.dataplane.responders.dns.party import Party, Route
from vswitch.naming import NameSettings

pytestmark = pytest.mark.linux


def test_that_nobody_is_answered_is_seen_from_inside(
    namespaces: Namespaces, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = namespaces.create()
    inside = Namespace.named(name)

    async def story() -> list[str | None]:
        resolver = Resolver(time.monotonic_ns, NameSettings())
        found = [await asyncio.to_thread(unanswered, inside)]
        await resolver.attach(inside, Party("app", lambda: Names([]), lambda _: Route()))
        found.append(await asyncio.to_thread(unanswered, inside))
        monkeypatch.setattr(selftest, "PATIENCE_SECONDS", 0.2)
        namespaces.run(name, "ip", "link", "set", "lo", "down")
        found.append(await asyncio.to_thread(unanswered, inside))
        await resolver.close()
        return found

    assert asyncio.run(story()) == ["Connection refused", None, "nobody is there for 0.2 s"]
