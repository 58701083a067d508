"""The guard in a real kernel: a host that shares its address, and somebody who knocks."""

from __future__ import annotations

import json
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import Dot1Q, Ether

from vswitch.daemon.guard import clsact
from vswitch.daemon.guard.address import host_link
from vswitch.daemon.guard.clsact import QdiscExists
from vswitch.daemon.guard.holds import Holds
from vswitch.daemon.guard.ways import Guard, Guarded, Way, choose
from vswitch.daemon.kernel.journal import Journal, Swept
from vswitch.daemon.kernel.made import MadeFilter, MadeQdisc, Undone
from vswitch.devices.afpacket import PacketDevice
from vswitch.wire.values import IpAddress

if TYPE_CHECKING:
    from tests.linux.conftest import Namespaces

pytestmark = pytest.mark.linux

HOST = "198.51.100.3"
OUTSIDE = "198.51.100.1"
OURS = 61000
SERVICE = 2222
"""A port of the host's own programs, outside the guarded range."""

PORTS = (range(61000, 61100),)
PATIENCE = 5.0
HEADER = bytes(10)

EACH_WAY = pytest.mark.parametrize("way", Way, ids=[way.value for way in Way])

Result = TypeVar("Result")

GUARDING = """
import sys
from pathlib import Path
from vswitch.daemon.guard.address import host_link
from vswitch.daemon.guard.holds import Holds
from vswitch.daemon.guard.ways import Guarded, Way, choose
from vswitch.daemon.kernel.journal import Journal

link = host_link("up0")
what = Guarded("up0", link.index, link.address.address, (range(61000, 61100),))
only = Way(sys.argv[2]) if len(sys.argv) > 2 else None
with_journal = Journal.open("lab", Path(sys.argv[1]))
guard = choose(what, journal=with_journal, holds=Holds(), only=only)
print(guard.way.value, *guard.why_not, sep="|", flush=True)
sys.stdin.read()
"""
"""A process that guards until it is killed."""


