"""The stages in the order in which a frame meets them: what becomes of it, and why?

    admit    is this a frame that a switch may look at at all?
    guard    does it speak in the name of its own port?
    learn    the sender's port (inside; the outside has one port and nothing to learn)
    dhcp     for the client of an uplink that learns its address; on the inside, for the server of
             a network that leases addresses, or in the name of one
    arp      teach the neighbour table, answer for the switch's own address
    route    to the switch's own station: another network, the host, or the switch itself
    bridge   to any other station

Each stage either ends the walk with a `Verdict` or lets the frame go on. `decide` is called for
every frame that has no program yet, and with `commit` false for a frame that somebody only asks
about. The trail of findings is kept where `is_heard` says that somebody will read it.
"""

from __future__ import annotations

from vswitch.dataplane import (
    arp_stage,
    bridge,
    dhcp_stage,
    guard,
    lease_stage,
    repetition,
    router,
    stream_stage,
)
from vswitch.dataplane.drops import DropReason
from vswitch.dataplane.tables import Tables
from vswitch.dataplane.topology import Network, Side
from vswitch.dataplane.verdict import Fate, Stage, Verdict
from vswitch.dataplane.walk import Walk
from vswitch.units import Nanoseconds
from vswitch.wire.buffer import MutableBuffer
from vswitch.wire.ethernet import TAG_LENGTH, Ethernet, without_tag
from vswitch.wire.malformed import Malformed
from vswitch.wire.values import EtherType


def decide(
    tables: Tables,
    port_number: int,
    frame: MutableBuffer,
    now: Nanoseconds,
    *,
    commit: bool = True,
    is_heard: bool = True,
) -> Verdict:
    """The verdict on `frame`, which came in by a port at `now`."""
    key = tables.key_of(port_number, frame) if commit else None
    if key is not None:
        verdict = repetition.follow(tables, frame, key, now, is_heard=is_heard)
        if verdict is not None:
            return verdict
    ethernet = Ethernet.parse(frame)
    if isinstance(ethernet, Malformed):
        return Verdict(Fate.DROPPED, reason=ethernet)
    port = tables.ports[port_number]
    network = tables.networks[port.network]
    if ethernet.tagged and _is_for_ourselves(ethernet, network):
        frame = without_tag(frame)
        ethernet = Ethernet(frame, ethernet.ethertype, ethernet.payload - TAG_LENGTH)
    walk = Walk(
        ethernet, frame, port, network, now, tables.random, commit=commit, is_heard=is_heard
    )
    walk.found(Stage.ADMIT, "{} > {}", ethernet.source, ethernet.destination)
    refused = _admit(walk)
    if refused is not None:
        return walk.drop(refused)
    walk.detail(Stage.ADMIT, "no address that bridges refuse")
    listener = tables.listening.listener
    if listener is not None and listener.port == port_number:
        return stream_stage.hear_listener(walk, tables)
    if network.is_host(port_number):
        return _from_host(walk, tables)
    if port.policy.is_guarded:
        spoofed = guard.refuse(walk)
        if spoofed is not None:
            return walk.drop(spoofed)
    if network.side is Side.INSIDE:
        bridge.learn(walk)
        leased = lease_stage.hear(walk, tables)
        if leased is not None:
            return leased
    elif tables.dhcp_clients:
        answered = dhcp_stage.hear(walk, tables)
        if answered is not None:
            return answered
    if ethernet.ethertype == EtherType.ARP:
        dhcp_stage.overhear(walk, tables)
        lease_stage.overhear(walk, tables)
        heard = arp_stage.hear(walk)
        if heard is not None:
            return heard
    interface = network.interface
    if interface is not None and ethernet.destination == interface.mac:
        walk.detail(Stage.ROUTE, "{} is the switch's own station: routed", interface.mac)
        return router.route(walk, tables)
    if network.side is Side.OUTSIDE:
        walk.detail(Stage.BRIDGE, "nothing is bridged on {}", network.name)
        return walk.drop(DropReason.NOT_FOR_US)
    return bridge.bridge(walk, tables)


def _from_host(walk: Walk, tables: Tables) -> Verdict:
    """Decide about a frame of the host's own: it speaks to the switch alone."""
    if walk.ethernet.ethertype == EtherType.ARP:
        return arp_stage.hear_host(walk)
    interface = walk.network.interface
    if interface is not None and walk.ethernet.destination == interface.mac:
        return router.route(walk, tables)
    return walk.drop(DropReason.NOT_FOR_US)


def _is_for_ourselves(ethernet: Ethernet, network: Network) -> bool:
    """Whether a tagged frame is one that the switch itself takes: a tag without a VLAN says no more
    than how urgent it is (802.1Q-2018, 9.6), and the switch is in no VLAN."""
    if ethernet.vlan or network.interface is None:
        return False
    is_arp = ethernet.ethertype == EtherType.ARP
    return is_arp or ethernet.destination == network.interface.mac


def _admit(walk: Walk) -> DropReason | None:
    """Why no bridge looks at a frame like this, None where one does."""
    source, destination = walk.ethernet.source, walk.ethernet.destination
    if source.is_multicast:
        return DropReason.SOURCE_IS_GROUP
    if source.is_zero:
        return DropReason.SOURCE_IS_ZERO
    if destination.is_link_local_group:
        return DropReason.LINK_LOCAL_GROUP
    return None
