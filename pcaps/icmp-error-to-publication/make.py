"""Errors from outside about what an endpoint has answered by its published ports."""

from __future__ import annotations

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether

from vswitch.debug.cases.making import Script, make

WEB, GATEWAY = "02:00:00:00:01:04", "02:00:00:00:01:01"
ROUTER, SWITCH = "02:00:00:00:00:01", "02:00:00:00:00:fe"
CLIENT, EXTERNAL, HOP = "198.51.100.1", "203.0.113.1", "198.51.100.99"


def introduce(script: Script, seconds: float) -> None:
    """Say where the stations are, so that no frame has to wait."""
    here = ARP(op=2, hwsrc=WEB, psrc="10.0.0.4", hwdst=GATEWAY, pdst="10.0.0.1")
    script.send(seconds, "web", Ether(src=WEB, dst=GATEWAY) / here)
    router = ARP(op=2, hwsrc=ROUTER, psrc="203.0.113.254", hwdst=SWITCH, pdst="203.0.113.1")
    script.send(seconds, "uplink", Ether(src=ROUTER, dst=SWITCH) / router)


def build(script: Script) -> None:
    into = Ether(src=ROUTER, dst=SWITCH) / IP(src=CLIENT, dst=EXTERNAL)
    error = Ether(src=ROUTER, dst=SWITCH) / IP(src=HOP, dst=EXTERNAL)
    from_web = Ether(src=WEB, dst=GATEWAY) / IP(src="10.0.0.4", dst=CLIENT)
    sent = IP(src=EXTERNAL, dst=CLIENT, ttl=60)
    needed = ICMP(type=3, code=4, nexthopmtu=1280)
    closed, exceeded = ICMP(type=3, code=3), ICMP(type=11, code=0)

    introduce(script, 0.0)
    segment = TCP(sport=8080, dport=33000, flags="SA", seq=5000, ack=1001)
    script.send(0.1, "uplink", error / needed / bytes(sent / segment))  # web has sent nothing yet
    script.send(1.0, "uplink", into / TCP(sport=33000, dport=8080, flags="S", seq=1000))
    answer = TCP(sport=80, dport=33000, flags="SA", seq=5000, ack=1001)
    script.send(1.1, "web", from_web / answer)
    script.send(1.2, "uplink", into / TCP(sport=33000, dport=8080, flags="A", seq=1001, ack=5001))
    data = TCP(sport=80, dport=33000, flags="PA", seq=5001, ack=1001) / bytes(1400)
    script.send(1.3, "web", from_web / data)
    outside = TCP(sport=8080, dport=33000, flags="PA", seq=5001, ack=1001) / bytes(1400)
    script.send(1.4, "uplink", error / needed / bytes(sent / outside)[:548])
    script.send(1.5, "uplink", error / exceeded / bytes(sent / outside)[:28])

    script.send(2.0, "uplink", into / UDP(sport=4444, dport=5353) / b"question")
    script.send(2.1, "web", from_web / UDP(sport=53, dport=4444) / b"answer")
    datagram = sent / UDP(sport=5353, dport=4444) / b"answer"
    script.send(2.2, "uplink", into / closed / bytes(datagram))
    wrong = sent / UDP(sport=53, dport=4444) / b"answer"  # as if the inside port were seen outside
    script.send(2.3, "uplink", into / closed / bytes(wrong))
    other = sent / UDP(sport=5353, dport=4445) / b"answer"  # to a client that there is not
    script.send(2.4, "uplink", into / closed / bytes(other))

    script.send(3.0, "uplink", into / UDP(sport=4444, dport=5353) / b"another question")
    script.send(3.1, "uplink", into / TCP(sport=33000, dport=8080, flags="A", seq=1001, ack=5001))


if __name__ == "__main__":
    make(__file__, build)
