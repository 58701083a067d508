"""Checksums that are wrong by a known amount, on every way through the switch."""

from __future__ import annotations

from scapy.layers.inet import ICMP, IP, TCP, UDP, fragment
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet

from vswitch.debug.cases.making import Script, make

APP, DB, GATEWAY = "02:00:00:00:01:02", "02:00:00:00:01:03", "02:00:00:00:01:01"
ROUTER, SWITCH = "02:00:00:00:00:01", "02:00:00:00:00:fe"
SERVER, EXTERNAL = "198.51.100.1", "203.0.113.1"
WRONG_BY = 0x0123


def introduce(script: Script, seconds: float) -> None:
    """Say where the stations are, so that no frame has to wait."""
    for port, mac, address in (("app", APP, "10.0.0.2"), ("db", DB, "10.0.0.3")):
        here = ARP(op=2, hwsrc=mac, psrc=address, hwdst=GATEWAY, pdst="10.0.0.1")
        script.send(seconds, port, Ether(src=mac, dst=GATEWAY) / here)
    router = ARP(op=2, hwsrc=ROUTER, psrc="203.0.113.254", hwdst=SWITCH, pdst="203.0.113.1")
    script.send(seconds, "uplink", Ether(src=ROUTER, dst=SWITCH) / router)


def damaged(packet: Packet) -> Packet:
    """The same with a checksum that is too high by `WRONG_BY`, in ones' complement."""
    packet = type(packet)(bytes(packet))
    layer = packet[TCP] if TCP in packet else packet[UDP] if UDP in packet else packet[ICMP]
    total = layer.chksum + WRONG_BY
    layer.chksum = (total & 0xFFFF) + (total >> 16)
    return packet


def build(script: Script) -> None:
    out = Ether(src=APP, dst=GATEWAY) / IP(src="10.0.0.2", dst=SERVER)
    back = Ether(src=ROUTER, dst=SWITCH) / IP(src=SERVER, dst=EXTERNAL)
    across = Ether(src=DB, dst=GATEWAY) / IP(src="10.0.0.3", dst=EXTERNAL)

    introduce(script, 0.0)
    # by the pipeline, by the fast path, and a sound one behind them
    datagram, answer = UDP(sport=5000, dport=7000) / b"out", UDP(sport=7000, dport=5000) / b"back"
    for at, packet in enumerate((damaged(out / datagram), damaged(out / datagram), out / datagram)):
        script.send(1 + at / 10, "app", packet)
    for at, packet in enumerate((damaged(back / answer), damaged(back / answer), back / answer)):
        script.send(1.5 + at / 10, "uplink", packet)

    script.send(2.0, "app", damaged(out / TCP(sport=40000, dport=80, flags="S", seq=1000)))
    syn_ack = TCP(sport=80, dport=40000, flags="SA", seq=5000, ack=1001)
    script.send(2.1, "uplink", damaged(back / syn_ack))
    segment = TCP(sport=40000, dport=80, flags="PA", seq=1001, ack=5001) / b"data"
    for at in range(2):
        script.send(2.2 + at / 10, "app", damaged(out / segment))
    script.send(2.4, "app", out / segment)

    # to published ports, from outside and from another endpoint
    question = UDP(sport=4444, dport=5353) / b"question"
    script.send(3.0, "uplink", damaged(back / question))
    script.send(3.1, "db", damaged(across / question))
    script.send(3.2, "db", damaged(across / TCP(sport=40001, dport=8080, flags="S", seq=1000)))

    # in pieces, in what an error quotes, and of ICMP itself, which is refused
    for at, piece in enumerate(fragment(damaged(out / datagram / bytes(60))[IP], 32)):
        script.send(4.1 + at / 10, "app", Ether(src=APP, dst=GATEWAY) / piece)
    seen = IP(src=EXTERNAL, dst=SERVER, ttl=60) / datagram
    error = back / ICMP(type=3, code=3)
    script.send(4.5, "uplink", error / bytes(damaged(seen)))
    script.send(4.6, "uplink", damaged(error / bytes(seen)))
    script.send(4.7, "app", damaged(out / ICMP(type=8, id=7, seq=1) / b"ping"))


if __name__ == "__main__":
    make(__file__, build)
