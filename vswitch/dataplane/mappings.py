"""Mappings: which external port stands for an inside address and port?

Theory of operation. A mapping is endpoint-independent (RFC 4787 REQ-1, RFC 5382 REQ-1): one
external port per inside address, port and protocol, whatever the destination. It is an object of
its own beside the connections that use it, with a timer of its own: it lives while a connection
holds it that the inside takes part in, and one of UDP `udp_mapping` longer than the last frame
that the inside has sent. What only came in by it, and was never answered, holds nothing (RFC 7857,
6): nobody outside can keep a port open.

No two inside endpoints ever share an external port (REQ-3). A port that is published is never given
away, as otherwise answers to the one would reach the other; nor is one that is mapped by hand. The
inside port is taken where it is free; else one like it is drawn (`ports`). A port that was given up
*rests* before somebody else gets it, as late frames for its last owner may still come; the same
endpoint may have it back (RFC 6888, REQ-8).

Both sides of a mapping are packed, as a `FlowTuple` is: a table of a million costs no more than it
must.

All of an endpoint's mappings are on one address of an uplink (RFC 4787, REQ-2: paired). What it
never decides: who may come in through a mapping (`nat`), and whether one is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from random import Random
from struct import Struct

from vswitch.dataplane.accounts import Account, Accounts
from vswitch.dataplane.flow import FlowTuple
from vswitch.dataplane.ports import PortPool
from vswitch.dataplane.timers import Timers
from vswitch.units import Nanoseconds
from vswitch.wire.values import IpAddress, Protocol

_KEEPS_PORT_OR_NONE = frozenset({int(Protocol.SCTP)})
"""Protocols whose checksum does not let a port be changed for the price of an addition."""


_INTERNAL = Struct(">HB4sH")
_EXTERNAL = Struct(">B4sH")
_ENDPOINT = slice(7)
"""All of an `Internal` but the port."""


class Internal(bytes):
    """An inside address and port (or the identifier of ICMP queries) of a protocol."""

    __slots__ = ()

    def __new__(cls, network: int, protocol: int, address: IpAddress, port: int) -> Internal:
        """`port` is the identifier of ICMP queries."""
        return bytes.__new__(cls, _INTERNAL.pack(network, protocol, address, port))

    @classmethod
    def trusted(cls, octets: bytes) -> Internal:
        """Of octets that are known to be one: nothing is checked."""
        return bytes.__new__(cls, octets)

    @classmethod
    def source_of(cls, flow: FlowTuple) -> Internal:
        """Where the packets of a flow come from."""
        return bytes.__new__(cls, flow[:3] + flow[4:8] + flow[12:14])

    @property
    def network(self) -> int:
        """By number."""
        return self[0] << 8 | self[1]

    @property
    def protocol(self) -> int:
        """The number of the transport protocol."""
        return self[2]

    @property
    def address(self) -> IpAddress:
        """Of the endpoint."""
        return IpAddress.trusted(self[3:7])

    @property
    def port(self) -> int:
        """Its own."""
        return self[7] << 8 | self[8]

    def __repr__(self) -> str:
        return f"<Internal {self.network} {self.protocol} {self.address} {self.port}>"


class External(bytes):
    """What stands for it outside."""

    __slots__ = ()

    def __new__(cls, protocol: int, address: IpAddress, port: int) -> External:
        """`address` is one of the switch."""
        return bytes.__new__(cls, _EXTERNAL.pack(protocol, address, port))

    @classmethod
    def trusted(cls, octets: bytes) -> External:
        """Of octets that are known to be one: nothing is checked."""
        return bytes.__new__(cls, octets)

    @property
    def protocol(self) -> int:
        """The number of the transport protocol."""
        return self[0]

    @property
    def address(self) -> IpAddress:
        """An address of the switch."""
        return IpAddress.trusted(self[1:5])

    @property
    def port(self) -> int:
        """The one that is given away."""
        return self[5] << 8 | self[6]

    def __repr__(self) -> str:
        return f"<External {self.protocol} {self.address} {self.port}>"


class Mapping:
    """One allocation."""

    __slots__ = (
        "_contact",
        "_contacts",
        "account",
        "external",
        "guests",
        "holders",
        "internal",
        "is_static",
        "last_outbound",
        "uplink",
    )

    def __init__(
        self,
        internal: Internal,
        external: External,
        uplink: int,
        account: Account,
        now: Nanoseconds,
        *,
        is_static: bool = False,
    ) -> None:
        self.internal = internal
        self.external = external
        self.uplink = uplink
        """The network, by number, that the external address is on."""
        self.account = account
        self.last_outbound = now
        """When the inside last sent by it, as far as the pipeline has seen."""
        self.is_static = is_static
        """Made by hand: it never ends by itself."""
        self.holders = 0
        """Connections by it that the inside takes part in."""
        self.guests = 0
        """Connections that came in by it, whether answered or not."""
        self._contact: IpAddress | None = None
        """The one remote that all holders have in common, while there is but one."""
        self._contacts: dict[IpAddress, int] | None = None
        """Holders by remote, once there are several: most mappings never need the dictionary."""

    def begin(self, remote: IpAddress) -> None:
        """Note a connection with `remote` that the inside takes part in."""
        if self._contacts is None and self._contact not in (None, remote):
            self._contacts = {self._contact: self.holders} if self._contact else {}
        if self._contacts is None:
            self._contact = remote
        else:
            self._contacts[remote] = self._contacts.get(remote, 0) + 1
        self.holders += 1

    def end(self, remote: IpAddress) -> None:
        """Note that one is over."""
        self.holders -= 1
        if not self.holders:
            self._contact = self._contacts = None
        elif self._contacts is not None:
            self._contacts[remote] -= 1
            if not self._contacts[remote]:
                del self._contacts[remote]

    def has_contact(self, remote: IpAddress) -> bool:
        """Whether the inside takes part in a connection with `remote` by it."""
        return remote == self._contact if self._contacts is None else remote in self._contacts

    @property
    def expires_at(self) -> Nanoseconds | None:
        """When it ends, or None while something holds it."""
        if self.holders or self.is_static:
            return None
        timeouts = self.account.translation.timeouts
        is_udp = self.internal.protocol in (Protocol.UDP, Protocol.UDP_LITE)
        return self.last_outbound + (timeouts.udp_mapping if is_udp else 0)


class MappingTable:
    """All mappings, by either side.

    `allowed` tells which ports of an address may be given away at all, `reserved` the runs of them
    that are kept for something else, `is_reserved` the same of one port.
    """

    def __init__(
        self,
        accounts: Accounts,
        allowed: Callable[[IpAddress], tuple[range, ...]],
        reserved: Callable[[int, IpAddress], Iterable[range]],
        is_reserved: Callable[[External], bool],
    ) -> None:
        self._accounts = accounts
        self._reserved = reserved
        self._is_reserved = is_reserved
        self._allowed = allowed
        self._by_internal: dict[int, dict[Internal, Mapping]] = {}
        """On each uplink."""
        self._by_external: dict[External, Mapping] = {}
        self._pools: dict[tuple[int, IpAddress], PortPool] = {}
        self._timers: Timers[External] = Timers()
        self._resting: dict[External, tuple[Internal, int]] = {}
        self._last_external: dict[tuple[Internal, int], External] = {}
        self._rest: Timers[External] = Timers()

    def of_internal(self, internal: Internal, uplink: int) -> Mapping | None:
        """The mapping that an inside endpoint has on an uplink."""
        there = self._by_internal.get(uplink)
        return there.get(internal) if there else None

    def of_external(self, external: External) -> Mapping | None:
        """The mapping that an external port belongs to."""
        return self._by_external.get(external)

    @property
    def protocols(self) -> frozenset[int]:
        """Those of which ports were asked for until now."""
        return frozenset(protocol for protocol, _ in self._pools)

    # Choosing

    def address_for(
        self, account: Account, protocol: int, uplink: int, addresses: tuple[IpAddress, ...]
    ) -> IpAddress:
        """Which of an uplink's addresses stands for an endpoint: the one that it has mappings on,
        else the one with most free ports."""
        paired = account.paired.get(uplink)
        if paired in addresses:
            return paired
        if len(addresses) == 1:
            return addresses[0]
        return max(addresses, key=lambda address: len(self._pool(protocol, address)))

    def choose(
        self, internal: Internal, uplink: int, address: IpAddress, random: Random, *, parity: bool
    ) -> External | None:
        """A free external port of `address` for `internal`, or None where there is none left.

        Nothing is taken yet: `add` does that.
        """
        protocol, wanted = internal.protocol, internal.port
        pool = self._pool(protocol, address)
        earlier = self._last_external.get((internal, uplink)) if self._last_external else None
        external = External(protocol, address, wanted)
        if earlier is not None and earlier.address == address and not self._is_reserved(earlier):
            return earlier
        if wanted and (wanted in pool or self._rests_for_same_endpoint(external, internal)):
            return external
        if protocol in _KEEPS_PORT_OR_NONE:
            return None
        port = pool.draw(wanted, random, keeps_parity=parity)
        return None if port is None else External(protocol, address, port)

    def may_be_given(self, external: External) -> bool:
        """Whether this very port is free, and may be given away."""
        return external.port in self._pool(external.protocol, external.address)

    # Changing

    def add(self, mapping: Mapping) -> None:
        """Take an external port that `choose` has found. A connection holds it from now on."""
        internal, external, account = mapping.internal, mapping.external, mapping.account
        address, port = external.address, external.port
        pool = self._pool(external.protocol, address)
        if external in self._resting:
            self._end_rest(external)
        if port in pool:
            pool.take(port)
        self._by_internal.setdefault(mapping.uplink, {})[internal] = mapping
        self._by_external[external] = mapping
        account.paired.setdefault(mapping.uplink, address)
        self._accounts.keep(account)
        account.mappings += 1

    def settle(self, mapping: Mapping) -> None:
        """Let a mapping that lost a connection end when its time comes."""
        deadline = mapping.expires_at
        if deadline is not None and self._by_external.get(mapping.external) is mapping:
            self._timers.schedule(mapping.external, deadline)

    def release(self, mapping: Mapping, now: Nanoseconds) -> None:
        """End a mapping: its port rests."""
        internal, external, account = mapping.internal, mapping.external, mapping.account
        del self._by_internal[mapping.uplink][internal]
        del self._by_external[external]
        self._timers.cancel(external)
        account.mappings -= 1
        self._accounts.settle(account)
        self._begin_rest(mapping, now)

    def reserve(self, protocol: int, address: IpAddress | None, ports: range) -> None:
        """Give none of these ports away from now on; None: on no address."""
        for (each_protocol, each), pool in self._pools.items():
            if each_protocol == protocol and address in (None, each):
                for port in ports:
                    if port in pool:
                        pool.take(port)

    def unreserve(self, protocol: int, address: IpAddress | None, ports: range) -> None:
        """They may be given away again, but for those that are reserved by something else."""
        for each_protocol, each in self._pools:
            if each_protocol == protocol and address in (None, each):
                for port in ports:
                    self._give_back(External(protocol, each, port))

    def forget_address(self, address: IpAddress) -> None:
        """Forget what is free and what rests on an address that is no longer the switch's."""
        for external in [external for external in self._resting if external.address == address]:
            self._end_rest(external)
        for key in [key for key in self._pools if key[1] == address]:
            del self._pools[key]

    # Time

    def next_deadline(self) -> Nanoseconds | None:
        """When `due` may have something to hand out, or a port's rest is over."""
        deadlines = self._timers.next_deadline(), self._rest.next_deadline()
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def due(self, now: Nanoseconds) -> Iterator[Mapping]:
        """Mappings that have been idle for long enough; the caller releases them."""
        for external in self._rest.due(now):
            self._end_rest(external)
            self._give_back(external)
        for external in self._timers.due(now):
            mapping = self._by_external[external]
            deadline = mapping.expires_at
            if deadline is None:
                continue
            if deadline > now:
                self._timers.schedule(external, deadline)
            else:
                yield mapping

    def __iter__(self) -> Iterator[Mapping]:
        return iter(self._by_external.values())

    def __len__(self) -> int:
        return len(self._by_external)

    def _pool(self, protocol: int, address: IpAddress) -> PortPool:
        """The ports of an address, without those that are published."""
        pool = self._pools.get((protocol, address))
        if pool is None:
            has_classes = protocol != Protocol.ICMP
            pool = PortPool.fresh(self._allowed(address), has_classes=has_classes)
            self._pools[protocol, address] = pool
            for ports in self._reserved(protocol, address):
                self.reserve(protocol, address, ports)
        return pool

    def _rests_for_same_endpoint(self, external: External, internal: Internal) -> bool:
        last, _ = self._resting.get(external, (None, 0))
        return (
            last is not None
            and last[_ENDPOINT] == internal[_ENDPOINT]
            and not self._is_reserved(external)
        )

    def _begin_rest(self, mapping: Mapping, now: Nanoseconds) -> None:
        external, rest = mapping.external, mapping.account.translation.timeouts.hold_down
        if not rest or mapping.is_static:
            self._give_back(external)
            return
        key = self._resting[external] = mapping.internal, mapping.uplink
        self._last_external[key] = external
        self._rest.schedule(external, now + rest)

    def _end_rest(self, external: External) -> None:
        self._rest.cancel(external)
        key = self._resting.pop(external, None)
        if key is not None and self._last_external.get(key) == external:
            del self._last_external[key]

    def _give_back(self, external: External) -> None:
        """Let a port be free where nothing else keeps it from that."""
        protocol, address, port = external.protocol, external.address, external.port
        pool = self._pools.get((protocol, address))
        if pool is None or port in pool or external in self._by_external:
            return
        may_be_given = any(port in some for some in pool.ports)
        if may_be_given and external not in self._resting and not self._is_reserved(external):
            pool.give(port)
