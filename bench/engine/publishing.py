"""How long does it take to publish very many ports at once?

What `-p 20000-29999:20000-29999` takes from a request to the tables of a running switch, without
the namespace and the device of its endpoint: reading the words, looking for holders of the ports
in the inventory, and the dataplane's entry.
"""

from __future__ import annotations

from random import Random
from time import process_time_ns

from bench.engine.frames import GATEWAY, UPLINK
from bench.engine.rig import NOW, Bench, expect
from bench.figures import Figure
from vswitch import assembly
from vswitch.network import model, publish
from vswitch.network.inventory import Inventory

PORTS = 10_000
RANGE = f"20000-{20000 + PORTS - 1}:20000-{20000 + PORTS - 1}"
PUBLISHED = f"publishing a range of {PORTS:,} ports"
_MILLISECOND = 1e6


def measure(rounds: int) -> Figure:
    """Milliseconds of each round. WrongPathError where it takes more than one entry."""
    return Figure(PUBLISHED, "ms", tuple(_publish_once() for _ in range(rounds)))


def _publish_once() -> float:
    outside = model.Uplink("up0", UPLINK.address)
    network = model.Network("front", GATEWAY.address.network, GATEWAY.address.address)
    inventory = Inventory([network], [outside], Random(1))
    bench = Bench()
    begun = process_time_ns()
    request = model.EndpointRequest("many", "front", publish=(publish.parse(RANGE),))
    endpoint = inventory.add_endpoint(request)
    assembly.expose(bench.switch, endpoint, bench.front.number, NOW)
    taken = process_time_ns() - begun
    expect("publications", len(list(bench.switch.tables.publications)), 1)
    return taken / _MILLISECOND
