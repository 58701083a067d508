"""Two endpoints with the same identification to the same server, their pieces mixed."""

from __future__ import annotations

from scapy.layers.inet import IP, TCP, UDP, fragment
from scapy.layers.l2 import ARP, Ether

from vswitch.debug.cases.making import Script, make, unfinished

APP, DB, GATEWAY = "02:00:00:00:01:02", "02:00:00:00:01:03", "02:00:00:00:01:01"
ROUTER, SWITCH = "02:00:00:00:00:01", "02:00:00:00:00:fe"
SERVER, OTHER, EXTERNAL = "198.51.100.1", "198.51.100.2", "203.0.113.1"
STATIONS = {"app": (APP, "10.0.0.2", 5000), "db": (DB, "10.0.0.3", 6000)}


def introduce(script: Script, seconds: float) -> None:
    """Say where the stations are, so that no frame has to wait."""
    for port, (mac, address, _) in STATIONS.items():
        here = ARP(op=2, hwsrc=mac, psrc=address, hwdst=GATEWAY, pdst="10.0.0.1")
        script.send(seconds, port, Ether(src=mac, dst=GATEWAY) / here)
    router = ARP(op=2, hwsrc=ROUTER, psrc="203.0.113.254", hwdst=SWITCH, pdst="203.0.113.1")
    script.send(seconds, "uplink", Ether(src=ROUTER, dst=SWITCH) / router)


def build(script: Script) -> None:
    def datagram(name: str, length: int, flags: str = "", to: str = SERVER) -> Ether:
        mac, address, port = STATIONS[name]
        packet = IP(src=address, dst=to, id=77, flags=flags) / UDP(sport=port, dport=7000)
        return Ether(src=mac, dst=GATEWAY) / packet / bytes(length - 28)

    introduce(script, 0.0)
    pieces = {
        name: fragment(datagram(name, 2500)[IP], 992) for name in STATIONS
    }  # three of each, which come in turn
    for at in range(3):
        for name, offset in (("app", 0.0), ("db", 0.05)):
            mac, *_ = STATIONS[name]
            link = Ether(src=mac, dst=GATEWAY)
            script.send(1 + at / 10 + offset, name, link / pieces[name][at])

    # cut here, from one endpoint to two servers
    script.send(2.0, "app", datagram("app", 1500))
    script.send(2.1, "app", datagram("app", 1500))
    script.send(2.2, "app", datagram("app", 1500, to=OTHER))

    # a packet that must not be cut keeps its own
    script.send(3.0, "app", datagram("app", 1000, "DF"))
    script.send(3.1, "db", datagram("db", 1000, "DF"))

    # of a super-frame that may be cut, each packet has its own
    mac, address, port = STATIONS["app"]
    out = Ether(src=mac, dst=GATEWAY) / IP(src=address, dst=SERVER, id=77)
    script.send(4.0, "app", out / TCP(sport=port, dport=80, flags="S", seq=1000))
    back = Ether(src=ROUTER, dst=SWITCH) / IP(src=SERVER, dst=EXTERNAL)
    answer = TCP(sport=80, dport=port, flags="SA", seq=5000, ack=1001)
    script.send(4.1, "uplink", back / answer)
    burst = TCP(sport=port, dport=80, flags="PA", seq=1001, ack=5001) / bytes(2920)
    script.send(4.2, "app", *unfinished(out / burst, gso_size=1460))


if __name__ == "__main__":
    make(__file__, build)
