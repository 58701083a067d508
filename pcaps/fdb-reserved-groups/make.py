"""To each of the sixteen group addresses that a bridge does not forward, and to those beside."""

from __future__ import annotations

from scapy.layers.l2 import Dot1Q, Ether

from vswitch.debug.cases.making import Script, make

SENDER, OTHER = "02:00:00:00:0a:01", "02:00:00:00:0a:02"


def build(script: Script) -> None:
    for last in range(0x10):
        frame = Ether(src=SENDER, dst=f"01:80:c2:00:00:{last:02x}", type=0x88B5)
        script.send(last / 10, "left", frame / b"to the next bridge only")
    tagged = Ether(src=SENDER, dst="01:80:c2:00:00:0e") / Dot1Q(vlan=7, type=0x88B5)
    script.send(1.6, "left", tagged / b"with a tag")
    question = Ether(src=OTHER, dst=SENDER, type=0x88B5) / b"are you known?"
    script.send(1.7, "middle", question)

    for at, beside in enumerate(("01:80:c1:ff:ff:ff", "01:80:c2:00:00:10"), start=18):
        frame = Ether(src=SENDER, dst=beside, type=0x88B5) / b"beside them"
        script.send(at / 10, "left", frame)


if __name__ == "__main__":
    make(__file__, build)
