"""Frames with a tag that says how urgent they are and names no VLAN, to the gateway and back."""

from __future__ import annotations

from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import ARP, Dot1Q, Ether

from vswitch.debug.cases.making import Script, make, unfinished
from vswitch.wire.offload import OffloadHeader

APP, GATEWAY = "02:00:00:00:01:02", "02:00:00:00:01:01"
ROUTER, SWITCH = "02:00:00:00:00:01", "02:00:00:00:00:fe"
SERVER, EXTERNAL = "198.51.100.1", "203.0.113.1"
URGENT = Dot1Q(vlan=0, prio=5)


def build(script: Script) -> None:
    question = ARP(op=1, hwsrc=APP, psrc="10.0.0.2", hwdst="00:00:00:00:00:00", pdst="10.0.0.1")
    script.send(0.0, "app", Ether(src=APP, dst="ff:ff:ff:ff:ff:ff") / URGENT / question)
    router = ARP(op=2, hwsrc=ROUTER, psrc="203.0.113.254", hwdst=SWITCH, pdst=EXTERNAL)
    script.send(0.0, "uplink", Ether(src=ROUTER, dst=SWITCH) / URGENT / router)

    there = IP(src="10.0.0.2", dst=SERVER) / UDP(sport=5000, dport=7000) / b"voice"
    back = IP(src=SERVER, dst=EXTERNAL) / UDP(sport=7000, dport=5000) / b"voice"
    script.send(0.1, "app", Ether(src=APP, dst=GATEWAY) / URGENT / there)
    script.send(0.2, "uplink", Ether(src=ROUTER, dst=SWITCH) / URGENT / back)
    script.send(0.3, "app", *tagged(*unfinished(Ether(src=APP, dst=GATEWAY) / there)))
    script.send(0.4, "app", Ether(src=APP, dst=GATEWAY) / Dot1Q(vlan=10, prio=5) / there)


def tagged(frame: bytes, offload: OffloadHeader) -> tuple[Ether, OffloadHeader]:
    """A frame with an unfinished checksum, and the tag that its offload header counts."""
    urgent = Ether(frame[:12] + bytes.fromhex("8100a000") + frame[12:])
    start = offload.checksum_start + 4
    return urgent, OffloadHeader(offload.flags, 0, 0, 0, start, offload.checksum_offset)


if __name__ == "__main__":
    make(__file__, build)
