"""What applications find out about the NAT before they try to reach each other through it.

coturn's server is outside, on two addresses and two ports. Its own client and the older `stun`, in
an endpoint, ask it where they are seen, and make it answer from where they have not asked. The
switch has three networks, one for each kind of filtering.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.linux.lab import APP, OUTSIDE, PATIENCE, UPLINK, WEB, Lab, eventually

pytestmark = pytest.mark.linux

OTHER_ADDRESS = "198.51.100.4"
PORT, OTHER_PORT = 3478, 3479
SERVER = (
    "turnserver", "-n", "--stun-only", "--no-tcp", "--no-tls", "--no-dtls", "--no-cli",
    "--relay-threads", "1", "--log-file", "stdout", "--simple-log",
    "--listening-ip", OUTSIDE, "--listening-ip", OTHER_ADDRESS,
    "--listening-port", str(PORT), "--alt-listening-port", str(OTHER_PORT),
)  # fmt: skip

CONTENDED = 40_001
"""A source port that two endpoints use at once."""

FILTERINGS = {
    "app": "Address Dependent",
    "open": "Endpoint Independent",
    "strict": "Address and Port Dependent",
}
"""The filtering of each endpoint's network, as coturn calls it; `app` is on an ordinary network."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(tmp_path_factory.mktemp("stun")) as lab:
        lab.add_endpoint("web", kind="veth")
        lab.add_endpoint("app", kind="tap")
        for name, subnet, filtering in (
            ("open", "172.19.0.0/16", "endpoint-independent"),
            ("strict", "172.20.0.0/16", "address-and-port-dependent"),
        ):
            lab.add_network(name, subnet=subnet, filtering=filtering)
            lab.add_endpoint(name, network=name)
        lab.up()
        _start_server(lab)
        yield lab


def _start_server(lab: Lab) -> None:
    lab.run("out", "ip", "address", "add", f"{OTHER_ADDRESS}/24", "dev", "eth0")
    lab.start("out", *SERVER, "--pidfile", str(lab.directory / "turnserver.pid"))
    listens = ("ss", "-Hlun", f"sport = :{PORT} or sport = :{OTHER_PORT}")
    eventually(lambda: len(lab.run("out", *listens).stdout.splitlines()) >= 4, "turnserver listens")


@pytest.mark.parametrize("role", FILTERINGS)
def test_mapping_is_independent_of_the_destination(lab: Lab, role: str) -> None:
    assert _classify(lab, role, "-m") == "Endpoint Independent Mapping"


@pytest.mark.parametrize(("role", "filtering"), FILTERINGS.items())
def test_filtering_is_that_of_the_network(lab: Lab, role: str, filtering: str) -> None:
    assert _classify(lab, role, "-f") == f"{filtering} Filtering"


def test_endpoint_reaches_itself_by_its_own_mapping(lab: Lab) -> None:
    assert "Received a request (maybe a successful hairpinning)" in _discover(lab, "app", "-H")


def test_two_endpoints_that_use_the_same_port_are_seen_at_two_and_keep_them(lab: Lab) -> None:
    """The second one can not have its own port outside, and is independent all the same."""
    seen = {}
    for role, address in (("web", WEB), ("app", APP)):
        said = _discover(lab, role, "-m", "-L", address, "-l", str(CONTENDED))
        assert "NAT with Endpoint Independent Mapping!" in said
        seen[role] = set(re.findall(r"UDP reflexive addr: (\S+)", said))
    assert seen["web"] == {f"{UPLINK}:{CONTENDED}"}
    assert len(seen["app"]) == 1
    assert seen["app"].isdisjoint(seen["web"])


@pytest.mark.parametrize(
    ("role", "filter_"),
    [("app", "Address Dependent"), ("open", "Independent"), ("strict", "Port Dependent")],
)
def test_older_client_agrees(lab: Lab, role: str, filter_: str) -> None:
    """Its hairpin comes from another port of its own, which is not filtered within a network."""
    said = lab.run(role, "stun", OUTSIDE, check=False).stdout
    kind = f"Independent Mapping, {filter_} Filter, preserves ports, will hairpin"
    assert f"Primary: {kind}" in said


def _discover(lab: Lab, role: str, *options: str) -> str:
    command = ("turnutils_natdiscovery", *options, "-p", str(PORT), OUTSIDE)
    return lab.run(role, *command, timeout=PATIENCE).stdout


def _classify(lab: Lab, role: str, test: str) -> str:
    found = re.search(r"(?m)^NAT with (.*)!$", _discover(lab, role, test))
    assert found
    return found[1]
