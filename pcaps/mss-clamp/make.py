"""SYNs with every kind of maximum segment size, out and in, finished and not."""

from __future__ import annotations

from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import ARP, Ether

from vswitch.debug.cases.making import Script, make, unfinished

ROUTER, SWITCH = "02:00:00:00:00:01", "02:00:00:00:00:fe"
OTHER_ROUTER, OTHER_SWITCH = "02:00:00:00:00:02", "02:00:00:00:00:fd"
SERVER, EXTERNAL = "198.51.100.1", "203.0.113.1"
ENDPOINTS = {
    "app": ("02:00:00:00:01:02", "02:00:00:00:01:01", "10.0.0.2", "10.0.0.1"),
    "vm": ("02:00:00:00:01:03", "02:00:00:00:01:01", "10.0.0.3", "10.0.0.1"),
    "job": ("02:00:00:00:02:02", "02:00:00:00:02:01", "10.1.0.2", "10.1.0.1"),
    "db": ("02:00:00:00:03:02", "02:00:00:00:03:01", "10.2.0.2", "10.2.0.1"),
}
SCALE, STAMPS = ("WScale", 7), ("Timestamp", (1, 0))


def introduce(script: Script, seconds: float) -> None:
    """Say where the stations are, so that no frame has to wait."""
    for name, (mac, gateway, address, router) in ENDPOINTS.items():
        here = ARP(op=2, hwsrc=mac, psrc=address, hwdst=gateway, pdst=router)
        script.send(seconds, name, Ether(src=mac, dst=gateway) / here)
    outside = ARP(op=2, hwsrc=ROUTER, psrc="203.0.113.254", hwdst=SWITCH, pdst=EXTERNAL)
    script.send(seconds, "uplink", Ether(src=ROUTER, dst=SWITCH) / outside)
    outside = ARP(
        op=2, hwsrc=OTHER_ROUTER, psrc="192.0.2.254", hwdst=OTHER_SWITCH, pdst="192.0.2.1"
    )
    script.send(seconds, "trusted", Ether(src=OTHER_ROUTER, dst=OTHER_SWITCH) / outside)


def build(script: Script) -> None:
    def syn(name: str, port: int, *options: tuple[str, object]) -> Ether:
        mac, gateway, address, _ = ENDPOINTS[name]
        segment = TCP(sport=port, dport=80, flags="S", seq=1000, options=list(options))
        return Ether(src=mac, dst=gateway) / IP(src=address, dst=SERVER) / segment

    def answer(port: int, mss: int) -> Ether:
        options = [("MSS", mss)]
        segment = TCP(sport=80, dport=port, flags="SA", seq=5000, ack=1001, options=options)
        return Ether(src=ROUTER, dst=SWITCH) / IP(src=SERVER, dst=EXTERNAL) / segment

    introduce(script, 0.0)
    script.send(1.0, "app", syn("app", 40000, ("MSS", 1460), SCALE))
    script.send(1.1, "uplink", answer(40000, 1460))
    script.send(1.2, "app", syn("app", 40001, ("MSS", 1360)))
    script.send(1.3, "app", syn("app", 40002, ("MSS", 536)))
    script.send(1.4, "app", syn("app", 40003, SCALE, STAMPS))  # without: nothing is added
    odd = (("NOP", None), ("MSS", 1460), SCALE)
    script.send(1.5, "app", syn("app", 40004, *odd))  # at an odd place of the checksum's words
    script.send(1.6, "app", syn("app", 40005, ("MSS", 1460), ("MSS", 9000)))
    data = syn("app", 40006, ("MSS", 1460)) / b"with data"
    script.send(1.7, "app", data)
    lie = syn("app", 40007)
    lie[TCP].dataofs = 6
    script.send(1.8, "app", lie / bytes.fromhex("020305b4"))  # an option of three bytes

    # unfinished: the option is in what has yet to be summed
    script.send(2.0, "vm", *unfinished(syn("vm", 41000, ("MSS", 1460), SCALE)))
    script.send(2.1, "uplink", *unfinished(answer(41000, 1460)))

    script.send(3.0, "job", syn("job", 42000, ("MSS", 1240)))  # its own MTU is the smaller one
    script.send(3.1, "uplink", answer(42000, 1460))
    script.send(4.0, "db", syn("db", 43000, ("MSS", 1460)))  # its uplink clamps nothing
    # from neighbour to neighbour nothing is touched
    mac, *_ = ENDPOINTS["vm"]
    near = syn("app", 44000, ("MSS", 1460))
    near.dst, near[IP].dst = mac, "10.0.0.3"
    script.send(5.0, "app", near)


if __name__ == "__main__":
    make(__file__, build)
