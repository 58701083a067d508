"""macvtap devices against the kernel: a station of ours beside a host's, on one interface."""

from __future__ import annotations

import asyncio
import select
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import uvloop
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import ARP, Dot1Q, Ether

from tests.linux.through import WAYS, through
from vswitch.daemon.kernel import links, netns
from vswitch.daemon.kernel.journal import Journal, Swept
from vswitch.daemon.kernel.links import LinkError
from vswitch.daemon.kernel.made import MadeLink, Undone
from vswitch.daemon.kernel.netns import Namespace
from vswitch.devices.afpacket import PacketDevice
from vswitch.devices.base import DeviceGone, OpenError, Sent
from vswitch.devices.macvtap import MacvtapDevice
from vswitch.wire import offload
from vswitch.wire.offload import OffloadHeader, Offloads
from vswitch.wire.values import MacAddress

if TYPE_CHECKING:
    from tests.linux.conftest import Namespaces

pytestmark = pytest.mark.linux

PROBE = 0x88B5  # IEEE 802 local experimental EtherType: nothing else on the wire has it
OURS = "02:00:00:00:00:01"
HOST = "02:00:00:00:00:02"
THEIRS = "02:00:00:00:00:03"
PATIENCE = 5.0  # seconds until a frame that was sent counts as lost
HEADER = bytes(10)


class Wire:
    """A host with `up0` and our `vsm0` on it, and somebody else at the other end, `eth0`."""

    def __init__(self, namespaces: Namespaces) -> None:
        self.namespaces = namespaces
        self.host = namespaces.create()
        self.theirs = namespaces.create()
        namespaces.join(self.host, "up0", self.theirs, "eth0")
        for name, interface, station, address in (
            (self.host, "up0", HOST, "10.9.0.2/24"),
            (self.theirs, "eth0", THEIRS, "10.9.0.3/24"),
        ):
            namespaces.run(name, "ip", "link", "set", interface, "address", station)
            namespaces.run(name, "ip", "address", "add", address, "dev", interface)
        neighbour = ("10.9.0.1", "lladdr", OURS)
        namespaces.run(self.theirs, "ip", "neigh", "replace", *neighbour, "dev", "eth0")
        self.link = links.make_macvtap(
            "vsm0", "up0", MacAddress.parse(OURS), namespace=Namespace.named(self.host)
        )
        self.device = namespaces.call(self.host, lambda: MacvtapDevice.open("vsm0"))
        self.far = namespaces.call(self.theirs, lambda: PacketDevice.open("eth0"))

    def on_host(self, *command: str) -> str:
        return self.namespaces.run(self.host, *command).stdout

    def close(self) -> None:
        self.device.close()
        self.far.close()


@pytest.fixture(params=WAYS)
def wire(namespaces: Namespaces, request: pytest.FixtureRequest) -> Iterator[Wire]:
    with closing(Wire(namespaces)) as made:
        made.device = through(made.device, request.param)
        yield made


def probe(payload: bytes, *, to: str, source: str = OURS) -> bytes:
    return HEADER + bytes(Ether(src=source, dst=to, type=PROBE) / payload)


def first_frame(
    device: MacvtapDevice | PacketDevice, wanted: Callable[[bytes], bool], passed: list[bytes]
) -> bytes:
    """The first received frame that is wanted; those before it are added to `passed`."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        select.select([device.fileno()], [], [], 0.1)
        for frame in device.receive(64):
            if wanted(bytes(frame)):
                return bytes(frame)
            passed.append(bytes(frame))
    raise AssertionError("the frame never came")


def carries(text: bytes) -> Callable[[bytes], bool]:
    return lambda frame: text in frame


def receive_for(seconds: float, device: MacvtapDevice) -> None:
    """Frames that came before whatever happened are received before it is told."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        list(device.receive(64))


def until(state: Sent, wire: Wire) -> None:
    """Receive, as the loop does when the descriptor is readable, until sending answers `state`."""
    deadline = time.monotonic() + PATIENCE
    while (answer := wire.device.send(probe(b"state", to=THEIRS))) is not state:
        assert time.monotonic() < deadline, f"sending answers {answer}"
        select.select([wire.device.fileno()], [], [], 0.1)
        list(wire.device.receive(64))


