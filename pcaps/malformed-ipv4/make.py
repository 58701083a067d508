"""IPv4 headers that lie, to the gateway's station, from inside and outside, and to a neighbour."""

from __future__ import annotations

from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import ARP, Ether

from vswitch.debug.cases.making import Script, make

APP, DB, GATEWAY = "02:00:00:00:01:02", "02:00:00:00:01:03", "02:00:00:00:01:01"
ROUTER, SWITCH = "02:00:00:00:00:01", "02:00:00:00:00:fe"
SERVER, OURSELVES = "198.51.100.1", "203.0.113.1"


def build(script: Script) -> None:
    router_is_here = ARP(op=2, hwsrc=ROUTER, psrc="203.0.113.254", hwdst=SWITCH, pdst=OURSELVES)
    to_gateway = Ether(src=APP, dst=GATEWAY, type=0x0800)
    to_switch = Ether(src=ROUTER, dst=SWITCH, type=0x0800)
    to_neighbour = Ether(src=APP, dst=DB, type=0x0800)

    def packet(source: str = "10.0.0.2", to: str = SERVER, **lies: int) -> bytes:
        return bytes(IP(src=source, dst=to, **lies) / UDP(sport=5000, dport=7000) / b"data")

    whole = packet()
    inside = [
        whole[:0],
        whole[:19],
        whole[:-1],
        packet(version=6),
        packet(version=0),
        packet(ihl=4),
        packet(ihl=0),
        packet(ihl=15)[:59],
        packet(len=19),
        packet(len=33),
        packet(len=0),
        packet(len=65535),
        packet(chksum=0),
        packet(chksum=0xFFFF),
    ]
    outside = [packet(SERVER, OURSELVES, chksum=1), packet(SERVER, OURSELVES, version=5)]

    frames = [("uplink", Ether(src=ROUTER, dst=SWITCH) / router_is_here)]
    frames += [("app", to_gateway / lie) for lie in inside]
    frames += [("uplink", to_switch / lie) for lie in outside]
    frames += [("app", to_neighbour / packet(to="10.0.0.3", version=6, len=65535, chksum=0))]
    frames += [("app", to_gateway / whole / bytes(6))]
    for at, (port, frame) in enumerate(frames):
        script.send(at / 10, port, frame)


if __name__ == "__main__":
    make(__file__, build)
