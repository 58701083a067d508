"""Datagrams to a neighbour outside that does not exist."""

from __future__ import annotations

from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from vswitch.debug.cases.making import Script, make

APP, DB, GATEWAY = "02:00:00:00:01:02", "02:00:00:00:01:03", "02:00:00:00:01:01"


def build(script: Script) -> None:
    def datagram(station: str, address: str, port: int) -> Ether:
        packet = IP(src=address, dst="203.0.113.7") / UDP(sport=port, dport=7000)
        return Ether(src=station, dst=GATEWAY) / packet / b"anybody there?"

    script.send(0.0, "app", datagram(APP, "10.0.0.2", 5000))
    script.send(1.5, "db", datagram(DB, "10.0.0.3", 5001))
    script.send(4.0, "app", datagram(APP, "10.0.0.2", 5000))


if __name__ == "__main__":
    make(__file__, build)
