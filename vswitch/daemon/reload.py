"""From the configuration that a switch has to another one, while frames pass.

Theory of operation. The daemon *holds* a configuration: the one that it was started with, or the
last one that it was brought to. A candidate is read and judged as at the start, and then beside all
that was made at run time (`network.changing.candidate`). Whoever is refused there changes nothing.
Then its differences are done step by step (`network.changing.steps`, `alterations`), each of which
moves what is held along. So where the kernel refuses one of them, the switch runs on as far as it
came, and what is held and the candidate still tell what is left: asking again goes on from there.

Frames of flows that nobody touches pass all the time; one reload is done at a time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from vswitch.daemon import configured
from vswitch.daemon.alterations import Alterations, Aside, Parts
from vswitch.daemon.attaching.endpoints import AttachError
from vswitch.daemon.exposure import PortTakenError
from vswitch.daemon.kernel.links import LinkError
from vswitch.daemon.networks import host_subnets
from vswitch.daemon.resolving.listening.listeners import ResolverError
from vswitch.daemon.store import StoreError
from vswitch.daemon.uplinks import UplinkError
from vswitch.network.changing import candidate, steps
from vswitch.network.changing.candidate import Present
from vswitch.network.changing.difference import Change, What, compare
from vswitch.network.configuration import config
from vswitch.network.configuration.config import ConfigurationError
from vswitch.network.errors import NetworkError
from vswitch.network.model import Configuration
from vswitch.wire.values import IpNetwork

log = logging.getLogger(__name__)


class ReloadError(Exception):
    """The configuration could not be changed as a whole. The text is one line for the user."""


@dataclass(frozen=True, slots=True)
class Source:
    """The text of a configuration, and the file that its mistakes are blamed on."""

    text: str
    file: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a reload has come: the step that is done at the moment, counted from 1."""

    number: int
    of: int
    doing: str


class Reload:
    """The configuration of one daemon, and how it becomes another one."""

    def __init__(self, held: Configuration, parts: Parts, note: Callable[[], None]) -> None:
        """`note` writes down what was chosen; it raises StoreError."""
        self.held = held
        self.file: Path | None = None
        """The file that the switch was started with, where it has one."""
        self.progress: Progress | None = None
        """None while nothing is changed."""
        self._parts = parts
        self._note = note
        self._aside: dict[str, Aside] = {}
        """Endpoints that have gone to come again, and have not."""

    async def diff(self, source: Source | None = None) -> tuple[Change, ...]:
        """What a configuration would change; None is the file that the switch was started with.

        Raises ConfigurationError, LinkError or ReloadError.
        """
        return compare(self.held, await self._read(source))

    async def reload(self, source: Source | None = None) -> tuple[Change, ...]:
        """Change that, and answer with it.

        Raises ConfigurationError, LinkError, or ReloadError, which says what was done before.
        """
        if self.progress is not None:
            raise ReloadError("the configuration is being changed already: wait for the end of it")
        self.progress = Progress(0, 0, "reading the configuration")
        try:
            wanted = await self._read(source)
            changes = compare(self.held, wanted)
            self._judge(wanted, changes)
            await self._make(wanted, changes)
        finally:
            self.progress = None
        return changes

    async def reload_and_log(self) -> None:
        """Read the file again, as on SIGHUP: the log says what came of it."""
        try:
            changes = await self.reload()
        except (ConfigurationError, LinkError, ReloadError) as error:
            for line in str(error).splitlines():
                log.error("the configuration is not changed as a whole: %s", line)
            return
        log.info("the configuration is read again: %s", "changed" if changes else "nothing to do")

    async def close(self) -> None:
        """Let go of what was kept for endpoints that have not come again."""
        for aside in self._aside.values():
            await aside.home.aclose()
        self._aside.clear()

    async def _read(self, source: Source | None) -> Configuration:
        standing = {each.name: each.subnet for each in self.held.networks}
        made = [each.subnet for each in self._parts.inventory.networks if each.name not in standing]

        def read() -> Configuration:
            found = source or self._own()
            clear: list[IpNetwork] = [*made, *host_subnets()]
            return configured.parse(found.text, found.file, clear, standing)

        return await asyncio.to_thread(read)

    def _own(self) -> Source:
        if self.file is None:
            raise ReloadError("the switch was started without a file: say which one to read")
        return Source(config.read_text(self.file), str(self.file))

    def _judge(self, wanted: Configuration, changes: tuple[Change, ...]) -> None:
        """Raises ReloadError: then nothing has changed."""
        inventory = self._parts.inventory
        going = {each.name for each in changes if each.what is What.UPLINK and each.replaces}
        learnt = tuple(self._parts.uplinks.learnt_subnets(but_for=going))
        present = Present(
            *(inventory.networks, inventory.endpoints, inventory.reserved_names, learnt),
            inventory.guests,
        )
        refusals = candidate.refusals(self.held, wanted, changes, present)
        if refusals:
            raise ReloadError(f"nothing is changed: {'; '.join(refusals)}")

    async def _make(self, wanted: Configuration, changes: tuple[Change, ...]) -> None:
        plan = steps.plan(self.held, wanted, changes)
        self._parts.inventory.remember(self._parts.inventory.endpoints, {})
        alterations = Alterations(self._parts, plan, self._aside)
        try:
            for number, step in enumerate(plan, start=1):
                self.progress = Progress(number, len(plan), str(step))
                try:
                    await alterations.do(step)
                except _REFUSALS as error:
                    raise self._stopped_at(str(step), error, changes, wanted) from error
                self.held = steps.done(self.held, step)
                log.info("reload: %s", step)
            self.held = wanted
            await self.close()
        finally:
            alterations.close()
            self._note_what_is_held()

    def _stopped_at(
        self, step: str, error: Exception, changes: Iterable[Change], wanted: Configuration
    ) -> ReloadError:
        why = error.explained if isinstance(error, NetworkError) else str(error)
        left = [str(each) for each in compare(self.held, wanted)]
        made = [str(each) for each in changes if str(each) not in left]
        return ReloadError(f"{step}: {why}; done: {_listed(made)}; left: {_listed(left)}")

    def _note_what_is_held(self) -> None:
        try:
            self._note()
        except StoreError as error:
            log.error("what was chosen is not the same after a restart: %s", error)


_REFUSALS = (
    *(NetworkError, AttachError, LinkError, UplinkError, PortTakenError, ResolverError, StoreError),
    OSError,
)
"""What a step may come to that was sound before it was tried."""


def _listed(changes: Iterable[str]) -> str:
    return ", ".join(changes) or "nothing"
