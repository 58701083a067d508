"""What a switch was, it is again when it is started again, however it ended."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.linux.lab import Lab

pytestmark = pytest.mark.linux


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with Lab(tmp_path) as lab:
        lab.add_endpoint("app", publish=["80", "53/udp"])
        lab.add_endpoint("web", publish=["80", "53/udp"])
        yield lab


def attached(lab: Lab, name: str) -> str:
    """Address, network and host ports of an endpoint, as the switch has told of them."""
    (line,) = lab.log_lines(f"endpoint {name} attached: ")
    return line.partition("attached: ")[2]


def mac(lab: Lab, name: str) -> str:
    (link,) = json.loads(lab.run(name, "ip", "-json", "link", "show", "eth0").stdout)
    return str(link["address"])


def gateway_mac(lab: Lab) -> str:
    """What web knows as its gateway's, which it has just spoken to."""
    assert lab.ping("web", "172.18.0.1")
    (neighbour,) = json.loads(lab.run("web", "ip", "-json", "neigh", "show", "172.18.0.1").stdout)
    return str(neighbour["lladdr"])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_who_was_there_has_addresses_and_host_ports_as_before(
    lab: Lab, number: signal.Signals
) -> None:
    lab.up()
    before = attached(lab, "web"), mac(lab, "web"), gateway_mac(lab)
    lab.down(number)
    lab.drop_endpoint("app")
    lab.add_endpoint("new", publish=["80", "53/udp"])

    lab.up()

    assert (attached(lab, "web"), mac(lab, "web"), gateway_mac(lab)) == before
    assert attached(lab, "new").startswith("172.18.0.2/")


def test_state_that_is_damaged_is_refused_in_one_line_and_left_alone(lab: Lab) -> None:
    state = lab.directory / "state" / "state.db"
    state.parent.mkdir()
    state.write_bytes(b"no database " * 100)
    assert lab.fail_to_start() == (
        f"vswitch: {state}: the state can not be read: file is not a database; "
        "moved away, it lets the switch begin anew"
    )
    assert state.read_bytes() == b"no database " * 100
    assert lab.leftovers() == []
