"""A virtual machine asks for its address, a guest for one, and others for what is not served."""

from __future__ import annotations

from typing import Any

from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from vswitch.debug.cases.making import Script, make

MACHINE, GUEST = "52:54:00:12:34:56", "52:54:00:12:34:57"
EVERYBODY, ALL = "ff:ff:ff:ff:ff:ff", "255.255.255.255"
GATEWAY = "10.0.0.1"


def said(station: str, kind: str, **more: Any) -> Packet:
    """What a client says to everybody."""
    header = {name: more.pop(name) for name in ("ciaddr", "giaddr") if name in more}
    boot = BOOTP(op=1, xid=7, chaddr=bytes.fromhex(station.replace(":", "")), **header)
    options = [("message-type", kind), *more.items(), "end"]
    way = IP(src="0.0.0.0", dst=ALL) / UDP(sport=68, dport=67)
    return Ether(src=station, dst=EVERYBODY) / way / boot / DHCP(options=options)


def lease(script: Script, begin: float, port: str, station: str, address: str) -> None:
    """Look for an address, and take it; the gateway asks in between whether somebody has it."""
    names = {"hostname": "debian", "param_req_list": [1, 3, 6, 15, 26]}
    script.send(begin, port, said(station, "discover", **names))
    wanted = {"requested_addr": address, "server_id": GATEWAY}
    script.send(begin + 0.5, port, said(station, "request", **wanted, **names))


def build(script: Script) -> None:
    lease(script, 0.0, "vm1", MACHINE, "10.0.0.3")
    lease(script, 1.0, "app", GUEST, "10.0.9.0")
    script.send(2.0, "app", said(GUEST, "discover", giaddr="10.0.0.2"))
    offer = BOOTP(op=2, xid=7, yiaddr="10.0.9.1", chaddr=bytes.fromhex(GUEST.replace(":", "")))
    way = IP(src="10.0.0.2", dst=ALL) / UDP(sport=67, dport=68)
    rogue = (
        way / offer / DHCP(options=[("message-type", "offer"), ("server_id", "10.0.0.2"), "end"])
    )
    script.send(2.1, "app", Ether(src="02:00:00:00:01:02", dst=EVERYBODY) / rogue)
    script.send(3.0, "app", said(GUEST, "release", ciaddr="10.0.9.0", server_id=GATEWAY))


if __name__ == "__main__":
    make(__file__, build)
