"""A station that is heard on the left and then on the right: frames follow it at once."""

from __future__ import annotations

from scapy.layers.l2 import Ether

from vswitch.debug.cases.making import Script, make

WANDERER, STAYER = "02:00:00:00:0a:01", "02:00:00:00:0a:02"


def build(script: Script) -> None:
    from_wanderer = Ether(src=WANDERER, dst=STAYER, type=0x88B5) / b"here I am"
    to_wanderer = Ether(src=STAYER, dst=WANDERER, type=0x88B5) / b"where are you?"

    script.send(0.0, "left", from_wanderer)
    for seconds in (0.1, 0.2):
        script.send(seconds, "middle", to_wanderer)
    script.send(0.3, "right", from_wanderer)
    for seconds in (0.4, 0.5):
        script.send(seconds, "middle", to_wanderer)


if __name__ == "__main__":
    make(__file__, build)
