"""Whether every endpoint is still answered: each is looked after from where it lives.

Theory of operation. A resolver that says nothing looks to a program like a slow network, so it is
to be seen from outside. From inside each namespace in turn somebody connects to 127.0.0.11, as a
program would, asks nothing and waits to be left: so the way there is open, and the event loop
behind it turns, while nothing appears among what was asked. Who is not met is remembered, with the
kernel's reason where it has one, until somebody is again. Nothing is mended here.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import MappingProxyType

from vswitch.daemon.kernel import netns
from vswitch.daemon.kernel.netns import Namespace, NamespaceError
from vswitch.daemon.resolving.files.resolvconf import ADDRESS
from vswitch.naming import PORT

log = logging.getLogger(__name__)

PAUSE_SECONDS = 60.0
"""Between two rounds: a round takes about a millisecond for each endpoint."""

PATIENCE_SECONDS = 2.0
"""Of a program it is 5 (resolv.conf(5))."""


class SelfTest:
    """That of one switch. Belongs to the running event loop."""

    def __init__(self, where: Callable[[], Mapping[str, Namespace]]) -> None:
        """`where` says who is to be answered at the moment, and where each lives."""
        self._where = where
        self._silent: dict[str, str] = {}
        self._task: asyncio.Task[None] | None = None

    @property
    def silent(self) -> Mapping[str, str]:
        """Who got no answer the last time, by name, and why."""
        return MappingProxyType(self._silent)

    def begin(self) -> None:
        """Look from now on."""
        self._task = asyncio.get_running_loop().create_task(self._go_on())

    async def close(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def go_round(self) -> None:
        """Look after everybody, one after the other."""
        for name, namespace in self._where().items():
            why = await asyncio.to_thread(unanswered, namespace)
            if self._where().get(name) == namespace:
                self._note(name, why)
        there = self._where()
        self._silent = {name: why for name, why in self._silent.items() if name in there}

    async def _go_on(self) -> None:
        while True:
            await asyncio.sleep(PAUSE_SECONDS)
            await self.go_round()

    def _note(self, name: str, why: str | None) -> None:
        if why is None:
            if self._silent.pop(name, None) is not None:
                log.info("endpoint %s: %s answers again", name, ADDRESS)
        elif name not in self._silent:
            self._silent[name] = why
            log.warning("endpoint %s: %s does not answer: %s", name, ADDRESS, why)


def unanswered(namespace: Namespace) -> str | None:
    """Why nobody answers at 127.0.0.11 in there; None where somebody does."""
    try:
        netns.run(_meet, namespace)
    except TimeoutError:
        return f"nobody is there for {PATIENCE_SECONDS:g} s"
    except OSError as error:
        return error.strerror or str(error)
    except NamespaceError as error:
        return str(error)
    return None


def _meet() -> None:
    """Raises OSError. Who is sent away, as one of too many, has met somebody."""
    with socket.create_connection((ADDRESS, PORT), PATIENCE_SECONDS) as connection:
        connection.shutdown(socket.SHUT_WR)
        with suppress(ConnectionResetError):
            connection.recv(1)
