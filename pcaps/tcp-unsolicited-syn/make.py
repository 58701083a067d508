"""SYNs that nobody has asked for: sent once, again, too many, in time for the inside to open."""

from __future__ import annotations

from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import ARP, Ether

from vswitch.debug.cases.making import Script, make

APP, GATEWAY = "02:00:00:00:01:02", "02:00:00:00:01:01"
ROUTER, SWITCH = "02:00:00:00:00:01", "02:00:00:00:00:fe"
OTHER_ROUTER, OTHER_SWITCH = "02:00:00:00:00:02", "02:00:00:00:00:fd"
PEER, EXTERNAL = "198.51.100.1", "203.0.113.1"


def introduce(script: Script, seconds: float) -> None:
    """Say where the stations are, so that no frame has to wait."""
    here = ARP(op=2, hwsrc=APP, psrc="10.0.0.2", hwdst=GATEWAY, pdst="10.0.0.1")
    script.send(seconds, "app", Ether(src=APP, dst=GATEWAY) / here)
    router = ARP(op=2, hwsrc=ROUTER, psrc="203.0.113.254", hwdst=SWITCH, pdst=EXTERNAL)
    script.send(seconds, "uplink", Ether(src=ROUTER, dst=SWITCH) / router)


def build(script: Script) -> None:
    out = Ether(src=APP, dst=GATEWAY) / IP(src="10.0.0.2", dst=PEER)
    into = Ether(src=ROUTER, dst=SWITCH) / IP(src=PEER, dst=EXTERNAL)

    def syn(sport: int, dport: int, data: bytes = b"") -> TCP:
        return TCP(sport=sport, dport=dport, flags="S", seq=5000) / data

    introduce(script, 0.0)
    script.send(1.0, "uplink", into / syn(80, 22, b"with data, of which as much is quoted"))
    script.send(2.0, "uplink", into / syn(80, 22, b"with data, of which as much is quoted"))
    script.send(4.0, "uplink", into / syn(80, 22, b"with data, of which as much is quoted"))

    script.send(5.0, "uplink", into / syn(80, 40000))
    segment = TCP(sport=40000, dport=80, flags="S", seq=1000)
    script.send(8.0, "app", out / segment)  # the inside opens to the same peer
    script.send(8.5, "uplink", into / syn(80, 40000))  # which tries again

    for at, port in enumerate((1001, 1002, 1003, 1004)):  # three are held, one is too many
        script.send(9 + at / 10, "uplink", into / syn(80, port))

    quiet = Ether(src=OTHER_ROUTER, dst=OTHER_SWITCH) / IP(src=PEER, dst="192.0.2.1")
    script.send(9.5, "quiet", quiet / syn(80, 22))
    script.send(9.6, "uplink", into / TCP(sport=80, dport=22, flags="SA", seq=1, ack=1))
    script.send(15.5, "uplink", into / syn(80, 1004))  # the others are gone


if __name__ == "__main__":
    make(__file__, build)
