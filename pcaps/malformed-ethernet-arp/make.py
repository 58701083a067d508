"""Frames that end too early and ARP messages that are none, to a gateway and past it."""

from __future__ import annotations

from scapy.layers.l2 import ARP, Dot1Q, Ether

from vswitch.debug.cases.making import Script, make

APP, DB, GATEWAY = "02:00:00:00:01:02", "02:00:00:00:01:03", "02:00:00:00:01:01"
ROUTER, SWITCH = "02:00:00:00:00:01", "02:00:00:00:00:fe"
EVERYBODY = "ff:ff:ff:ff:ff:ff"
NOBODY = "00:00:00:00:00:00"
ARP_LENGTH = 28
ARP_FIELDS = {
    "hardware_type": (0, 2),
    "protocol_type": (2, 2),
    "hardware_length": (4, 1),
    "protocol_length": (5, 1),
    "operation": (6, 2),
}
"""Offset and length, in bytes."""


def build(script: Script) -> None:
    def question(**lies: int) -> bytes:
        message = ARP(op=1, hwsrc=APP, psrc="10.0.0.2", hwdst=NOBODY, pdst="10.0.0.1")
        frame = bytearray(bytes(Ether(src=APP, dst=EVERYBODY) / message))
        for field, value in lies.items():
            offset, length = ARP_FIELDS[field]
            frame[14 + offset : 14 + offset + length] = value.to_bytes(length, "big")
        return bytes(frame)

    whole = question()
    tagged = bytes(Ether(src=APP, dst=EVERYBODY) / Dot1Q(vlan=7, type=0x88B5))
    router_is_here = ARP(op=2, hwsrc=ROUTER, psrc="203.0.113.254", hwdst=SWITCH, pdst="203.0.113.1")
    from_router = bytes(Ether(src=ROUTER, dst=SWITCH) / router_is_here)
    frames = [
        ("app", whole[:1]),
        ("app", whole[:13]),
        ("app", tagged[:14]),
        ("app", tagged[:17]),
        ("app", whole[:14]),
        ("app", whole[: 14 + ARP_LENGTH - 1]),
        ("uplink", from_router[: 14 + ARP_LENGTH - 1]),
        ("app", question(hardware_type=6)),
        ("app", question(protocol_type=0x86DD)),
        ("app", question(hardware_length=8)),
        ("app", question(protocol_length=16)),
        ("app", question(operation=9)),
        ("app", bytes(Ether(src=APP, dst=DB, type=0x88B5))),
        ("app", tagged),
        ("app", whole + bytes(18)),
    ]
    for at, (port, frame) in enumerate(frames):
        script.send(at / 10, port, frame)


if __name__ == "__main__":
    make(__file__, build)
