"""Several uplinks: each network leaves by its own, and each address has publications of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.linux import services
from tests.linux.lab import HOST, OUTSIDE, Lab, eventually

pytestmark = pytest.mark.linux

SECOND_OUTSIDE, SECOND_UPLINK = "203.0.113.1", "203.0.113.2"

BEYOND = "192.0.2.77"
"""An address that both worlds have, behind the gateway of each."""

EVERYWHERE, FIRST_ONLY, SECOND_ONLY = 8080, 8081, 8082


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """`app` leaves by `up0` on the host's own address, `web` by `up1` on one of the switch's."""
    with Lab(tmp_path_factory.mktemp("several")) as lab:
        lab.add_wire("up1", "second", f"{SECOND_OUTSIDE}/24")
        lab.uplink["address"] = "host"
        lab.add_uplink("second", "up1", address=f"{SECOND_UPLINK}/24", gateway=SECOND_OUTSIDE)
        lab.add_network("back", uplink="second")
        lab.add_endpoint(
            "app",
            publish=[
                f"{EVERYWHERE}:80",
                f"{HOST}:{FIRST_ONLY}:80",
                f"{SECOND_UPLINK}:{SECOND_ONLY}:80",
            ],
        )
        lab.add_endpoint("web", network="back", publish=["9090:80"])
        lab.up()
        for world in ("out", "second"):
            lab.run(world, "ip", "address", "add", f"{BEYOND}/32", "dev", "lo")
        for role in ("app", "web", "out", "second"):
            services.serve_http(lab.listen(role, "0.0.0.0", 80))
        for world in ("out", "second"):
            services.serve_text(lab.listen(world, "0.0.0.0", 81), world)
        yield lab


def fetch(lab: Lab, role: str, address: str, port: int = 80) -> str:
    return lab.run(role, "curl", "-sm10", f"http://{address}:{port}/").stdout


@pytest.mark.parametrize(
    ("role", "world", "uplink"), [("app", "out", HOST), ("web", "second", SECOND_UPLINK)]
)
def test_each_network_leaves_by_its_own(lab: Lab, role: str, world: str, uplink: str) -> None:
    assert lab.connect(role, BEYOND, 81).makefile().read() == world
    assert fetch(lab, role, BEYOND) == uplink
    assert lab.ping(role, BEYOND)


@pytest.mark.parametrize(
    ("world", "address", "port", "client"),
    [
        ("out", HOST, EVERYWHERE, OUTSIDE),
        ("second", SECOND_UPLINK, EVERYWHERE, SECOND_OUTSIDE),
        ("out", HOST, FIRST_ONLY, OUTSIDE),
        ("second", SECOND_UPLINK, SECOND_ONLY, SECOND_OUTSIDE),
        ("second", SECOND_UPLINK, 9090, SECOND_OUTSIDE),
    ],
)
def test_published_port_is_reached_on_the_addresses_it_is_for(
    lab: Lab, world: str, address: str, port: int, client: str
) -> None:
    assert fetch(lab, world, address, port) == client


def test_published_port_is_on_no_other_address(lab: Lab) -> None:
    with pytest.raises(ConnectionRefusedError):
        lab.connect("out", HOST, SECOND_ONLY)
    before = lab.port("second")["drops"].get("not_published", 0)
    stranger = lab.open_socket("second")
    stranger.setblocking(False)
    stranger.connect_ex((SECOND_UPLINK, FIRST_ONLY))
    eventually(
        lambda: lab.port("second")["drops"].get("not_published", 0) > before, "it is turned away"
    )


def test_only_what_is_published_on_the_hosts_address_is_held(lab: Lab) -> None:
    held = lab.run("host", "ss", "-Hltn").stdout
    assert f"{HOST}:{EVERYWHERE}" in held
    assert f"{HOST}:{FIRST_ONLY}" in held
    assert str(SECOND_ONLY) not in held


def test_status_tells_of_each(lab: Lab) -> None:
    first, second = lab.table("status")["uplinks"]
    assert (first["name"], first["interface"]) == ("uplink", "up0")
    assert (second["name"], second["interface"]) == ("second", "up1")
    assert (second["address"], second["guard"]) == (f"{SECOND_UPLINK}/24", None)
    shown = lab.vswitch("status").stdout
    assert f"uplink second         {SECOND_UPLINK}/24 at up1" in shown
