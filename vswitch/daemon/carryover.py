"""Connections that outlive an orderly stop.

Theory of operation. A switch that stops leaves its connections in the store, and ends them without
a word to anybody; the one that starts next takes over what still holds (`dataplane.snapshot`). Its
endpoints have their addresses again by then, so whoever was in the middle of a transfer sends
again what was lost, and goes on. Between the two, the clock that counts from the machine's start
goes on too; after another start of the machine nobody is left who could go on.

A switch that was killed leaves nothing, and what was left is taken once.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection

from vswitch.daemon.kernel.processes import boot_id
from vswitch.daemon.store import Carried, Store, StoreError
from vswitch.dataplane.snapshot import Endpoint, restore, save
from vswitch.dataplane.switch import Switch

log = logging.getLogger(__name__)


class Carryover:
    """One switch's, between the store and the tables."""

    def __init__(self, store: Store, switch: Switch) -> None:
        self._store = store
        self._switch = switch

    def take_over(self, present: Collection[Endpoint]) -> None:
        """Go on with what was left, as far as the endpoints are `present`. Raises StoreError."""
        left = self._store.take()
        if left is None or left.boot != boot_id():
            return
        now = time.monotonic_ns()
        count = restore(self._switch.tables, left.snapshot, present, now - left.made_at, now)
        if count:
            log.info("%d of %d connections go on", count, len(left.snapshot))

    def leave(self) -> None:
        """Leave the connections for the next; no frame passes any more."""
        switch, now = self._switch, time.monotonic_ns()
        switch.follow()
        try:
            self._store.leave(Carried(save(switch.tables, now), boot_id(), now))
        except StoreError as error:
            log.warning("the connections end: %s", error)
            return
        switch.tables.let_go()
