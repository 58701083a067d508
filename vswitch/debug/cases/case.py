"""A case: a folder that says which frames a switch is fed, and what has to come of it.

Theory of operation. A case consists of

    case.toml         the switch, its ports, clock and seed, and what it has to have counted
    in.pcapng         the frames that arrive, with interfaces named after ports
    expected.pcapng   the frames that leave, as a replay has written them

This module reads case.toml and finds all mistakes in it at once, each told in a line like those
about a switch's configuration, which is a part of it. It writes one part of that file: what was
counted, the tables under [expected]. See pcaps/README.md for what may stand where.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, PlainValidator

from vswitch.assembly import UPLINK
from vswitch.dataplane.drops import DropReason
from vswitch.dataplane.verdict import Fate
from vswitch.debug.cases.making import INPUT
from vswitch.debug.cases.replay import ALLOWED_ADDRESS, DEFAULT_SEED, Counts, Setup
from vswitch.debug.files.reading import Interface
from vswitch.devices.base import Sent
from vswitch.network.configuration import config, shaping
from vswitch.network.configuration.config import ConfigurationError
from vswitch.network.configuration.fields import LARGEST_MTU, SMALLEST_MTU, NotAllowedError, string
from vswitch.network.configuration.mistakes import Mistake, lines
from vswitch.network.configuration.shaping import NamedTables
from vswitch.network.configuration.table import Table
from vswitch.network.errors import KeyPath
from vswitch.network.model import DEFAULT_MTU, Configuration, LearntAddress
from vswitch.network.names import did_you_mean
from vswitch.units import MICROSECOND, SECOND, Nanoseconds
from vswitch.wire.malformed import Malformed
from vswitch.wire.offload import Offloads

FILE = "case.toml"
EXPECTED = "expected.pcapng"

OFFLOADS = {
    "checksum": Offloads.CHECKSUM,
    "tso4": Offloads.TSO4,
    "tso6": Offloads.TSO6,
    "uso": Offloads.USO,
    "ecn": Offloads.ECN,
    "all": Offloads.ALL,
}
"""What a device can be said to take; see `wire.offload`."""

_1970 = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST_START = 2**63 // SECOND
_LONGEST_RUN = 366 * 24 * 3600
_EXPECTED_HEADER = re.compile(r"[ \t]*\[[ \t]*expected[ \t]*[].]")
_ANY_HEADER = re.compile(r"[ \t]*\[")


@dataclass(frozen=True, slots=True)
class Case:
    """A case that can be replayed. `counts` is None where case.toml expects no counters."""

    folder: Path
    setup: Setup
    interfaces: Mapping[str, str]
    """The port that an interface of in.pcapng stands for, by its name."""
    counts: Counts | None

    @property
    def name(self) -> str:
        """What it is called: as its folder."""
        return self.folder.resolve().name

    @property
    def input(self) -> Path:
        """The frames that arrive."""
        return self.folder / INPUT

    @property
    def expected(self) -> Path:
        """The frames that have to leave."""
        return self.folder / EXPECTED

    def port_of(self, interface: Interface) -> str | None:
        """The port that an interface of in.pcapng stands for, or None for none."""
        return self.interfaces.get(interface.name)


def load(folder: Path) -> Case:
    """Read the case in `folder`.

    Raises:
        ConfigurationError: it cannot be replayed; every mistake in case.toml is named.
    """
    path = folder / FILE
    file = str(path)
    text = config.read_text(path)
    with config.nesting_refused(file):
        document = config.read_toml(text, file)
        configuration, mistakes = _configuration(folder, document)
        found = shaping.shaped(_Document, document, _table_around)
        if not isinstance(found, _Document):
            raise ConfigurationError(lines(file, document, [*mistakes, *found]))
        if configuration is not None:
            mistakes += _learnt_addresses(configuration)
        if mistakes or configuration is None:
            raise ConfigurationError(lines(file, document, mistakes))
        setup = _setup(configuration, found)
        mistakes = _disagreements(setup, found)
        if mistakes:
            raise ConfigurationError(lines(file, document, mistakes))
    interfaces = {_interface(port, found): port for port in setup.ports}
    return Case(folder, setup, interfaces, _counts(found.expected))


def write_counts(case: Case, counts: Counts) -> None:
    """Replace the tables under [expected] in case.toml, which may be missing.

    Raises:
        ConfigurationError: they are not written as tables of their own; nothing has changed.
        OSError: the file can not be written.
    """
    path = case.folder / FILE
    text = config.read_text(path)
    written = _without_expected(text).rstrip("\n") + "\n" + _expected_text(counts)
    try:
        found = config.read_toml(written, str(path)).get("expected")
    except ConfigurationError:
        found = None
    if found != {key: value for key, value in _tables(counts).items() if value} and found != {}:
        words = "can not be rewritten: allowed are the tables [expected.fates] and its like"
        raise ConfigurationError([f"{path}: expected: {words}"])
    if written != text:
        path.write_text(written)


def _expected_text(counts: Counts) -> str:
    text = ""
    for key, values in _tables(counts).items():
        if values:
            rows = "".join(f"{name} = {count}\n" for name, count in sorted(values.items()))
            text += f"\n[expected.{key}]\n{rows}"
    return text or "\n[expected]\n"


def _tables(counts: Counts) -> dict[str, dict[str, int]]:
    return {
        "fates": dict(counts.fates),
        "drops": dict(counts.drops),
        "unsent": dict(counts.unsent),
    }


def _without_expected(text: str) -> str:
    kept, within = [], False
    for line in text.splitlines(keepends=True):
        if _ANY_HEADER.match(line):
            within = _EXPECTED_HEADER.match(line) is not None
        if not within:
            kept.append(line)
    return "".join(kept)


# The shape of case.toml


def _start(value: object) -> Nanoseconds:
    if isinstance(value, datetime):
        if value.tzinfo is None or value < _1970:
            raise NotAllowedError
        return (value - _1970) // timedelta(microseconds=1) * MICROSECOND
    return _seconds(value, _LATEST_START)


def _run_on(value: object) -> Nanoseconds:
    return _seconds(value, _LONGEST_RUN)


def _seconds(value: object, longest: int) -> Nanoseconds:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= longest:
        raise NotAllowedError
    return round(value * SECOND)


def _integer(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise NotAllowedError
    return value


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise NotAllowedError("allowed is a number of frames")
    return value


def _mtu(value: object) -> int:
    if not SMALLEST_MTU <= _integer(value) <= LARGEST_MTU:
        raise NotAllowedError
    return _integer(value)


def _offload(value: object) -> Offloads:
    if not isinstance(value, str) or value not in OFFLOADS:
        raise NotAllowedError
    return OFFLOADS[value]


def _switch(value: object) -> object:
    """Judged by `network.configuration.config`."""
    if not isinstance(value, str | dict):
        raise NotAllowedError
    return value


_Count = Annotated[int, PlainValidator(_count)]

_LIES = tuple(lie.name.lower() for lie in Malformed)
_COUNTERS = {
    "fates": tuple(fate.value for fate in Fate),
    "drops": (*(reason.name.lower() for reason in DropReason), *_LIES),
    "unsent": (*(sent.name.lower() for sent in Sent if sent is not Sent.SENT), *_LIES),
}
"""The counters of each table under [expected]."""


class _ClockTable(Table):
    """`[clock]`."""

    start: Annotated[Nanoseconds | None, PlainValidator(_start)] = Field(
        default=None,
        description="a time with its offset, like 2026-01-01T00:00:00Z, or seconds since 1970",
    )
    run_on: Annotated[Nanoseconds, PlainValidator(_run_on)] = Field(
        default=0, description="a number of seconds, like 5 or 0.5"
    )


class _PortTable(Table):
    """`[ports.NAME]`."""

    interface: Annotated[str | None, PlainValidator(string)] = Field(
        default=None, description=f"the name of an interface of {INPUT}"
    )
    offloads: list[Annotated[Offloads, PlainValidator(_offload)]] = Field(
        default=[], description=" or ".join(f'"{name}"' for name in OFFLOADS)
    )
    mtu: Annotated[int | None, PlainValidator(_mtu)] = Field(
        default=None, description=f"a number of bytes from {SMALLEST_MTU} to {LARGEST_MTU}"
    )


class _ExpectedTable(Table):
    """`[expected]`."""

    fates: dict[str, _Count] = Field(default={}, description="a number of frames")
    drops: dict[str, _Count] = Field(default={}, description="a number of frames")
    unsent: dict[str, _Count] = Field(default={}, description="a number of frames")


class _Document(Table):
    """The file."""

    switch: Annotated[Any, PlainValidator(_switch)] = Field(
        description="the path of a switch's configuration, or its tables, [switch]"
    )
    seed: Annotated[int, PlainValidator(_integer)] = Field(
        default=DEFAULT_SEED, description="a whole number"
    )
    clock: _ClockTable = Field(default=_ClockTable(), description="a table, [clock]")
    ports: dict[str, _PortTable] = Field(default={}, description="a table of ports, [ports.NAME]")
    expected: _ExpectedTable | None = Field(default=None, description="a table, [expected]")


def _table_around(path: KeyPath) -> type[Table]:
    match path:
        case ("clock", _):
            return _ClockTable
        case ("ports", _):
            return NamedTables
        case ("ports", _, _):
            return _PortTable
        case ("expected", *_):
            return _ExpectedTable
    return _Document


# What its parts have to agree on


def _configuration(
    folder: Path, document: dict[str, Any]
) -> tuple[Configuration | None, list[Mistake]]:
    """The switch's configuration where it can be read, and what is wrong with its tables."""
    switch = document.get("switch")
    if isinstance(switch, str):
        return config.load(folder / switch), []
    if not isinstance(switch, dict):
        return None, []
    configuration, mistakes = config.judge(switch)
    return configuration, [replace(mistake, path=("switch", *mistake.path)) for mistake in mistakes]


