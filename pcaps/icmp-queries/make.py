"""Timestamp, information and address mask requests of two endpoints, and their answers."""

from __future__ import annotations

from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import ARP, Ether

from vswitch.debug.cases.making import Script, make

APP, DB, GATEWAY = "02:00:00:00:01:02", "02:00:00:00:01:03", "02:00:00:00:01:01"
ROUTER, SWITCH = "02:00:00:00:00:01", "02:00:00:00:00:fe"
SERVER, EXTERNAL = "198.51.100.1", "203.0.113.1"
OTHER = 8807  # what is left for the identifier 7 of `db`
TIMES = {"ts_ori": 36_000_000, "ts_rx": 36_000_010, "ts_tx": 36_000_011}


def introduce(script: Script, seconds: float) -> None:
    """Say where the stations are, so that no frame has to wait."""
    for port, mac, address in (("app", APP, "10.0.0.2"), ("db", DB, "10.0.0.3")):
        here = ARP(op=2, hwsrc=mac, psrc=address, hwdst=GATEWAY, pdst="10.0.0.1")
        script.send(seconds, port, Ether(src=mac, dst=GATEWAY) / here)
    router = ARP(op=2, hwsrc=ROUTER, psrc="203.0.113.254", hwdst=SWITCH, pdst="203.0.113.1")
    script.send(seconds, "uplink", Ether(src=ROUTER, dst=SWITCH) / router)


def message(kind: int, identifier: int, sequence: int) -> ICMP:
    """A query or answer of any kind."""
    fields: dict[str, object] = {"type": kind, "id": identifier, "seq": sequence}
    if kind in (13, 14):
        fields |= TIMES
    if kind in (17, 18):
        fields["addr_mask"] = "255.255.255.0"
    return ICMP(**fields)


def build(script: Script) -> None:
    from_app = Ether(src=APP, dst=GATEWAY) / IP(src="10.0.0.2", dst=SERVER)
    from_db = Ether(src=DB, dst=GATEWAY) / IP(src="10.0.0.3", dst=SERVER)
    back = Ether(src=ROUTER, dst=SWITCH) / IP(src=SERVER, dst=EXTERNAL)

    introduce(script, 0.0)
    for second, (question, answer) in enumerate(((13, 14), (15, 16), (17, 18)), start=1):
        script.send(second + 0.1, "app", from_app / message(question, 7, second))
        script.send(second + 0.2, "db", from_db / message(question, 7, second))
        script.send(second + 0.3, "uplink", back / message(answer, 7, second))
        script.send(second + 0.4, "uplink", back / message(answer, OTHER, second))
        script.send(second + 0.5, "uplink", back / message(answer, 9, second))  # nobody's
    script.send(4.0, "uplink", back / message(0, 7, 1))  # nobody has sent an echo request
    for at, other in enumerate((ICMP(type=10), ICMP(type=9), ICMP(type=40), ICMP(type=200))):
        script.send(5 + at / 10, "app", from_app / other)
        script.send(5.05 + at / 10, "uplink", back / other)


if __name__ == "__main__":
    make(__file__, build)
