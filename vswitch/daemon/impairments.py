"""Bad lines of a running switch, as users see and change them: ports by their names, wishes, rows.

A wish says what shall change, and whatever it does not say stays as it is. Either way the port's
lines begin anew with the seed, so that what happens from then on can be replayed.
"""

from __future__ import annotations

import logging

from vswitch.daemon.messages import ImpairmentBody, ImpairmentRow, LineRow
from vswitch.daemon.runtime import Runtime
from vswitch.dataplane.switch import Switch
from vswitch.dataplane.topology import Port
from vswitch.devices.impair import Line
from vswitch.impairment import UNIMPAIRED, Impairment, ImpairmentError, Impairments
from vswitch.network.errors import NetworkError
from vswitch.network.names import did_you_mean

log = logging.getLogger(__name__)


class BadLines:
    """Those of one switch."""

    def __init__(self, switch: Switch, runtime: Runtime) -> None:
        self._switch = switch
        self._runtime = runtime

    def rows(self) -> list[ImpairmentRow]:
        """Every port that is impaired."""
        return [
            ImpairmentRow(
                port=self._switch.tables.ports[number].name,
                seed=device.impairments.seed,
                incoming=_line(device.incoming),
                outgoing=_line(device.outgoing),
            )
            for number, device in self._switch.impaired.items()
        ]

    def change(self, name: str, wish: ImpairmentBody) -> None:
        """Change how bad the line of the port `name` is. Raises NetworkError or ImpairmentError."""
        port = self._port_called(name)
        device = self._switch.impaired.get(port.number)
        before = device.impairments if device else UNIMPAIRED
        self._put(port, _wished(port, before, wish))

    def end(self, name: str) -> bool:
        """Let the line of the port `name` be as it is by itself; False where it was already.

        Raises NetworkError.
        """
        port = self._port_called(name)
        if port.number not in self._switch.impaired:
            return False
        self._put(port, UNIMPAIRED)
        return True

    def _port_called(self, name: str) -> Port:
        """Raises NetworkError where there is none, or more than one."""
        there = self._switch.tables.ports.values()
        ports = [port for port in there if port.name == name]
        if len(ports) > 1:
            raise NetworkError(f"{len(ports)} ports are called {name}")
        if not ports:
            known = [port.name for port in there]
            there_is = f"there is {', '.join(known)}" if known else "there is none"
            raise NetworkError(f"port {name} not found", hint=did_you_mean(name, known) or there_is)
        return ports[0]

    def _put(self, port: Port, wanted: Impairments) -> None:
        self._runtime.impair(port, wanted)
        log.info("port %s impaired: %s", port.name, "none" if wanted.is_none else wanted)


def _wished(port: Port, before: Impairments, wish: ImpairmentBody) -> Impairments:
    """What `before` becomes by a wish. Raises ImpairmentError or NetworkError."""
    if wish.incoming is None and wish.outgoing is None:
        if wish.seed is None:
            raise ImpairmentError("nothing is said: allowed is some of incoming, outgoing, seed")
        if before.is_none:
            raise NetworkError(f"port {port.name} is not impaired: a seed alone does nothing")
    return Impairments(
        before.incoming if wish.incoming is None else Impairment.parse(wish.incoming),
        before.outgoing if wish.outgoing is None else Impairment.parse(wish.outgoing),
        before.seed if wish.seed is None else wish.seed,
    )


def _line(line: Line) -> LineRow:
    counters = line.counters
    return LineRow(
        impairment=str(line.impairment),
        held=len(line),
        entered=counters.entered,
        lost=counters.lost,
        duplicated=counters.duplicated,
        reordered=counters.reordered,
        corrupted=counters.corrupted,
        full=counters.full,
    )
