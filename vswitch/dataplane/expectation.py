"""The answer to a new connection, decided about before it comes.

Theory of operation. When the first frame of a connection leaves, all is known that a decision about
the answer would rest on: its tuple, the station that it will come from, the way back. So a frame
as the answer will be is made up, and what the pipeline would decide about it is kept under its key.
An answer that turns out otherwise (from another station, with options, in fragments) has another
key or none, and is decided about as ever. Nothing that is made up is ever sent.

Where something is not certain (behind which port a station is, who the next hop back is), or where
the answer would be refused, nothing is expected.
"""

from __future__ import annotations

from vswitch.dataplane import egress, policy
from vswitch.dataplane.conntrack import Connection
from vswitch.dataplane.flow import FlowTuple
from vswitch.dataplane.tables import Tables
from vswitch.dataplane.topology import Network
from vswitch.dataplane.verdict import Delivery, Expected, Kept, Onward
from vswitch.fastpath.program import Track
from vswitch.fastpath.states import Direction
from vswitch.wire import ethernet, icmp, ipv4, tcp, udp
from vswitch.wire.values import IPV4_LENGTH, MAC_LENGTH, EtherType, IpAddress, MacAddress, Protocol

_NO_ADDRESS = IpAddress(bytes(IPV4_LENGTH))
_NO_ENDS = (_NO_ADDRESS, _NO_ADDRESS, 0, 0)
_PORTS_LENGTH = 4
_BEHIND_PORTS: dict[int, bytes] = {
    Protocol.TCP: tcp.build(*_NO_ENDS, flags=tcp.ACK)[_PORTS_LENGTH:],
    Protocol.UDP: udp.build(*_NO_ENDS, b"")[_PORTS_LENGTH:],
}
"""What follows the ports in a header that is sent nowhere: no key covers the checksum in it."""


def expect(tables: Tables, connection: Connection, begun: Delivery) -> Expected | None:
    """What to keep for the answers of a connection that begins with `begun`.

    None where that has to wait for the first answer.
    """
    answer, original = connection.reply, connection.original
    arrives, leaves = tables.networks[answer.network], tables.networks[original.network]
    next_hop = leaves.hop_towards(original.source)
    way_back = leaves.station(next_hop) if next_hop is not None else None
    ports = begun.routine.outputs
    if (
        begun.kept is None
        or len(ports) != 1
        or next_hop is None
        or way_back is None
        or arrives.interface is None
        or leaves.interface is None
        or answer == original
        or _is_refused(tables, answer, arrives, ports[0])
    ):
        return None
    payload = _payload(answer)
    if payload is None:
        return None
    packet = ipv4.build(answer.source, answer.destination, answer.protocol, payload)
    frame = ethernet.build(arrives.interface.mac, _next_hop(begun), EtherType.IPV4, packet)
    key = tables.key_of(ports[0], frame)
    if key is None:
        return None
    is_tcp = answer.protocol == Protocol.TCP
    rewrite = egress.rewrite(arrives, leaves, answer, original, may_be_syn=is_tcp)
    onward = Onward(
        frame,
        arrives.number,
        ports[0],
        leaves.number,
        next_hop,
        (Track(connection.number, Direction.REPLY.index), *rewrite),
        Kept(key, connection, Direction.REPLY),
        connection,
    )
    made_up = egress.complete(onward, leaves, way_back, leaves.interface)
    return None if made_up.kept is None else Expected(made_up.routine, made_up.kept)


def _is_refused(tables: Tables, answer: FlowTuple, arrives: Network, port: int) -> bool:
    """Whether an answer that comes in by a port would be dropped for its addresses."""
    if arrives.is_host(port):
        return policy.refuse_ends_of_host(answer.source, answer.destination, arrives) is not None
    return policy.refuse_ends(answer.source, answer.destination, arrives, tables) is not None


def _next_hop(begun: Delivery) -> MacAddress:
    """Whose station the first frame goes to, and the answer comes from."""
    return MacAddress(begun.routine.plan.stations[:MAC_LENGTH])


def _payload(answer: FlowTuple) -> bytes | None:
    """The transport header of an answer, None for a protocol whose frames have no keys."""
    if answer.protocol == Protocol.ICMP:
        return icmp.build(answer.kind, 0, answer.identifier << 16, b"")
    if not answer.source_port or not answer.destination_port:
        return None
    behind_ports = _BEHIND_PORTS.get(answer.protocol)
    return None if behind_ports is None else answer.ports + behind_ports
