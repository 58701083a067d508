"""Repetition: a new connection that differs from an earlier one in its source port alone.

Theory of operation. Most new connections repeat an older one, as a client asks the same server
again from another port. Everything that was decided about the older one but for that port holds for
them, too: whether and where it is routed, the next hop and its station, what is rewritten and where
it leaves. That is kept as a *precedent*, under the key of the flow without its source port, and a
frame that has one is spared the walk through all stages. What is the new connection's own is
decided by the same functions as ever: its external port (`nat`), and whether there is room for it
(`admission`). Where that comes out otherwise than before, or the frame is in any way unlike its
precedent's, nothing has been written to a table, and the frame goes through all stages.

A precedent rests on what a program rests on, and on what is asked about new connections alone, so
all are forgotten whenever one of these changes. TCP and UDP have them; a frame that is only asked
about (`trace`) has none, so that the whole way is explained.
"""

from __future__ import annotations

from vswitch.dataplane import admission, tracking
from vswitch.dataplane.conntrack import Connection
from vswitch.dataplane.fdb import Station
from vswitch.dataplane.filters import Entry
from vswitch.dataplane.flow import FlowTuple
from vswitch.dataplane.nat import Translation
from vswitch.dataplane.precedents import Precedent, Translate
from vswitch.dataplane.tables import Tables
from vswitch.dataplane.topology import Side
from vswitch.dataplane.verdict import Delivery, Expected, Kept, Stage, Verdict
from vswitch.dataplane.walk import Walk
from vswitch.fastpath.key import ENDS, SOURCE_PORT
from vswitch.fastpath.states import Direction
from vswitch.units import Nanoseconds
from vswitch.wire import ethernet, ipv4, offload, tcp
from vswitch.wire.buffer import MutableBuffer
from vswitch.wire.ethernet import Ethernet
from vswitch.wire.values import EtherType, Protocol

# A frame that has a routed key is untagged, and its IPv4 header has no options.
_IP = ethernet.START + ethernet.HEADER_LENGTH
_TCP_FLAGS = _IP + ipv4.HEADER_LENGTH + tcp.FLAGS
_CONTROL = tcp.SYN | tcp.ACK | tcp.FIN | tcp.RST
_TCP = int(Protocol.TCP)
_WITH_PRECEDENTS = (_TCP, int(Protocol.UDP))
_NO_PORT = bytes(2)


def set_precedent(
    walk: Walk,
    tables: Tables,
    translate: Translate,
    begun: Delivery,
    expected: Expected,
    rules: tuple[Entry, ...],
) -> None:
    """Let the first frame of a connection, and what is expected for its answers, be one.

    `rules` are the filters that have matched, whatever the source port.
    """
    connection, key = expected.kept.connection, begun.kept.key if begun.kept else b""
    if connection is None or not key or connection.original.protocol not in _WITH_PRECEDENTS:
        return
    original, reply = connection.original, connection.reply
    is_learnt = walk.network.side is Side.INSIDE and not walk.network.is_host(walk.port.number)
    tables.precedents.keep(
        _without_source_port(key),
        Precedent(
            connection.number,
            walk.network,
            walk.port,
            Station(walk.ethernet.vlan, walk.ethernet.source) if is_learnt else None,
            translate,
            original[:4],
            reply[:-2],
            expected.kept.key[:-2],
            begun.routine,
            expected.routine,
            rules,
        ),
    )


def follow(
    tables: Tables, frame: MutableBuffer, key: bytes, now: Nanoseconds, *, is_heard: bool
) -> Verdict | None:
    """The verdict on a frame that has `key`, or None where it has to go through all stages."""
    precedent = tables.precedents.find(_without_source_port(key))
    if precedent is None or not _is_alike(precedent, frame, key):
        return None
    original = FlowTuple.trusted(precedent.head + key[ENDS])
    network, sender = precedent.network, precedent.sender
    if tables.connections.find(original) is not None:
        return None
    link = Ethernet(frame, EtherType.IPV4, _IP)
    walk = Walk(
        link, frame, precedent.port, network, now, tables.random, commit=True, is_heard=is_heard
    )
    translation = precedent.translate(walk, tables, original)
    if not isinstance(translation, Translation) or translation.reply[:-2] != precedent.answers:
        return None
    if translation.reply == original:  # an endpoint that talks to itself, which expects nothing
        return None
    admitted = admission.admit(walk, tables, original, translation)
    if not isinstance(admitted, admission.Admitted):
        return None
    connection = admitted.connection
    if sender is not None:
        network.fdb.learn(sender, precedent.port.number, now)
    tracking.note_first(tables, connection, precedent.port.number, frame, now)
    for entry in precedent.rules:
        entry.matched += 1
    walk.connection, walk.evicted = connection, admitted.evicted
    walk.found(
        Stage.CONNTRACK, "a new connection, like {} but for its source port", precedent.first
    )
    return _verdict(walk, precedent, connection, key)


def _is_alike(precedent: Precedent, frame: MutableBuffer, key: bytes) -> bool:
    """Whether a frame may begin a connection, and fits where its precedent did."""
    plan = precedent.begun.plan
    if len(frame) - offload.HEADER_LENGTH > plan.packet_limit or key[SOURCE_PORT] == _NO_PORT:
        return False
    return precedent.head[2] != _TCP or frame[_TCP_FLAGS] & _CONTROL == tcp.SYN


def _verdict(walk: Walk, precedent: Precedent, connection: Connection, key: bytes) -> Verdict:
    original, reply, number = connection.original, connection.reply, connection.number
    routine = precedent.begun.another(key[ENDS], reply.ends_turned, number)
    kept = Kept(key, connection, Direction.ORIGINAL)
    answers_key = precedent.answers_key + reply[-2:]
    answers = precedent.expected.another(answers_key[ENDS], original.ends_turned, number)
    expected = Expected(answers, Kept(answers_key, connection, Direction.REPLY))
    return walk.begin(Delivery(walk.frame, routine, kept, number), expected)


def _without_source_port(key: bytes) -> bytes:
    return key[: SOURCE_PORT.start] + key[SOURCE_PORT.stop :]