def test_frames_of_our_own_mac_pass_both_ways(wire: Wire) -> None:
    assert wire.device.send(probe(b"from the switch", to=THEIRS)) is Sent.SENT
    assert first_frame(wire.far, carries(b"from the"), []) == probe(b"from the switch", to=THEIRS)
    sent = probe(b"from outside", to=OURS, source=THEIRS)
    assert wire.far.send(sent) is Sent.SENT
    assert first_frame(wire.device, carries(b"from outside"), []) == sent


def test_broadcasts_come_and_frames_for_the_host_do_not(wire: Wire) -> None:
    wire.far.send(probe(b"for the host", to=HOST, source=THEIRS))
    who_has = Ether(src=THEIRS, dst="ff:ff:ff:ff:ff:ff") / ARP(
        hwsrc=THEIRS, psrc="10.9.0.3", pdst="10.9.0.1"
    )
    wire.far.send(HEADER + bytes(who_has))
    passed: list[bytes] = []
    frame = first_frame(wire.device, lambda frame: frame[22:24] == b"\x08\x06", passed)
    assert Ether(frame[10:])[ARP].pdst == "10.9.0.1"
    assert not any(b"for the host" in each for each in passed)


def test_host_says_nothing_with_our_mac(wire: Wire) -> None:
    shown = wire.on_host("ip", "-d", "address", "show", "vsm0")
    assert "inet" not in shown
    assert {"NOARP", "UP"} <= set(shown.partition("<")[2].partition(">")[0].split(","))
    assert "mode bridge" in shown
    wire.far.send(probe(b"to provoke", to=OURS, source=THEIRS))
    wire.device.send(probe(b"the end", to=THEIRS))
    passed: list[bytes] = []
    first_frame(wire.far, carries(b"the end"), passed)
    assert not any(Ether(each[10:]).src == OURS for each in passed)


def test_host_and_its_own_address_go_on_working_beside_us(wire: Wire) -> None:
    done = wire.namespaces.run(wire.theirs, "ping", "-c1", "-W2", "10.9.0.2")
    assert "1 received" in done.stdout


def test_every_offload_is_granted_on_a_kernel_of_ours(wire: Wire) -> None:
    assert wire.device.offloads is Offloads.ALL


def test_tcp_arrives_in_super_frames_with_unfinished_checksums(wire: Wire) -> None:
    """The bytes of a sender that has a handshake, which the test gives it by hand."""
    client = wire.namespaces.call(
        wire.theirs, lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    )
    with client:
        client.setblocking(False)
        client.connect_ex(("10.9.0.1", 7000))
        syn = Ether(first_frame(wire.device, is_tcp, [])[10:])[TCP]
        answer = Ether(src=OURS, dst=THEIRS) / IP(src="10.9.0.1", dst="10.9.0.3")
        answer /= TCP(
            sport=7000,
            dport=syn.sport,
            flags="SA",
            seq=1000,
            ack=syn.seq + 1,
            window=65535,
            options=[("MSS", 1000), ("WScale", 7)],
        )
        assert wire.device.send(HEADER + bytes(answer)) is Sent.SENT
        select.select([], [client], [], PATIENCE)
        client.send(b"x" * 9000)
        frame = first_frame(wire.device, lambda frame: len(frame) > 2000, [])
    header = OffloadHeader.parse(frame)
    assert (header.gso_type, header.gso_size) == (offload.GSO_TCPV4, 1000)
    assert header.flags & offload.NEEDS_CSUM
    assert (header.checksum_start, header.checksum_offset) == (34, 16)


def is_tcp(frame: bytes) -> bool:
    return TCP in Ether(frame[10:])


def super_frame(layer: TCP | UDP, kind: int, header_end: int, checksum: int) -> bytes:
    frame = Ether(src=OURS, dst=THEIRS) / IP(src="10.9.0.1", dst="10.9.0.3") / layer
    header = OffloadHeader(offload.NEEDS_CSUM, kind, header_end, 1000, 34, checksum)
    return header.pack() + bytes(frame / (b"super" * 800))