def _learnt_addresses(configuration: Configuration) -> list[Mistake]:
    mistakes = []
    for uplink in configuration.uplinks:
        if isinstance(uplink.address, LearntAddress):
            table = ("uplink",) if uplink.name == UPLINK else ("uplinks", uplink.name)
            mistakes.append(Mistake(("switch", *table, "address"), ALLOWED_ADDRESS))
    return mistakes


def _disagreements(setup: Setup, document: _Document) -> list[Mistake]:
    mistakes = []
    ports = setup.ports
    for name, table in document.ports.items():
        if name not in ports:
            words = f"there is no such port: allowed is {', '.join(ports) or 'none'}"
            mistakes.append(Mistake(("ports", name), words))
        elif table.mtu is not None and name != UPLINK:
            others = "the others have that of their network"
            if name in {uplink.name for uplink in setup.configuration.uplinks}:
                others = f"other uplinks have {DEFAULT_MTU}"
            words = f"allowed is mtu for {UPLINK}, {others}"
            mistakes.append(Mistake(("ports", name, "mtu"), words))
    interfaces: dict[str, str] = {}
    for name in ports:
        interface = _interface(name, document)
        if interface in interfaces:
            words = f"is the interface of port {interfaces[interface]} already"
            mistakes.append(Mistake(("ports", name, "interface"), words))
        interfaces[interface] = name
    return mistakes + _unknown_counters(document)


