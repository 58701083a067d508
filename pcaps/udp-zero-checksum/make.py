"""Datagrams without a checksum, and with one that becomes zero in the translation."""

from __future__ import annotations

from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import ARP, Ether

from vswitch.debug.cases.making import Script, make

APP, GATEWAY = "02:00:00:00:01:02", "02:00:00:00:01:01"
ROUTER, SWITCH = "02:00:00:00:00:01", "02:00:00:00:00:fe"
SERVER, EXTERNAL = "198.51.100.1", "203.0.113.1"


def introduce(script: Script, seconds: float) -> None:
    """Say where the stations are, so that no frame has to wait."""
    here = ARP(op=2, hwsrc=APP, psrc="10.0.0.2", hwdst=GATEWAY, pdst="10.0.0.1")
    script.send(seconds, "app", Ether(src=APP, dst=GATEWAY) / here)
    router = ARP(op=2, hwsrc=ROUTER, psrc="203.0.113.254", hwdst=SWITCH, pdst="203.0.113.1")
    script.send(seconds, "uplink", Ether(src=ROUTER, dst=SWITCH) / router)


def build(script: Script) -> None:
    out = Ether(src=APP, dst=GATEWAY) / IP(src="10.0.0.2", dst=SERVER)
    back = Ether(src=ROUTER, dst=SWITCH) / IP(src=SERVER, dst=EXTERNAL)
    to_zero_outside = (38607).to_bytes(2, "big") + b"z" * 16
    to_zero_inside = (51407).to_bytes(2, "big") + b"z" * 16

    introduce(script, 0.0)
    for at in (1, 4):  # by the pipeline, and by the fast path
        ours, theirs = UDP(sport=5000, dport=7000), UDP(sport=7000, dport=5000)
        script.send(at / 10, "app", out / ours / to_zero_outside)
        script.send(at / 10 + 0.1, "uplink", back / theirs / to_zero_inside)
        for seconds, wrong in ((at / 10 + 0.15, 0), (at / 10 + 0.2, 0x1234)):
            ours, theirs = ours.copy(), theirs.copy()
            ours.chksum = theirs.chksum = wrong
            script.send(seconds, "app", out / ours / b"as it is")
            script.send(seconds + 0.03, "uplink", back / theirs / b"as it is")


if __name__ == "__main__":
    make(__file__, build)
