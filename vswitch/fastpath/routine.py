"""A program made ready for one flow: every offset found, every checksum difference summed.

Theory of operation. All frames of a flow carry the same addresses and ports, so what a rewrite
adds to their checksums is the same for each of them and is summed once, here (RFC 1624). What is
left per frame is to write a few bytes and to add a few constants. Two differences are kept for the
transport checksum: where the checksum is finished, addresses and ports count; where the virtio-net
header says NEEDS_CSUM the field holds the sum of the pseudo-header alone, so only addresses do.

A routine is the reference's counterpart of the flat struct that a compiled fast path would keep.
"""

from __future__ import annotations

from dataclasses import dataclass

from vswitch.fastpath.program import (
    DecrementTtl,
    FitMtu,
    Output,
    Program,
    SetDestination,
    SetSource,
    SetStations,
)
from vswitch.wire import checksum, ethernet, icmp, ipv4, ipv6, offload, tcp, udp
from vswitch.wire.buffer import Buffer, MutableBuffer
from vswitch.wire.malformed import Malformed
from vswitch.wire.values import EtherType, Protocol

_NO_LIMIT = 1 << 30
_ONES = 0xFFFF
"""One's-complement sums count modulo this."""

_CHECKSUM_AT = {
    Protocol.TCP: tcp.CHECKSUM,
    Protocol.UDP: udp.CHECKSUM,
    Protocol.ICMP: icmp.CHECKSUM,
}


@dataclass(frozen=True, slots=True)
class Routine:
    """What `rewrite` does to a frame. An offset of zero means that there is nothing to do there."""

    packet_limit: int
    """The longest packet that fits, counted from the start of Ethernet, in bytes."""
    network: int
    """Offset of the IPv4 header."""
    patches: tuple[tuple[slice, bytes], ...]
    ttl: int
    header_difference: int
    transport_checksum: int
    finished_difference: int
    unfinished_difference: int
    is_udp: bool
    zero_is_ones: bool
    """Where the checksum comes out as zero, all ones are written, which says the same: a zero means
    that UDP has none, and does not fit an ICMP message that has become all zeros."""
    outputs: tuple[int, ...]

    def fits(self, frame: Buffer) -> bool:
        """Whether each packet of `frame` is short enough for where it goes."""
        length = len(frame) - offload.HEADER_LENGTH
        return length <= self.packet_limit or longest_packet(frame) <= self.packet_limit

    def rewrite(self, frame: MutableBuffer) -> None:
        """Carry out, in place, everything but the sending."""
        for where, value in self.patches:
            frame[where] = value
        if self.ttl:
            frame[self.ttl] -= 1
        if self.header_difference:
            checksum.update_at(frame, self.network + ipv4.CHECKSUM, self.header_difference)
        if self.transport_checksum:
            self._update_transport(frame)

    def _update_transport(self, frame: MutableBuffer) -> None:
        at = self.transport_checksum
        field = frame[at] << 8 | frame[at + 1]
        if frame[offload.FLAGS] & offload.NEEDS_CSUM:
            field = checksum.update_partial(field, self.unfinished_difference)
        elif self.is_udp and not field:
            return
        else:
            field = checksum.update(field, self.finished_difference)
            if self.zero_is_ones and not field:
                field = udp.COMPUTED_ZERO
        frame[at] = field >> 8
        frame[at + 1] = field & 0xFF


def longest_packet(frame: Buffer) -> int:
    """Bytes, from the start of Ethernet, of the longest packet that `frame` stands for.

    Of a super-frame that is one segment with its headers. Their length is read from the transport
    header, as the virtio-net header's own word for it is no more than a hint (virtio 1.2, 5.1.6.2).
    """
    length = len(frame) - offload.HEADER_LENGTH
    if frame[offload.GSO_TYPE] == offload.GSO_NONE:
        return length
    flags, gso_type, _, gso_size, checksum_start, _ = offload.fields(frame)
    start = checksum_start if flags & offload.NEEDS_CSUM else _transport_start(frame)
    headers = start + udp.HEADER_LENGTH
    if gso_type != offload.GSO_UDP_L4:
        at = ethernet.START + start + tcp.DATA_OFFSET
        if at >= len(frame):
            return length
        headers = start + (frame[at] >> 4 << 2)
    return min(length, headers + gso_size)


