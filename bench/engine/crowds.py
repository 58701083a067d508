"""Does a frame cost more where there are very many of something?

Each crowd is measured twice on the same switchboard, with ten of its kind and with very many, in
turns; what the devices cost by themselves, with the same frames, is taken off both before they are
compared. Frames visit the members of a crowd at random, each as often as the others, so the larger
one misses the processor's caches as well. For connections, where that is most of the matter, there
is another row in which only ten of the many are busy: the size of the table alone.

The last row is a host that has very many of everything that a user can make, beside one that has
one of each: what one flow of it costs, which is the same flow in both.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from random import Random

from bench.engine.frames import FAR, GATEWAY, ROUTER, UPLINK, A, B, Station, udp_frame
from bench.engine.memory import fill, question
from bench.engine.rig import NOW, Bench, Treadmill, time_devices
from bench.figures import Figure, ratios
from vswitch.dataplane.publications import Publication
from vswitch.dataplane.topology import Interface, Port, Side
from vswitch.wire.values import IpAddress, IpInterface, MacAddress, Protocol

FEW = 10
STATIONS = 10_000
PUBLICATIONS = 10_000
FIRST_PUBLISHED = 20_000
NETWORKS = 1_000
ENDPOINTS = 500
FIRST_ENDPOINT = 256
"""The station with this number: those before it have the addresses of others."""
BUSY = 50_000
"""Connections that frames visit, out of more: their entries are more than the caches hold."""

TIMES_TEN = "x the cost with ten"
MEMORY = "memory of one connection"
BUSY_FEW = "a frame among many connections, ten of them busy"
BUSY_MANY = "a frame among many connections, all of them busy"
MANY_STATIONS = "a frame among many stations, in two networks"
MANY_PUBLICATIONS = "a frame among many publications"
TIMES_ONE = "x the cost beside one of each"
BESIDE_ALL = (
    f"a frame beside {PUBLICATIONS:,} publications, {NETWORKS:,} networks, {ENDPOINTS} endpoints"
)
CROWDS = (BUSY_FEW, BUSY_MANY, MANY_STATIONS, MANY_PUBLICATIONS)

Cost = Callable[[int], float]
"""Nanoseconds that each of so many frames takes, without the devices."""


def measure(connections: int, rounds: int, frames: int) -> list[Figure]:
    """All crowds, each in a process of its own, with so many connections and frames."""
    figures = _alone(_connections, connections, rounds, frames)
    figures += _alone(_stations_and_publications, rounds, frames)
    figures += _alone(_beside_all, rounds, frames)
    return figures


def cost(
    bench: Bench, device: Treadmill, port: Port, frames: Sequence[bytes], leaves_by: Treadmill
) -> Cost:
    """What a frame costs that is one of `frames`, all of which have flows of their own."""
    shuffled = Random(1).sample(frames, len(frames))

    def measure_once(count: int) -> float:
        hits = bench.time_hits(count, device, port, shuffled, leaves_by).each
        return hits - time_devices(count, shuffled).each

    return measure_once


def among_stations(number: int) -> Cost:
    """Bridged frames to so many stations, half of them in each of two networks."""
    bench = Bench()
    back = bench.add_network("back", Side.INSIDE, None)
    c, d = bench.connect(Treadmill("c"), back), bench.connect(Treadmill("d"), back)
    halves = []
    for (sender, sender_port), (device, port) in (
        ((bench.a, bench.a_port), (bench.b, bench.b_port)),
        (c, d),
    ):
        stations = [_station(each) for each in range(number // 2)]
        bench.give(sender, sender_port, udp_frame(A, B[0], B[1], (5000, 5001)))
        bench.give(device, port, *(udp_frame(who, A[0], A[1], (5001, 5000)) for who in stations))
        frames = [udp_frame(A, mac, address, (5000, 5001)) for mac, address in stations]
        halves.append(cost(bench, sender, sender_port, frames, device))
    return lambda count: sum(half(count // 2) for half in halves) / 2


def among_publications(number: int) -> Cost:
    """Frames from outside to so many published ports, each published by itself."""
    bench = Bench()
    ports = range(FIRST_PUBLISHED, FIRST_PUBLISHED + number)
    for port in ports:
        publication = Publication(
            int(Protocol.UDP), None, range(port, port + 1), bench.front.number, B[1], port
        )
        bench.switch.changes.publish(publication, NOW)
    client = (ROUTER[0], FAR)
    to = UPLINK.mac, UPLINK.address.address
    frames = [udp_frame(client, *to, (5000, port)) for port in ports]
    return cost(bench, bench.out, bench.out_port, frames, bench.b)


def beside(publications: int, networks: int, endpoints: int) -> Cost:
    """Frames of one flow outwards, which has to do with none of so many."""
    bench = Bench()
    for port in range(FIRST_PUBLISHED, FIRST_PUBLISHED + publications):
        publication = Publication(
            int(Protocol.TCP), None, range(port, port + 1), bench.front.number, B[1], port
        )
        bench.switch.changes.publish(publication, NOW)
    for number in range(networks):
        gateway = IpAddress(b"\xac" + (16 * 65536 + 256 * number + 1).to_bytes(3, "big"))
        interface = Interface(GATEWAY.mac, IpInterface.parse(f"{gateway}/24"))
        bench.add_network(f"network-{number}", Side.INSIDE, interface)
    for number in range(FIRST_ENDPOINT, FIRST_ENDPOINT + endpoints):
        device, port_of_one = bench.connect(Treadmill(f"endpoint-{number}"), bench.front)
        bench.meet(device, port_of_one, _station(number), GATEWAY)
    frame = udp_frame(A, GATEWAY.mac, FAR, (5000, 53))
    return cost(bench, bench.a, bench.a_port, [frame], bench.out)


def among_connections(bench: Bench, numbers: Sequence[int]) -> Cost:
    """Frames of these connections of a switch that was filled."""
    frames = [question(number) for number in numbers]
    return cost(bench, bench.a, bench.a_port, frames, bench.out)


def compare(many: Cost, few: Cost, rounds: int, frames: int) -> tuple[float, ...]:
    """How many times what a frame costs among few it costs among many, round by round."""
    of_many, of_few = [], []
    for _ in range(rounds):
        of_many.append(many(frames))
        of_few.append(few(frames))
    return tuple(ratios(of_many, of_few))


def _connections(connections: int, rounds: int, frames: int) -> list[Figure]:
    filled = fill(connections)
    few = among_connections(fill(FEW).bench, range(FEW))
    gc.freeze()
    members = range(connections)
    rows = (
        (BUSY_FEW, among_connections(filled.bench, Random(2).sample(members, FEW))),
        (
            BUSY_MANY,
            among_connections(filled.bench, Random(3).sample(members, min(BUSY, connections))),
        ),
    )
    among = f"{connections:,}"
    return [
        Figure(MEMORY, "bytes", (filled.each,), among),
        *(
            Figure(name, TIMES_TEN, compare(many, few, rounds, frames), among)
            for name, many in rows
        ),
    ]


def _stations_and_publications(rounds: int, frames: int) -> list[Figure]:
    rows = (
        (MANY_STATIONS, among_stations, STATIONS),
        (MANY_PUBLICATIONS, among_publications, PUBLICATIONS),
    )
    return [
        Figure(name, TIMES_TEN, compare(among(many), among(FEW), rounds, frames), f"{many:,}")
        for name, among, many in rows
    ]


def _beside_all(rounds: int, frames: int) -> list[Figure]:
    many, one = beside(PUBLICATIONS, NETWORKS, ENDPOINTS), beside(1, 1, 1)
    return [Figure(BESIDE_ALL, TIMES_ONE, compare(many, one, rounds, frames))]


def _station(number: int) -> Station:
    tail = number.to_bytes(2, "big")
    return MacAddress(b"\x02\x00\x00\x02" + tail), IpAddress(b"\x0a\x00" + tail)


def _alone(work: Callable[..., list[Figure]], *arguments: int) -> list[Figure]:
    """Do it in a process of its own, so that nothing that was there before is in the way."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(work, *arguments).result()
