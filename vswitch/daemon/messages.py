"""What goes over the control socket: one model per request body and per row of an answer.

The daemon makes them, the commands read them, and `--json` prints them as they are, so the field
names are the interface. Addresses are text, times are seconds.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from vswitch.network.model import DEFAULT_NETWORK, EndpointKind

HIGHEST_PID = 2**22
"""proc(5), pid_max: the kernel gives no process a higher number."""


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Problem(_Message):
    """The body of every answer that is not a success."""

    error: str


class EndpointBody(_Message):
    """A wish for an endpoint in the network namespace of a process."""

    pid: int = Field(gt=0, le=HIGHEST_PID)
    name: str | None = None
    network: str = DEFAULT_NETWORK.name
    kind: EndpointKind = EndpointKind.TAP
    publish: tuple[str, ...] = ()


class EndpointRow(_Message):
    """An endpoint as it is."""

    name: str
    network: str
    kind: EndpointKind
    namespace: str
    address: str
    gateway: str
    mac: str
    aliases: tuple[str, ...]
    published: tuple[str, ...]
    resolv_conf: str


class StatusRow(_Message):
    """The switch as a whole."""

    name: str
    version: str
    pid: int
    fastpath: str
    uplink: str | None
    networks: tuple[str, ...]
    endpoints: tuple[str, ...]
    connections: int
    mappings: int
    capture: str | None
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


class CaptureBody(_Message):
    """A wish for a capture of every port into a file."""

    file: str = Field(pattern=r"^[^\x00]+$")
    snap_length: int = Field(default=256, ge=64, le=262_144)


class CaptureRow(_Message):
    """A capture that has ended."""

    file: str
    frames: int
