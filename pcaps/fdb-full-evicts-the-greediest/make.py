"""One port invents more stations than the table has room for; two others have one each."""

from __future__ import annotations

from scapy.layers.l2 import Ether

from vswitch.debug.cases.making import Script, make

QUIET, CALLER = "02:00:00:00:0a:01", "02:00:00:00:0a:02"
EVERYBODY = "ff:ff:ff:ff:ff:ff"
CAPACITY = 8192


def invented(number: int) -> bytes:
    return b"\x06\0\0\0" + number.to_bytes(2, "big")


def build(script: Script) -> None:
    def call(station: str | bytes) -> Ether:
        to = station if isinstance(station, str) else station.hex(":")
        return Ether(src=CALLER, dst=to, type=0x88B5) / b"still there?"

    script.send(0.0, "left", Ether(src=QUIET, dst=EVERYBODY, type=0x88B5) / b"I was here first")
    script.send(0.1, "right", Ether(src=CALLER, dst=EVERYBODY, type=0x88B5) / b"and I second")
    for number in range(CAPACITY - 1):
        to_itself = invented(number) * 2 + b"\x88\xb5"
        script.send(1 + number / 10_000, "greedy", to_itself)
    script.send(2.0, "right", call(QUIET))
    script.send(2.1, "right", call(invented(0)))
    script.send(2.2, "right", call(invented(1)))
    script.send(2.3, "right", call(invented(CAPACITY - 2)))
    script.send(2.4, "left", Ether(src=QUIET, dst=CALLER, type=0x88B5) / b"still here")


if __name__ == "__main__":
    make(__file__, build)
