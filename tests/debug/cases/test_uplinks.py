"""Replays of switches with several uplinks, and of those that would learn an address."""

from __future__ import annotations

from collections import Counter
from io import BytesIO
from pathlib import Path

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import ARP, Ether

from tests.debug.replaying import APP, CASE, EVERYBODY, GATEWAY, ROUTER, SWITCH_FILE
from vswitch.debug.cases import case
from vswitch.debug.cases.arrivals import arrivals
from vswitch.debug.cases.making import Script, built
from vswitch.debug.cases.replay import Replay, Setup
from vswitch.debug.files.reading import CaptureReader
from vswitch.network.configuration import config
from vswitch.network.configuration.config import ConfigurationError
from vswitch.wire.offload import HEADER_LENGTH

WAN = """
[uplinks.wan]
interface = "up1"
address = "192.0.2.1/24"
addresses = ["192.0.2.7"]
"""

ALLOWED = "allowed in a replay is an address of the switch's own, as there is no host to share"


def refusal(folder: Path, text: str) -> str:
    (folder / "case.toml").write_text(text)
    with pytest.raises(ConfigurationError) as refused:
        case.load(folder)
    (only,) = refused.value.lines
    return only.removeprefix(f"{folder}/case.toml: ")


def test_every_uplink_is_a_port_under_its_name() -> None:
    setup = Setup(config.parse(SWITCH_FILE + WAN, "lab.toml"))
    assert setup.ports == ("app", "db", "uplink", "wan")
    assert Replay(setup).ports == [
        ("app", "app on front"),
        ("db", "db on front"),
        ("uplink", "uplink on uplink"),
        ("wan", "wan on wan"),
    ]


def test_host_that_is_on_a_network_is_a_port_of_its_own() -> None:
    text = SWITCH_FILE.replace("[networks.front]", "[networks.front]\nhost = true")
    setup = Setup(config.parse(text, "lab.toml"))
    assert setup.ports == ("vs-front", "app", "db", "uplink")
    replay = Replay(setup)
    assert replay.ports[0] == ("vs-front", "the host on front")

    def build(script: Script) -> None:
        packet = IP(src="10.0.0.2", dst="10.0.0.1") / UDP(sport=5000, dport=22)
        script.send(0.0, "app", Ether(src=APP, dst=GATEWAY) / packet)

    reader = CaptureReader(BytesIO(built(build)), "in")
    (sent,) = replay.run(arrivals(reader, lambda interface: interface.name, Counter(), None))
    assert (sent.port, Ether(sent.frame[HEADER_LENGTH:])[IP].src) == ("vs-front", "10.0.0.2")


@pytest.mark.parametrize(
    ("port", "address"), [("uplink", "203.0.113.1"), ("wan", "192.0.2.1"), ("wan", "192.0.2.7")]
)
def test_switch_has_its_addresses_on_each_uplink_and_on_no_other(port: str, address: str) -> None:
    def build(script: Script) -> None:
        for at, asked in enumerate(("uplink", "wan")):
            host = "203.0.113.9" if asked == "uplink" else "192.0.2.9"
            question = ARP(op=1, hwsrc=ROUTER, psrc=host, pdst=address)
            script.send(float(at), asked, Ether(src=ROUTER, dst=EVERYBODY) / question)

    replay = Replay(Setup(config.parse(SWITCH_FILE + WAN, "lab.toml")))
    reader = CaptureReader(BytesIO(built(build)), "in")
    (answer,) = replay.run(arrivals(reader, lambda interface: interface.name, Counter(), None))
    assert (answer.port, Ether(answer.frame[HEADER_LENGTH:])[ARP].psrc) == (port, address)


@pytest.mark.parametrize("address", ["host", "dhcp"])
def test_uplink_of_a_case_cannot_learn_its_address(tmp_path: Path, address: str) -> None:
    learning = CASE.replace('"203.0.113.1/24"', f'"{address}"')
    learning = learning.replace('gateway = "203.0.113.254"\nmac = "02:00:00:00:00:fe"\n', "")
    assert refusal(tmp_path, learning) == f'switch.uplink.address: found "{address}": {ALLOWED}'
    further = f'{CASE}[switch.uplinks.wan]\ninterface = "up1"\naddress = "{address}"'
    assert refusal(tmp_path, further) == f'switch.uplinks.wan.address: found "{address}": {ALLOWED}'


def test_nor_can_that_of_a_configuration_in_a_file(tmp_path: Path) -> None:
    further = '[uplinks.wan]\ninterface = "up1"\naddress = "dhcp"'
    (tmp_path / "lab.toml").write_text(f"{SWITCH_FILE}{further}")
    found = refusal(tmp_path, 'switch = "lab.toml"')
    assert found == f"switch.uplinks.wan.address: {ALLOWED}"
    with pytest.raises(ConfigurationError) as refused:
        Setup(config.load(tmp_path / "lab.toml"))
    assert refused.value.lines == (f'uplink wan: found address = "dhcp": {ALLOWED}',)


def test_mtu_is_for_the_default_uplink(tmp_path: Path) -> None:
    wan = WAN.replace("[uplinks", "[switch.uplinks")
    assert refusal(tmp_path, f"{CASE}{wan}[ports.wan]\nmtu = 1400") == (
        "ports.wan.mtu: found 1400: allowed is mtu for uplink, other uplinks have 1500"
    )
