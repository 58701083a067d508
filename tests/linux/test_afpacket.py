"""Packet devices against the kernel: one end of a veth is ours, the other is a namespace's."""

from __future__ import annotations

import asyncio
import select
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
import uvloop
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Dot1Q, Ether

from tests.linux.through import WAYS, through
from vswitch.devices.afpacket import PacketDevice
from vswitch.devices.base import DeviceGone, OpenError, Sent
from vswitch.wire import offload
from vswitch.wire.offload import OffloadHeader

if TYPE_CHECKING:
    from tests.linux.conftest import Namespaces

pytestmark = pytest.mark.linux

PROBE = 0x88B5  # IEEE 802 local experimental EtherType: nothing else on the wire has it
OURS = "02:00:00:00:00:01"
THEIRS = "02:00:00:00:00:02"
PATIENCE = 5.0  # seconds until a frame that was sent counts as lost
HEADER = bytes(10)


class Veth:
    """`device` on our end; `raw` is a packet socket with virtio-net headers on their end."""

    def __init__(self, namespaces: Namespaces) -> None:
        self.namespaces = namespaces
        self.ours = namespaces.create()
        self.theirs = namespaces.create()
        namespaces.join(self.ours, "port", self.theirs, "eth0")
        for name, interface, station in (
            (self.ours, "port", OURS),
            (self.theirs, "eth0", THEIRS),
        ):
            namespaces.run(name, "ip", "link", "set", interface, "address", station)
        namespaces.run(self.theirs, "ip", "address", "add", "10.9.0.2/24", "dev", "eth0")
        peer = ("10.9.0.1", "lladdr", OURS)
        namespaces.run(self.theirs, "ip", "neigh", "replace", *peer, "dev", "eth0")
        self.device = namespaces.call(self.ours, lambda: PacketDevice.open("port"))
        self.raw = namespaces.call(self.theirs, lambda: PacketDevice.open("eth0"))

    def set_port(self, state: str) -> None:
        self.namespaces.run(self.ours, "ip", "link", "set", "port", state)

    def close(self) -> None:
        self.device.close()
        self.raw.close()


@pytest.fixture(params=WAYS)
def veth(namespaces: Namespaces, request: pytest.FixtureRequest) -> Iterator[Veth]:
    with closing(Veth(namespaces)) as pair:
        pair.device = through(pair.device, request.param)
        yield pair


def probe(payload: bytes, *, to: str = OURS) -> bytes:
    return HEADER + bytes(Ether(src="02:00:00:00:00:09", dst=to, type=PROBE) / payload)


def first_frame(device: PacketDevice, wanted: Callable[[bytes], bool]) -> bytes:
    """The first received frame that is wanted; what else the kernels say is passed over."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        select.select([device.fileno()], [], [], 0.1)
        for frame in device.receive(64):
            if wanted(bytes(frame)):
                return bytes(frame)
    raise AssertionError("the frame never came")


def carries(text: bytes) -> Callable[[bytes], bool]:
    return lambda frame: text in frame


def test_frames_pass_both_ways(veth: Veth) -> None:
    assert veth.device.send(probe(b"from the switch", to=THEIRS)) is Sent.SENT
    assert first_frame(veth.raw, carries(b"from the")) == probe(b"from the switch", to=THEIRS)
    assert veth.raw.send(probe(b"from the namespace")) is Sent.SENT
    assert first_frame(veth.device, carries(b"from the")) == probe(b"from the namespace")


def test_frames_to_foreign_stations_are_seen(veth: Veth) -> None:
    veth.raw.send(probe(b"to a stranger", to="02:00:00:00:00:77"))
    assert first_frame(veth.device, carries(b"to a stranger"))
    assert "promiscuity 1" in veth.namespaces.run(veth.ours, "ip", "-d", "link").stdout


def test_frames_that_leave_by_the_interface_are_not_read_back(veth: Veth) -> None:
    """Neither the device's own, nor those of anybody else on our end."""
    neighbour = veth.namespaces.call(veth.ours, lambda: PacketDevice.open("port"))
    with closing(neighbour):
        for sender in (veth.device, neighbour):
            assert sender.send(probe(b"outgoing", to=THEIRS)) is Sent.SENT
            first_frame(veth.raw, carries(b"outgoing"))
        veth.raw.send(probe(b"the end"))
        seen: list[bytes] = []

        def is_the_end(frame: bytes) -> bool:
            seen.append(frame)
            return b"the end" in frame

        first_frame(veth.device, is_the_end)
    assert not any(b"outgoing" in frame for frame in seen)


def test_vlan_tag_is_restored(veth: Veth) -> None:
    tagged = bytes(
        Ether(src=THEIRS, dst=OURS) / Dot1Q(vlan=7, prio=3, type=PROBE) / b"tagged frame"
    )
    veth.raw.send(HEADER + tagged)
    assert first_frame(veth.device, carries(b"tagged frame")) == HEADER + tagged


