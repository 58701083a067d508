"""Two clients outside and a neighbour knock at a published port; the neighbour tries others."""

from __future__ import annotations

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether

from vswitch.debug.cases.making import Script, make

WEB, APP, GATEWAY = "02:00:00:00:01:02", "02:00:00:00:01:03", "02:00:00:00:01:01"
ROUTER, UPLINK = "02:00:00:00:99:01", "02:00:00:00:00:fe"
EVERYBODY = "ff:ff:ff:ff:ff:ff"
ALLOWED, STRANGER = "198.51.100.8", "198.51.100.9"


def build(script: Script) -> None:
    def knock(source: str, sport: int) -> Ether:
        syn = TCP(sport=sport, dport=8080, seq=1, flags="S")
        return Ether(src=ROUTER, dst=UPLINK) / IP(src=source, dst="203.0.113.1") / syn

    def near(dport: int, flags: str = "S") -> Ether:
        segment = TCP(sport=5000, dport=dport, seq=1, flags=flags)
        return Ether(src=APP, dst=WEB) / IP(src="10.0.0.3", dst="10.0.0.2") / segment

    for at, port, mac, address in ((0.0, "web", WEB, "10.0.0.2"), (0.1, "app", APP, "10.0.0.3")):
        asks = ARP(op=1, hwsrc=mac, psrc=address, pdst="10.0.0.1")
        script.send(at, port, Ether(src=mac, dst=EVERYBODY) / asks)
    script.send(
        0.2,
        "uplink",
        Ether(src=ROUTER, dst=EVERYBODY)
        / ARP(op=1, hwsrc=ROUTER, psrc="203.0.113.254", pdst="203.0.113.1"),
    )
    script.send(1.0, "uplink", knock(ALLOWED, 4000))
    script.send(1.1, "uplink", knock(STRANGER, 4000))
    answer = TCP(sport=80, dport=4000, seq=9, ack=2, flags="SA")
    script.send(1.2, "web", Ether(src=WEB, dst=GATEWAY) / IP(src="10.0.0.2", dst=ALLOWED) / answer)

    script.send(2.0, "app", near(80))
    script.send(2.1, "app", near(22))
    back = TCP(sport=80, dport=5000, seq=9, ack=2, flags="SA")
    script.send(2.2, "web", Ether(src=WEB, dst=APP) / IP(src="10.0.0.2", dst="10.0.0.3") / back)
    script.send(2.3, "app", near(80, "A"))

    away = UDP(sport=5000, dport=7000) / b"in another's name"
    forged = IP(src="10.0.0.2", dst=STRANGER) / away
    script.send(3.0, "app", Ether(src=APP, dst=GATEWAY) / forged)
    claim = ARP(op=2, hwsrc=APP, psrc="10.0.0.2", pdst="10.0.0.1")
    script.send(3.1, "app", Ether(src=APP, dst=EVERYBODY) / claim)
    script.send(3.2, "app", Ether(src=WEB, dst=GATEWAY) / forged)


if __name__ == "__main__":
    make(__file__, build)
