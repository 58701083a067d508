"""Which programs the fast path keeps, and for whom.

Theory of operation. The fast path knows keys and programs; here stands which connection and which
sender a key belongs to. A connection has at most one program for each of its directions, so that
ending it takes them along. What only the fast path has seen is handed back: frames and bytes to the
connection when a program goes, and to the FDB, each time that it turns, which stations have been
heard.
"""

from __future__ import annotations

from collections.abc import Iterable

from vswitch.dataplane.conntrack import CACHEABLE, Connection, ConnectionTable
from vswitch.dataplane.topology import Network, Side
from vswitch.dataplane.verdict import Flow
from vswitch.fastpath.entry import FlowCounters
from vswitch.fastpath.reference import CAPACITY, ReferenceFastPath
from vswitch.units import Nanoseconds

FLOWS = 2 * CAPACITY
"""Flows that are remembered before those that the fast path has evicted are looked for."""


class KeptPrograms:
    """The flows behind the keys of one fast path."""

    def __init__(self, fastpath: ReferenceFastPath, connections: ConnectionTable) -> None:
        self._fastpath = fastpath
        self._connections = connections
        self._flows: dict[bytes, Flow] = {}

    def may_be_kept(self, flow: Flow) -> bool:
        """A frame may have waited until its connection is in a state that has to see all others."""
        return flow.connection is None or (
            flow.connection in self._connections and flow.connection.state in CACHEABLE
        )

    def remember(self, flow: Flow) -> None:
        """Note whose program was just installed."""
        if len(self._flows) >= FLOWS:
            self.forget([k for k in self._flows if self._fastpath.flow_counters(k) is None])
        self._flows[flow.key] = flow
        if flow.connection is not None:
            replaced = flow.connection.keep(flow.direction, flow.key)
            if replaced is not None:
                self.forget((replaced,))

    def forget(self, keys: Iterable[bytes]) -> None:
        """Remove programs; what they have carried is counted for their connections."""
        for key in keys:
            seen = self._fastpath.flow_counters(key)
            self._fastpath.remove(key)
            flow = self._flows.pop(key, None)
            if flow is None or flow.connection is None:
                continue
            connection = flow.connection
            if connection.keys[flow.direction.index] == key:
                connection.keep(flow.direction, None)
            if seen is not None:
                connection.frames += seen.frames
                connection.bytes += seen.bytes

    def forget_connection(self, connection: Connection) -> None:
        """Remove the programs of a connection that is over."""
        self.forget([key for key in connection.keys if key is not None])

    def of(self, connection: Connection) -> list[tuple[Flow, FlowCounters]]:
        """The programs of a connection, with what they have seen."""
        entries: list[tuple[Flow, FlowCounters]] = []
        for key in connection.keys:
            if key is None:
                continue
            flow, counters = self._flows.get(key), self._fastpath.flow_counters(key)
            if flow is not None and flow.connection is connection and counters is not None:
                entries.append((flow, counters))
        return entries

    def refresh_stations(self, network: Network, now: Nanoseconds) -> None:
        """Learn the senders that only the fast path has heard since the FDB's last turn."""
        last_used = self._fastpath.last_used
        for key, flow in list(self._flows.items()):
            if flow.network != network.number or network.side is Side.OUTSIDE:
                continue
            used = last_used(key) > network.fdb.turned_at and flow.port in network.ports
            if used and network.fdb.where(flow.station) in (flow.port, None):
                network.fdb.learn(flow.station, flow.port, now)
            elif flow.connection is None:
                self.forget((key,))
