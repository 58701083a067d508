"""Bad lines between real programs: configured from the start, and changed while they talk.

Of real time only a lower bound is asked: a frame may be later than its delay and never earlier.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.linux import services
from tests.linux.lab import OUTSIDE, PATIENCE, WEB, Done, Lab, eventually

pytestmark = pytest.mark.linux

CONFIGURED = 30
"""Milliseconds by which `web` hears everything late, from the start."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(tmp_path_factory.mktemp("impair")) as lab:
        lab.add_endpoint("web", kind="veth", impair_out=f"delay={CONFIGURED}ms", impair_seed=7)
        lab.add_endpoint("app", kind="tap")
        lab.up()
        yield lab


@pytest.fixture
def lab(running: Lab) -> Iterator[Lab]:
    """After each test `web` alone is impaired, as configured."""
    yield running
    for row in running.table("impairments"):
        running.ask("DELETE", f"impairments/{row['port']}")
    wish = {"outgoing": f"delay={CONFIGURED}ms", "seed": 7}
    assert running.ask("PUT", "impairments/web", wish)[0] == 204


def ping(lab: Lab, role: str, address: str, count: int = 5) -> Done:
    """Echo requests, the last of which waits two seconds for its answer."""
    options = (f"-c{count}", "-i0.02", "-W2")
    return lab.run(role, "ping", *options, address, check=False)


def fastest(done: Done) -> float:
    """The shortest round trip, in milliseconds."""
    found = re.search(r"min/avg/max/mdev = ([0-9.]+)/", done.stdout)
    assert found, done.stdout
    return float(found[1])


def test_configured_delay_is_there_from_the_start(lab: Lab) -> None:
    (row,) = lab.table("impairments")
    assert (row["port"], row["seed"]) == ("web", 7)
    assert row["outgoing"]["impairment"] == f"delay={CONFIGURED}ms"
    done = ping(lab, "app", WEB)
    assert " 0% packet loss" in done.stdout
    assert fastest(done) >= CONFIGURED


def test_round_trip_grows_by_the_delays_of_both_ways(lab: Lab) -> None:
    lab.vswitch("impair", "app", "delay=20ms")
    done = ping(lab, "app", WEB)
    assert " 0% packet loss" in done.stdout
    assert fastest(done) >= CONFIGURED + 40


def test_uplink_can_be_impaired(lab: Lab) -> None:
    lab.vswitch("impair", "uplink", "--in", "delay=25ms")
    done = ping(lab, "app", OUTSIDE)
    assert " 0% packet loss" in done.stdout
    assert fastest(done) >= 25


def test_line_that_loses_everything_is_cut_until_it_is_cleared(lab: Lab) -> None:
    assert lab.ping("app", OUTSIDE)
    lab.vswitch("impair", "uplink", "--out", "loss=100%")
    assert "100% packet loss" in ping(lab, "app", OUTSIDE).stdout
    lab.vswitch("impair", "uplink", "--clear")
    assert lab.ping("app", OUTSIDE)


def test_duplicates_are_seen_by_ping(lab: Lab) -> None:
    lab.vswitch("impair", "app", "--in", "duplicate=100%")
    done = ping(lab, "app", OUTSIDE)
    assert "DUP!" in done.stdout


def test_tcp_comes_through_a_bad_line_whole(lab: Lab) -> None:
    spec = "delay=2ms jitter=1ms loss=1% duplicate=1% reorder=2% rate=50mbit queue=50"
    lab.vswitch("impair", "app", spec, "--seed", "3")
    lab.vswitch("impair", "web", "none")
    services.serve_http(lab.listen("web", "0.0.0.0", 80))
    for _ in range(5):
        done = lab.run("app", "curl", "-sS", "--max-time", "15", f"http://{WEB}/")
        assert done.stdout
    (row,) = lab.table("impairments")
    assert min(row[way]["entered"] for way in ("incoming", "outgoing")) > 10


def test_counters_show_what_the_line_did(lab: Lab) -> None:
    lab.vswitch("impair", "app", "--in", "loss=100%")
    ping(lab, "app", WEB, count=1)
    (row,) = [row for row in lab.table("impairments") if row["port"] == "app"]
    assert row["incoming"]["lost"] == row["incoming"]["entered"] > 0
    assert re.search(r"(?m)^ *app +in +loss=100% ", lab.vswitch("impair").stdout)


def test_endpoint_leaves_while_its_line_holds_frames(lab: Lab) -> None:
    guest = lab.start("host", *lab.guest("--name", "guest"), "ping", "-q", "-i0.02", WEB)
    eventually(lambda: "guest" in lab.endpoints(), "the guest is there")
    lab.vswitch("impair", "guest", "delay=60s")
    eventually(lambda: _held(lab, "guest") > 0, "frames of the guest are held")
    guest.terminate()
    guest.wait(PATIENCE)
    eventually(lambda: "guest" not in lab.endpoints(), "the guest is gone")
    assert [row["port"] for row in lab.table("impairments")] == ["web"]
    assert "Traceback" not in lab.log()


def _held(lab: Lab, port: str) -> int:
    (row,) = [row for row in lab.table("impairments") if row["port"] == port]
    held: int = row["incoming"]["held"]
    return held
