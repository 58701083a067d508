"""A network that leases addresses, and guests on it: scapy writes what they say and reads what they
hear."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet

from tests.harness import Host, Lab
from vswitch.dataplane.dhcp.server.book import Terms
from vswitch.dataplane.dhcp.server.news import LeaseNews, Turn
from vswitch.leasing import Leasing
from vswitch.units import MILLISECOND, SECOND
from vswitch.wire.values import IpAddress, IpNetwork, MacAddress

GATEWAY = "10.0.0.1"
EVERYBODY, NOBODY = "255.255.255.255", "0.0.0.0"
ALL_STATIONS = "ff:ff:ff:ff:ff:ff"
POOL = "10.0.9.0/24"
LEASE_SECONDS = 3600

FIRST, SECOND_ADDRESS = "10.0.9.0", "10.0.9.1"
"""Of the pool."""

SMALL = IpNetwork.parse("10.0.9.0/31")
"""A pool of these two."""

OTHER, STRANGER = "02:00:00:00:99:99", "02:00:00:00:99:66"
"""Stations that have no port of their own."""


def ip(text: str) -> IpAddress:
    return IpAddress.parse(text)


class Inventory:
    """Who has which address, as a test says it."""

    def __init__(self) -> None:
        self.by_port: dict[int, str] = {}
        self.taken = {"10.0.0.2", "10.0.0.3"}
        self.names: dict[str, str] = {}
        self.turns: list[Turn] = []
        self.can_write = True

    def of_port(self, port: int, station: MacAddress) -> IpAddress | None:
        address = self.by_port.get(port)
        return None if address is None else ip(address)

    def is_taken(self, address: IpAddress) -> bool:
        return str(address) in self.taken | set(self.by_port.values())

    def count(self, part: IpNetwork) -> int:
        taken = self.taken | set(self.by_port.values())
        return (1 << (32 - part.prefix_length)) - sum(ip(each) in part for each in taken)

    def hostname(self, address: IpAddress) -> str | None:
        return self.names.get(str(address))

    def keep(self, turn: Turn) -> bool:
        self.turns.append(turn)
        return self.can_write


class GuestLab(Lab):
    """`Lab` whose network front leases addresses of 10.0.9.0/24: `g` is a port with no endpoint's
    address behind it, `vm` that of an endpoint that has 10.0.0.7."""

    def __init__(self, leasing: Leasing = Leasing(), **terms: Any) -> None:  # noqa: B008
        super().__init__()
        self.g = self.add_host("g", "front", "10.0.0.9")
        self.vm = self.add_host("vm", "front", "10.0.0.7")
        self.inventory = Inventory()
        self.inventory.by_port[self.vm.port] = "10.0.0.7"
        self.lease(leasing, **terms)

    def lease(self, leasing: Leasing = Leasing(), **terms: Any) -> None:  # noqa: B008
        told = {
            "pool": IpNetwork.parse(POOL),
            "domain": "front",
            "router": ip(GATEWAY),
            "name_servers": (ip(GATEWAY),),
            **terms,
        }
        number = self.network("front").number
        self.switch.changes.lease(number, Terms(leasing=leasing, **told), self.inventory)

    @property
    def grants(self) -> dict[str, str]:
        """Addresses by station."""
        grants = self.switch.tables.dhcp_servers.grants(self.network("front").number)
        return {str(each.station): str(each.address) for each in grants}

    def turns(self) -> list[Turn]:
        """What has been kept since the last call."""
        turns, self.inventory.turns = self.inventory.turns, []
        return turns

    def news(self) -> list[LeaseNews]:
        return [each for _, each in self.switch.news.take_leased()]

    def say(self, host: Host, message: Packet) -> list[Packet]:
        """Let somebody behind a port say something; the DHCP messages that come back there."""
        self.send(host, message)
        return self.heard(host)

    def heard(self, host: Host) -> list[Packet]:
        return [each for each in self.received(host) if DHCP in each]

    def ask(self, host: Host, message: Packet) -> Packet | None:
        """The same with the time in which the network is probed; the one answer to the station that
        it is from, if any."""
        answers = self.say(host, message)
        if not answers:
            self.pass_time(300 * MILLISECOND)
            answers = self.heard(host)
        answers = [each for each in answers if _is_answer(each[BOOTP], message[BOOTP])]
        assert len(answers) <= 1
        return answers[0] if answers else None

    def bind(self, host: Host, station: str | None = None, **said: Any) -> str:
        """Get a lease as a client does; its address."""
        offer = self.ask(host, client(station or host.mac, "discover", **said))
        assert offer is not None
        chosen = {"server_id": GATEWAY, "requested_addr": offer[BOOTP].yiaddr}
        ack = self.ask(host, client(station or host.mac, "request", **chosen, **said))
        assert ack is not None
        assert kind(ack) == "ack"
        return str(ack[BOOTP].yiaddr)


KINDS = {1: "discover", 2: "offer", 3: "request", 4: "decline", 5: "ack", 6: "nak"}


def client(station: str, kind: str, **said: Any) -> Packet:
    """A client's frame. Of what is `said`, fields of the headers are taken for these."""
    header: dict[str, Any] = {"xid": 7, "chaddr": bytes(MacAddress.parse(station)), "op": 1}
    header |= {"ciaddr": NOBODY, "giaddr": NOBODY, "flags": 0}
    way = {"src": NOBODY, "dst": EVERYBODY, "to": ALL_STATIONS, "source": station}
    options = []
    for name, value in said.items():
        if name in header or name in ("sname", "file"):
            header[name] = value
        elif name in way:
            way[name] = value
        else:
            options.append((name, value))
    if "ciaddr" in said and "src" not in said:
        way["src"] = said["ciaddr"]
    datagram = IP(src=way["src"], dst=way["dst"]) / UDP(sport=68, dport=67) / BOOTP(**header)
    message = DHCP(options=[("message-type", kind), *options, "end"])
    return Ether(src=way["source"], dst=way["to"]) / datagram / message


def select(station: str, address: str, server: str = GATEWAY, **said: Any) -> Packet:
    """The request of a client that chooses an offer."""
    return client(station, "request", server_id=server, requested_addr=address, **said)


def reboot(station: str, address: str, **said: Any) -> Packet:
    """The request of a client that starts anew with the address that it had."""
    return client(station, "request", requested_addr=address, **said)


def renewal(station: str, address: str, gateway_mac: str, **said: Any) -> Packet:
    """The request for more time that a client sends to its server alone."""
    way = {"src": address, "dst": GATEWAY, "to": gateway_mac}
    return client(station, "request", ciaddr=address, **way, **said)


def options(message: Packet) -> Mapping[str, Any]:
    listed = [each for each in message[DHCP].options if isinstance(each, tuple)]
    return {name: values[0] if len(values) == 1 else values for name, *values in listed}


def kind(message: Packet) -> str:
    return KINDS[options(message)["message-type"]]


def _is_answer(answer: Packet, asked: Packet) -> bool:
    return answer.xid == asked.xid and answer.chaddr[:6] == asked.chaddr[:6]


def arp_answer(station: str, address: str, gateway_mac: str) -> Packet:
    message = ARP(op=2, hwsrc=station, psrc=address, hwdst=gateway_mac, pdst=GATEWAY)
    return Ether(src=station, dst=gateway_mac) / message


__all__ = ["ARP", "BOOTP", "IP", "SECOND", "UDP", "Ether"]
