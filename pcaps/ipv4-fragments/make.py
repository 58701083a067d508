"""One datagram in three fragments: to a neighbour, in order and out of it, and outwards."""

from __future__ import annotations

from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Raw

from vswitch.debug.cases.making import Script, make

APP, DB, GATEWAY = "02:00:00:00:01:02", "02:00:00:00:01:03", "02:00:00:00:01:01"
ROUTER, SWITCH = "02:00:00:00:00:01", "02:00:00:00:00:fe"
SERVER = "198.51.100.1"
PIECE = 32


def build(script: Script) -> None:
    router_is_here = ARP(op=2, hwsrc=ROUTER, psrc="203.0.113.254", hwdst=SWITCH, pdst="203.0.113.1")

    def fragments(source: str, destination: str, identification: int) -> list[IP]:
        header = IP(src=source, dst=destination, id=identification)
        whole = bytes(header / UDP(sport=5000, dport=7000) / bytes(range(80)))[20:]
        pieces = [whole[at : at + PIECE] for at in range(0, len(whole), PIECE)]
        return [
            IP(
                src=source,
                dst=destination,
                id=identification,
                proto=17,
                flags="MF" if index < len(pieces) - 1 else "",
                frag=index * PIECE // 8,
            )
            / Raw(piece)
            for index, piece in enumerate(pieces)
        ]

    db_is_here = ARP(op=1, hwsrc=DB, psrc="10.0.0.3", pdst="10.0.0.1")
    script.send(0.0, "uplink", Ether(src=ROUTER, dst=SWITCH) / router_is_here)
    script.send(0.0, "db", Ether(src=DB, dst=GATEWAY) / db_is_here)

    first, second, third = fragments("10.0.0.2", "10.0.0.3", 1)
    for at, piece in enumerate((first, second, third), start=1):
        script.send(at / 10, "app", Ether(src=APP, dst=DB) / piece)
    for at, piece in enumerate((third, first, second), start=4):
        script.send(at / 10, "app", Ether(src=APP, dst=DB) / piece)

    whole = IP(src="10.0.0.2", dst=SERVER) / UDP(sport=5000, dport=7000) / b"in one piece"
    script.send(0.7, "app", Ether(src=APP, dst=GATEWAY) / whole)
    script.send(0.8, "app", Ether(src=APP, dst=GATEWAY) / whole)
    for at, piece in enumerate(fragments("10.0.0.2", SERVER, 2), start=9):
        script.send(at / 10, "app", Ether(src=APP, dst=GATEWAY) / piece)
    for at, piece in enumerate(reversed(fragments(SERVER, "203.0.113.1", 3)), start=12):
        script.send(at / 10, "uplink", Ether(src=ROUTER, dst=SWITCH) / piece)
    echo = IP(src="10.0.0.2", dst="10.0.0.1", id=4, proto=1, flags="MF") / bytes(PIECE)
    script.send(1.5, "app", Ether(src=APP, dst=GATEWAY) / echo)


if __name__ == "__main__":
    make(__file__, build)
