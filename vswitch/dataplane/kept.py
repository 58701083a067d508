"""Which programs the fast path keeps, and for whom.

Theory of operation. The fast path knows keys and programs; whose they are is remembered at the
connection, which has at most one program for each of its directions, so that ending it takes them
along. What only the fast path has seen is handed back: frames and bytes to the connection when a
program goes, and to the FDB, each time that it turns, which stations have been heard.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from vswitch.dataplane.conntrack import Connection, ConnectionTable
from vswitch.dataplane.fdb import Station
from vswitch.dataplane.topology import Network, Side
from vswitch.dataplane.verdict import Kept
from vswitch.fastpath.entry import FlowCounters
from vswitch.fastpath.key import sender
from vswitch.fastpath.routine import Routine
from vswitch.fastpath.states import Direction
from vswitch.fastpath.twin import FastPath
from vswitch.units import Nanoseconds
from vswitch.wire.values import MacAddress


class KeptProgram(NamedTuple):
    """A program of a connection."""

    direction: Direction
    port: int
    """Whose frames it is for."""
    counters: FlowCounters


class KeptPrograms:
    """The programs of one fast path."""

    def __init__(self, fastpath: FastPath, connections: ConnectionTable) -> None:
        self._fastpath = fastpath
        self._connections = connections

    def keep(self, kept: Kept, routine: Routine, flow: int) -> None:
        """Have the fast path run a routine from now on, in place of what it ran for the same
        direction of a connection; nothing where that has ended while the frame waited."""
        connection = kept.connection
        if connection is None:
            self._fastpath.install(kept.key, routine, flow)
        elif connection in self._connections:
            self._fastpath.install(kept.key, routine, flow)
            replaced = connection.keep(kept.direction, kept.key)
            if replaced is not None:
                self._remove(connection, replaced)

    def forget(self, connection: Connection) -> None:
        """Remove the programs of a connection; what they have carried is counted for it."""
        for direction, key in zip(Direction, connection.keys, strict=True):
            if key is not None:
                self._remove(connection, key)
                connection.keep(direction, None)

    def of(self, connection: Connection) -> Iterator[KeptProgram]:
        """The programs of a connection, with what they have seen."""
        for direction, key in zip(Direction, connection.keys, strict=True):
            counters = self._fastpath.flow_counters(key) if key is not None else None
            if key is not None and counters is not None:
                yield KeptProgram(direction, sender(key).port, counters)

    def refresh_stations(self, network: Network, now: Nanoseconds) -> None:
        """Learn the senders that only the fast path has heard since the FDB's last turn, and
        forget what nobody has used of the programs that rest on stations alone."""
        if network.side is Side.OUTSIDE:
            return
        fdb, ports = network.fdb, network.ports
        for port, vlan, mac in self._fastpath.senders(fdb.turned_at):
            station = Station(vlan, MacAddress(mac))
            if port in ports and fdb.where(station) in (port, None):
                fdb.learn(station, port, now)
        for key, last_used in self._fastpath.bridged():
            port, vlan, mac = sender(key)
            is_here = fdb.where(Station(vlan, MacAddress(mac))) == port
            if port in ports and not (is_here and last_used > fdb.turned_at):
                self._fastpath.remove(key)

    def _remove(self, connection: Connection, key: bytes) -> None:
        seen = self._fastpath.flow_counters(key)
        self._fastpath.remove(key)
        if seen is not None:
            connection.frames += seen.frames
            connection.bytes += seen.bytes
