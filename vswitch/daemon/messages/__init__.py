"""What goes over the control socket: one model per request body and per row of an answer.

The daemon makes them, the commands read them, and `--json` prints them as they are, so the field
names are the interface. Addresses are text, times are seconds.
"""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from vswitch.daemon.messages.base import Message as _Message
from vswitch.debug.choices import WHOLE_FRAMES, Judged, Passing
from vswitch.impairment import LARGEST_SEED

CAPTURE_HEADER = "Vswitch-Capture"
"""The header of a capture's answer with the number that it can be ended by."""

SHORTEST_SNAP = 64

LONGEST_CAPTURE_SECONDS = 366 * 86_400

LONGEST_FILTER = 4096
"""Characters: what a request line has room for, however they are quoted."""

NO_ADDRESS = "none"
"""Of an uplink that has not learnt one yet, or not any more."""


class Problem(_Message):
    """The body of every answer that is not a success."""

    error: str


class UplinkRow(_Message):
    """An uplink: its interface, its addresses, and what keeps it."""

    name: str
    interface: str
    device: str
    mac: str
    address: str
    """With its prefix length, or `NO_ADDRESS`."""
    also: tuple[str, ...]
    gateway: str
    ports: str
    """External ports that may be given away."""
    guard: str | None
    """How the kernel is kept silent where the address is the host's too."""
    why_not: tuple[str, ...]
    """The better ways, and why each does not work here."""
    dhcp: str | None
    """The state of the client where the address is learnt."""
    expires_in_seconds: float | None


class StatusRow(_Message):
    """The switch as a whole."""

    name: str
    version: str
    pid: int
    fastpath: str
    uplinks: tuple[UplinkRow, ...]
    networks: tuple[str, ...]
    endpoints: tuple[str, ...]
    connections: int
    connections_at_most: int
    mappings: int
    held_syns: int
    incomplete_datagrams: int
    errors_withheld: int
    """ICMP errors of the switch's own that were not sent because there were too many."""
    captures: int
    name_servers: tuple[str, ...]
    """Who is asked for the names of whoever has nobody else to ask: the configuration's, else the
    host's as they are by now. None: such names get SERVFAIL."""
    silent_servers: tuple[str, ...]
    """Those of them that do not answer, so that the others are asked instead."""
    without_names: dict[str, str]
    """Endpoints that nothing answers at 127.0.0.11, and why."""
    drops: dict[str, int]


class PortRow(_Message):
    """A port and its counters."""

    port: int
    name: str
    network: str
    device: str
    offloads: tuple[str, ...]
    received_frames: int
    received_bytes: int
    sent_frames: int
    sent_bytes: int
    wrong_checksums: int
    """Frames translated with a TCP or UDP checksum that was wrong, and stays so."""
    lost: dict[str, int]
    drops: dict[str, int]


class FdbRow(_Message):
    """A station, and the port that it was last seen on."""

    network: str
    vlan: int
    mac: str
    port: str
    recent: bool


class NeighbourRow(_Message):
    """An address of a network, and its station where it is known."""

    network: str
    address: str
    mac: str | None
    state: str
    waiting: int


class MappingRow(_Message):
    """An external port, and the inside port that it stands for."""

    protocol: str
    network: str
    inside: str
    outside: str
    connections: int
    """Those by it that the inside takes part in."""
    guests: int
    """Those that came in by it."""
    is_static: bool
    expires_in_seconds: float | None
    """None while something holds it."""


class FlowRow(_Message):
    """A connection: its two tuples as text, and what the fast path has seen of it."""

    flow: int
    protocol: str
    state: str
    network: str
    original: str
    reply: str
    translation: str
    frames: int
    bytes: int
    idle_seconds: float
    expires_in_seconds: float


class TraceBody(_Message):
    """A frame to ask about: in words, or as bytes in hexadecimal with the port it comes in by."""

    description: str | None = None
    port: str | None = None
    frame: str | None = Field(default=None, pattern=r"^([0-9a-fA-F]{2})*$")

    @model_validator(mode="after")
    def _is_one_frame(self) -> Self:
        given = self.port is not None, self.frame is not None
        if given != (self.description is None,) * 2:
            raise ValueError("allowed is either a description, or a port and a frame")
        return self


class StepRow(_Message):
    """A stage that a frame has come by, and what was looked up and found there."""

    stage: str
    words: tuple[str, ...]


class LeavingRow(_Message):
    """A frame that would be sent. `layers` describes it, `kept` says whether the fast path would
    do the same for the next one."""

    what: str
    ports: tuple[str, ...]
    frame: str
    layers: tuple[str, ...]
    kept: bool


class TraceRow(_Message):
    """What would become of a frame. `flow` is 0 where it is part of no connection yet."""

    port: str
    network: str
    frame: str
    summary: str
    layers: tuple[str, ...]
    steps: tuple[StepRow, ...]
    fate: str
    explanation: str
    reason: str | None
    flow: int
    leaving: tuple[LeavingRow, ...]


class ProgramRow(_Message):
    """A program of a connection in the fast path, and what it has carried."""

    direction: str
    port: str
    frames: int
    bytes: int
    tcp_flags: tuple[str, ...]


class WhyRow(_Message):
    """The reasons of a connection, as lines of text."""

    flow: int
    protocol: str
    state: str
    state_means: str
    began: tuple[str, ...]
    allowed: tuple[str, ...]
    original: tuple[str, ...]
    reply: tuple[str, ...]
    next_states: tuple[str, ...]
    ends: tuple[str, ...]
    kept: tuple[ProgramRow, ...]


class ImpairmentBody(_Message):
    """A wish for how bad a port's line shall be; what is not said stays as it is."""

    incoming: str | None = None
    outgoing: str | None = None
    seed: int | None = Field(default=None, ge=0, le=LARGEST_SEED)


class LineRow(_Message):
    """One direction of an impaired port, and what it has done to frames."""

    impairment: str
    held: int
    entered: int
    lost: int
    duplicated: int
    reordered: int
    corrupted: int
    full: int


class ImpairmentRow(_Message):
    """An impaired port: as the switch sees it, what comes in and what goes out."""

    port: str
    seed: int
    incoming: LineRow
    outgoing: LineRow


class CaptureQuery(_Message):
    """Which frames a capture is of, and when it ends by itself; what is not said is no limit."""

    port: str | None = None
    network: str | None = None
    endpoint: str | None = None
    verdict: Judged | None = None
    stage: Passing = Passing.BOTH
    snap_length: int = Field(default=WHOLE_FRAMES, ge=SHORTEST_SNAP, le=WHOLE_FRAMES)
    count: int | None = Field(default=None, gt=0)
    seconds: float | None = Field(default=None, gt=0, le=LONGEST_CAPTURE_SECONDS)
    filter: str | None = Field(default=None, max_length=LONGEST_FILTER)
