"""TAP devices against the kernel, each interface moved into a namespace of the test."""

from __future__ import annotations

import asyncio
import errno
import os
import select
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
import uvloop
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import ARP, Dot1Q, Ether

from tests.linux.through import WAYS, through
from vswitch.devices.base import DeviceGone, OpenError, Sent
from vswitch.devices.tap import TapDevice
from vswitch.wire import offload
from vswitch.wire.offload import OffloadHeader, Offloads

if TYPE_CHECKING:
    from tests.linux.conftest import Namespaces

pytestmark = pytest.mark.linux

PROBE = 0x88B5  # IEEE 802 local experimental EtherType: nothing else on the wire has it
STATION = "02:00:00:00:00:01"
PEER = "02:00:00:00:00:09"
PATIENCE = 5.0  # seconds until a frame that was sent counts as lost
HEADER = bytes(10)


@pytest.fixture
def inside(namespaces: Namespaces) -> str:
    return namespaces.create()


@pytest.fixture(params=WAYS)
def tap(namespaces: Namespaces, inside: str, request: pytest.FixtureRequest) -> Iterator[TapDevice]:
    with closing(TapDevice.open()) as device:
        move_in(namespaces, device, inside)
        yield through(device, request.param)


def move_in(
    namespaces: Namespaces,
    device: TapDevice,
    name: str,
    *,
    me: tuple[str, str] = ("10.9.0.2", STATION),
    peer: tuple[str, str] = ("10.9.0.1", PEER),
) -> None:
    """Make the device's interface the eth0 of a namespace that knows its one neighbour."""
    subprocess.run(["ip", "link", "set", device.interface, "netns", name], check=True)
    namespaces.run(name, "ip", "link", "set", device.interface, "name", "eth0")
    namespaces.run(name, "ip", "link", "set", "eth0", "address", me[1])
    namespaces.run(name, "ip", "address", "add", f"{me[0]}/24", "dev", "eth0")
    namespaces.run(name, "ip", "link", "set", "eth0", "up")
    neighbour = (peer[0], "lladdr", peer[1])
    namespaces.run(name, "ip", "neigh", "replace", *neighbour, "dev", "eth0")


def probe(length: int = 46, *, tag: int | None = None) -> bytes:
    layers = Ether(src=PEER, dst=STATION)
    if tag is not None:
        layers /= Dot1Q(vlan=tag)
    return bytes(layers / (bytes([length % 251]) * length))