class World:
    """A host with `up0`, a service of its own, and `out` at the other end of the wire."""

    def __init__(self, namespaces: Namespaces, directory: Path) -> None:
        self.namespaces = namespaces
        self.directory = directory
        self.host = namespaces.create()
        self.out = namespaces.create()
        self._undo = ExitStack()
        namespaces.join(self.host, "up0", self.out, "eth0")
        for name, link, address in ((self.host, "up0", HOST), (self.out, "eth0", OUTSIDE)):
            namespaces.run(name, "ip", "address", "add", f"{address}/24", "dev", link)
        self.near = self.device(self.host, "up0")
        self.far = self.device(self.out, "eth0")
        self.holds = self._undo.enter_context(closing(Holds()))
        self._service = self.socket(self.host, socket.SOCK_STREAM)
        self._service.bind((HOST, SERVICE))
        self._service.listen()

    def close(self) -> None:
        self._undo.close()

    def device(self, name: str, interface: str) -> PacketDevice:
        made = self.namespaces.call(name, lambda: PacketDevice.open(interface))
        return self._undo.enter_context(closing(made))

    def socket(self, name: str, kind: int, protocol: int = 0) -> socket.socket:
        made = self.namespaces.call(name, lambda: socket.socket(socket.AF_INET, kind, protocol))
        made.settimeout(PATIENCE)
        return self._undo.enter_context(made)

    def on_host(self, function: Callable[[], Result]) -> Result:
        return self.namespaces.call(self.host, function)

    def tc(self, *command: str) -> str:
        return self.namespaces.run(self.host, "tc", *command).stdout

    # The guard

    def guard(self, only: Way | None = None) -> Guard:
        guard = self.on_host(
            lambda: choose(self.guarded(), journal=self.journal(), holds=self.holds, only=only)
        )
        self._undo.callback(self.on_host, guard.close)
        return guard

    def guarded(self) -> Guarded:
        link = host_link("up0")
        return Guarded("up0", link.index, link.address.address, PORTS)

    def journal(self) -> Journal:
        return self._undo.enter_context(closing(Journal.open("lab", self.directory)))

    def guard_in_a_process(self, *arguments: str, prefix: tuple[str, ...] = ()) -> str:
        """Start one, kill it with SIGKILL once it guards, and say what it said."""
        command = [sys.executable, "-c", GUARDING, str(self.directory), *arguments]
        process = subprocess.Popen(
            ["nsenter", f"--net=/run/netns/{self.host}", *prefix, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with process:
            try:
                assert process.stdout is not None
                said = process.stdout.readline().strip()
                if said:
                    assert self.answers_to(knock_by_tcp) == []
            finally:
                process.kill()
        assert process.returncode == -signal.SIGKILL
        return said

    def sweep(self) -> tuple[Swept, ...]:
        def work() -> tuple[Swept, ...]:
            with closing(Journal.open("lab", self.directory)) as journal:
                return journal.sweep()

        return self.on_host(work)

    # What is on the wire

    def answers_to(self, knock: Knock, port: int = OURS) -> list[Ether]:
        """What the host's kernel sends back when `knock` has arrived at it.

        The end is a connection to the host's own service: its answer is sent after all others.
        """
        self.forget_frames()
        with knock(self, port):
            client = self.connect_to_service()
            return [each for each in self._frames_until_answer_to(client) if is_answer(each)]

    def _frames_until_answer_to(self, client: int) -> Iterator[Ether]:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            select.select([self.far.fileno()], [], [], 0.1)
            for frame in self.far.receive(64):
                packet = Ether(bytes(frame[10:]))
                if TCP not in packet or packet[TCP].sport != SERVICE:
                    yield packet
                elif packet[TCP].dport == client:
                    return
        raise AssertionError("the host's service never answered")

    def connect_to_service(self) -> int:
        """The port that the client did it from."""
        with self.socket(self.out, socket.SOCK_STREAM) as client:
            client.connect((HOST, SERVICE))
            port: int = client.getsockname()[1]
            return port

    def forget_frames(self) -> None:
        for device in (self.near, self.far):
            list(device.receive(10_000))

    def is_seen(self, port: int) -> bool:
        """Whether a frame to `port` comes to the packet socket on the host's interface."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            select.select([self.near.fileno()], [], [], 0.1)
            for frame in self.near.receive(64):
                packet = Ether(bytes(frame[10:]))
                if IP in packet and getattr(packet[IP].payload, "dport", None) == port:
                    return True
        return False


Knock: TypeAlias = Callable[[World, int], socket.socket]
"""Sends something to a port of the host; the socket ends the matter when it is closed."""


def knock_by_tcp(world: World, port: int) -> socket.socket:
    """A real client begins to connect."""
    client = world.socket(world.out, socket.SOCK_STREAM)
    client.setblocking(False)
    client.connect_ex((HOST, port))
    return client


def knock_by_udp(world: World, port: int) -> socket.socket:
    client = world.socket(world.out, socket.SOCK_DGRAM)
    client.sendto(b"knock", (HOST, port))
    return client


def knock_by_segment(world: World, port: int) -> socket.socket:
    """A segment in the middle of a connection that the kernel knows nothing of."""
    client = world.socket(world.out, socket.SOCK_RAW, socket.IPPROTO_TCP)
    segment = IP(src=OUTSIDE, dst=HOST) / TCP(sport=80, dport=port, flags="A")
    client.sendto(bytes(segment)[20:], (HOST, port))
    return client


def is_answer(packet: Ether) -> bool:
    return any(layer in packet for layer in (ICMP, TCP, UDP))


def addressed(world: World, tag: int | None = None) -> Ether:
    shown = world.namespaces.run(world.host, "ip", "-json", "link", "show", "up0").stdout
    ethernet = Ether(src="02:00:00:00:00:09", dst=json.loads(shown)[0]["address"])
    if tag is not None:
        ethernet /= Dot1Q(vlan=tag)
    return ethernet / IP(src=OUTSIDE, dst=HOST)


KNOCKS = pytest.mark.parametrize(
    "knock", [knock_by_tcp, knock_by_udp, knock_by_segment], ids=["SYN", "UDP", "segment"]
)


@pytest.fixture
def world(namespaces: Namespaces, tmp_path: Path) -> Iterator[World]:
    with closing(World(namespaces, tmp_path)) as made:
        yield made


@KNOCKS
def test_unguarded_kernel_spoils_our_flows(world: World, knock: Knock) -> None:
    (answer,) = world.answers_to(knock)
    if knock is knock_by_udp:
        assert (answer[ICMP].type, answer[ICMP].code) == (3, 3)
    else:
        assert "R" in answer[TCP].flags


@EACH_WAY
@KNOCKS
def test_guarded_kernel_says_nothing_and_the_switch_sees_the_frame(
    world: World, way: Way, knock: Knock
) -> None:
    assert world.guard(way).way is way
    assert world.answers_to(knock) == []
    assert world.is_seen(OURS)


@EACH_WAY
def test_client_goes_on_waiting_for_an_answer(world: World, way: Way) -> None:
    world.guard(way)
    client = world.socket(world.out, socket.SOCK_STREAM)
    client.setblocking(False)
    client.connect_ex((HOST, OURS))
    world.connect_to_service()
    assert client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
    assert "SYN-SENT" in world.namespaces.run(world.out, "ss", "-tn", "state", "all").stdout


@EACH_WAY
def test_ports_beside_the_range_are_the_hosts_as_before(world: World, way: Way) -> None:
    world.guard(way)
    for port in (OURS - 1, PORTS[0].stop):
        (refusal,) = world.answers_to(knock_by_tcp, port)
        assert "R" in refusal[TCP].flags


@EACH_WAY
def test_connections_of_the_host_itself_go_on(world: World, way: Way) -> None:
    world.guard(way)
    with world.socket(world.out, socket.SOCK_STREAM) as server:
        server.bind((OUTSIDE, 80))
        server.listen()
        with world.socket(world.host, socket.SOCK_STREAM) as client:
            client.connect((OUTSIDE, 80))
            accepted, _ = server.accept()
            with accepted:
                client.sendall(b"from the host")
                assert accepted.recv(100) == b"from the host"
    done = world.namespaces.run(world.out, "ping", "-c1", "-W2", HOST)
    assert "1 received" in done.stdout


@EACH_WAY
def test_closed_guard_gives_the_ports_back(world: World, way: Way) -> None:
    guard = world.guard(way)
    assert world.answers_to(knock_by_tcp) == []
    world.on_host(guard.close)
    (refusal,) = world.answers_to(knock_by_tcp)
    assert "R" in refusal[TCP].flags
    assert "clsact" not in world.tc("qdisc", "show", "dev", "up0")


@pytest.mark.parametrize("way", [Way.TCX, Way.CLSACT], ids=["tcx", "clsact"])
def test_tagged_frames_are_the_hosts(world: World, way: Way) -> None:
    """The switch does not route them. A tag of no VLAN the host takes off by itself."""
    program = world.socket(world.host, socket.SOCK_DGRAM)
    program.bind(("0.0.0.0", OURS))
    world.guard(way)
    datagram = addressed(world, tag=0) / UDP(sport=80, dport=OURS) / b"tagged"
    world.far.send(HEADER + bytes(datagram))
    assert program.recv(100) == b"tagged"


def test_best_way_of_this_kernel_is_chosen_by_itself(world: World) -> None:
    guard = world.guard()
    assert (guard.way, guard.why_not) == (Way.TCX, ())
    assert world.answers_to(knock_by_tcp) == []
    assert world.tc("filter", "show", "dev", "up0", "ingress") == ""


def test_process_that_may_not_use_bpf_gets_sockets_and_is_told_why(world: World) -> None:
    without_bpf = ("setpriv", "--bounding-set=-all,+net_admin", "--inh-caps=-all")
    said = world.guard_in_a_process(prefix=without_bpf)
    refused = "cannot load a BPF program: not permitted (it takes CAP_BPF and CAP_NET_ADMIN)"
    assert said.split("|") == ["sockets", f"tcx: {refused}", f"clsact: {refused}"]


def test_filter_is_what_tc_shows(world: World) -> None:
    world.guard(Way.CLSACT)
    shown = world.tc("filter", "show", "dev", "up0", "ingress")
    assert "pref 1 bpf" in shown
    assert "handle 0x7673 vswitch_guard direct-action" in shown


def test_held_range_is_what_ss_shows(world: World) -> None:
    world.guard(Way.SOCKETS)
    for kind in ("-tln", "-uln"):
        shown = world.namespaces.run(world.host, "ss", "-H", kind).stdout
        ports = [line.split()[3] for line in shown.splitlines() if HOST in line]
        held = {f"{HOST}:{port}" for port in PORTS[0]}
        assert set(ports) - {f"{HOST}:{SERVICE}"} == held


@pytest.mark.parametrize("way", [Way.TCX, Way.SOCKETS], ids=["tcx", "sockets"])
def test_killed_process_leaves_nothing(world: World, way: Way) -> None:
    assert world.guard_in_a_process(way.value) == way.value
    assert world.sweep() == ()
    (refusal,) = world.answers_to(knock_by_tcp)
    assert "R" in refusal[TCP].flags
    assert f"{HOST}:{OURS}" not in world.namespaces.run(world.host, "ss", "-tuln").stdout


def test_filter_of_a_killed_process_is_swept_by_the_next(world: World) -> None:
    assert world.guard_in_a_process(Way.CLSACT.value) == "clsact"
    assert "vswitch_guard" in world.tc("filter", "show", "dev", "up0", "ingress")
    assert world.answers_to(knock_by_tcp) == []
    index = world.on_host(world.guarded).index
    assert world.sweep() == (
        Swept(MadeFilter(index, "up0"), Undone.REMOVED),
        Swept(MadeQdisc(index, "up0"), Undone.REMOVED),
    )
    assert "clsact" not in world.tc("qdisc", "show", "dev", "up0")
    (refusal,) = world.answers_to(knock_by_tcp)
    assert "R" in refusal[TCP].flags


def test_filter_goes_with_its_interface_and_is_not_missed(world: World) -> None:
    world.guard_in_a_process(Way.CLSACT.value)
    world.namespaces.run(world.host, "ip", "link", "delete", "up0")
    assert [each.ending for each in world.sweep()] == [Undone.ABSENT, Undone.ABSENT]


@pytest.mark.parametrize("kind", ["clsact", "ingress"])
def test_qdisc_that_was_there_before_is_shared_and_stays(world: World, kind: str) -> None:
    world.tc("qdisc", "add", "dev", "up0", kind)
    assert world.guard_in_a_process(Way.CLSACT.value) == "clsact"
    assert [type(each.thing) for each in world.sweep()] == [MadeFilter]
    assert f"qdisc {kind}" in world.tc("qdisc", "show", "dev", "up0")


@pytest.mark.parametrize("direction", ["ingress", "egress"])
def test_qdisc_of_ours_that_others_use_meanwhile_stays(world: World, direction: str) -> None:
    guard = world.guard(Way.CLSACT)
    add_filter(world, direction, "77")
    world.on_host(guard.close)
    assert "clsact" in world.tc("qdisc", "show", "dev", "up0")
    assert "pref 77" in world.tc("filter", "show", "dev", "up0", direction)
    assert "vswitch_guard" not in world.tc("filter", "show", "dev", "up0", "ingress")


def test_filter_of_somebody_else_in_our_place_is_not_ours_to_remove(world: World) -> None:
    world.tc("qdisc", "add", "dev", "up0", "clsact")
    world.guard_in_a_process(Way.CLSACT.value)
    world.tc("filter", "delete", "dev", "up0", "ingress")
    add_filter(world, "ingress", "1", handle="0x7673")
    assert [each.ending for each in world.sweep()] == [Undone.KEPT]
    assert "pref 1" in world.tc("filter", "show", "dev", "up0", "ingress")


@pytest.mark.parametrize("kind", ["clsact", "ingress"])
def test_qdisc_is_found_before_anything_is_written_down(world: World, kind: str) -> None:
    index = world.on_host(world.guarded).index
    assert not world.on_host(lambda: clsact.has_qdisc(index))
    world.tc("qdisc", "add", "dev", "up0", kind)
    assert world.on_host(lambda: clsact.has_qdisc(index))


def test_second_qdisc_of_an_interface_is_refused(world: World) -> None:
    index = world.on_host(world.guarded).index
    world.on_host(lambda: clsact.make_qdisc(index))
    with pytest.raises(QdiscExists):
        world.on_host(lambda: clsact.make_qdisc(index))


def test_place_that_is_taken_is_a_reason_for_the_next_way(world: World) -> None:
    world.tc("qdisc", "add", "dev", "up0", "clsact")
    add_filter(world, "ingress", "1", handle="0x7673")
    with closing(Holds()) as holds, closing(Journal.open("other", world.directory)) as journal:

        def choose_clsact() -> Guard:
            return choose(world.guarded(), journal=journal, holds=holds, only=Way.CLSACT)

        with pytest.raises(Exception, match="clsact: cannot make a BPF filter: File exists"):
            world.on_host(choose_clsact)
        assert journal.made == ()


def add_filter(world: World, direction: str, priority: str, handle: str = "0x1") -> None:
    """One of another kind of program: classic BPF that lets everything pass."""
    place = ("dev", "up0", direction, "pref", priority, "handle", handle)
    world.tc("filter", "add", *place, "bpf", "bytecode", "1,6 0 0 0")


def test_what_is_guarded_reads_in_a_line() -> None:
    what = Guarded("up0", 7, IpAddress.parse(HOST), (range(61000, 62000), range(62001, 65536)))
    assert str(what) == "198.51.100.3:61000-61999,62001-65535 at up0"
