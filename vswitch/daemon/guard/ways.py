"""The guard: what keeps the kernel silent on the ports of a NAPT that has the host's own address.

Theory of operation. Packet sockets see every frame, and so does the kernel behind them: to a TCP
segment of a connection that is not its own it answers with RST, to such a datagram with "port
unreachable", and either would end our flow. A guard takes these frames away from the kernel. There
are three ways, and the first that works is taken; why those before it do not is logged and kept
for `vswitch status`.

* TCX: a BPF program at the interface's ingress, attached by a descriptor. Gone with the process.
* clsact: the same program as a filter of traffic control, for kernels without TCX. It stays when
  the process is killed, so it is written into the journal first and swept at the next start.
* sockets: every single port is held (`holds`). No BPF needed, some hundred milliseconds and 100 MB
  for the usual range. It must be given the same `Holds` as the publications, as both may want a
  port.

The first two reserve no port: what is published is held by `holds` besides.

Probing is doing. A guard is for one address; where that changes, close it and choose another.
Everything is in the network namespace of the calling thread.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from vswitch.daemon.guard import bpf
from vswitch.daemon.guard.bpf import BpfError
from vswitch.daemon.guard.clsact import QdiscExists
from vswitch.daemon.guard.holds import HoldError, Holds, TooManyHolds
from vswitch.daemon.guard.program import guard_program
from vswitch.daemon.kernel.journal import Journal
from vswitch.daemon.kernel.links import LinkError
from vswitch.wire import values
from vswitch.wire.values import IpAddress

log = logging.getLogger(__name__)


class Way(Enum):
    """How the kernel is kept silent, the best first."""

    TCX = "tcx"
    CLSACT = "clsact"
    SOCKETS = "sockets"


@dataclass(frozen=True, slots=True)
class Guarded:
    """What is guarded: TCP and UDP to `ports` of `address`, as they arrive on an interface."""

    interface: str
    index: int
    address: IpAddress
    ports: tuple[range, ...]

    def __str__(self) -> str:
        ports = ",".join(f"{each.start}-{each.stop - 1}" for each in self.ports)
        return f"{self.address}:{ports} at {self.interface}"


@dataclass(frozen=True, slots=True)
class WhyNot:
    """A way that was tried in vain."""

    way: Way
    reason: str

    def __str__(self) -> str:
        return f"{self.way.value}: {self.reason}"


class GuardError(Exception):
    """No way works. The text is one line with each way's reason."""

    def __init__(self, what: Guarded, why_not: Sequence[WhyNot]) -> None:
        super().__init__(f"the kernel cannot be kept off {what}: {'; '.join(map(str, why_not))}")
        self.why_not = tuple(why_not)


class Guard(Protocol):
    """The kernel is silent on our ports for as long as this is not closed."""

    @property
    def what(self) -> Guarded:
        """What is guarded."""

    @property
    def way(self) -> Way:
        """How; its value is the word for `vswitch status`."""

    @property
    def why_not(self) -> tuple[WhyNot, ...]:
        """The better ways, and why each does not work here."""

    def close(self) -> None:
        """Let the kernel have its frames again. Closing twice is allowed."""


def choose(what: Guarded, *, journal: Journal, holds: Holds, only: Way | None = None) -> Guard:
    """The first way that works, or the one way `only`. Raises GuardError."""
    why_not: list[WhyNot] = []
    for way in Way if only is None else (only,):
        try:
            with ExitStack() as undo:
                _make(way, what, journal, holds, undo)
                made = _Guard(what, way, tuple(why_not), undo.pop_all())
        except (BpfError, LinkError, HoldError, TooManyHolds, ValueError) as error:
            log.warning("%s cannot be guarded by %s: %s", what, way.value, error)
            why_not.append(WhyNot(way, str(error)))
            continue
        log.info("%s is guarded by %s", what, way.value)
        return made
    raise GuardError(what, why_not)


@dataclass(frozen=True, slots=True)
class _Guard:
    what: Guarded
    way: Way
    why_not: tuple[WhyNot, ...]
    undo: ExitStack

    def close(self) -> None:
        self.undo.close()


def _make(way: Way, what: Guarded, journal: Journal, holds: Holds, undo: ExitStack) -> None:
    match way:
        case Way.TCX:
            with _loaded(what) as program:
                undo.callback(os.close, bpf.attach_tcx(program, what.index))
        case Way.CLSACT:
            with _loaded(what) as program:
                _filter_by(program, what, journal, undo)
        case Way.SOCKETS:
            _hold_all(what, holds, undo)


@contextmanager
def _loaded(what: Guarded) -> Iterator[int]:
    """The program's descriptor: what it is attached to keeps it loaded behind the block."""
    program = bpf.load(guard_program(what.address, what.ports))
    try:
        yield program
    finally:
        os.close(program)


def _filter_by(program: int, what: Guarded, journal: Journal, undo: ExitStack) -> None:
    try:
        undo.callback(journal.undo, journal.make_qdisc(what.index, what.interface))
    except QdiscExists:
        log.info("%s has a qdisc for ingress filters already, which is shared", what.interface)
    undo.callback(journal.undo, journal.make_filter(what.index, what.interface, program))


def _hold_all(what: Guarded, holds: Holds, undo: ExitStack) -> None:
    for protocol in (values.Protocol.TCP, values.Protocol.UDP):
        for ports in what.ports:
            holds.hold(protocol, what.address, ports)
            undo.callback(holds.release, protocol, what.address, ports)
