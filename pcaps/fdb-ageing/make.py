"""A station falls silent for longer than the ageing time; another is heard now and then."""

from __future__ import annotations

from scapy.layers.l2 import Ether

from vswitch.debug.cases.making import Script, make

SILENT, LIVELY, CALLER = "02:00:00:00:0a:01", "02:00:00:00:0a:02", "02:00:00:00:0a:03"
EVERYBODY = "ff:ff:ff:ff:ff:ff"


def build(script: Script) -> None:
    script.send(0.0, "left", Ether(src=SILENT, dst=EVERYBODY, type=0x88B5) / b"once and no more")
    script.send(0.1, "middle", Ether(src=LIVELY, dst=EVERYBODY, type=0x88B5) / b"first of many")
    for seconds in (1.0, 149.0, 151.0, 299.0, 301.0, 601.0):
        for offset, station in enumerate((SILENT, LIVELY)):
            call = Ether(src=CALLER, dst=station, type=0x88B5) / b"are you there?"
            script.send(seconds + offset / 10, "right", call)
        if seconds in (149.0, 299.0):
            alive = Ether(src=LIVELY, dst=CALLER, type=0x88B5) / b"still here"
            script.send(seconds + 0.2, "middle", alive)


if __name__ == "__main__":
    make(__file__, build)
