"""Settings of translation in a real configuration file, each with the traffic that shows it."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from tests.linux import services
from tests.linux.lab import OUTSIDE, UPLINK, Lab

LEAD = 0.2
"""Seconds: a frame of a flow that is known may overtake those that are decided about."""

pytestmark = pytest.mark.linux

STRANGER = "198.51.100.20"
"""Another host outside, to which nobody inside has sent anything."""

FIXED, ALONE = "198.51.100.7", "198.51.100.9"

MAPPED, MAPPED_INSIDE = 6000, 7000

FILTERING = {
    "any": "endpoint-independent",
    "friend": "address-dependent",
    "exact": "address-and-port-dependent",
}
"""By the endpoint whose network has it."""

LINUX_UDP_SECONDS, RFC_UDP_SECONDS = 120, 300


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(tmp_path_factory.mktemp("settings")) as lab:
        lab.run("out", "ip", "address", "add", f"{STRANGER}/24", "dev", "eth0")
        lab.uplink["addresses"] = [FIXED, ALONE]
        for endpoint, filtering in FILTERING.items():
            lab.add_network(f"n-{endpoint}", filtering=filtering, external=UPLINK)
            lab.add_endpoint(endpoint, network=f"n-{endpoint}")
        lab.add_network("quick", timeouts="linux")
        lab.add_endpoint("quick", network="quick")
        lab.add_network("fixed", external=FIXED)
        lab.add_endpoint("fixed", network="fixed")
        lab.add_endpoint("alone", external=ALONE)
        lab.add_network("mapped", external=UPLINK)
        lab.add_endpoint("mapped", network="mapped", mappings=[f"{MAPPED}:{MAPPED_INSIDE}/udp"])
        lab.up()
        services.serve_http(lab.listen("out", "0.0.0.0", 80))
        yield lab


@pytest.mark.parametrize(
    ("endpoint", "heard"),
    [("any", [b"stranger", b"other port"]), ("friend", [b"other port"]), ("exact", [])],
    ids=FILTERING.values(),
)
def test_filtering_lets_in_whom_it_says(lab: Lab, endpoint: str, heard: list[bytes]) -> None:
    """The peer speaks last, so nothing is waited for that does not come."""
    with (
        lab.bind(endpoint, "0.0.0.0", 5000) as inner,
        lab.bind("out", OUTSIDE, 5001) as peer,
        lab.bind("out", OUTSIDE, 5002) as other_port,
        lab.bind("out", STRANGER, 5001) as stranger,
    ):
        inner.sendto(b"hello", (OUTSIDE, 5001))
        _, external = peer.recvfrom(100)
        stranger.sendto(b"stranger", external)
        other_port.sendto(b"other port", external)
        time.sleep(LEAD)
        peer.sendto(b"peer", external)
        assert list(iter(lambda: inner.recv(100), b"peer")) == heard


@pytest.mark.parametrize(
    ("endpoint", "above", "at_most"),
    [("quick", 0, LINUX_UDP_SECONDS), ("fixed", LINUX_UDP_SECONDS, RFC_UDP_SECONDS)],
    ids=["linux", "rfc"],
)
def test_timeouts_are_those_of_the_profile(
    lab: Lab, endpoint: str, above: int, at_most: int
) -> None:
    with lab.bind(endpoint, "0.0.0.0", 5100) as inner, lab.bind("out", OUTSIDE, 5101) as peer:
        inner.sendto(b"hello", (OUTSIDE, 5101))
        peer.sendto(b"welcome", peer.recvfrom(100)[1])
        inner.recv(100)
    (flow,) = [each for each in lab.table("flows") if each["network"] == endpoint]
    assert flow["protocol"] == "udp"
    assert above < flow["expires_in_seconds"] + flow["idle_seconds"] <= at_most


def test_network_has_its_fixed_address_outside(lab: Lab) -> None:
    assert fetch(lab, "fixed", OUTSIDE) == FIXED
    assert lab.ping("fixed", OUTSIDE)


def test_endpoint_and_its_own_address_stand_for_each_other(lab: Lab) -> None:
    assert fetch(lab, "alone", OUTSIDE) == ALONE
    assert lab.ping("alone", OUTSIDE)
    assert lab.ping("out", ALONE)
    assert not answers_on("out", lab, 4444)
    services.serve_http(lab.listen("alone", "0.0.0.0", 4444))
    assert answers_on("out", lab, 4444)
    with lab.bind("alone", "0.0.0.0", 5200) as inner, lab.bind("out", OUTSIDE, 5201) as peer:
        inner.sendto(b"hello", (OUTSIDE, 5201))
        assert peer.recvfrom(100)[1] == (ALONE, 5200)


def test_static_mapping_leads_in_and_out_by_the_same_port(lab: Lab) -> None:
    with (
        lab.bind("mapped", "0.0.0.0", MAPPED_INSIDE) as inner,
        lab.bind("out", STRANGER, 5301) as stranger,
    ):
        stranger.sendto(b"in", (UPLINK, MAPPED))
        assert inner.recvfrom(100) == (b"in", (STRANGER, 5301))
        inner.sendto(b"out", (OUTSIDE, 5301))
        inner.sendto(b"out", (STRANGER, 5301))
        assert stranger.recvfrom(100) == (b"out", (UPLINK, MAPPED))


def fetch(lab: Lab, role: str, address: str) -> str:
    return lab.run(role, "curl", "-sm10", f"http://{address}/").stdout


def answers_on(role: str, lab: Lab, port: int) -> bool:
    """Whether the endpoint with an address of its own has a server there. It refuses by itself."""
    try:
        connection: socket.socket = lab.connect(role, ALONE, port)
    except ConnectionRefusedError:
        return False
    connection.close()
    return True
