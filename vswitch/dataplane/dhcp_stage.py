"""DHCP on an uplink that learns its address: what its client hears, before anything else looks.

The client is a host on the uplink's network with no address yet, so its messages come as broadcasts
or to an address that is not the switch's, where routing would drop them. ARP is overheard as well:
who claims an address that was offered has it. What the client has to say leaves by the same
network, and its news wait in the tables for whoever runs the switch.
"""

from __future__ import annotations

from vswitch.dataplane.dhcp.client.outcome import Step
from vswitch.dataplane.tables import Tables
from vswitch.dataplane.topology import Network
from vswitch.dataplane.verdict import Delivery, Fate, Stage, Verdict
from vswitch.dataplane.walk import Walk
from vswitch.fastpath.program import Output, Program
from vswitch.wire.arp import Arp
from vswitch.wire.malformed import Malformed


def hear(walk: Walk, tables: Tables) -> Verdict | None:
    """The verdict on a message for the network's DHCP client, None where it is none."""
    client = tables.dhcp_clients.get(walk.network.number)
    if client is None or not client.is_for_client(walk.frame):
        return None
    if not walk.commit:
        walk.found(Stage.LOCAL, "for the DHCP client, which is {}", client.state.value)
        return walk.conclude(Fate.ABSORBED)
    step = client.hear(walk.frame, walk.now)
    what = step.ignored.value if step.ignored else f"it is {client.state.value} now"
    walk.found(Stage.LOCAL, "for the DHCP client: {}", what)
    return walk.conclude(Fate.ABSORBED, *carry_out(tables, walk.network, step))


def overhear(walk: Walk, tables: Tables) -> None:
    """Let the network's DHCP client know whose address an ARP message claims."""
    client = tables.dhcp_clients.get(walk.network.number)
    if client is None or not walk.commit:
        return
    message = Arp.parse(walk.frame, walk.ethernet.payload)
    if isinstance(message, Malformed):
        return
    step = client.hear_arp(message.sender_ip, message.sender_mac, walk.now)
    for delivery in carry_out(tables, walk.network, step):
        walk.release(delivery)


def carry_out(tables: Tables, network: Network, step: Step) -> list[Delivery]:
    """Note a client's news; what it has to send."""
    if step.news is not None:
        tables.learnt.append((network.number, step.news))
    return say(network, step.frames)


def say(network: Network, frames: tuple[bytearray, ...]) -> list[Delivery]:
    """Frames of a client, to its network."""
    program = Program(tuple(Output(number) for number in network.ports))
    return [Delivery.by(program, frame) for frame in frames]
