"""Offload headers that contradict their frames, on the way to a neighbour, outwards and by ARP."""

from __future__ import annotations

from dataclasses import replace

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether

from vswitch.debug.cases.making import Script, make, unfinished
from vswitch.wire.offload import GSO_TCPV4, GSO_TCPV6, GSO_UDP, NEEDS_CSUM, OffloadHeader

APP, DB, GATEWAY = "02:00:00:00:01:02", "02:00:00:00:01:03", "02:00:00:00:01:01"
ROUTER, SWITCH = "02:00:00:00:00:01", "02:00:00:00:00:fe"
EVERYBODY = "ff:ff:ff:ff:ff:ff"


def build(script: Script) -> None:
    router_is_here = ARP(op=2, hwsrc=ROUTER, psrc="203.0.113.254", hwdst=SWITCH, pdst="203.0.113.1")
    db_is_here = ARP(op=1, hwsrc=DB, psrc="10.0.0.3", pdst="10.0.0.1")
    script.send(0.0, "uplink", Ether(src=ROUTER, dst=SWITCH) / router_is_here)
    script.send(0.0, "db", Ether(src=DB, dst=GATEWAY) / db_is_here)

    beside = Ether(src=APP, dst=DB) / IP(src="10.0.0.2", dst="10.0.0.3")
    datagram, unfinished_sum = unfinished(beside / UDP(sport=5000, dport=7000) / b"data")
    stream = beside / TCP(sport=5000, dport=80, flags="A") / bytes(200)
    segments, to_be_cut = unfinished(stream, gso_size=100)
    lies = [
        (datagram, replace(unfinished_sum, checksum_start=900)),
        (datagram, replace(unfinished_sum, checksum_offset=900)),
        (datagram, replace(unfinished_sum, checksum_start=len(datagram) - 7)),
        (segments, replace(to_be_cut, gso_size=0)),
        (segments, replace(to_be_cut, gso_size=7)),
        (segments, replace(to_be_cut, gso_type=GSO_TCPV6)),
        (segments, replace(to_be_cut, gso_type=GSO_UDP)),
        (segments, replace(to_be_cut, gso_type=99)),
        (segments, replace(to_be_cut, checksum_start=14)),
        (datagram, replace(unfinished_sum, gso_type=GSO_TCPV4, gso_size=100)),
    ]
    for at, (frame, header) in enumerate(lies, start=1):
        script.send(at / 10, "app", frame, header)

    packet = IP(src="10.0.0.2", dst="198.51.100.1")
    outwards, out_header = unfinished(
        Ether(src=APP, dst=GATEWAY) / packet / UDP(sport=5000, dport=7000) / b"data"
    )
    in_addresses = replace(out_header, checksum_start=26, checksum_offset=0)
    echo = Ether(src=APP, dst=GATEWAY) / packet / ICMP(type=8, id=1, seq=1)
    question = ARP(op=1, hwsrc=APP, psrc="10.0.0.2", pdst="10.0.0.1")
    script.send(2.0, "app", outwards, in_addresses)
    script.send(2.1, "app", echo, OffloadHeader(NEEDS_CSUM, checksum_start=34, checksum_offset=2))
    in_sender = OffloadHeader(NEEDS_CSUM, checksum_start=14, checksum_offset=14)
    script.send(2.2, "app", Ether(src=APP, dst=EVERYBODY) / question, in_sender)
    script.send(2.3, "app", outwards, out_header)


if __name__ == "__main__":
    make(__file__, build)