@pytest.mark.parametrize(
    "sent",
    [
        super_frame(TCP(sport=1, dport=2, flags="A", seq=1), offload.GSO_TCPV4, 54, 16),
        super_frame(UDP(sport=1, dport=2), offload.GSO_UDP_L4, 42, 6),
    ],
    ids=["TCP", "UDP"],
)
def test_super_frame_leaves_whole(wire: Wire, sent: bytes) -> None:
    assert wire.device.send(sent) is Sent.SENT
    received = first_frame(wire.far, carries(b"supersuper"), [])
    assert received[10:] == sent[10:]
    assert OffloadHeader.parse(received).gso_size == 1000


def test_vlan_tag_is_there(wire: Wire) -> None:
    tagged = bytes(Ether(src=THEIRS, dst=OURS) / Dot1Q(vlan=7, type=PROBE) / b"tagged frame")
    wire.far.send(HEADER + tagged)
    assert first_frame(wire.device, carries(b"tagged frame"), []) == HEADER + tagged


@pytest.mark.parametrize(
    "frame",
    [b"", bytes(9), HEADER, HEADER + bytes(13), b"\x01\0\0\0\0\0\xff\xff\0\0" + bytes(60)],
    ids=["empty", "half a header", "no frame", "half a frame", "checksum outside"],
)
def test_bytes_that_are_no_frame_are_refused(wire: Wire, frame: bytes) -> None:
    assert wire.device.send(frame) is Sent.REFUSED


@pytest.mark.parametrize("interface", ["vsm0", "up0"], ids=["itself", "its parent"])
def test_interface_set_down_is_down_and_not_gone(wire: Wire, interface: str) -> None:
    wire.on_host("ip", "link", "set", interface, "down")
    until(Sent.DOWN, wire)
    wire.on_host("ip", "link", "set", interface, "up")
    until(Sent.SENT, wire)
    first_frame(wire.far, carries(b"state"), [])


