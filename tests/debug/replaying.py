"""A small case for tests: endpoints `app` and `db` on network `front`, a router on the uplink."""

from __future__ import annotations

from pathlib import Path

from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet

from vswitch.debug.cases import case, trial
from vswitch.debug.cases.case import Case
from vswitch.debug.cases.making import Build, Script, built

APP, DB, GATEWAY = "02:00:00:00:01:02", "02:00:00:00:01:03", "02:00:00:00:01:01"
ROUTER, SWITCH = "02:00:00:00:00:01", "02:00:00:00:00:fe"
EVERYBODY = "ff:ff:ff:ff:ff:ff"
SERVER = "198.51.100.1"

SWITCH_TABLES = """
name = "small"
[{0}uplink]
interface = "up0"
address = "203.0.113.1/24"
gateway = "203.0.113.254"
mac = "02:00:00:00:00:fe"
[{0}networks.front]
subnet = "10.0.0.0/16"
gateway = "10.0.0.1"
mac = "02:00:00:00:01:01"
[{0}endpoints.app]
network = "front"
address = "10.0.0.2"
[{0}endpoints.db]
network = "front"
address = "10.0.0.3"
"""

SWITCH_FILE = SWITCH_TABLES.format("")
CASE = f"[switch]{SWITCH_TABLES.format('switch.')}"


def meet(script: Script) -> None:
    """Everybody asks for the gateway, so that no later frame has to wait."""
    for port, mac, address, gateway in (
        ("app", APP, "10.0.0.2", "10.0.0.1"),
        ("db", DB, "10.0.0.3", "10.0.0.1"),
        ("uplink", ROUTER, "203.0.113.254", "203.0.113.1"),
    ):
        question = ARP(op=1, hwsrc=mac, psrc=address, pdst=gateway)
        script.send(0.0, port, Ether(src=mac, dst=EVERYBODY) / question)


def datagram(number: int = 0, ttl: int = 64) -> Packet:
    """The same flow whatever the number."""
    packet = IP(src="10.0.0.2", dst=SERVER, ttl=ttl) / UDP(sport=5000, dport=7000)
    return Ether(src=APP, dst=GATEWAY) / packet / f"datagram {number}"


def conversation(script: Script) -> None:
    meet(script)
    for number in range(4):
        script.send(1 + number, "app", datagram(number))


def make_case(folder: Path, build: Build = conversation, toml: str = CASE) -> Path:
    """A case without what is expected of it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "case.toml").write_text(toml)
    (folder / "in.pcapng").write_bytes(built(build))
    return folder


def updated(folder: Path) -> Case:
    """The case in `folder`, after what comes out of it has been made the expected."""
    trial.update(case.load(folder))
    return case.load(folder)
