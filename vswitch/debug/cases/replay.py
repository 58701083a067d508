"""A switch in memory, fed from captures: the same frames at the same times give the same bytes.

Theory of operation. The switch is put together from a configuration as a running one is, but for
its devices, which are memory. The clock is virtual: it stands at the time stamp of the frame that
arrives, and on its way there it stops at every deadline of the switch, so that timers fire in
order and at their own time. All that is random comes from one seed. The switch is up when the
replay begins: what it says to its uplink when it starts is not part of it.

What is kept of a frame that leaves is what its device was given: super-frames are cut and checksums
finished where the device takes no offloads, which is the default. The witness tells what became of
the frame that it was sent for; what a timer sends has no such frame.

Frames are taken and given one by one, so a replay needs the memory of the switch's tables and no
more.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from random import Random

from vswitch import assembly
from vswitch.assembly import UPLINK
from vswitch.dataplane.switch import Switch
from vswitch.dataplane.verdict import Fate
from vswitch.debug.cases.recording import Recorded
from vswitch.debug.sight import Direction, Sight
from vswitch.debug.witness import Witness
from vswitch.devices.base import Sent
from vswitch.devices.memory import MemoryDevice
from vswitch.impairment import Impairments
from vswitch.known.without_servers import WithoutServers
from vswitch.network.configuration.mistakes import ConfigurationError
from vswitch.network.inventory import Inventory
from vswitch.network.model import DEFAULT_MTU, Configuration, LearntAddress, Network
from vswitch.network.names import host_interface
from vswitch.units import Nanoseconds
from vswitch.wire.buffer import Buffer
from vswitch.wire.offload import Offloads
from vswitch.wire.values import MacAddress

DEFAULT_SEED = 1

ALLOWED_ADDRESS = (
    "allowed in a replay is an address of the switch's own, as there is no host to share"
)
"""Why an uplink can not learn its address."""

BY_TIMER = "by itself: a timer was due"
"""Stands for the verdict of a frame that no arriving frame has caused."""


@dataclass(frozen=True, slots=True)
class Setup:
    """A switch that can be replayed, before the first frame.

    Raises ConfigurationError where an uplink has its address from elsewhere.
    """

    configuration: Configuration
    offloads: Mapping[str, Offloads] = field(default_factory=dict)
    """What the devices of ports take, by name; that of all others takes nothing."""
    uplink_mtu: int = DEFAULT_MTU
    """The default uplink's, in bytes; others have `DEFAULT_MTU`."""
    seed: int = DEFAULT_SEED
    start: Nanoseconds | None = None
    """Where the clock starts, since 1970; None for the time of the first frame."""
    run_on: Nanoseconds = 0
    """How long the clock runs on after the last frame."""
    fast_path: str | None = None
    """The name of the one that runs it, None for the one that this installation would choose."""

    @property
    def ports(self) -> tuple[str, ...]:
        """The names of its ports: every endpoint, and every uplink."""
        endpoints = tuple(endpoint.name for endpoint in self.configuration.endpoints)
        hosts = tuple(
            host_interface(each.name) for each in self.configuration.networks if each.host
        )
        return hosts + endpoints + tuple(uplink.name for uplink in self.configuration.uplinks)

    def __post_init__(self) -> None:
        for uplink in self.configuration.uplinks:
            if isinstance(uplink.address, LearntAddress):
                line = f'{uplink}: found address = "{uplink.address}": {ALLOWED_ADDRESS}'
                raise ConfigurationError([line])


@dataclass(frozen=True, slots=True)
class Departure:
    """A frame that left."""

    when: Nanoseconds
    port: str
    frame: bytes
    """As its device was given it, with its virtio-net header."""
    comment: str
    """The verdict on the frame that it was sent for, in one line (`Sight.comment`)."""
    cause: int | None
    """The number of the packet that it was sent for, None where a timer was due."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What a replay has counted, by name; nothing stands under a name that did not occur."""

    fates: Mapping[str, int]
    """What became of each frame that arrived. One that has to wait counts as waiting for good."""
    drops: Mapping[str, int]
    """By reason, with those of frames that had waited before."""
    unsent: Mapping[str, int]
    """Frames that a device did not take, or that could not be made to fit it."""


