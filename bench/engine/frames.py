"""Who speaks in memory, and the frames that they send.

Endpoints A and B are inside, a router is outside, and behind it a far host. Small frames have no
offloads, so their checksums are verified on the way; the super-frame is what bulk transfers are
made of.
"""

from __future__ import annotations

from vswitch.dataplane.topology import Interface
from vswitch.wire import ethernet, ipv4, offload, tcp, udp
from vswitch.wire.offload import OffloadHeader
from vswitch.wire.values import EtherType, IpAddress, IpInterface, MacAddress, Protocol

SMALL = 18
"""Bytes of UDP payload that make the shortest Ethernet frame."""

SEGMENT = 1448
SEGMENTS = 45
"""TCP segments in a super-frame: what fits into an IPv4 packet."""

Station = tuple[MacAddress, IpAddress]

A = (MacAddress.parse("02:00:00:00:01:10"), IpAddress.parse("10.0.0.2"))
B = (MacAddress.parse("02:00:00:00:01:11"), IpAddress.parse("10.0.0.3"))
ROUTER = (MacAddress.parse("02:00:00:00:ff:10"), IpAddress.parse("203.0.113.254"))
GATEWAY = Interface(MacAddress.parse("02:00:00:00:01:01"), IpInterface.parse("10.0.0.1/16"))
UPLINK = Interface(MacAddress.parse("02:00:00:00:ff:01"), IpInterface.parse("203.0.113.1/24"))
FAR = IpAddress.parse("198.51.100.80")


def udp_frame(
    source: Station, to: MacAddress, destination: IpAddress, ports: tuple[int, int]
) -> bytes:
    datagram = udp.build(source[1], destination, *ports, bytes(SMALL))
    packet = ipv4.build(source[1], destination, Protocol.UDP, datagram)
    return bytes(ethernet.build(to, source[0], EtherType.IPV4, packet))


def tcp_frame(
    mac: MacAddress,
    to: MacAddress,
    addresses: tuple[IpAddress, IpAddress],
    ports: tuple[int, int],
    flags: int,
    payload: bytes = b"",
) -> bytes:
    """A SYN has the number 0; what comes after it has 1, and acknowledges as much."""
    segment = tcp.build(
        *addresses,
        *ports,
        sequence=int(not flags & tcp.SYN),
        acknowledgment=int(bool(flags & tcp.ACK)),
        flags=flags,
        payload=payload,
    )
    packet = ipv4.build(*addresses, Protocol.TCP, segment)
    return bytes(ethernet.build(to, mac, EtherType.IPV4, packet))


def super_frame(frame: bytes) -> bytes:
    """A TCP frame as a kernel hands it over that leaves the checksum and the cutting to others."""
    start = ethernet.HEADER_LENGTH + ipv4.HEADER_LENGTH
    header = OffloadHeader(
        flags=offload.NEEDS_CSUM,
        gso_type=offload.GSO_TCPV4,
        header_length=start + tcp.HEADER_LENGTH,
        gso_size=SEGMENT,
        checksum_start=start,
        checksum_offset=tcp.CHECKSUM,
    )
    return header.pack() + frame[offload.HEADER_LENGTH :]


def handshake(port: int) -> tuple[bytes, bytes, bytes]:
    """SYN from A, SYN and ACK from the far host, ACK from A; NAPT keeps the port."""
    outward, inward = (A[1], FAR), (FAR, UPLINK.address.address)
    there, back = (port, 443), (443, port)
    return (
        tcp_frame(A[0], GATEWAY.mac, outward, there, tcp.SYN),
        tcp_frame(ROUTER[0], UPLINK.mac, inward, back, tcp.SYN | tcp.ACK),
        tcp_frame(A[0], GATEWAY.mac, outward, there, tcp.ACK),
    )
