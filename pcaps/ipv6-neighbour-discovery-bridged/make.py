"""Two endpoints speak IPv6 over a switch that routes none of it."""

from __future__ import annotations

from scapy.layers.inet import UDP
from scapy.layers.inet6 import (
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6ND_RS,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
)
from scapy.layers.l2 import Ether

from vswitch.debug.cases.making import Script, make

APP, DB, GATEWAY = "02:00:00:00:01:02", "02:00:00:00:01:03", "02:00:00:00:01:01"
APP_IP, DB_IP = "fe80::ff:fe00:102", "fe80::ff:fe00:103"
DB_GROUP, DB_GROUP_MAC = "ff02::1:ff00:103", "33:33:ff:00:01:03"
ROUTERS, ROUTERS_MAC = "ff02::2", "33:33:00:00:00:02"


def build(script: Script) -> None:
    probe = IPv6(src="::", dst=DB_GROUP, hlim=255) / ICMPv6ND_NS(tgt=DB_IP)
    solicit = IPv6(src=APP_IP, dst=DB_GROUP, hlim=255) / ICMPv6ND_NS(tgt=DB_IP)
    solicit /= ICMPv6NDOptSrcLLAddr(lladdr=APP)
    advertise = IPv6(src=DB_IP, dst=APP_IP, hlim=255) / ICMPv6ND_NA(tgt=DB_IP, R=0, S=1, O=1)
    advertise /= ICMPv6NDOptDstLLAddr(lladdr=DB)
    routers = IPv6(src=APP_IP, dst=ROUTERS, hlim=255) / ICMPv6ND_RS()
    datagram = IPv6(src=APP_IP, dst=DB_IP, hlim=1) / UDP(sport=5000, dport=7000) / b"found you"
    beyond = IPv6(src=APP_IP, dst="2001:db8::1") / UDP(sport=5000, dport=7000) / b"route me"

    script.send(0.0, "db", Ether(src=DB, dst=DB_GROUP_MAC) / probe)
    script.send(0.1, "app", Ether(src=APP, dst=DB_GROUP_MAC) / solicit)
    script.send(0.2, "db", Ether(src=DB, dst=APP) / advertise)
    script.send(0.3, "app", Ether(src=APP, dst=DB) / datagram)
    script.send(0.4, "app", Ether(src=APP, dst=DB) / datagram)
    script.send(0.5, "app", Ether(src=APP, dst=ROUTERS_MAC) / routers)
    script.send(0.6, "app", Ether(src=APP, dst=GATEWAY) / beyond)


if __name__ == "__main__":
    make(__file__, build)
