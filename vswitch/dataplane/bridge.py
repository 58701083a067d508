"""Bridging: learn where stations are, send frames where they belong.

IEEE 802.1Q-2018, 8.6 to 8.8, and what the Linux bridge does where that leaves a choice. A frame to
a known station leaves by its port, to an unknown one or to a group by every other port of the
network. Tagged frames pass with their tag; each VLAN has stations of its own. Where policy has a
say within the network, `within` is asked. Only a frame to a known station is worth a program, and
only where the same holds for all that the two stations say: the FDB's entry is what the program
rests on, and a station that moves or is forgotten invalidates it.
"""

from __future__ import annotations

from vswitch.dataplane import within
from vswitch.dataplane.drops import DropReason
from vswitch.dataplane.fdb import Learned, Station
from vswitch.dataplane.tables import Tables
from vswitch.dataplane.verdict import Delivery, Fate, Kept, Stage, Verdict
from vswitch.dataplane.walk import Walk
from vswitch.fastpath.program import Output, Program


def learn(walk: Walk) -> None:
    """Note the sender's port."""
    sender = Station(walk.ethernet.vlan, walk.ethernet.source)
    if not walk.commit:
        _tell_what_is_known(walk, sender)
        return
    learned = walk.network.fdb.learn(sender, walk.port.number, walk.now)
    if learned is Learned.KNOWN:
        return
    walk.found(Stage.LEARN, "{} is {} on port {}", sender.mac, learned.name.lower(), walk.port.name)
    if learned is Learned.MOVED:
        walk.invalidates = True


def bridge(walk: Walk, tables: Tables) -> Verdict:
    """Decide about a frame that is not for the switch itself."""
    ethernet = walk.ethernet
    destination = Station(ethernet.vlan, ethernet.destination)
    if destination.mac.is_multicast:
        return _flood(walk, tables, "{} is a group", destination.mac)
    sender = Station(ethernet.vlan, ethernet.source)
    to_itself = destination == sender
    port = walk.port.number if to_itself else walk.network.fdb.where(destination)
    if port is None:
        return _flood(walk, tables, "{} is unknown", destination.mac)
    if port == walk.port.number:
        walk.detail(Stage.BRIDGE, "{} is on port {}", destination.mac, walk.port.name)
        return walk.drop(DropReason.SAME_PORT)
    walk.found(Stage.BRIDGE, "{} is on port {}", destination.mac, tables.ports[port].name)
    is_settled = walk.network.bridges_freely
    if not is_settled:
        ruling = within.rule(walk, tables, tables.ports[port])
        if ruling.refused is not None:
            return ruling.answer or walk.drop(ruling.refused)
        is_settled = ruling.is_settled
    key = tables.key_of(walk.port.number, walk.frame) if is_settled else None
    kept = Kept(key) if key else None
    return walk.conclude(Fate.FORWARDED, Delivery.by(Program((Output(port),)), walk.frame, kept))


def _tell_what_is_known(walk: Walk, sender: Station) -> None:
    known = walk.network.fdb.where(sender)
    if known is None:
        walk.found(Stage.LEARN, "{} is not known yet", sender.mac)
        return
    port = walk.network.ports[known].name
    if known == walk.port.number:
        walk.found(Stage.LEARN, "{} is known on port {}", sender.mac, port)
    else:
        walk.found(Stage.LEARN, "{} was last seen on port {}: it has moved", sender.mac, port)


def _flood(walk: Walk, tables: Tables, why: str, *arguments: object) -> Verdict:
    others = [number for number in walk.network.ports if number != walk.port.number]
    if others and not walk.network.bridges_freely:
        ruling, others = within.rule_on_flood(walk, tables, others)
        if not others and ruling.refused is not None:
            return ruling.answer or walk.drop(ruling.refused)
    walk.found(Stage.BRIDGE, why + ": flooded to {} ports", *arguments, len(others))
    if not others:
        return walk.drop(DropReason.NO_OTHER_PORT)
    program = Program(tuple(Output(number) for number in others))
    return walk.conclude(Fate.FLOODED, Delivery.by(program, walk.frame))
