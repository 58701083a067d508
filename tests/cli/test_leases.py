"""`vswitch leases` as it is typed, against a switch that answers what a test tells it to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cli.conftest import StubSwitch
from tests.cli.test_endpoints import MACHINE
from tests.daemon.test_api import Served
from vswitch.cli.attach import way_of_guest
from vswitch.daemon.messages.leases import LeaseRow

if TYPE_CHECKING:
    from tests.cli.conftest import Vswitch

PRINTER = LeaseRow(
    network="front",
    address="172.18.128.1",
    station="52:54:00:12:34:56",
    hostname="printer",
    endpoint=None,
    expires_in_seconds=3599.7,
)
DEBIAN = PRINTER.model_copy(
    update={"address": "172.18.0.4", "hostname": None, "endpoint": "vm1", "expires_in_seconds": 0.2}
)


@pytest.fixture
def stub(run_directory: Path) -> Iterator[StubSwitch]:
    stub = StubSwitch(run_directory, "lab")
    stub.content = f"[{PRINTER.model_dump_json()},{DEBIAN.model_dump_json()}]".encode()
    yield stub
    stub.die()


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ((), "GET /v1/leases"),
        (("ls",), "GET /v1/leases"),
        (("front",), "GET /v1/leases?network=front"),
        (("ls", "release"), "GET /v1/leases?network=release"),
        (("--switch", "lab", "front"), "GET /v1/leases?network=front"),
    ],
)
def test_leases_are_listed_whichever_way_it_is_said(
    vswitch: Vswitch, stub: StubSwitch, words: tuple[str, ...], asked: str
) -> None:
    outcome = vswitch("leases", *words)
    assert (outcome.status, stub.heard) == (0, [asked])
    assert [" ".join(line.split()) for line in outcome.out.splitlines()] == [
        "network address station hostname endpoint left",
        "front 172.18.128.1 52:54:00:12:34:56 printer - 59m59s",
        "front 172.18.0.4 52:54:00:12:34:56 - vm1 0s",
    ]


def test_json_is_what_the_switch_says(vswitch: Vswitch, stub: StubSwitch) -> None:
    assert vswitch("leases", "front", "--json").out == f"{stub.content.decode()}\n"


def test_leases_are_released_one_by_one(vswitch: Vswitch, served: Served) -> None:
    outcome = vswitch("leases", "release", "172.18.0.9", "--network", "front")
    assert (outcome.status, outcome.out) == (1, "")
    assert outcome.err == "vswitch: address 172.18.0.9 is not leased\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("nowhere",), "network nowhere not found (there is bridge, front)"),
        (("release", "printer"), "invalid IP address: printer"),
        (("release", "172.18.0.9"), "address 172.18.0.9 is not leased"),
    ],
)
def test_mistake_is_told_in_one_line(
    vswitch: Vswitch, served: Served, words: tuple[str, ...], told: str
) -> None:
    outcome = vswitch("leases", *words)
    assert (outcome.status, outcome.err) == (1, f"vswitch: {told}\n")


@pytest.fixture
def served(run_directory: Path) -> Iterator[Served]:
    directory = run_directory / "lab"
    directory.mkdir()
    served = Served(directory)
    try:
        yield served
    finally:
        served.close()


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"by_dhcp": True}, "The guest gets 172.18.0.2/16 by DHCP, with gateway 172.18.0.1."),
        ({"by_dhcp": True, "gateway": ""}, "The guest gets 172.18.0.2/16 by DHCP."),
        (
            {},
            "The guest gives itself 172.18.0.2/16, with gateway 172.18.0.1: "
            "network front leases to nobody.",
        ),
    ],
)
def test_guest_of_a_tap_is_told_how_it_comes_to_its_address(
    said: dict[str, object], told: str
) -> None:
    assert way_of_guest(MACHINE.model_copy(update=said)) == told
