"""Why a frame was dropped: every reason has a name, an explanation and a counter.

A frame that lies about itself is dropped under wire's `Malformed`, a sound frame that may not go
where it wants under `DropReason`. Together they are the `Reason` of a drop; the names of both are
what `vswitch ports`, captures and metrics print, so they are part of the interface.
"""

from __future__ import annotations

from enum import Enum
from typing import TypeAlias

from vswitch.dataplane.reassembly import Refused
from vswitch.wire.malformed import Malformed


class DropReason(Enum):
    """A sound frame, and why it goes no further. The value explains it to a person."""

    SOURCE_IS_GROUP = "the source station is a group address, which nothing can send from"
    SOURCE_IS_ZERO = "the source station is 00:00:00:00:00:00, which nothing can send from"
    LINK_LOCAL_GROUP = "bridges do not forward 01:80:c2:00:00:00 to ..:0f (IEEE 802.1Q, 8.6.3)"
    SAME_PORT = "the destination station is on the port that the frame came from"
    NO_OTHER_PORT = "flooded, but the network has no other port"

    STATION_SPOOFED = "the source station is none that the port may send from"
    ADDRESS_SPOOFED = "the source in IPv4, or the sender in ARP, is none that the port may have"
    TAG_IN_TAG = "a second tag hides from a guard or a filter what the frame carries"

    ROGUE_DHCP = "speaks as a DHCP server from behind a port, where the switch is the server"
    BAD_DHCP = "to the DHCP server, but no sound message of a client's"
    DHCP_RELAYED = "to the DHCP server by a relay agent: relay agents are not served"
    ADDRESSES_EXHAUSTED = "a DHCP client asks for an address, and none is left for it"
    TOO_MANY_LEASES = "a DHCP client asks for an address, and its port has its share of them"
    TOO_MUCH_DHCP = "more messages to the DHCP server from behind one port than it hears at once"

    ARP_CLAIMS_OUR_ADDRESS = "somebody else says that it has an address of the switch"
    NOT_FOR_US = (
        "on an outside port or the host's, and neither for the switch's own station nor its address"
    )
    NOT_ROUTED = "sent to the gateway's station, but not IPv4, the only protocol that is routed"

    MARTIAN_SOURCE = "the IPv4 source can not be that of a host on this network (RFC 1812, 5.3.7)"
    MARTIAN_DESTINATION = "the IPv4 destination is never forwarded by a router (RFC 1812, 5.3.7)"
    SOURCE_NOT_IN_SUBNET = "the IPv4 source is not in the network's subnet (BCP 38)"
    BAD_OPTIONS = "IPv4 options whose lengths lie: what stands behind them can not be told"
    SOURCE_ROUTE = "IPv4 source route option (RFC 7126, 4.3 and 4.4)"
    RECORDED_ROUTE = "IPv4 option that has recorded an inside address, which nobody outside may see"
    TTL_EXPIRED = "the time to live ran out here"
    LAND = "the IPv4 source is the destination: nobody writes to himself by way of a router"
    FRAGMENT_BAD_LENGTH = Refused.BAD_LENGTH.value
    FRAGMENT_TOO_BIG = Refused.TOO_BIG.value
    FRAGMENT_UNFINISHED = Refused.UNFINISHED.value
    FRAGMENT_OVERLAP = Refused.OVERLAP.value
    FRAGMENT_TWO_ENDS = Refused.TWO_ENDS.value
    FRAGMENT_MARK_LOST = Refused.MARK_LOST.value
    FRAGMENT_TOO_MANY_PIECES = Refused.TOO_MANY_PIECES.value
    FRAGMENT_TOO_MANY_DATAGRAMS = Refused.TOO_MANY_DATAGRAMS.value
    FRAGMENT_MEMORY_FULL = Refused.MEMORY_FULL.value
    FRAGMENT_TIMEOUT = "the other fragments of its datagram did not come in time"
    TOO_BIG = "longer than the MTU of the network that it goes to"
    NO_ROUTE = "no network and no default route leads to the destination"
    NETWORKS_ISOLATED = "networks are isolated from each other"
    NETWORK_INTERNAL = "to or from an internal network, which nothing is routed out of or into"
    NAME_NOT_ALLOWED = "to an address outside that no allowed name has led to, or not lately"
    FORWARDING_OFF = "ip_forward is off: nothing passes between networks, nor to or from outside"
    ENDPOINTS_ISOLATED = "icc is off, and no link opens this port to this endpoint of the network"
    PORT_ISOLATED = "the port is isolated: within its network it reaches the gateway alone"
    FILTER_DROPPED = "a filter says drop"
    FILTER_REJECTED = "a filter says reject"
    NEIGHBOUR_UNREACHABLE = "the next hop did not answer ARP"
    ENDED_WHILE_WAITING = "its connection or its next hop was taken away while it waited for ARP"
    NEIGHBOUR_QUEUE_FULL = "too many frames wait already for the next hop to answer ARP"

    BAD_TCP_FLAGS = "no TCP speaks like this: SYN together with FIN or RST, or no flag at all"
    PORT_ZERO = "TCP or UDP destination port 0, which nothing can listen on"
    NO_CONNECTION = "an answer, or a segment of TCP, in a connection that is not known here"
    NOT_PUBLISHED = "from outside, and neither part of a connection nor to a published port"
    SOURCE_NOT_ALLOWED = "to a published port, from an address that may not come in by it"
    PUBLICATION_EXPIRED = "to a published port whose time is over"
    PUBLICATION_USED_UP = "to a port that was published for one connection, which it has had"
    PUBLICATION_RATE = "to a published port, by which connections begin faster than they may"
    FOR_THE_HOST = (
        "to the address that the switch shares with the host, and nothing of the switch's"
    )
    FILTERED = "from outside, to a port that an endpoint has opened, but not towards this sender"
    PROTOCOL_NOT_TRANSLATED = "a protocol that can not be translated"
    PORTS_EXHAUSTED = "every external port that this one could become is taken"
    PEER_TAKEN = "another endpoint has this protocol with the same peer, and it has no ports"
    ANSWERS_AMBIGUOUS = "another connection would get the same answers"
    CONNECTION_TABLE_FULL = "the connection table is full, and the endpoint has nothing to give up"
    CONNECTION_QUOTA = "the endpoint has as many connections as it may, and none to give up"
    MAPPING_QUOTA = "the endpoint has as many external ports as it may"
    CONNECTION_RATE = "the endpoint begins connections faster than it may"
    ICMP_ERROR_UNRELATED = "an ICMP error about no connection that is known here"
    ICMP_NOT_TRANSLATED = "an ICMP message that is neither an echo nor an error"
    OVERRUN = "more frames that nothing is known about than can be decided about in time"
    NO_QUERY = "to the gateway's port 53, and nothing that an answer could be given to"
    QUERIES_WAITING = "a query of a port of which too many wait for servers already"
    NO_SERVICE = "to an address of the switch, where nothing listens on that port"

    @classmethod
    def of_fragment(cls, refused: Refused) -> DropReason:
        """The reason by which a fragment that `reassembly` has refused is counted."""
        return cls[f"FRAGMENT_{refused.name}"]


Reason: TypeAlias = DropReason | Malformed
