"""Bad lines of a running switch: ports by the names that users know them by, rows, and wishes.

A wish says what shall change, and whatever it does not say stays as it is. Either way the port's
lines begin anew with the seed, so that what happens from then on can be replayed.
"""

from __future__ import annotations

from vswitch.daemon.messages import ImpairmentBody, ImpairmentRow, LineRow
from vswitch.dataplane.switch import Switch
from vswitch.dataplane.topology import Port
from vswitch.devices.impair import Line
from vswitch.impairment import UNIMPAIRED, Impairment, ImpairmentError, Impairments
from vswitch.network.errors import NetworkError
from vswitch.network.names import did_you_mean


def rows(switch: Switch) -> list[ImpairmentRow]:
    """Every port that is impaired."""
    return [
        ImpairmentRow(
            port=switch.tables.ports[number].name,
            seed=device.impairments.seed,
            incoming=_line(device.incoming),
            outgoing=_line(device.outgoing),
        )
        for number, device in switch.impaired.items()
    ]


def port_called(switch: Switch, name: str) -> Port:
    """The port called `name`. Raises NetworkError where there is none, or more than one."""
    ports = [port for port in switch.tables.ports.values() if port.name == name]
    if len(ports) > 1:
        raise NetworkError(f"{len(ports)} ports are called {name}")
    if not ports:
        known = [port.name for port in switch.tables.ports.values()]
        there_is = f"there is {', '.join(known)}" if known else "there is none"
        raise NetworkError(f"port {name} not found", hint=did_you_mean(name, known) or there_is)
    return ports[0]


def present(switch: Switch, port: Port) -> Impairments:
    """How bad the line of a port is."""
    device = switch.impaired.get(port.number)
    return device.impairments if device else UNIMPAIRED


def wished(port: Port, before: Impairments, wish: ImpairmentBody) -> Impairments:
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
