"""Super-frames and unfinished checksums towards devices that take none, and one that does."""

from __future__ import annotations

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Dot1Q, Ether

from vswitch.debug.cases.making import Script, make, unfinished

APP, DB, CAPABLE = "02:00:00:00:01:02", "02:00:00:00:01:03", "02:00:00:00:01:04"
GATEWAY, ROUTER, SWITCH = "02:00:00:00:01:01", "02:00:00:00:00:01", "02:00:00:00:00:fe"
SERVER = "198.51.100.1"
EVERYBODY = "ff:ff:ff:ff:ff:ff"
STEP = 100
LETTERS = bytes(range(65, 91)) * 10


def build(script: Script) -> None:
    router_is_here = ARP(op=2, hwsrc=ROUTER, psrc="203.0.113.254", hwdst=SWITCH, pdst="203.0.113.1")
    db_is_here = ARP(op=1, hwsrc=DB, psrc="10.0.0.3", pdst="10.0.0.1")
    capable_is_here = ARP(op=1, hwsrc=CAPABLE, psrc="10.0.0.4", pdst="10.0.0.1")
    beside = IP(src="10.0.0.2", dst="10.0.0.3", id=7)
    beside_v6 = IPv6(src="fe80::2", dst="fe80::3")
    out = IP(src="10.0.0.2", dst=SERVER, id=9)
    stream = TCP(sport=5000, dport=80, seq=0xFFFFFFF0, ack=1, flags="PAFC") / LETTERS
    stamped = TCP(sport=5000, dport=80, seq=1, flags="PA", options=[("Timestamp", (1, 2))])
    datagrams = UDP(sport=5000, dport=7000) / LETTERS
    to_all = Ether(src=APP, dst=EVERYBODY) / IP(src="10.0.0.2", dst="10.0.255.255", id=8)

    script.send(0.0, "uplink", Ether(src=ROUTER, dst=SWITCH) / router_is_here)
    script.send(0.0, "db", Ether(src=DB, dst=GATEWAY) / db_is_here)
    script.send(0.0, "capable", Ether(src=CAPABLE, dst=GATEWAY) / capable_is_here)

    to_db = Ether(src=APP, dst=DB)
    script.send(0.1, "app", *unfinished(to_db / beside / datagrams))
    script.send(0.2, "app", *unfinished(to_db / beside / stream, gso_size=STEP))
    script.send(0.3, "app", *unfinished(to_db / Dot1Q(vlan=7) / beside / stamped / LETTERS, STEP))
    script.send(0.4, "app", *unfinished(to_db / beside_v6 / stream, gso_size=STEP))
    script.send(0.5, "app", *unfinished(to_db / beside / datagrams, gso_size=STEP))

    to_capable = Ether(src=APP, dst=CAPABLE) / IP(src="10.0.0.2", dst="10.0.0.4", id=7)
    script.send(0.6, "app", *unfinished(to_capable / stream, gso_size=STEP))
    script.send(0.7, "app", *unfinished(to_all / datagrams, gso_size=STEP))

    outwards = Ether(src=APP, dst=GATEWAY) / out
    script.send(0.8, "app", *unfinished(outwards / datagrams))
    script.send(0.9, "app", *unfinished(outwards / datagrams, gso_size=STEP))


if __name__ == "__main__":
    make(__file__, build)