def _unknown_counters(document: _Document) -> list[Mistake]:
    mistakes = []
    for key, allowed in _COUNTERS.items():
        for name in getattr(document.expected, key, {}):
            if name not in allowed:
                guess = did_you_mean(name, allowed)
                words = (
                    f"there is no such counter; {guess}" if guess else "there is no such counter"
                )
                mistakes.append(Mistake(("expected", key, name), words, quotes_value=False))
    return mistakes


def _setup(configuration: Configuration, document: _Document) -> Setup:
    offloads = {}
    for name, table in document.ports.items():
        offloads[name] = Offloads.NONE
        for offload in table.offloads:
            offloads[name] |= offload
    uplink = document.ports.get(UPLINK)
    return Setup(
        configuration,
        offloads,
        uplink.mtu if uplink and uplink.mtu is not None else DEFAULT_MTU,
        document.seed,
        document.clock.start,
        document.clock.run_on,
    )


def _interface(port: str, document: _Document) -> str:
    table = document.ports.get(port)
    return table.interface if table and table.interface is not None else port


def _counts(expected: _ExpectedTable | None) -> Counts | None:
    if expected is None:
        return None
    return Counts(*(_that_occurred(getattr(expected, key)) for key in _COUNTERS))


def _that_occurred(counters: dict[str, int]) -> dict[str, int]:
    return {name: count for name, count in counters.items() if count}
