"""Transports that begin with two ports, as TCP does: with one endpoint, and with two that clash."""

from __future__ import annotations

from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import ARP, Ether
from scapy.layers.sctp import SCTP, SCTPChunkInit
from scapy.utils import checksum

from vswitch.debug.cases.making import Script, make

ROUTER, SWITCH = "02:00:00:00:00:01", "02:00:00:00:00:fe"
GATEWAY = "02:00:00:00:01:01"
SERVER, EXTERNAL = "198.51.100.1", "203.0.113.1"
STATIONS = {"app": ("02:00:00:00:01:02", "10.0.0.2"), "db": ("02:00:00:00:01:03", "10.0.0.3")}
DCCP_PROTOCOL, SCTP_PROTOCOL, UDP_LITE_PROTOCOL = 33, 132, 136


def introduce(script: Script, seconds: float) -> None:
    """Say where the stations are, so that no frame has to wait."""
    for port, (mac, address) in STATIONS.items():
        here = ARP(op=2, hwsrc=mac, psrc=address, hwdst=GATEWAY, pdst="10.0.0.1")
        script.send(seconds, port, Ether(src=mac, dst=GATEWAY) / here)
    router = ARP(op=2, hwsrc=ROUTER, psrc="203.0.113.254", hwdst=SWITCH, pdst="203.0.113.1")
    script.send(seconds, "uplink", Ether(src=ROUTER, dst=SWITCH) / router)


def sealed(packet: IP, transport: bytes, covered: int) -> IP:
    """`packet` with a transport whose checksum, at 6, is over a pseudo header and some bytes."""
    addresses = bytes(packet)[12:20]
    pseudo = addresses + bytes((0, packet.proto)) + len(transport).to_bytes(2, "big")
    summed = checksum(pseudo + transport[:covered])
    return packet / (transport[:6] + summed.to_bytes(2, "big") + transport[8:])


def udp_lite(packet: IP, sport: int, dport: int, coverage: int) -> IP:
    """RFC 3828: the field of UDP's length says how much the checksum covers, 0 for all."""
    words = b"".join(word.to_bytes(2, "big") for word in (sport, dport, coverage, 0))
    return sealed(packet, words + b"voice, of which a bit may be wrong", coverage or 42)


def dccp(packet: IP, sport: int, dport: int, kind: int) -> IP:
    """RFC 4340: a request (0) or a response (1), with long sequence numbers."""
    ports = sport.to_bytes(2, "big") + dport.to_bytes(2, "big")
    rest = bytes((5 + 2 * kind, 0, 0, 0, kind << 1 | 1, 0)) + bytes(6) + b"code" + bytes(8 * kind)
    transport = ports + rest
    return sealed(packet, transport, len(transport))


def sctp(packet: IP, sport: int, dport: int) -> IP:
    """RFC 9260: an INIT, with its CRC32c, which covers no address."""
    return packet / SCTP(sport=sport, dport=dport, tag=0) / SCTPChunkInit(init_tag=1)


def build(script: Script) -> None:
    def out(name: str, protocol: int, to: str = SERVER) -> tuple[Ether, IP]:
        mac, address = STATIONS[name]
        return Ether(src=mac, dst=GATEWAY), IP(src=address, dst=to, proto=protocol)

    def send(seconds: float, name: str, link: Ether, packet: IP) -> None:
        script.send(seconds, name, link / packet)

    back = Ether(src=ROUTER, dst=SWITCH)
    answer = {
        number: IP(src=SERVER, dst=EXTERNAL, proto=number)
        for number in (DCCP_PROTOCOL, SCTP_PROTOCOL, UDP_LITE_PROTOCOL)
    }
    introduce(script, 0.0)

    link, packet = out("app", UDP_LITE_PROTOCOL)
    send(1.0, "app", link, udp_lite(packet, 5000, 7000, 8))
    send(1.1, "app", link, udp_lite(packet, 5000, 7000, 0))
    send(1.2, "uplink", back, udp_lite(answer[UDP_LITE_PROTOCOL], 7000, 5000, 20))
    link, packet = out("db", UDP_LITE_PROTOCOL)
    send(1.3, "db", link, udp_lite(packet, 5000, 7000, 8))

    link, packet = out("app", DCCP_PROTOCOL)
    send(2.0, "app", link, dccp(packet, 5000, 7000, 0))
    send(2.1, "uplink", back, dccp(answer[DCCP_PROTOCOL], 7000, 5000, 1))
    link, packet = out("db", DCCP_PROTOCOL)
    send(2.2, "db", link, dccp(packet, 5000, 7000, 0))

    link, packet = out("app", SCTP_PROTOCOL)
    send(3.0, "app", link, sctp(packet, 5000, 7000))
    send(3.1, "uplink", back, sctp(answer[SCTP_PROTOCOL], 7000, 5000))
    link, packet = out("db", SCTP_PROTOCOL)
    send(3.2, "db", link, sctp(packet, 5000, 7000))  # can not have another port
    send(3.3, "db", link, sctp(packet, 5001, 7000))

    # errors about them, ports that are nobody's, headers that end too early
    seen = {number: IP(src=EXTERNAL, dst=SERVER, proto=number, ttl=60) for number in answer}
    quotes = (
        udp_lite(seen[UDP_LITE_PROTOCOL], 5000, 7000, 8),
        dccp(seen[DCCP_PROTOCOL], 5000, 7000, 0),
        sctp(seen[SCTP_PROTOCOL], 5000, 7000),
    )
    for at, quote in enumerate(quotes):
        error = IP(src=SERVER, dst=EXTERNAL) / ICMP(type=3, code=2) / bytes(quote)
        script.send(4 + at / 10, "uplink", back / error)
    for at, number in enumerate(answer):
        link, packet = out("app", number)
        script.send(5 + at / 10, "app", link / packet / bytes.fromhex("13880000") / bytes(16))
        script.send(5.05 + at / 10, "app", link / packet / bytes.fromhex("13881b58 000000"))
        script.send(5.07 + at / 10, "uplink", back / answer[number] / bytes.fromhex("1b581391" * 5))


if __name__ == "__main__":
    make(__file__, build)
