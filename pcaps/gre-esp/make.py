"""Tunnels without ports of two endpoints, to one peer and to two, and AH."""

from __future__ import annotations

from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import ARP, GRE, Ether

from vswitch.debug.cases.making import Script, make

ROUTER, SWITCH = "02:00:00:00:00:01", "02:00:00:00:00:fe"
GATEWAY = "02:00:00:00:01:01"
PEER, OTHER, STRANGER, EXTERNAL = "198.51.100.1", "198.51.100.2", "198.51.100.3", "203.0.113.1"
STATIONS = {"app": ("02:00:00:00:01:02", "10.0.0.2"), "db": ("02:00:00:00:01:03", "10.0.0.3")}
ESP, AH = 50, 51


def introduce(script: Script, seconds: float) -> None:
    """Say where the stations are, so that no frame has to wait."""
    for port, (mac, address) in STATIONS.items():
        here = ARP(op=2, hwsrc=mac, psrc=address, hwdst=GATEWAY, pdst="10.0.0.1")
        script.send(seconds, port, Ether(src=mac, dst=GATEWAY) / here)
    router = ARP(op=2, hwsrc=ROUTER, psrc="203.0.113.254", hwdst=SWITCH, pdst="203.0.113.1")
    script.send(seconds, "uplink", Ether(src=ROUTER, dst=SWITCH) / router)


def build(script: Script) -> None:
    def out(seconds: float, name: str, to: str, protocol: int, payload: bytes) -> None:
        mac, address = STATIONS[name]
        packet = IP(src=address, dst=to, proto=protocol)
        script.send(seconds, name, Ether(src=mac, dst=GATEWAY) / packet / payload)

    def into(seconds: float, source: str, protocol: int, payload: bytes) -> None:
        packet = IP(src=source, dst=EXTERNAL, proto=protocol)
        script.send(seconds, "uplink", Ether(src=ROUTER, dst=SWITCH) / packet / payload)

    carried = IP(src="192.168.0.1", dst="192.168.0.2") / ICMP(type=8, id=1, seq=1)
    gre = bytes(GRE(proto=0x0800) / carried)
    esp = bytes.fromhex("00001001 00000001") + bytes(range(24))

    introduce(script, 0.0)
    for second, (protocol, payload) in enumerate(((47, gre), (ESP, esp)), start=1):
        into(second + 0.0, PEER, protocol, payload)  # before anybody has asked
        out(second + 0.1, "app", PEER, protocol, payload)
        into(second + 0.2, PEER, protocol, payload)
        out(second + 0.3, "db", PEER, protocol, payload)  # app has this peer
        out(second + 0.4, "db", OTHER, protocol, payload)
        into(second + 0.5, OTHER, protocol, payload)
        into(second + 0.6, STRANGER, protocol, payload)
    out(3.0, "app", PEER, AH, bytes(24))
    into(3.1, PEER, AH, bytes(24))

    # an error about one, and the way to the switch itself
    seen = IP(src=EXTERNAL, dst=PEER, proto=ESP, ttl=60) / esp
    error = Ether(src=ROUTER, dst=SWITCH) / IP(src="198.51.100.99", dst=EXTERNAL)
    needed = ICMP(type=3, code=4, nexthopmtu=1280)
    script.send(4.0, "uplink", error / needed / bytes(seen)[:28])
    out(4.1, "app", "10.0.0.1", 47, gre)

    for seconds in (280.0, 560.0):
        introduce(script, seconds)
    out(601.0, "db", PEER, 47, gre)  # app's ends at 601.2
    out(601.3, "db", PEER, 47, gre)


if __name__ == "__main__":
    make(__file__, build)
