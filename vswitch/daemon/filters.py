"""The filters of a running switch: rows, wishes, and what they want to be written down.

A wish is read as a table `[[filters]]` of a configuration is, so a mistake in it is told in the
same words. A filter of a running switch names networks that there are.

The chain is kept with every change, and the next daemon asks the same filters in the same order, by
the same numbers. Where the configuration says something else about filters by then, its own are
what it says; those that were added while the switch ran stay in front of the one that they were
asked before.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from vswitch.daemon.messages.filters import FilterBody, FilterRow
from vswitch.daemon.runtime import Runtime
from vswitch.daemon.store import Store, StoreError
from vswitch.daemon.store.kept import KeptFilter, KeptFilters
from vswitch.dataplane.filters import Entry
from vswitch.dataplane.switch import Switch
from vswitch.network.configuration import mistakes, policies, shaping
from vswitch.network.configuration.schema import FilterTable
from vswitch.network.errors import NetworkError
from vswitch.network.inventory import Inventory
from vswitch.policy import Filter, network_text, ports_text, protocol_text

log = logging.getLogger(__name__)

_CHAIN = "chain"
"""The name of the one thing on its shelf."""


class FilterRuleError(ValueError):
    """A wish that no filter can be made of. The text is one line for the user."""


class Filters:
    """The filters of one daemon."""

    def __init__(
        self,
        switch: Switch,
        runtime: Runtime,
        inventory: Inventory,
        configured: tuple[Filter, ...],
    ) -> None:
        """`configured` are the configuration's own."""
        self._switch = switch
        self._runtime = runtime
        self._inventory = inventory
        self._configured = configured
        self._added: set[int] = set()
        self._store: Store
        """Known from `keep_in` on."""

    def keep_in(self, store: Store) -> None:
        """Keep in `store` what is changed from now on."""
        self._store = store

    def resume(self) -> None:
        """Go on with the chain that was kept. Raises StoreError."""
        kept = self._store.filters.all().get(_CHAIN)
        if kept is None:
            return
        self._added = {each.number for each in kept.chain if each.is_added}
        self._ask(resumed(kept, self._configured))

    def rows(self) -> list[FilterRow]:
        """Every filter, in the order in which they are asked."""
        return [_row(entry) for entry in self._switch.tables.filters]

    def add(self, wish: FilterBody) -> FilterRow:
        """Ask one more. Live flows that it is about end.

        Raises FilterRuleError, NetworkError or StoreError.
        """
        rule, changes = self._read(wish), self._switch.changes
        try:
            entry = changes.add_filter(rule, self._runtime.now(), wish.before)
        except LookupError as error:
            raise NetworkError(str(error)) from None
        self._added.add(entry.number)
        try:
            self._keep()
        except StoreError:
            self._added.discard(entry.number)
            changes.remove_filter(entry.number, self._runtime.now())
            raise
        self._runtime.rearm()
        log.info("filter %s added: %s", entry.number, rule)
        return _row(entry)

    def remove(self, number: int) -> None:
        """Ask one no longer. Raises NetworkError or StoreError."""
        entry = next((each for each in self._switch.tables.filters if each.number == number), None)
        if entry is None:
            raise NetworkError(f"filter {number} not found")
        self._keep(without=number)
        self._switch.changes.remove_filter(number, self._runtime.now())
        self._added.discard(number)
        self._runtime.rearm()
        log.info("filter %s removed: %s", number, entry.filter)

    def follow(self, configured: tuple[Filter, ...]) -> None:
        """Ask those of another configuration; what was added or removed meanwhile stays so.

        Raises StoreError.
        """
        chain = resumed(KeptFilters(self._configured, self._chain()), configured)
        self._configured = configured
        self._ask(chain)
        self._runtime.rearm()

    def write_down(self) -> None:
        """Log what filters have said that wants it."""
        filters = self._switch.tables.filters
        for each in filters.take_logged():
            what = each.ends if each.ends is not None else "not IPv4"
            log.info("filter %s: %s to %s: %s", each.number, each.arrives, each.leaves, what)
        unlogged = filters.take_unlogged()
        if unlogged:
            log.info("%d more flows were to be logged, and came too fast for that", unlogged)

    def _ask(self, chain: Sequence[tuple[int | None, Filter]]) -> None:
        """Raises StoreError."""
        self._switch.changes.resume_filters(chain, self._runtime.now())
        self._added &= {entry.number for entry in self._switch.tables.filters}
        self._keep()

    def _keep(self, without: int | None = None) -> None:
        """Raises StoreError."""
        chain = tuple(each for each in self._chain() if each.number != without)
        self._store.filters.put(_CHAIN, KeptFilters(self._configured, chain))

    def _chain(self) -> tuple[KeptFilter, ...]:
        return tuple(
            KeptFilter(entry.number, entry.filter, entry.number in self._added)
            for entry in self._switch.tables.filters
        )

    def _read(self, wish: FilterBody) -> Filter:
        said = wish.model_dump(mode="json", exclude={"before"}, exclude_defaults=True)
        table = shaping.shaped(FilterTable, said, lambda _: FilterTable)
        if isinstance(table, FilterTable):
            inside = [network.name for network in self._inventory.networks]
            outside = [uplink.name for uplink in self._inventory.uplinks]
            found = list(policies.unclear(table, inside, outside))
            if not found:
                return policies.read(table)
        else:
            found = table
        raise FilterRuleError(mistakes.lines("filter", said, found)[0])


def resumed(kept: KeptFilters, configured: Sequence[Filter]) -> list[tuple[int | None, Filter]]:
    """The chain that becomes of a kept one, each with the number that it had there."""
    present = [each.filter for each in kept.chain]
    numbers: dict[Filter, list[int]] = {}
    for each in kept.chain:
        numbers.setdefault(each.filter, []).append(each.number)
    return [
        (numbers[rule].pop(0) if numbers.get(rule) else None, rule)
        for rule in policies.merged(present, kept.configured, configured)
    ]


def _row(entry: Entry) -> FilterRow:
    rule = entry.filter
    return FilterRow(
        number=entry.number,
        action=rule.action.value,
        source=tuple(map(network_text, rule.source)),
        destination=tuple(map(network_text, rule.destination)),
        protocol=None if rule.protocol is None else protocol_text(rule.protocol),
        source_ports=tuple(map(ports_text, rule.source_ports)),
        ports=tuple(map(ports_text, rule.ports)),
        in_network=rule.arrives,
        out_network=rule.leaves,
        matched=entry.matched,
    )
