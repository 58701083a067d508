"""What a switch was, it is again when it is started again, however it ended."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.linux.lab import OUTSIDE, PATIENCE, SUBNET, VSWITCH, Done, Lab

pytestmark = pytest.mark.linux

PORT = 7000


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with Lab(tmp_path) as lab:
        lab.add_endpoint("app", publish=["80", "53/udp"])
        lab.add_endpoint("web", publish=["80", "53/udp"])
        yield lab


def attached(lab: Lab, name: str) -> str:
    """Address, network and host ports of an endpoint, as the switch has told of them."""
    (line,) = [*lab.log_lines(f" {name} attached: "), *lab.log_lines(f" {name} taken over: ")]
    return line.partition(": ")[2]


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


def about_networks(lab: Lab, verb: str, *words: str, check: bool = True) -> Done:
    """A command of `vswitch network`."""
    options = "--switch", lab.name
    return lab.run("host", VSWITCH, "network", verb, *options, *words, check=check)


def network(lab: Lab, name: str) -> dict[str, Any]:
    """What `inspect` shows of it, but for who is on it."""
    (shown,) = json.loads(about_networks(lab, "inspect", name).stdout)
    return {key: value for key, value in shown.items() if key != "Containers"}


def create(lab: Lab, name: str, *options: str) -> str:
    return about_networks(lab, "create", *options, name).stdout.strip()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_networks_are_what_they_were(lab: Lab, number: signal.Signals) -> None:
    lab.up()
    create(
        lab, "back", "--subnet", "10.9.0.0/24", "--label", "who=me", "--aux-address", "a=10.9.0.9"
    )
    create(lab, "gone")
    about_networks(lab, "rm", "gone")
    before = [network(lab, name) for name in ("bridge", "front", "back")]
    lab.down(number)

    lab.up()

    assert [network(lab, name) for name in ("bridge", "front", "back")] == before
    assert about_networks(lab, "inspect", "gone", check=False).returncode == 1
    assert lab.run(
        "host", *lab.command("run", "--network", "back"), "--", "ping", "-c1", "-W2", "10.9.0.1"
    ).stdout


def test_network_that_the_configuration_has_no_room_for_any_more_is_told_and_dropped(
    lab: Lab,
) -> None:
    lab.up()
    create(lab, "back", "--subnet", "10.9.0.0/24")
    lab.down()
    lab.front["subnet"] = "10.9.0.0/16"
    lab.up()
    (line,) = lab.log_lines("is not made again")
    assert "network back, 10.9.0.0/24, is not made again: " in line
    lab.down()
    lab.front["subnet"] = SUBNET
    lab.up()
    assert lab.log_lines("is not made again") == []
    assert about_networks(lab, "inspect", "back", check=False).returncode == 1


class Transfer:
    """A TCP connection that is in the middle of something: each end can say more to the other."""

    def __init__(self, lab: Lab, client: str, server: str, address: str) -> None:
        listening = lab.listen(server, address, PORT)
        self.client = lab.connect(client, address, PORT)
        self.server, _ = listening.accept()
        self.go_on()

    def go_on(self) -> None:
        """More than a window, both ways, arrives."""
        for speaker, listener in ((self.client, self.server), (self.server, self.client)):
            speaker.settimeout(PATIENCE)
            listener.settimeout(PATIENCE)
            octets = bytes(range(256)) * 4096
            sending = Thread(target=speaker.sendall, args=(octets,), daemon=True)
            sending.start()
            heard = b""
            while len(heard) < len(octets):
                heard += listener.recv(65536)
            sending.join(PATIENCE)
            assert heard == octets

    def close(self) -> None:
        self.client.close()
        self.server.close()


@pytest.fixture
def standing(lab: Lab) -> Lab:
    """The namespaces are there before the switch, and stay."""
    lab.create("app")
    lab.create("web")
    lab.up()
    return lab


def test_transfers_go_on_after_an_orderly_stop(standing: Lab) -> None:
    lab = standing
    with (
        closing(Transfer(lab, "app", "out", OUTSIDE)) as outwards,
        closing(Transfer(lab, "app", "web", "172.18.0.3")) as between,
    ):
        lab.down()
        lab.up()
        outwards.go_on()
        between.go_on()
    lab.wait_for_log("of 1 connections go on")


def test_transfer_between_endpoints_goes_on_after_a_kill(standing: Lab) -> None:
    lab = standing
    with closing(Transfer(lab, "app", "web", "172.18.0.3")) as between:
        lab.down(signal.SIGKILL)
        lab.up()
        between.go_on()


def test_connections_are_taken_over_once(standing: Lab) -> None:
    lab = standing
    with closing(Transfer(lab, "app", "out", OUTSIDE)):
        lab.down()
        lab.up()
        assert len(lab.table("flows")) == 1
        lab.down(signal.SIGKILL)
        lab.up()
        assert lab.table("flows") == []


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
