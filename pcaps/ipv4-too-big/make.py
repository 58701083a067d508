"""Datagrams that are longer than the uplink's MTU of 1400, with and without leave to cut them."""

from __future__ import annotations

from scapy.layers.inet import IP, UDP, fragment
from scapy.layers.l2 import ARP, Ether

from vswitch.debug.cases.making import Script, make

APP, GATEWAY = "02:00:00:00:01:02", "02:00:00:00:01:01"
ROUTER, SWITCH = "02:00:00:00:00:01", "02:00:00:00:00:fe"
SERVER = "198.51.100.1"
HEADERS = 28


def build(script: Script) -> None:
    router_is_here = ARP(op=2, hwsrc=ROUTER, psrc="203.0.113.254", hwdst=SWITCH, pdst="203.0.113.1")
    ask_gateway = ARP(op=1, hwsrc=APP, psrc="10.0.0.2", pdst="10.0.0.1")

    def out(length: int, flags: str) -> Ether:
        packet = IP(src="10.0.0.2", dst=SERVER, flags=flags) / UDP(sport=5000, dport=7000)
        return Ether(src=APP, dst=GATEWAY) / packet / bytes(length - HEADERS)

    back = Ether(src=ROUTER, dst=SWITCH) / IP(src=SERVER, dst="203.0.113.1", flags="DF")
    back /= UDP(sport=7000, dport=5000) / bytes(1500 - HEADERS)

    script.send(0.0, "app", Ether(src=APP, dst=GATEWAY) / ask_gateway)
    script.send(0.0, "uplink", Ether(src=ROUTER, dst=SWITCH) / router_is_here)
    script.send(0.1, "app", out(1401, "DF"))
    script.send(0.2, "app", out(1400, "DF"))
    script.send(0.3, "app", out(1400, "DF"))
    script.send(0.4, "app", out(1401, "DF"))
    script.send(0.5, "app", out(1401, ""))
    script.send(0.6, "app", out(1500, ""))
    for at, piece in enumerate(fragment(out(3000, "")[IP], 1480), start=7):
        script.send(at / 10, "app", Ether(src=APP, dst=GATEWAY) / piece)
    script.send(1.1, "uplink", back)


if __name__ == "__main__":
    make(__file__, build)
