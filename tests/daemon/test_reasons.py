"""The control socket's answers to why: traces of frames, and reasons of flows."""

from __future__ import annotations

import pytest

from tests.daemon.test_api import Served, api  # noqa: F401
from vswitch.dataplane.topology import Interface, Network, Side
from vswitch.devices.memory import MemoryDevice
from vswitch.wire.values import IpInterface, MacAddress

GATEWAY = "02:00:00:00:00:01"


@pytest.fixture
def app(api: Served) -> Served:  # noqa: F811
    """A switch with a port `app` on `front`."""
    assert api.daemon is not None
    switch = api.daemon.switch
    gateway = Interface(MacAddress.parse(GATEWAY), IpInterface.parse("172.18.0.1/16"))
    switch.add_network(Network(90, "front", Side.INSIDE, gateway, None, 1500))
    switch.add_port("app", 90, MemoryDevice("app"))
    return api


def test_description_is_answered_with_every_stage(app: Served) -> None:
    wish = {"description": "app arp who-has 172.18.0.1 tell 172.18.0.3"}
    answer = app.ask("POST", "/v1/trace", wish)
    assert answer.status == 200
    body = answer.body
    assert (body["port"], body["network"], body["fate"], body["flow"]) == (
        *("app", "front", "answered"),
        0,
    )
    assert [step["stage"] for step in body["steps"]] == ["fast path", "admit", "learn", "arp"]
    [leaving] = body["leaving"]
    assert (leaving["ports"], leaving["kept"]) == (["app"], False)
    assert leaving["layers"][-1] == f"ARP 172.18.0.1 is-at {GATEWAY}"


def test_frame_is_answered_as_its_description_is(app: Served) -> None:
    described = app.ask("POST", "/v1/trace", {"description": "app icmp echo 1.2.3.4 > 5.6.7.8"})
    given = app.ask("POST", "/v1/trace", {"port": "app", "frame": described.body["frame"]})
    assert given.body == described.body
    assert (given.body["fate"], given.body["reason"]) == ("dropped", "source_not_in_subnet")


def test_empty_frame_has_an_answer_too(app: Served) -> None:
    answer = app.ask("POST", "/v1/trace", {"port": "app", "frame": ""})
    assert (answer.status, answer.body["reason"]) == (200, "truncated_ethernet")


@pytest.mark.parametrize(
    ("wish", "told"),
    [
        ({}, "body: Value error, allowed is either a description, or a port and a frame"),
        ({"port": "app"}, "allowed is either a description, or a port and a frame"),
        ({"frame": "00"}, "allowed is either a description, or a port and a frame"),
        ({"description": "x", "port": "app"}, "allowed is either a description"),
        ({"port": "app", "frame": "0"}, "frame: "),
        ({"port": "app", "frame": "zz"}, "frame: "),
        ({"port": "web", "frame": "00"}, "there is no port 'web': there is app"),
        ({"description": "app sctp"}, "'sctp' can not be described: allowed are tcp, udp"),
        ({"description": "app\nud\x1b"}, "can not be described"),
    ],
)
def test_wish_that_is_not_understood_is_told_why(
    app: Served, wish: dict[str, object], told: str
) -> None:
    answer = app.ask("POST", "/v1/trace", wish)
    assert answer.status == 400
    assert told in answer.problem


@pytest.mark.parametrize("number", ["1", "0", "9" * 18])
def test_flow_that_is_not_there_is_told(app: Served, number: str) -> None:
    answer = app.ask("GET", f"/v1/flows/{number}")
    told = f"flow {number} not found: it has ended, or never was"
    assert (answer.status, answer.problem) == (404, told)


@pytest.mark.parametrize("number", ["-1", "x", "9" * 40, "1e3", "%D9%A1"])
def test_what_is_no_number_is_no_flow(app: Served, number: str) -> None:
    assert app.ask("GET", f"/v1/flows/{number}").status == 404
