"""Uplinks with an address and a station of their own over macvtap: one given, one made up."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.linux import services
from tests.linux.lab import OUTSIDE, UPLINK, Lab

pytestmark = pytest.mark.linux

STATION = "02:00:00:00:00:77"
SECOND_OUTSIDE, SECOND_UPLINK = "203.0.113.1", "203.0.113.2"
BULK = os.urandom(1024 * 1024) * 16
BULK_HASH = hashlib.sha256(BULK).hexdigest()
HASH_PORT, BULK_PORT = 5001, 5002

WAYS = pytest.mark.parametrize(
    ("endpoint", "world", "outside", "uplink"),
    [("app", "out", OUTSIDE, UPLINK), ("web", "second", SECOND_OUTSIDE, SECOND_UPLINK)],
    ids=["mac made up", "mac given"],
)


def prepare(lab: Lab) -> None:
    """`app` leaves by up0, where the MAC address is made up, and `web` by up1."""
    lab.uplink |= {"device": "macvtap", "mac": "auto"}
    lab.add_wire("up1", "second", f"{SECOND_OUTSIDE}/24")
    lab.add_uplink("second", "up1", address=f"{SECOND_UPLINK}/24", device="macvtap", mac=STATION)
    lab.add_network("back", uplink="second")
    publish = [f"{port}:{port}" for port in (80, HASH_PORT, BULK_PORT)]
    lab.add_endpoint("app", publish=[f"{UPLINK}:{each}" for each in publish])
    lab.add_endpoint("web", network="back", publish=[f"{SECOND_UPLINK}:{each}" for each in publish])


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(tmp_path_factory.mktemp("macvtap")) as lab:
        prepare(lab)
        lab.up()
        for role in ("app", "web", "out", "second"):
            services.serve_http(lab.listen(role, "0.0.0.0", 80))
            services.serve_hash(lab.listen(role, "0.0.0.0", HASH_PORT))
            services.serve_bulk(lab.listen(role, "0.0.0.0", BULK_PORT), BULK)
        yield lab


@WAYS
def test_traffic_passes_both_ways(
    lab: Lab, endpoint: str, world: str, outside: str, uplink: str
) -> None:
    assert lab.ping(endpoint, outside)
    assert lab.ping(world, uplink)
    assert lab.run(endpoint, "curl", "-sm10", f"http://{outside}/").stdout == uplink
    assert lab.run(world, "curl", "-sm10", f"http://{uplink}/").stdout == outside


@WAYS
def test_bulk_arrives_whole_both_ways(
    lab: Lab, endpoint: str, world: str, outside: str, uplink: str
) -> None:
    for role, address in ((endpoint, outside), (world, uplink)):
        with lab.connect(role, address, HASH_PORT) as upload:
            upload.sendall(BULK)
            upload.shutdown(socket.SHUT_WR)
            assert upload.makefile().read() == BULK_HASH
        with lab.connect(role, address, BULK_PORT) as download:
            assert services.digest_of(download) == BULK_HASH


def test_stations_outside_are_those_of_the_macvtaps(lab: Lab) -> None:
    first, second = lab.table("status")["uplinks"]
    assert (first["device"], second["device"]) == ("macvtap", "macvtap")
    assert second["mac"] == STATION
    for world, uplink, row in (("out", UPLINK, first), ("second", SECOND_UPLINK, second)):
        assert lab.ping(world, uplink)
        assert row["mac"] in lab.run(world, "ip", "neighbour", "show", uplink).stdout
    parents = lab.run("host", "ip", "link").stdout
    assert first["mac"] not in lab.run("host", "ip", "link", "show", "up0").stdout
    assert f"vs{first['mac'].replace(':', '')[-8:]}@up0" in parents


def test_nothing_of_it_is_left_however_it_ends(tmp_path: Path) -> None:
    with Lab(tmp_path) as lab:
        prepare(lab)
        lab.up()
        lab.down(signal.SIGKILL)
        assert len([each for each in lab.leftovers() if each.startswith("vs")]) == 2
        lab.up()
        assert lab.ping("web", SECOND_OUTSIDE)
        assert lab.down() == 0
        assert lab.leftovers() == []
        was_left = lab.log_lines("left by an earlier switch")
        assert lab.log_lines("ERROR") + lab.log_lines("WARNING") == was_left
