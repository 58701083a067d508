"""An uplink with three addresses: which of them stands for whom, and all of them answer ARP."""

from __future__ import annotations

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import ARP, GRE, Ether

from vswitch.debug.cases.making import Script, make

ROUTER, SWITCH = "02:00:00:00:00:01", "02:00:00:00:00:fe"
EVERYBODY = "ff:ff:ff:ff:ff:ff"
SERVERS = ("198.51.100.1", "198.51.100.2")
ADDRESSES = ("203.0.113.1", "203.0.113.2", "203.0.113.3")
ENDPOINTS = {
    "app": ("02:00:00:00:01:02", "02:00:00:00:01:01", "10.0.0.2", "10.0.0.1"),
    "db": ("02:00:00:00:01:03", "02:00:00:00:01:01", "10.0.0.3", "10.0.0.1"),
    "job": ("02:00:00:00:02:02", "02:00:00:00:02:01", "10.1.0.2", "10.1.0.1"),
    "log": ("02:00:00:00:02:03", "02:00:00:00:02:01", "10.1.0.3", "10.1.0.1"),
}


def introduce(script: Script, seconds: float) -> None:
    """Say where the stations are, so that no frame has to wait."""
    for name, (mac, gateway, address, router) in ENDPOINTS.items():
        here = ARP(op=2, hwsrc=mac, psrc=address, hwdst=gateway, pdst=router)
        script.send(seconds, name, Ether(src=mac, dst=gateway) / here)
    outside = ARP(op=2, hwsrc=ROUTER, psrc="203.0.113.254", hwdst=SWITCH, pdst=ADDRESSES[0])
    script.send(seconds, "uplink", Ether(src=ROUTER, dst=SWITCH) / outside)


def build(script: Script) -> None:
    introduce(script, 0.0)
    for at, (name, (mac, gateway, address, _)) in enumerate(ENDPOINTS.items()):
        for tenth, server in enumerate(SERVERS):
            out = Ether(src=mac, dst=gateway) / IP(src=address, dst=server)
            seconds = 1 + at + tenth / 10
            script.send(seconds, name, out / UDP(sport=5000 + at, dport=7000) / b"hello")
            segment = TCP(sport=5000 + at, dport=80, flags="S", seq=1000)
            script.send(seconds + 0.01, name, out / segment)
            script.send(seconds + 0.02, name, out / ICMP(type=8, id=7 + at, seq=1))
            another = UDP(sport=5100 + at, dport=7000)  # which another address has more room for
            script.send(seconds + 0.04, name, out / another / b"hello")
            if server == SERVERS[at % 2]:
                carried = IP(src="192.168.0.1", dst="192.168.0.2")
                script.send(seconds + 0.05, name, out / GRE(proto=0x0800) / carried)

    for second, address in enumerate(ADDRESSES, start=5):
        question = ARP(op=1, hwsrc=ROUTER, psrc="203.0.113.254", pdst=address)
        script.send(second, "uplink", Ether(src=ROUTER, dst=EVERYBODY) / question)
        into = Ether(src=ROUTER, dst=SWITCH) / IP(src=SERVERS[0], dst=address)
        script.send(second + 0.1, "uplink", into / ICMP(type=8, id=77, seq=1) / b"ping")
        for tenth, port in enumerate((5000, 5001, 5002), start=2):  # each on one address only
            answer = UDP(sport=7000, dport=port) / b"answer"
            script.send(second + tenth / 10, "uplink", into / answer)


if __name__ == "__main__":
    make(__file__, build)