class Replay:
    """One switch with its virtual clock; good for one run."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._switch = Switch(Random(setup.seed), setup.configuration.limits, setup.fast_path)
        self._ports: dict[str, int] = {}
        self._devices: dict[str, _Device] = {}
        self._descriptions: list[tuple[str, str]] = []
        self._now: Nanoseconds | None = setup.start
        self._cause: int | None = None
        self._comment = BY_TIMER
        self._departures: deque[Departure] = deque()
        self._fates: Counter[Fate] = Counter()
        self.arrived = 0
        """Frames that have arrived."""
        self.left = 0
        """Frames that have left."""
        self._assemble()
        Witness(self._switch).add(self._note, 0)

    @property
    def ports(self) -> list[tuple[str, str]]:
        """The ports in order: their names, each with a description."""
        return self._descriptions

    def run(self, arrivals: Iterable[Recorded]) -> Iterator[Departure]:
        """Let frames arrive, whose ports exist and whose times never run backwards; what leaves."""
        for arrival in arrivals:
            yield from self._pass_time(arrival.when)
            self._cause = arrival.number
            self._devices[arrival.port].feed(arrival.frame)
            self.arrived += 1
            self._switch.serve(self._ports[arrival.port], arrival.when)
            yield from self._departed()
        if self._now is not None:
            yield from self._pass_time(self._now + self._setup.run_on)

    def counts(self) -> Counts:
        """What has been counted until now."""
        counters = [self._switch.fastpath.port_counters(port) for port in self._ports.values()]
        unsent: Counter[str] = Counter()
        for each in counters:
            unsent.update({sent.name.lower(): count for sent, count in each.lost.items()})
            unsent.update({lie.name.lower(): count for lie, count in each.unsendable.items()})
        drops = self._switch.counters.drops
        return Counts(
            {fate.value: self._fates[fate] for fate in Fate if self._fates[fate]},
            {reason.name.lower(): drops[reason] for reason in drops},
            unsent,
        )

    def _assemble(self) -> None:
        setup, switch = self._setup, self._switch
        configuration = setup.configuration
        inventory = Inventory.of(configuration, Random(f"{setup.seed} inventory"))
        outside = {}
        for uplink in configuration.uplinks:
            mtu = setup.uplink_mtu if uplink.name == UPLINK else DEFAULT_MTU
            mac = uplink.mac or inventory.allocate_mac(str(uplink))
            domain = assembly.add_outside(switch, uplink, mac, mtu)
            outside[uplink.name] = domain.number
        numbers = {}
        for network in inventory.networks:
            domain = assembly.add_inside(switch, inventory, network, outside)
            numbers[network.name] = domain.number
            assembly.lease(switch, inventory, network, domain.number)
            if network.host:
                mac = inventory.allocate_mac(f"host on {network.name}")
                self._add_host_port(network, domain.number, mac)
        for endpoint in inventory.endpoints:
            line = endpoint.impairments
            for at in endpoint.memberships:
                name = endpoint.port_name(at)
                self._add_port(name, numbers[at.network], at.network, line)
                assembly.guard(switch, endpoint.role, at, self._ports[name])
            assembly.expose(switch, endpoint, numbers[endpoint.network], self._now or 0)
        for name, number in numbers.items():
            assembly.link(switch, inventory.endpoints, name, number)
        assembly.rule(switch, configuration, self._now or 0)
        names = WithoutServers(inventory, switch.tables.networks, configuration.dns)
        switch.tables.queries.front = names
        for uplink in configuration.uplinks:
            self._add_port(uplink.name, outside[uplink.name], uplink.name, uplink.impairments)

    def _add_port(
        self, name: str, network: int, network_name: str, impairments: Impairments
    ) -> None:
        device = self._new_device(name)
        number = self._ports[name] = self._switch.add_port(name, network, device).number
        self._switch.impair(number, impairments, self._now or 0)
        self._descriptions.append((name, f"{name} on {network_name}"))

    def _add_host_port(self, network: Network, number: int, mac: MacAddress) -> None:
        name = host_interface(network.name)
        port = self._switch.add_host_port(name, number, self._new_device(name), mac)
        self._ports[name] = port.number
        self._descriptions.append((name, f"the host on {network.name}"))

    def _new_device(self, name: str) -> _Device:
        takes = self._setup.offloads.get(name, Offloads.NONE)
        device = self._devices[name] = _Device(name, takes, self._leave)
        return device

    def _pass_time(self, end: Nanoseconds) -> Iterator[Departure]:
        self._cause = None
        switch = self._switch
        while (deadline := switch.next_deadline()) is not None and deadline <= end:
            self._now = max(self._now or deadline, deadline)
            switch.transmit(switch.tick(self._now), self._now)
            yield from self._departed()
        self._now = end

    def _departed(self) -> Iterator[Departure]:
        self.left += len(self._departures)
        while self._departures:
            yield self._departures.popleft()

    def _note(self, sight: Sight) -> None:
        if sight.direction is Direction.RECEIVED:
            self._fates[sight.fate] += 1
        elif self._cause is not None:
            self._comment = sight.comment

    def _leave(self, port: str, frame: bytes) -> None:
        comment = BY_TIMER if self._cause is None else self._comment
        now = self._now or 0
        self._departures.append(Departure(now, port, frame, comment, self._cause))


class _Device(MemoryDevice):
    """Passes on what it is given instead of keeping it."""

    def __init__(self, name: str, offloads: Offloads, leave: Callable[[str, bytes], None]) -> None:
        super().__init__(name, offloads)
        self._leave = leave

    def send(self, frame: Buffer) -> Sent:
        """Pass `frame` on; REFUSED where a real device could not carry it."""
        answer = super().send(frame)
        if answer is Sent.SENT:
            self._leave(self.name, self.sent.pop())
        return answer