def _transport_start(frame: Buffer) -> int:
    """Bytes before the transport header where only the packet tells: its checksum is finished."""
    link = ethernet.Ethernet.parse(frame)
    if isinstance(link, Malformed) or link.payload >= len(frame):
        return len(frame)
    is_ipv4 = link.ethertype == EtherType.IPV4
    header = (frame[link.payload] & 0x0F) * 4 if is_ipv4 else ipv6.HEADER_LENGTH
    return link.payload + header - ethernet.START


def prepare(program: Program, frame: Buffer) -> Routine:
    """The routine of `program` for the flow of `frame`.

    The pipeline has parsed the frame before it made a program, so where the program rewrites IPv4
    the headers concerned are whole.
    """
    packet_limit, ttl, header_difference = _NO_LIMIT, 0, 0
    addresses, ports = 0, 0
    patches: list[tuple[slice, bytes]] = []
    network = transport = 0
    protocol = None
    if any(
        isinstance(action, DecrementTtl | SetSource | SetDestination) for action in program.actions
    ):
        network, transport, protocol = _layers(frame)

    def patch(at: int, value: bytes) -> int:
        where = slice(at, at + len(value))
        patches.append((where, value))
        return checksum.difference(frame[where], value)

    for action in program.actions:
        match action:
            case FitMtu(mtu):
                packet_limit = (
                    mtu + network - ethernet.START if network else mtu + ethernet.HEADER_LENGTH
                )
            case SetStations(destination, source):
                patch(ethernet.START, destination + source)
            case DecrementTtl():
                ttl = network + ipv4.TTL
                word = bytes(frame[ttl : ttl + 2])
                header_difference += checksum.difference(word, bytes((word[0] - 1, word[1])))
            case SetSource(address, port):
                addresses += patch(network + ipv4.SOURCE, address)
                ports += patch(_port_at(protocol, transport, 0), port.to_bytes(2, "big"))
            case SetDestination(address, port):
                addresses += patch(network + ipv4.DESTINATION, address)
                ports += patch(_port_at(protocol, transport, 2), port.to_bytes(2, "big"))
            case Output():
                pass
    rewritten = bool(addresses or ports)
    is_icmp = protocol is Protocol.ICMP
    return Routine(
        packet_limit=packet_limit,
        network=network,
        patches=tuple(patches),
        ttl=ttl,
        header_difference=(header_difference + addresses) % _ONES,
        transport_checksum=transport + _CHECKSUM_AT[protocol] if rewritten and protocol else 0,
        finished_difference=(ports if is_icmp else addresses + ports) % _ONES,
        unfinished_difference=addresses % _ONES,
        is_udp=protocol is Protocol.UDP,
        zero_is_ones=protocol is not Protocol.TCP,
        outputs=program.outputs,
    )


def _layers(frame: Buffer) -> tuple[int, int, Protocol]:
    at = ethernet.START + ethernet.HEADER_LENGTH
    ethertype = frame[at - 2] << 8 | frame[at - 1]
    if ethertype == EtherType.VLAN:
        at += ethernet.TAG_LENGTH
    header_length = (frame[at] & 0x0F) * 4
    return at, at + header_length, Protocol(frame[at + ipv4.PROTOCOL])


def _port_at(protocol: Protocol | None, transport: int, offset: int) -> int:
    """Where a port stands; an ICMP query has its identifier in place of either."""
    return transport + (icmp.IDENTIFIER if protocol is Protocol.ICMP else offset)