def frames_until(device: TapDevice, wanted: Callable[[bytes], bool]) -> bytes:
    """The first received frame that is wanted; what else the namespace says is passed over."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        select.select([device.fileno()], [], [], 0.1)
        for frame in device.receive(64):
            if wanted(bytes(frame)):
                return bytes(frame)
    raise AssertionError("the frame never came")


def has_type(ethertype: int) -> Callable[[bytes], bool]:
    return lambda frame: frame[22:24] == ethertype.to_bytes(2, "big")


def is_udp_to(port: int) -> Callable[[bytes], bool]:
    return lambda frame: UDP in Ether(frame[10:]) and Ether(frame[10:])[UDP].dport == port


def packet_socket() -> socket.socket:
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(PROBE))
    raw.bind(("eth0", PROBE))
    raw.settimeout(PATIENCE)
    return raw


def send_probe_from_inside() -> None:
    with packet_socket() as raw:
        raw.send(bytes.fromhex("020000000009020000000001") + PROBE.to_bytes(2, "big") + b"out")


def test_moved_into_a_namespace_it_keeps_carrying_frames_both_ways(
    namespaces: Namespaces, inside: str, tap: TapDevice
) -> None:
    with namespaces.call(inside, packet_socket) as raw:
        sent = bytes.fromhex("020000000001020000000009") + PROBE.to_bytes(2, "big") + b"in" * 40
        assert tap.send(HEADER + sent) is Sent.SENT
        assert raw.recv(2048) == sent
    namespaces.call(inside, send_probe_from_inside)
    assert frames_until(tap, has_type(PROBE))[24:] == b"out"


def test_frame_that_only_looks_at_it_answers_arp(tap: TapDevice) -> None:
    question = Ether(src=PEER, dst="ff:ff:ff:ff:ff:ff") / ARP(
        hwsrc=PEER, psrc="10.9.0.1", pdst="10.9.0.2"
    )
    assert tap.send(HEADER + bytes(question)) is Sent.SENT
    answer = Ether(
        frames_until(tap, lambda f: ARP in Ether(f[10:]) and Ether(f[10:])[ARP].op == 2)[10:]
    )
    assert (answer[ARP].psrc, answer[ARP].hwsrc) == ("10.9.0.2", STATION)


def test_device_is_gone_when_its_namespace_is_deleted(
    namespaces: Namespaces, inside: str, tap: TapDevice
) -> None:
    namespaces.delete(inside)
    assert wait_for(tap, select.POLLERR)
    with pytest.raises(DeviceGone, match=tap.name):
        list(tap.receive(64))
    assert tap.send(HEADER + probe()) is Sent.GONE


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_event_loop_hears_that_the_device_is_gone(
    namespaces: Namespaces,
    inside: str,
    tap: TapDevice,
    new_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def play() -> None:
        loop = asyncio.get_running_loop()
        gone = asyncio.Event()

        def read() -> None:
            try:
                list(tap.receive(64))
            except DeviceGone:
                loop.remove_reader(tap.fileno())
                gone.set()

        loop.add_reader(tap.fileno(), read)
        namespaces.delete(inside)
        await asyncio.wait_for(gone.wait(), PATIENCE)

    with closing(new_loop()) as loop:
        loop.run_until_complete(play())


def wait_for(device: TapDevice, event: int) -> bool:
    poll = select.poll()
    poll.register(device.fileno(), 0)
    return any(seen & event for _, seen in poll.poll(PATIENCE * 1000))


def test_interface_set_down_is_down_and_not_gone(
    namespaces: Namespaces, inside: str, tap: TapDevice
) -> None:
    namespaces.run(inside, "ip", "link", "set", "eth0", "down")
    assert tap.send(HEADER + probe()) is Sent.DOWN
    list(tap.receive(64))
    namespaces.run(inside, "ip", "link", "set", "eth0", "up")
    assert tap.send(HEADER + probe()) is Sent.SENT


@pytest.mark.parametrize(
    "frame",
    [b"", bytes(9), HEADER, HEADER + bytes(13), b"\x01\0\0\0\0\0\xff\xff\0\0" + bytes(60)],
    ids=["empty", "half a header", "no frame", "half a frame", "checksum outside"],
)
def test_bytes_that_are_no_frame_are_refused(tap: TapDevice, frame: bytes) -> None:
    assert tap.send(frame) is Sent.REFUSED


def test_kernel_leaves_udp_checksums_unfinished(
    namespaces: Namespaces, inside: str, tap: TapDevice
) -> None:
    namespaces.call(inside, lambda: send_datagram(b"x" * 100))
    frame = frames_until(tap, is_udp_to(7000))
    header = OffloadHeader.parse(frame)
    assert header.flags & offload.NEEDS_CSUM
    assert (header.checksum_start, header.checksum_offset) == (14 + 20, 6)


def send_datagram(payload: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(payload, ("10.9.0.1", 7000))


def test_kernel_leaves_udp_segments_uncut(
    namespaces: Namespaces, inside: str, tap: TapDevice
) -> None:
    def send_segments() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.setsockopt(socket.SOL_UDP, 103, 1000)  # UDP_SEGMENT
            sender.sendto(bytes(8000), ("10.9.0.1", 7000))

    namespaces.call(inside, send_segments)
    frame = frames_until(tap, is_udp_to(7000))
    header = OffloadHeader.parse(frame)
    assert (header.gso_type, header.gso_size) == (offload.GSO_UDP_L4, 1000)
    assert len(frame) == 10 + 14 + 20 + 8 + 8000


def test_super_frames_carry_tcp_from_one_tap_to_another(
    namespaces: Namespaces, inside: str, tap: TapDevice
) -> None:
    other = namespaces.create()
    with closing(TapDevice.open()) as second:
        me, peer = ("10.9.0.1", PEER), ("10.9.0.2", STATION)
        move_in(namespaces, second, other, me=me, peer=peer)
        server = namespaces.call(other, lambda: socket.create_server(("10.9.0.1", 7000)))
        with server, socket_in(namespaces, inside) as client:
            headers = copy_until_received(tap, second, client, server, bytes(200_000))
    largest = max(headers, key=lambda header: header[0])
    assert largest[0] > 10 + 1514
    assert largest[1].gso_type == offload.GSO_TCPV4
    assert largest[1].gso_size == 1448
    assert largest[1].flags & offload.NEEDS_CSUM


def socket_in(namespaces: Namespaces, name: str) -> socket.socket:
    client = namespaces.call(name, lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM))
    client.setblocking(False)
    return client


def copy_until_received(
    first: TapDevice,
    second: TapDevice,
    client: socket.socket,
    server: socket.socket,
    payload: bytes,
) -> list[tuple[int, OffloadHeader]]:
    """Carry frames between the devices until the server has all of `payload`; lengths, headers."""
    server.setblocking(False)
    client.connect_ex(("10.9.0.1", 7000))
    seen: list[tuple[int, OffloadHeader]] = []
    connection: socket.socket | None = None
    sent = received = 0
    deadline = time.monotonic() + PATIENCE
    while received < len(payload):
        assert time.monotonic() < deadline, f"{received} of {len(payload)} bytes arrived"
        for source, target in ((first, second), (second, first)):
            for frame in source.receive(64):
                seen.append((len(frame), OffloadHeader.parse(frame)))
                assert target.send(frame) is Sent.SENT
        try:
            if connection is None:
                connection, _ = server.accept()
                connection.setblocking(False)
            sent += client.send(payload[sent:]) if sent < len(payload) else 0
            received += len(connection.recv(1 << 20))
        except BlockingIOError:
            continue
    if connection is not None:
        connection.close()
    return seen


def test_tagged_super_frame_is_taken_as_it_is(
    namespaces: Namespaces, inside: str, tap: TapDevice
) -> None:
    frame = bytes(
        Ether(src=PEER, dst=STATION)
        / Dot1Q(vlan=7)
        / IP(src="10.9.0.1", dst="10.9.0.2")
        / TCP(sport=1, dport=2, flags="A")
        / bytes(5000)
    )
    header = OffloadHeader(offload.NEEDS_CSUM, offload.GSO_TCPV4, 58, 1448, 38, 16).pack()
    assert tap.send(header + frame) is Sent.SENT


def test_plain_tap_has_the_same_shape_of_frame_and_no_offloads(
    namespaces: Namespaces, inside: str
) -> None:
    with closing(TapDevice.open(vnet_header=False)) as plain:
        move_in(namespaces, plain, inside)
        assert plain.offloads is Offloads.NONE
        namespaces.call(inside, lambda: send_datagram(b"x" * 100))
        frame = frames_until(plain, is_udp_to(7000))
        assert frame[:10] == HEADER
        datagram = Ether(frame[10:])[UDP]
        finished = datagram.chksum
        del datagram.chksum
        assert IP(bytes(datagram.underlayer))[UDP].chksum == finished
        with namespaces.call(inside, packet_socket) as raw:
            sent = bytes.fromhex("020000000001020000000009") + PROBE.to_bytes(2, "big") + b"in" * 40
            assert plain.send(bytearray(HEADER + sent)) is Sent.SENT
            assert raw.recv(2048) == sent


def test_plain_tap_hands_out_a_zero_header_after_a_frame_was_changed(
    namespaces: Namespaces, inside: str
) -> None:
    with closing(TapDevice.open(vnet_header=False)) as plain:
        move_in(namespaces, plain, inside)
        for _ in range(2):
            namespaces.call(inside, send_probe_from_inside)
        seen = 0
        while seen < 2:
            for frame in plain.receive(64):
                assert frame[:10] == HEADER
                seen += bytes(frame[22:24]) == PROBE.to_bytes(2, "big")
                frame[:10] = b"\xff" * 10


def test_persistent_tap_waits_for_its_next_owner_in_its_namespace(
    namespaces: Namespaces, inside: str
) -> None:
    device = TapDevice.open()
    try:
        device.set_persistent(True)
        move_in(namespaces, device, inside)
        device.close()
        again = namespaces.call(inside, lambda: TapDevice.take_over("eth0"))
        again.set_persistent(False)
        namespaces.call(inside, send_probe_from_inside)
        assert frames_until(again, has_type(PROBE))[24:] == b"out"
        assert "10.9.0.2/24" in namespaces.run(inside, "ip", "address").stdout
        again.close()
        assert "eth0" not in namespaces.run(inside, "ip", "link").stdout
    finally:
        device.close()


def test_tap_that_is_gone_is_not_taken_over_and_none_is_made(
    namespaces: Namespaces, inside: str
) -> None:
    with pytest.raises(OpenError, match="TAP eth0: there is none"):
        namespaces.call(inside, lambda: TapDevice.take_over("eth0"))
    assert "eth0" not in namespaces.run(inside, "ip", "link").stdout


def test_closing_a_tap_removes_its_interface(
    namespaces: Namespaces, inside: str, tap: TapDevice
) -> None:
    tap.close()
    tap.close()
    assert "eth0" not in namespaces.run(inside, "ip", "link").stdout
    assert list(tap.receive(1)) == []
    assert tap.send(HEADER + probe()) is Sent.GONE


@pytest.mark.parametrize("tap", WAYS[:1], indirect=True)
def test_device_closed_while_it_is_read_has_no_more_frames(
    namespaces: Namespaces, inside: str, tap: TapDevice
) -> None:
    for _ in range(3):
        namespaces.call(inside, send_probe_from_inside)
    frames = tap.receive(64)
    next(frames)
    tap.close()
    assert list(frames) == []


@pytest.mark.parametrize("name", ["", "a-name-of-16-char"], ids=["empty", "too long"])
def test_impossible_names_are_told_in_a_line(name: str) -> None:
    with pytest.raises(OpenError, match="a name has 1 to 15 bytes"):
        TapDevice.open(name)


def test_tap_that_somebody_serves_cannot_be_opened_twice(
    namespaces: Namespaces, inside: str, tap: TapDevice
) -> None:
    with pytest.raises(OpenError, match=os.strerror(errno.EBUSY)):
        namespaces.call(inside, lambda: TapDevice.open("eth0"))