def test_priority_tag_of_no_vlan_is_restored(veth: Veth) -> None:
    tagged = bytes(Ether(src=THEIRS, dst=OURS) / Dot1Q(vlan=0, prio=0, type=PROBE) / b"priority")
    veth.raw.send(HEADER + tagged)
    assert first_frame(veth.device, carries(b"priority")) == HEADER + tagged


def test_both_tags_of_a_stacked_frame_are_there(veth: Veth) -> None:
    outer = Ether(src=THEIRS, dst=OURS, type=0x88A8)
    stacked = bytes(outer / Dot1Q(vlan=100) / Dot1Q(vlan=7, type=PROBE) / b"stacked")
    veth.raw.send(HEADER + stacked)
    assert first_frame(veth.device, carries(b"stacked")) == HEADER + stacked


def tagged_super_frame() -> bytes:
    """A VLAN's TCP super-frame of 4000 bytes: its offsets count the tag."""
    frame = bytes(
        Ether(src=THEIRS, dst=OURS)
        / Dot1Q(vlan=7)
        / IP(src="10.9.0.2", dst="10.9.0.1")
        / TCP(sport=1, dport=2, flags="A", seq=1)
        / (b"super" * 800)
    )
    header = OffloadHeader(offload.NEEDS_CSUM, offload.GSO_TCPV4, 58, 1000, 38, 16)
    return header.pack() + frame


def test_offsets_of_a_tagged_super_frame_count_the_restored_tag(veth: Veth) -> None:
    sent = tagged_super_frame()
    untagged = OffloadHeader(offload.NEEDS_CSUM, offload.GSO_TCPV4, 54, 1000, 34, 16).pack()
    assert veth.raw.send(untagged + sent[10:22] + sent[26:]) is Sent.SENT
    twin = OffloadHeader.parse(first_frame(veth.device, carries(b"supersuper")))
    assert veth.raw.send(sent) is Sent.SENT
    received = first_frame(veth.device, carries(b"supersuper"))
    header = OffloadHeader.parse(received)
    assert received[10:] == sent[10:]
    assert (header.gso_type, header.gso_size) == (offload.GSO_TCPV4, 1000)
    assert (header.checksum_start, header.checksum_offset) == (38, 16)
    assert header.header_length == twin.header_length + 4


def test_tagged_frame_does_not_change_the_untagged_one_after_it(veth: Veth) -> None:
    veth.raw.send(tagged_super_frame())
    veth.raw.send(probe(b"untagged"))
    assert first_frame(veth.device, carries(b"untagged")) == probe(b"untagged")


def test_finished_frame_with_a_tag_keeps_its_zero_header(veth: Veth) -> None:
    frame = bytes(
        Ether(src=THEIRS, dst=OURS)
        / Dot1Q(vlan=7)
        / IP(src="10.9.0.2", dst="10.9.0.1")
        / UDP(sport=1, dport=2)
        / b"finished"
    )
    veth.raw.send(HEADER + frame)
    assert first_frame(veth.device, carries(b"finished")) == HEADER + frame


def test_tcp_of_a_namespace_arrives_in_super_frames(veth: Veth) -> None:
    """The bytes of a sender that has a handshake, which the test gives it by hand."""
    client = veth.namespaces.call(
        veth.theirs, lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    )
    with client:
        client.setblocking(False)
        client.connect_ex(("10.9.0.1", 7000))
        syn = Ether(first_frame(veth.device, is_tcp("S"))[10:])
        answer = Ether(src=OURS, dst=THEIRS) / IP(src="10.9.0.1", dst="10.9.0.2")
        answer /= TCP(
            sport=7000,
            dport=syn[TCP].sport,
            flags="SA",
            seq=1000,
            ack=syn[TCP].seq + 1,
            window=65535,
            options=[("MSS", 1000), ("WScale", 7)],
        )
        assert veth.device.send(HEADER + bytes(answer)) is Sent.SENT
        select.select([], [client], [], PATIENCE)
        client.send(b"x" * 9000)
        frame = first_frame(veth.device, lambda frame: len(frame) > 2000)
    header = OffloadHeader.parse(frame)
    assert (header.gso_type, header.gso_size) == (offload.GSO_TCPV4, 1000)
    assert header.flags & offload.NEEDS_CSUM
    assert (header.checksum_start, header.checksum_offset) == (34, 16)


def is_tcp(flags: str) -> Callable[[bytes], bool]:
    return lambda frame: TCP in Ether(frame[10:]) and Ether(frame[10:])[TCP].flags == flags


def test_super_frame_leaves_whole(veth: Veth) -> None:
    sent = tagged_super_frame()
    assert veth.device.send(sent) is Sent.SENT
    assert first_frame(veth.raw, carries(b"supersuper"))[10:] == sent[10:]


@pytest.mark.parametrize(
    ("payload", "answer"), [(1500, Sent.SENT), (1501, Sent.TOO_BIG), (65000, Sent.TOO_BIG)]
)
def test_frame_beyond_the_mtu_is_too_big(veth: Veth, payload: int, answer: Sent) -> None:
    assert veth.device.send(probe(bytes(payload))) is answer


