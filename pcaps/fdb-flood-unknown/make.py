"""Frames to a station that nobody has heard of, until it speaks."""

from __future__ import annotations

from scapy.layers.l2 import Ether

from vswitch.debug.cases.making import Script, make

CALLER, SILENT = "02:00:00:00:0a:01", "02:00:00:00:0a:02"


def build(script: Script) -> None:
    call = Ether(src=CALLER, dst=SILENT, type=0x88B5) / b"are you there?"
    answer = Ether(src=SILENT, dst=CALLER, type=0x88B5) / b"yes"

    for seconds in (0.0, 0.1, 0.2):
        script.send(seconds, "left", call)
    script.send(0.3, "right", answer)
    for seconds in (0.4, 0.5):
        script.send(seconds, "left", call)


if __name__ == "__main__":
    make(__file__, build)