@pytest.mark.parametrize("interface", ["vsm0", "up0"], ids=["itself", "with its parent"])
def test_deleted_interface_is_gone(wire: Wire, interface: str) -> None:
    wire.on_host("ip", "link", "delete", interface)
    assert is_readable(wire.device, PATIENCE)
    for _ in range(2):
        with pytest.raises(DeviceGone, match="vsm0"):
            receive_for(PATIENCE, wire.device)
    assert wire.device.send(probe(b"gone", to=THEIRS)) is Sent.GONE


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_event_loop_hears_that_the_device_is_gone(
    wire: Wire, new_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    async def play() -> None:
        loop = asyncio.get_running_loop()
        gone = asyncio.Event()

        def read() -> None:
            try:
                list(wire.device.receive(64))
            except DeviceGone:
                loop.remove_reader(wire.device.fileno())
                gone.set()

        loop.add_reader(wire.device.fileno(), read)
        wire.on_host("ip", "link", "delete", "vsm0")
        await asyncio.wait_for(gone.wait(), PATIENCE)

    with closing(new_loop()) as loop:
        loop.run_until_complete(play())


def test_interface_that_is_renamed_goes_on(wire: Wire) -> None:
    wire.on_host("ip", "link", "set", "vsm0", "name", "other0")
    sent = probe(b"renamed", to=OURS, source=THEIRS)
    wire.far.send(sent)
    assert first_frame(wire.device, carries(b"renamed"), []) == sent
    until(Sent.SENT, wire)
    wire.on_host("ip", "link", "set", "other0", "down")
    until(Sent.DOWN, wire)


def test_link_events_elsewhere_let_the_event_loop_sleep_again(wire: Wire) -> None:
    for setting in ("all", "default"):
        wire.on_host("sysctl", "-qw", f"net.ipv6.conf.{setting}.disable_ipv6=1")
    list(wire.device.receive(64))
    wire.on_host("ip", "link", "set", "lo", "mtu", "2000")
    assert is_readable(wire.device, PATIENCE)
    list(wire.device.receive(64))
    assert not is_readable(wire.device, 0.2)


@pytest.mark.parametrize("wire", WAYS[:1], indirect=True)
def test_closed_device_has_no_frames_and_leaves_its_interface(wire: Wire) -> None:
    for _ in range(3):
        wire.far.send(probe(b"x", to=OURS, source=THEIRS))
    frames = wire.device.receive(64)
    next(frames)
    wire.device.close()
    wire.device.close()
    assert list(frames) == []
    assert list(wire.device.receive(1)) == []
    assert wire.device.send(probe(b"closed", to=THEIRS)) is Sent.GONE
    assert wire.device.fileno() == -1
    assert "vsm0" in wire.on_host("ip", "link")


def test_two_namespaces_whose_interfaces_have_one_index_are_told_apart(
    namespaces: Namespaces,
) -> None:
    """One name under /dev then stands for two devices."""
    with closing(Wire(namespaces)) as first, closing(Wire(namespaces)) as second:
        assert first.link.index == second.link.index
        for wire, text in ((first, b"to the first"), (second, b"to the second")):
            wire.far.send(probe(text, to=OURS, source=THEIRS))
        assert first_frame(first.device, carries(b"to the"), [])[24:] == b"to the first"
        assert first_frame(second.device, carries(b"to the"), [])[24:] == b"to the second"


OPENING = """
from pathlib import Path
from vswitch.devices.macvtap import MacvtapDevice
mounts = Path("/proc/self/mounts")
before = mounts.read_text().splitlines()
MacvtapDevice.open("vsm0").close()
print([mount for mount in mounts.read_text().splitlines() if mount not in before])
"""


def test_opening_leaves_no_mount_behind(wire: Wire) -> None:
    """Not even where mounts are shared, as systemd has them.

    First private, so that what others mount meanwhile does not show here. What they remove does."""
    alone = ("unshare", "--mount", "--propagation", "private")
    shared = ("sh", "-c", 'mount --make-rshared / && exec "$@"', "sh")
    opening = (sys.executable, "-c", OPENING)
    done = wire.namespaces.run(wire.host, *alone, *shared, *opening)
    assert done.stdout == "[]\n"


def test_frame_that_arrives_wakes_the_event_loop(wire: Wire) -> None:
    while is_readable(wire.device, 0.2):
        list(wire.device.receive(64))
    wire.far.send(probe(b"wake up", to=OURS, source=THEIRS))
    assert is_readable(wire.device, PATIENCE)
    assert any(b"wake up" in bytes(frame) for frame in wire.device.receive(64))


def is_readable(device: MacvtapDevice, patience: float) -> bool:
    return bool(select.select([device.fileno()], [], [], patience)[0])


@pytest.mark.parametrize(
    ("interface", "why"),
    [("up0", "it is not a macvtap"), ("nowhere0", "there is no interface with this name")],
)
def test_what_cannot_be_opened_is_told_in_a_line(wire: Wire, interface: str, why: str) -> None:
    with pytest.raises(OpenError, match=f"^macvtap {interface}: {why}$"):
        wire.namespaces.call(wire.host, lambda: MacvtapDevice.open(interface))


def test_refused_macvtap_names_the_reason(wire: Wire) -> None:
    host = Namespace.named(wire.host)
    with pytest.raises(LinkError, match=r"^cannot make the macvtap vsm0 on up0 in .*: File exists"):
        links.make_macvtap("vsm0", "up0", MacAddress.parse(OURS), namespace=host)
    with pytest.raises(LinkError, match=r"^there is no link nowhere0 in "):
        links.make_macvtap("vsm1", "nowhere0", MacAddress.parse(OURS), namespace=host)


def test_macvtap_of_a_killed_switch_is_swept(wire: Wire, tmp_path: Path) -> None:
    def make_and_leave() -> None:
        with closing(Journal.open("lab", tmp_path)) as journal:
            journal.make_macvtap("vsm1", "up0", MacAddress.parse("02:00:00:00:00:04"))

    def sweep() -> tuple[Swept, ...]:
        with closing(Journal.open("lab", tmp_path)) as journal:
            return journal.sweep()

    host = Namespace.named(wire.host)
    netns.run(make_and_leave, host)
    assert "vsm1" in wire.on_host("ip", "link")
    assert netns.run(sweep, host) == (Swept(MadeLink("vsm1"), Undone.REMOVED),)
    assert "vsm1" not in wire.on_host("ip", "link")
