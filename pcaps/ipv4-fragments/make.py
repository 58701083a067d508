"""One datagram in three fragments: to a neighbour, outwards and inwards, and to the gateway."""

from __future__ import annotations

from scapy.layers.inet import ICMP, IP, UDP, fragment
from scapy.layers.l2 import ARP, Ether

from vswitch.debug.cases.making import Script, make

APP, DB, GATEWAY = "02:00:00:00:01:02", "02:00:00:00:01:03", "02:00:00:00:01:01"
ROUTER, SWITCH = "02:00:00:00:00:01", "02:00:00:00:00:fe"
SERVER = "198.51.100.1"
PIECE = 32


def build(script: Script) -> None:
    router_is_here = ARP(op=2, hwsrc=ROUTER, psrc="203.0.113.254", hwdst=SWITCH, pdst="203.0.113.1")

    def fragments(source: str, destination: str, sport: int, dport: int, number: int) -> list[IP]:
        header = IP(src=source, dst=destination, id=number)
        return fragment(header / UDP(sport=sport, dport=dport) / bytes(range(80)), PIECE)

    app_is_here = ARP(op=1, hwsrc=APP, psrc="10.0.0.2", pdst="10.0.0.1")
    db_is_here = ARP(op=1, hwsrc=DB, psrc="10.0.0.3", pdst="10.0.0.1")
    script.send(0.0, "uplink", Ether(src=ROUTER, dst=SWITCH) / router_is_here)
    script.send(0.0, "app", Ether(src=APP, dst=GATEWAY) / app_is_here)
    script.send(0.0, "db", Ether(src=DB, dst=GATEWAY) / db_is_here)

    first, second, third = fragments("10.0.0.2", "10.0.0.3", 5000, 7000, 1)
    for at, piece in enumerate((first, second, third), start=1):
        script.send(at / 10, "app", Ether(src=APP, dst=DB) / piece)
    for at, piece in enumerate((third, first, second), start=4):
        script.send(at / 10, "app", Ether(src=APP, dst=DB) / piece)

    whole = IP(src="10.0.0.2", dst=SERVER) / UDP(sport=5000, dport=7000) / b"in one piece"
    script.send(0.7, "app", Ether(src=APP, dst=GATEWAY) / whole)
    script.send(0.8, "app", Ether(src=APP, dst=GATEWAY) / whole)
    for at, piece in enumerate(fragments("10.0.0.2", SERVER, 5000, 7000, 2), start=9):
        script.send(at / 10, "app", Ether(src=APP, dst=GATEWAY) / piece)
    for at, piece in enumerate(reversed(fragments(SERVER, "203.0.113.1", 7000, 5000, 3)), start=12):
        script.send(at / 10, "uplink", Ether(src=ROUTER, dst=SWITCH) / piece)
    echo = IP(src="10.0.0.2", dst="10.0.0.1", id=4) / ICMP(type=8, id=7, seq=1) / bytes(range(80))
    for at, piece in enumerate(fragment(echo, PIECE), start=15):
        script.send(at / 10, "app", Ether(src=APP, dst=GATEWAY) / piece)


if __name__ == "__main__":
    make(__file__, build)
