"""DHCP on networks inside: a client's message to our server, and a server's that is none of ours.

Theory of operation. Where a network leases addresses, what its clients say to everybody or to the
gateway is taken here, before anything else looks at it: it reaches nobody else, and the answer goes
back by the port that the question came from. What the server does not serve goes on as if there
were none; relay agents are refused. A question of the server's, whether somebody has an address,
goes to the whole network, and each ARP message is shown to the server.

The rogue guard stands where our server leases to everybody, and where a network guards against
spoofing: nobody behind a port speaks to a client's port there, so that no endpoint makes itself the
others' gateway. Elsewhere an endpoint may be the network's DHCP server. What leads to a client's
port is decided by this port alone: a first fragment need not hold more, and clients look at nothing
else. Such frames have no key, so none of them is spared this by a program of its two stations.

Both are for the network itself: the VLANs that endpoints have on it are theirs.
"""

from __future__ import annotations

from vswitch.dataplane.dhcp.server import service_frames
from vswitch.dataplane.dhcp.server.news import Relayed, Rogue
from vswitch.dataplane.dhcp.server.ruling import Act
from vswitch.dataplane.dhcp.server.server import DhcpServer
from vswitch.dataplane.dhcp.server.step import Answer, Step
from vswitch.dataplane.drops import DropReason
from vswitch.dataplane.egress import ask
from vswitch.dataplane.tables import Tables
from vswitch.dataplane.topology import Network
from vswitch.dataplane.verdict import Delivery, Fate, Stage, Verdict
from vswitch.dataplane.walk import Walk
from vswitch.fastpath.program import Output, Program
from vswitch.wire.arp import Arp
from vswitch.wire.dhcp import CLIENT_PORT, SERVER_PORT
from vswitch.wire.dhcp_service import Request
from vswitch.wire.malformed import Malformed
from vswitch.wire.values import EtherType

_HAVE_NONE = {
    Act.EXHAUSTED: DropReason.ADDRESSES_EXHAUSTED,
    Act.CROWDED: DropReason.TOO_MANY_LEASES,
}


def hear(walk: Walk, tables: Tables) -> Verdict | None:
    """The verdict on a message of DHCP, None where it is none that is looked at here."""
    network, ethernet = walk.network, walk.ethernet
    server = tables.dhcp_servers.by_network.get(network.number)
    if ethernet.vlan or ethernet.ethertype != EtherType.IPV4:
        return None
    if server is None and not network.policy.spoof_guard:
        return None
    port = service_frames.destination_port(walk.frame, ethernet.payload)
    if port == CLIENT_PORT and _is_guarded(network, server):
        return _refuse_rogue(walk, tables)
    if port == SERVER_PORT and server is not None:
        return _serve(walk, tables, server)
    return None


def overhear(walk: Walk, tables: Tables) -> None:
    """Let the network's server know who says by ARP that it has what."""
    server = tables.dhcp_servers.by_network.get(walk.network.number)
    if server is None or not walk.commit or walk.ethernet.tagged:
        return
    message = Arp.parse(walk.frame, walk.ethernet.payload)
    if isinstance(message, Malformed):
        return
    speaker = message.sender_ip, message.sender_mac, walk.port.number
    step = server.hear_arp(*speaker, walk.now)
    for delivery in carry_out(tables, walk.network, server, step):
        walk.release(delivery)


def carry_out(tables: Tables, network: Network, server: DhcpServer, step: Step) -> list[Delivery]:
    """Note what has come of a server; what it has to send. Nobody is told what is not kept."""
    is_kept = tables.dhcp_servers.note(network.number, step)
    sent = [_delivery(answer, server) for answer in step.answers if is_kept]
    for address in step.probes:
        sent += ask(network, server.interface, address)
    return sent


def _is_guarded(network: Network, server: DhcpServer | None) -> bool:
    leases_to_all = server is not None and server.terms.leasing.takes_guests
    return leases_to_all or network.policy.spoof_guard


def _refuse_rogue(walk: Walk, tables: Tables) -> Verdict | None:
    interface, station = walk.network.interface, walk.ethernet.source
    if interface is not None and walk.ethernet.destination == interface.mac:
        return None
    walk.found(Stage.POLICY, "{} speaks as a DHCP server, which it is not here", station)
    if walk.commit:
        rogue = Rogue(station, walk.port.number)
        tables.dhcp_servers.complain(walk.network.number, rogue, walk.now)
    return walk.drop(DropReason.ROGUE_DHCP)


def _serve(walk: Walk, tables: Tables, server: DhcpServer) -> Verdict | None:
    if not service_frames.is_for(walk.ethernet, server.interface):
        return None
    request = service_frames.read(walk.ethernet)
    if not isinstance(request, Request):
        if not server.terms.leasing.takes_guests:
            return None
        walk.found(Stage.LOCAL, "for the DHCP server, but {}", request.value)
        return walk.drop(DropReason.BAD_DHCP)
    name = request.type.name
    if walk.commit and not server.is_heard(request, walk.port.number, walk.now):
        walk.found(Stage.LOCAL, "DHCP {} of {}, which is too much at once", name, request.client)
        return walk.drop(DropReason.TOO_MUCH_DHCP)
    ruling = server.rule(request, walk.port.number, walk.now)
    if ruling is None:
        return None
    if not request.relay.is_unspecified:
        walk.found(Stage.LOCAL, "DHCP {} by the relay agent {}", name, request.relay)
        if walk.commit:
            relayed = Relayed(request.relay, walk.port.number)
            tables.dhcp_servers.complain(walk.network.number, relayed, walk.now)
        return walk.drop(DropReason.DHCP_RELAYED)
    stations = walk.port.policy.stations
    if stations is not None and request.client not in stations:
        walk.found(Stage.LOCAL, "DHCP {} for {}", name, request.client)
        return walk.drop(DropReason.STATION_SPOOFED)
    walk.found(Stage.LOCAL, "DHCP {} of {}: {}", name, request.client, ruling)
    if walk.commit:
        step = server.carry_out(request, walk.port.number, ruling, walk.now)
        sent = carry_out(tables, walk.network, server, step)
    else:
        answer = server.answer(request, walk.port.number, ruling)
        sent = [_delivery(answer, server)] if answer is not None else []
    if ruling.act in _HAVE_NONE:
        return walk.drop(_HAVE_NONE[ruling.act])
    is_answered = ruling.act is not Act.PROBE and sent
    return walk.conclude(Fate.ANSWERED if is_answered else Fate.ABSORBED, *sent)


def _delivery(answer: Answer, server: DhcpServer) -> Delivery:
    frame = service_frames.written(answer, server.interface)
    return Delivery.by(Program((Output(answer.port),)), frame)
