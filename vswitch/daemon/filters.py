"""The filters of a running switch: rows, wishes, and what they want to be written down.

A wish is read as a table `[[filters]]` of a configuration is, so a mistake in it is told in the
same words. A filter of a running switch names networks that there are.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from vswitch.daemon.messages.filters import FilterBody, FilterRow
from vswitch.daemon.runtime import Runtime
from vswitch.dataplane.filters import Entry
from vswitch.dataplane.switch import Switch
from vswitch.network import mistakes, policies, schema
from vswitch.network.errors import NetworkError
from vswitch.network.inventory import Inventory
from vswitch.network.schema import FilterTable
from vswitch.policy import Filter, network_text, ports_text, protocol_text

log = logging.getLogger(__name__)


class FilterRuleError(ValueError):
    """A wish that no filter can be made of. The text is one line for the user."""


class Filters:
    """The filters of one daemon."""

    def __init__(
        self,
        switch: Switch,
        runtime: Runtime,
        inventory: Inventory,
    ) -> None:
        self._switch = switch
        self._runtime = runtime
        self._inventory = inventory

    def rows(self) -> list[FilterRow]:
        """Every filter, in the order in which they are asked."""
        return [_row(entry) for entry in self._switch.tables.filters]

    def add(self, wish: FilterBody) -> FilterRow:
        """Ask one more. Live flows that it is about end. Raises FilterRuleError or NetworkError."""
        rule, changes = self._read(wish), self._switch.changes
        try:
            entry = changes.add_filter(rule, self._runtime.now(), wish.before)
        except LookupError as error:
            raise NetworkError(str(error)) from None
        self._runtime.rearm()
        log.info("filter %s added: %s", entry.number, rule)
        return _row(entry)

    def remove(self, number: int) -> None:
        """Ask one no longer. Raises NetworkError."""
        try:
            entry = self._switch.changes.remove_filter(number, self._runtime.now())
        except LookupError as error:
            raise NetworkError(str(error)) from None
        self._runtime.rearm()
        log.info("filter %s removed: %s", number, entry.filter)

    def follow(self, before: Sequence[Filter], after: Sequence[Filter]) -> None:
        """Ask those of another configuration; what was added or removed meanwhile stays so."""
        present = [each.filter for each in self._switch.tables.filters]
        wanted = policies.merged(present, before, after)
        self._switch.changes.set_filters(wanted, self._runtime.now())
        self._runtime.rearm()

    def write_down(self) -> None:
        """Log what filters have said that wants it."""
        filters = self._switch.tables.filters
        for each in filters.take_logged():
            what = each.ends if each.ends is not None else "not IPv4"
            log.info("filter %s: %s to %s: %s", each.number, each.arrives, each.leaves, what)

    def _read(self, wish: FilterBody) -> Filter:
        said = wish.model_dump(mode="json", exclude={"before"}, exclude_defaults=True)
        table = schema.shaped(FilterTable, said, lambda _: FilterTable)
        if isinstance(table, FilterTable):
            inside = [network.name for network in self._inventory.networks]
            outside = [uplink.name for uplink in self._inventory.uplinks]
            found = list(policies.unclear(table, inside, outside))
            if not found:
                return policies.read(table)
        else:
            found = table
        raise FilterRuleError(mistakes.lines("filter", said, found)[0])


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
