"""ARP messages on their way through the switch (RFC 826, RFC 5227).

Every ARP message passes here before it is bridged. It teaches the neighbour table, which releases
frames that wait for the sender's station; a request for the switch's own address is answered; a
claim to that address by somebody else is dropped, so that no endpoint takes the gateway's place.
ARP has no checksum: a message that asks for one to be finished would become another behind here.
An address that the switch shares with the host is answered for by the host. What is not about the
switch goes on to be bridged, on the inside only.

The host on a network inside finds every station behind the switch's own (proxy ARP, RFC 1027):
where the station of an address is known, it is answered at once; where not, the switch asks, and
passes the answer on when it comes, so the host learns of an address where nobody is as ever.
"""

from __future__ import annotations

from vswitch.dataplane.drops import DropReason
from vswitch.dataplane.egress import ask, complete
from vswitch.dataplane.responders import arp as responder
from vswitch.dataplane.topology import HostPort, Interface, Side
from vswitch.dataplane.verdict import Delivery, Fate, Stage, Verdict
from vswitch.dataplane.walk import Walk
from vswitch.fastpath.program import Output, Program
from vswitch.wire import offload
from vswitch.wire.arp import Arp, Operation
from vswitch.wire.malformed import Malformed


def hear(walk: Walk) -> Verdict | None:
    """Decide about an ARP message, or None where it goes on to be bridged."""
    message = Arp.parse(walk.frame, walk.ethernet.payload)
    if isinstance(message, Malformed):
        return walk.drop(message)
    if walk.frame[offload.FLAGS] & offload.NEEDS_CSUM:
        return walk.drop(Malformed.BAD_OFFLOAD_HEADER)
    interface = walk.network.interface
    if interface is None or walk.ethernet.tagged:
        return None
    if message.sender_ip in interface and message.sender_mac != interface.mac:
        claimed = message.sender_ip
        walk.found(Stage.ARP, "{} claims {}, which is ours", message.sender_mac, claimed)
        return walk.drop(DropReason.ARP_CLAIMS_OUR_ADDRESS)
    for_us = message.target_ip in interface
    if not message.is_probe and walk.network.holds(message.sender_ip):
        _learn(walk, message, interface, for_us=for_us)
        host = walk.network.host
        if host is not None and for_us and message.operation == Operation.REPLY:
            walk.release(_passed_on(message, interface, host))
    if for_us and message.operation == Operation.REQUEST and not interface.is_shared:
        walk.found(Stage.ARP, "{} asks for {}: answered", message.sender_ip, message.target_ip)
        return walk.conclude(Fate.ANSWERED, walk.answer(responder.reply(message, interface)))
    if for_us or walk.ethernet.destination == interface.mac:
        return walk.conclude(Fate.ABSORBED)
    if walk.network.side is Side.OUTSIDE:
        return walk.drop(DropReason.NOT_FOR_US)
    return None


def hear_host(walk: Walk) -> Verdict:
    """Decide about an ARP message that the host itself has sent."""
    message, interface, network = (
        Arp.parse(walk.frame, walk.ethernet.payload),
        walk.network.interface,
        walk.network,
    )
    if isinstance(message, Malformed):
        return walk.drop(message)
    if message.operation != Operation.REQUEST or network.owns(message.target_ip):
        return walk.conclude(Fate.ABSORBED)
    if interface is None or not network.holds(message.target_ip):
        return walk.drop(DropReason.NOT_FOR_US)
    if network.neighbours.station(message.target_ip) is None:
        walk.found(Stage.ARP, "the station of {} is not known yet: asked for", message.target_ip)
        return walk.conclude(Fate.ABSORBED, *ask(network, interface, message.target_ip))
    walk.found(Stage.ARP, "{} is behind the switch's own station: answered", message.target_ip)
    return walk.conclude(Fate.ANSWERED, walk.answer(responder.reply(message, interface)))


def _passed_on(message: Arp, interface: Interface, host: HostPort) -> Delivery:
    """The answer for the host: whoever has an address is behind the switch's own station."""
    frame = responder.told(message.sender_ip, interface, host.mac)
    return Delivery.by(Program((Output(host.port),)), frame)


def _learn(walk: Walk, message: Arp, interface: Interface, *, for_us: bool) -> None:
    address, mac = message.sender_ip, message.sender_mac
    walk.found(Stage.ARP, "{} is at {}", address, mac)
    if not walk.commit or mac.is_multicast or mac.is_zero:
        return
    update = walk.network.neighbours.learn(address, mac, walk.now, add=for_us)
    walk.invalidates = walk.invalidates or update.moved
    for onward in update.released:
        walk.release(complete(onward, walk.network, mac, interface))