@pytest.mark.parametrize(
    "frame",
    [b"", bytes(4), HEADER + bytes(6), b"\x01\0\0\0\0\0\xff\xff\0\0" + bytes(60)],
    ids=["empty", "half a header", "half a frame", "checksum outside"],
)
def test_bytes_that_are_no_frame_are_refused(veth: Veth, frame: bytes) -> None:
    assert veth.device.send(frame) is Sent.REFUSED


def test_interface_set_down_is_down_and_not_gone(veth: Veth) -> None:
    veth.set_port("down")
    assert veth.device.send(probe(b"down", to=THEIRS)) is Sent.DOWN
    list(veth.device.receive(64))
    assert veth.device.send(probe(b"down", to=THEIRS)) is Sent.DOWN
    veth.set_port("up")
    assert veth.device.send(probe(b"up", to=THEIRS)) is Sent.SENT


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_event_loop_hears_an_interface_that_is_set_up_again(
    veth: Veth, new_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    async def play() -> None:
        loop = asyncio.get_running_loop()
        heard = asyncio.Event()
        noticed = asyncio.Event()

        def read() -> None:
            noticed.set()
            if any(b"up again" in bytes(frame) for frame in veth.device.receive(64)):
                heard.set()

        list(veth.device.receive(64))
        loop.add_reader(veth.device.fileno(), read)
        veth.set_port("down")
        await asyncio.wait_for(noticed.wait(), PATIENCE)
        veth.set_port("up")
        assert veth.raw.send(probe(b"up again")) is Sent.SENT
        await asyncio.wait_for(heard.wait(), PATIENCE)
        loop.remove_reader(veth.device.fileno())

    with closing(new_loop()) as loop:
        loop.run_until_complete(play())


def test_deleted_interface_is_gone(veth: Veth) -> None:
    veth.namespaces.run(veth.ours, "ip", "link", "delete", "port")
    readable, _, _ = select.select([veth.device.fileno()], [], [], PATIENCE)
    assert readable
    with pytest.raises(DeviceGone, match="port"):
        list(veth.device.receive(64))
    assert veth.device.send(probe(b"gone")) is Sent.GONE


def test_interface_goes_with_the_namespace_of_its_other_end(veth: Veth) -> None:
    veth.raw.close()
    veth.namespaces.delete(veth.theirs)
    with pytest.raises(DeviceGone):
        first_frame(veth.device, carries(b"nothing that anybody sent"))


def test_interface_that_is_down_when_it_is_deleted_is_gone(veth: Veth) -> None:
    veth.set_port("down")
    list(veth.device.receive(64))
    veth.namespaces.run(veth.ours, "ip", "link", "delete", "port")
    assert wakes(veth.device)
    for _ in range(2):
        with pytest.raises(DeviceGone):
            list(veth.device.receive(64))


def test_deletion_that_is_met_at_the_limit_is_told_at_once(veth: Veth) -> None:
    list(veth.device.receive(64))
    veth.namespaces.run(veth.ours, "ip", "link", "delete", "port")
    with pytest.raises(DeviceGone):
        list(veth.device.receive(1))


def test_interface_that_was_up_again_is_gone_when_it_is_deleted(veth: Veth) -> None:
    for state in ("down", "up", "down", "up"):
        veth.set_port(state)
        list(veth.device.receive(64))
    veth.namespaces.run(veth.ours, "ip", "link", "delete", "port")
    with pytest.raises(DeviceGone):
        first_frame(veth.device, carries(b"nothing that anybody sent"))


def test_interface_that_stays_down_lets_the_event_loop_sleep(veth: Veth) -> None:
    veth.set_port("down")
    list(veth.device.receive(64))
    veth.namespaces.run(veth.ours, "ip", "link", "set", "lo", "mtu", "2000")
    assert wakes(veth.device)
    list(veth.device.receive(64))
    assert not wakes(veth.device, patience=0.2)


def test_link_events_elsewhere_let_a_device_whose_interface_is_up_sleep(veth: Veth) -> None:
    for name in (veth.ours, veth.theirs):
        veth.namespaces.run(name, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1")
    for state in ("down", "up"):
        veth.set_port(state)
        list(veth.device.receive(64))
    veth.namespaces.run(veth.ours, "ip", "link", "set", "lo", "mtu", "2000")
    assert not wakes(veth.device, patience=0.2)


def wakes(device: PacketDevice, patience: float = PATIENCE) -> bool:
    return bool(select.select([device.fileno()], [], [], patience)[0])


def test_closed_device_has_no_frames(veth: Veth) -> None:
    veth.device.close()
    veth.device.close()
    assert list(veth.device.receive(1)) == []
    assert veth.device.send(probe(b"closed")) is Sent.GONE
    assert veth.device.fileno() == -1


def test_interface_that_is_not_there_is_told_in_a_line(namespaces: Namespaces) -> None:
    name = namespaces.create()
    with pytest.raises(OpenError, match="nowhere0: no interface with this name"):
        namespaces.call(name, lambda: PacketDevice.open("nowhere0"))
