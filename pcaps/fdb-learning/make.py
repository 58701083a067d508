"""Three stations introduce themselves by what they send; frames between them go to one port."""

from __future__ import annotations

from scapy.layers.l2 import Ether

from vswitch.debug.cases.making import Script, make

STATIONS = {
    "left": "02:00:00:00:0a:01",
    "middle": "02:00:00:00:0a:02",
    "right": "02:00:00:00:0a:03",
}
SECOND_ON_LEFT = "02:00:00:00:0a:04"
EVERYBODY = "ff:ff:ff:ff:ff:ff"


def build(script: Script) -> None:
    for at, (port, station) in enumerate(STATIONS.items()):
        hello = Ether(src=station, dst=EVERYBODY, type=0x88B5) / b"hello"
        script.send(at / 10, port, hello)

    pairs = [(here, there) for here in STATIONS for there in STATIONS if here != there]
    for at, (here, there) in enumerate(pairs, start=3):
        frame = Ether(src=STATIONS[here], dst=STATIONS[there], type=0x88B5) / b"to you alone"
        script.send(at / 10, here, frame)

    neighbour = Ether(src=SECOND_ON_LEFT, dst=STATIONS["left"], type=0x88B5)
    itself = Ether(src=STATIONS["left"], dst=STATIONS["left"], type=0x88B5)
    script.send(1.0, "left", neighbour / b"to the station beside me")
    script.send(1.1, "left", itself / b"to myself")
    back = Ether(src=STATIONS["right"], dst=SECOND_ON_LEFT, type=0x88B5)
    script.send(1.2, "right", back / b"to the second station on that port")


if __name__ == "__main__":
    make(__file__, build)
