"""What is longer than the next link takes, out and in, and what routers further on say."""

from __future__ import annotations

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether

from vswitch.debug.cases.making import Script, make, unfinished

ROUTER, SWITCH = "02:00:00:00:00:01", "02:00:00:00:00:fe"
SERVER, HOP, EXTERNAL = "198.51.100.1", "198.51.100.99", "203.0.113.1"
ENDPOINTS = {
    "app": ("02:00:00:00:01:02", "02:00:00:00:01:01", "10.0.0.2", "10.0.0.1"),
    "job": ("02:00:00:00:02:02", "02:00:00:00:02:01", "10.1.0.2", "10.1.0.1"),
}
IPV4_AND_UDP, IPV4_AND_TCP = 28, 40


def introduce(script: Script, seconds: float) -> None:
    """Say where the stations are, so that no frame has to wait."""
    for name, (mac, gateway, address, router) in ENDPOINTS.items():
        here = ARP(op=2, hwsrc=mac, psrc=address, hwdst=gateway, pdst=router)
        script.send(seconds, name, Ether(src=mac, dst=gateway) / here)
    outside = ARP(op=2, hwsrc=ROUTER, psrc="203.0.113.254", hwdst=SWITCH, pdst=EXTERNAL)
    script.send(seconds, "uplink", Ether(src=ROUTER, dst=SWITCH) / outside)


def build(script: Script) -> None:
    def out(name: str, flags: str, to: str = SERVER) -> Ether:
        mac, gateway, address, _ = ENDPOINTS[name]
        return Ether(src=mac, dst=gateway) / IP(src=address, dst=to, flags=flags)

    def back(flags: str, source: str = SERVER) -> Ether:
        return Ether(src=ROUTER, dst=SWITCH) / IP(src=source, dst=EXTERNAL, flags=flags)

    def datagram(length: int, sport: int, dport: int) -> UDP:
        return UDP(sport=sport, dport=dport) / bytes(length - IPV4_AND_UDP)

    introduce(script, 0.0)

    # out, by UDP: job's network takes 1500, the uplink 1400
    script.send(1.0, "job", out("job", "DF") / datagram(1500, 5000, 7000))
    script.send(1.1, "job", out("job", "DF") / datagram(1400, 5000, 7000))

    # in, by UDP: the uplink takes 1400, app's network 1280
    script.send(2.1, "uplink", back("DF") / datagram(1400, 7000, 5000))  # to job
    script.send(2.2, "app", out("app", "DF") / datagram(100, 6000, 7000))
    script.send(2.3, "uplink", back("DF") / datagram(1281, 7000, 6000))
    script.send(2.4, "uplink", back("DF") / datagram(1280, 7000, 6000))
    script.send(2.5, "uplink", back("") / datagram(1281, 7000, 6000))  # may be cut

    # in, by TCP to a published port: nobody clamped the client
    syn = TCP(sport=33000, dport=8080, flags="S", seq=1000)
    script.send(3.0, "uplink", back("DF") / syn)
    answer = TCP(sport=80, dport=33000, flags="SA", seq=5000, ack=1001)
    script.send(3.1, "app", out("app", "DF") / answer)
    script.send(
        3.2, "uplink", back("DF") / TCP(sport=33000, dport=8080, flags="A", seq=1001, ack=5001)
    )
    for at, length in enumerate((1400, 1280), start=3):
        segment = TCP(sport=33000, dport=8080, flags="A", seq=1001, ack=5001)
        data = bytes(length - IPV4_AND_TCP)
        script.send(3 + at / 10, "uplink", back("DF") / segment / data)

    # out, in super-frames: the segments that they will be cut into have to fit
    script.send(4.0, "job", out("job", "DF") / TCP(sport=40000, dport=80, flags="S", seq=1000))
    answer = TCP(sport=80, dport=40000, flags="SA", seq=5000, ack=1001)
    script.send(4.1, "uplink", back("DF") / answer)
    burst = TCP(sport=40000, dport=80, flags="PA", seq=1001, ack=5001) / bytes(5000)
    script.send(4.2, "job", *unfinished(out("job", "DF") / burst, gso_size=1400))
    script.send(4.3, "job", *unfinished(out("job", "DF") / burst, gso_size=1360))

    # a router further on takes even less, and says so
    seen = IP(src=EXTERNAL, dst=SERVER, flags="DF", ttl=60)
    needed = ICMP(type=3, code=4, nexthopmtu=1100)
    quote = bytes(seen / datagram(1400, 5000, 7000))[:28]
    script.send(5.0, "uplink", back("", HOP) / needed / quote)
    # and so does one behind app
    seen = IP(src=SERVER, dst="10.0.0.2", flags="DF", ttl=62)
    quote = bytes(seen / datagram(1280, 7000, 6000))[:28]
    script.send(5.1, "app", out("app", "") / needed / quote)

    # by the external address to another endpoint: both networks count
    script.send(6.0, "job", out("job", "DF", EXTERNAL) / datagram(1281, 5000, 9000))
    script.send(6.1, "job", out("job", "DF", EXTERNAL) / datagram(1280, 5000, 9000))


if __name__ == "__main__":
    make(__file__, build)
