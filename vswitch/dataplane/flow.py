"""What says which flow a packet is part of: addresses, ports, protocol and where it arrives.

A `FlowTuple` is sixteen bytes, so that it hashes and compares at the speed of bytes and costs a
table of a million flows no more than it must. Its last twelve stand in the packet in the same
order: source, destination, source port, destination port.
"""

from __future__ import annotations

from struct import Struct

from vswitch.wire.icmp import Type
from vswitch.wire.values import IpAddress, Protocol

_TUPLE = Struct(">HBB4s4sHH")
_PARTS = Struct("4s4s4s2s2s")
"""All in front of the addresses, these, and the ports."""

_ICMP = int(Protocol.ICMP)

ANSWERS: dict[int, int] = {
    Type.ECHO_REQUEST: Type.ECHO_REPLY,
    Type.TIMESTAMP_REQUEST: Type.TIMESTAMP_REPLY,
    Type.INFORMATION_REQUEST: Type.INFORMATION_REPLY,
    Type.ADDRESS_MASK_REQUEST: Type.ADDRESS_MASK_REPLY,
}
"""What answers each query of ICMP."""

QUESTIONS = {answer: question for question, answer in ANSWERS.items()}

_OTHER_WAY = ANSWERS | QUESTIONS


class FlowTuple(bytes):
    """One direction of a transport flow, as its packets arrive on a network.

    An ICMP query has its identifier as the port of the side that asks, 0 as the other's, and its
    type as `kind`. Protocols without ports have 0 for both.
    """

    __slots__ = ()

    def __new__(
        cls,
        network: int,
        protocol: int,
        source: IpAddress,
        source_port: int,
        destination: IpAddress,
        destination_port: int,
        kind: int = 0,
    ) -> FlowTuple:
        """`kind` is the ICMP type, 0 for all other protocols."""
        packed = _TUPLE.pack(
            network, protocol, kind, source, destination, source_port, destination_port
        )
        return bytes.__new__(cls, packed)

    @classmethod
    def trusted(cls, octets: bytes) -> FlowTuple:
        """The tuple of octets that are known to be one: nothing is checked."""
        return bytes.__new__(cls, octets)

    @property
    def network(self) -> int:
        """Where its packets arrive, by number."""
        return self[0] << 8 | self[1]

    @property
    def protocol(self) -> int:
        """The number of the transport protocol."""
        return self[2]

    @property
    def kind(self) -> int:
        """The type of an ICMP query."""
        return self[3]

    @property
    def source(self) -> IpAddress:
        """Who sends."""
        return bytes.__new__(IpAddress, self[4:8])

    @property
    def destination(self) -> IpAddress:
        """To whom."""
        return bytes.__new__(IpAddress, self[8:12])

    @property
    def source_port(self) -> int:
        """The sender's port."""
        return self[12] << 8 | self[13]

    @property
    def destination_port(self) -> int:
        """The receiver's port."""
        return self[14] << 8 | self[15]

    @property
    def ports(self) -> bytes:
        """Both, as a packet has them."""
        return self[12:16]

    @property
    def sender(self) -> bytes:
        """Address and port of who sends, to be compared with another's."""
        return self[4:8] + self[12:14]

    @property
    def receiver(self) -> bytes:
        """The same of who receives."""
        return self[8:12] + self[14:16]

    @property
    def ends_turned(self) -> bytes:
        """Addresses and ports of the packets the other way, as a packet has them."""
        return self[8:12] + self[4:8] + self[14:16] + self[12:14]

    @property
    def identifier(self) -> int:
        """Of an ICMP query, whichever way it goes."""
        return self.source_port if self.kind in ANSWERS else self.destination_port

    @property
    def turned(self) -> FlowTuple:
        """The tuple of the packets the other way, on the same network."""
        head, source, destination, source_port, destination_port = _PARTS.unpack(self)
        if self[2] == _ICMP:
            head = head[:3] + bytes((_OTHER_WAY[self[3]],))
        return bytes.__new__(
            FlowTuple, head + destination + source + destination_port + source_port
        )

    def answered_from(
        self, network: int, address: IpAddress, port: int, to: IpAddress, to_port: int
    ) -> FlowTuple:
        """The tuple of the answers of whoever is at `address` and `port` on `network`, sent to an
        address and port there that stand for the source of these packets."""
        kind = _OTHER_WAY[self[3]] if self[2] == _ICMP else 0
        return FlowTuple(network, self[2], address, port, to, to_port, kind)

    def __str__(self) -> str:
        if self.protocol == Protocol.ICMP:
            return f"{self.source} > {self.destination} id {self.identifier}"
        if not self.source_port and not self.destination_port:
            return f"{self.source} > {self.destination} protocol {self.protocol}"
        source = f"{self.source}:{self.source_port}"
        return f"{source} > {self.destination}:{self.destination_port}"

    def __repr__(self) -> str:
        return f"<FlowTuple {self} on network {self.network}>"
