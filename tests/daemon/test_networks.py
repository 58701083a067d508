"""Networks over the control socket: made whole or not at all, shown as Docker shows them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.test_api import Answer, Served
from vswitch import assembly
from vswitch.daemon.kernel import links, netns
from vswitch.daemon.kernel.links import LinkError
from vswitch.daemon.store import Shelf, Store, StoreError
from vswitch.network.model import EndpointRequest, NetworkRequest
from vswitch.policy import GatewayMode, NetworkPolicy
from vswitch.wire.values import IpNetwork

HOST_HAS: list[IpNetwork] = []


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """A switch with the networks `bridge` and `front`, on a host with no route and name server."""
    monkeypatch.setattr(links, "on_link_subnets", lambda: list(HOST_HAS))
    monkeypatch.setattr(netns, "RESOLV_CONF", tmp_path / "none")
    HOST_HAS.clear()
    served = Served(tmp_path)
    try:
        yield served
    finally:
        served.close()


def create(api: Served, name: str = "back", **wish: object) -> Answer:
    return api.ask("POST", "/v1/networks", {"name": name, **wish})


def created(api: Served, name: str = "back", **wish: object) -> dict[str, Any]:
    """What `inspect` says of a network that has just been made."""
    answer = create(api, name, **wish)
    assert answer.status == 201, answer.body
    shown: dict[str, Any] = api.ask("GET", f"/v1/networks/{answer.body['Id']}").body
    return shown


def names(api: Served) -> list[str]:
    return [each["Name"] for each in api.ask("GET", "/v1/networks").body]


def domains(api: Served) -> list[str]:
    """What the dataplane has."""
    assert api.daemon is not None
    return [each.name for each in api.daemon.switch.tables.networks.values()]


def test_network_has_the_shape_that_docker_gives_it(api: Served) -> None:
    shown = created(
        api,
        subnet="172.28.0.0/16",
        ip_range="172.28.5.0/24",
        aux_addresses={"router": "172.28.5.7"},
        options={"com.docker.network.driver.mtu": "9000"},
        labels={"stage": "test"},
    )
    assert re.fullmatch(r"[0-9a-f]{64}", shown.pop("Id"))
    moment = r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z"
    assert re.fullmatch(moment, shown.pop("Created"))
    assert shown == {
        "Name": "back",
        "Scope": "local",
        "Driver": "bridge",
        "EnableIPv4": True,
        "EnableIPv6": False,
        "IPAM": {
            "Driver": "default",
            "Options": {},
            "Config": [
                {
                    "Subnet": "172.28.0.0/16",
                    "IPRange": "172.28.5.0/24",
                    "Gateway": "172.28.5.0",
                    "AuxiliaryAddresses": {"router": "172.28.5.7"},
                }
            ],
        },
        "Internal": False,
        "Attachable": False,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": {},
        "Options": {"com.docker.network.driver.mtu": "9000"},
        "Labels": {"stage": "test"},
    }


def test_network_has_the_policy_that_was_asked_for(api: Served) -> None:
    options = {
        "com.docker.network.bridge.enable_icc": "false",
        "com.docker.network.bridge.gateway_mode_ipv4": "isolated",
    }
    assert created(api, internal=True, options=options)["Internal"] is True
    assert api.daemon is not None
    (domain,) = (each for each in api.daemon.switch.tables.networks.values() if each.name == "back")
    assert (domain.interface, domain.bridges_freely) == (None, False)
    assert domain.policy == NetworkPolicy(
        internal=True, icc=False, gateway_mode=GatewayMode.ISOLATED
    )


def test_networks_of_the_configuration_and_the_predefined_ones_are_there(api: Served) -> None:
    shown = {each["Name"]: each for each in api.ask("GET", "/v1/networks").body}
    assert {name: each["Driver"] for name, each in shown.items()} == {
        "bridge": "bridge",
        "front": "bridge",
        "host": "host",
        "none": "null",
    }
    assert shown["front"]["IPAM"]["Config"] == [
        {"Subnet": "172.18.0.0/16", "IPRange": "", "Gateway": "172.18.0.1"}
    ]
    assert shown["none"]["IPAM"] == {"Driver": "default", "Options": None, "Config": None}
    assert len({each["Id"] for each in shown.values()}) == 4


def test_members_are_shown_under_an_id_of_their_own(api: Served) -> None:
    assert api.daemon is not None
    for name in ("web", "db"):
        api.daemon.inventory.add_endpoint(EndpointRequest(name, "front"))
    api.daemon.inventory.add_endpoint(EndpointRequest("other"))
    shown = api.ask("GET", "/v1/networks/front").body["Containers"]
    assert [each["Name"] for each in shown.values()] == ["web", "db"]
    ((key, web), *_) = shown.items()
    assert re.fullmatch(r"[0-9a-f]{64}", key)
    assert web["IPv4Address"] == "172.18.0.2/16"
    assert web["MacAddress"] == str(api.daemon.inventory.endpoint("web").mac)
    assert set(web) == {"Name", "EndpointID", "MacAddress", "IPv4Address", "IPv6Address"}
    assert api.ask("GET", "/v1/networks/front").body["Containers"] == shown


def test_network_is_carried_as_soon_as_it_is_made(api: Served) -> None:
    assert domains(api) == ["bridge", "front"]
    created(api, options={"com.docker.network.driver.mtu": "9000"})
    assert domains(api) == ["bridge", "front", "back"]
    assert api.daemon is not None
    (back,) = [each for each in api.daemon.switch.tables.networks.values() if each.name == "back"]
    assert back.mtu == 9000
    assert back.interface is not None
    assert str(back.interface.address) == "172.19.0.1/16"
    assert api.ask("GET", "/v1/status").body["networks"] == ["bridge", "front", "back"]


def test_removed_network_is_nowhere_any_more(api: Served) -> None:
    made = created(api)
    assert api.ask("DELETE", f"/v1/networks/{made['Id'][:12]}").status == 204
    assert domains(api) == ["bridge", "front"]
    answer = api.ask("GET", "/v1/networks/back")
    assert (answer.status, answer.problem) == (
        404,
        "network back not found (there is bridge, front, host, none)",
    )
    again = created(api)
    assert again["Id"] != made["Id"]
    assert again["IPAM"] == made["IPAM"]


def test_network_of_the_configuration_can_be_removed(api: Served) -> None:
    assert api.ask("DELETE", "/v1/networks/front").status == 204
    assert domains(api) == ["bridge"]


def test_prune_takes_what_nobody_uses_and_no_configuration_asks_for(api: Served) -> None:
    for name in ("one", "two", "three"):
        created(api, name)
    assert api.daemon is not None
    api.daemon.inventory.add_endpoint(EndpointRequest("web", "two"))
    answer = api.ask("POST", "/v1/networks/prune")
    assert (answer.status, answer.body) == (200, {"NetworksDeleted": ["one", "three"]})
    assert names(api) == ["bridge", "front", "two", "host", "none"]
    assert domains(api) == ["bridge", "front", "two"]


def test_subnet_that_the_switch_chooses_is_not_one_of_the_hosts(api: Served) -> None:
    HOST_HAS.extend((IpNetwork.parse("172.19.4.0/24"), IpNetwork.parse("172.20.0.0/15")))
    assert created(api)["IPAM"]["Config"][0]["Subnet"] == "172.22.0.0/16"


def test_subnet_that_a_user_chooses_may_be_one_of_the_hosts(api: Served) -> None:
    HOST_HAS.append(IpNetwork.parse("172.19.4.0/24"))
    shown = created(api, subnet="172.19.0.0/16")
    assert shown["IPAM"]["Config"][0]["Subnet"] == "172.19.0.0/16"


@pytest.mark.parametrize(
    ("wish", "status", "told"),
    [
        ({"name": "bridge"}, 403, "operation is not permitted on predefined bridge network "),
        ({"name": "none"}, 403, "operation is not permitted on predefined none network "),
        ({"name": "front"}, 409, "network with name front already exists"),
        ({"name": ""}, 409, "Invalid network name (), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"),
        (
            {"subnet": "172.18.7.0/24"},
            409,
            "invalid pool request: Pool overlaps with other one on this address space "
            "(172.18.0.0/16 of network front)",
        ),
        (
            {"subnet": "10.0.0.1/24"},
            400,
            "invalid network config: invalid subnet 10.0.0.1/24: it should be 10.0.0.0/24",
        ),
        (
            {"subnet": "0.0.0.0/24", "gateway": "10.0.0.1"},
            400,
            "invalid network config: invalid gateway 10.0.0.1: "
            "parent subnet 0.0.0.0/24 doesn't contain this address",
        ),
        ({"ipv6": True}, 400, "IPv6 is not supported yet: allowed is a network without it"),
        (
            {"options": {"com.docker.network.bridge.gateway_mode_ipv4": "isolated"}},
            400,
            "gateway mode 'isolated' can only be used for an internal network",
        ),
        (
            {"options": {"com.docker.network.bridge.gateway_mode_ipv4": "open"}},
            400,
            "unknown gateway mode open",
        ),
        ({"driver": "macvlan"}, 400, "driver macvlan is not supported yet: allowed is bridge"),
        ({"uplink": "wan"}, 404, "uplink wan not found (the switch has no uplink)"),
        (
            {"options": {"com.docker.network.driver.mtu": "-5"}},
            400,
            "invalid MTU number: -5",
        ),
    ],
)
def test_network_that_cannot_be_is_refused_and_leaves_nothing(
    api: Served, wish: dict[str, object], status: int, told: str
) -> None:
    answer = api.ask("POST", "/v1/networks", {"name": "back", **wish})
    assert (answer.status, answer.problem) == (status, told)
    assert names(api) == ["bridge", "front", "host", "none"]
    assert domains(api) == ["bridge", "front"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", None),
        ("name", 5),
        ("subnet", 24),
        ("subnet", ["10.0.0.0/24"]),
        ("gateway", {}),
        ("ip_range", 1.5),
        ("aux_addresses", ["a=10.0.0.1"]),
        ("aux_addresses", {"a": 1}),
        ("options", "mtu=9000"),
        ("labels", {"a": None}),
        ("internal", "maybe"),
        ("Subnet", "10.0.0.0/24"),
    ],
)
def test_wrong_value_is_refused_with_its_key(api: Served, key: str, value: object) -> None:
    answer = create(api, **{key: value})
    assert answer.status == 400
    assert answer.problem.startswith(key)
    assert domains(api) == ["bridge", "front"]


@pytest.mark.parametrize("body", [b"", b"{", b"null", b"[]", b"\xff", b"[" * 10_000, b"{}"])
def test_body_that_is_no_wish_is_refused(api: Served, body: bytes) -> None:
    answer = api.ask("POST", "/v1/networks", body)
    assert answer.status == 400
    assert answer.problem
    assert domains(api) == ["bridge", "front"]


def test_body_that_is_too_long_is_refused(api: Served) -> None:
    assert create(api, labels={"a": "x" * 1_100_000}).status == 413


def test_option_without_effect_is_a_warning(api: Served) -> None:
    answer = create(api, options={"com.example.colour": "red"})
    assert answer.status == 201
    assert answer.body["Warning"] == "option com.example.colour is unknown"
    assert api.ask("GET", "/v1/networks/back").body["Options"] == {"com.example.colour": "red"}


@pytest.mark.parametrize(
    ("reference", "status", "told"),
    [
        ("bridge", 403, "bridge is a pre-defined network and cannot be removed"),
        ("host", 403, "host is a pre-defined network and cannot be removed"),
        ("none", 403, "none is a pre-defined network and cannot be removed"),
        ("frnt", 404, 'network frnt not found (did you mean "front"?)'),
        ("front", 403, "network front has active endpoints (web, db)"),
        ("%00", 404, "network \\x00 not found (there is bridge, front, host, none)"),
    ],
)
def test_network_that_must_stay_is_not_removed(
    api: Served, reference: str, status: int, told: str
) -> None:
    assert api.daemon is not None
    for name in ("web", "db"):
        api.daemon.inventory.add_endpoint(EndpointRequest(name, "front"))
    answer = api.ask("DELETE", f"/v1/networks/{reference}")
    assert (answer.status, answer.problem) == (status, told)
    assert domains(api) == ["bridge", "front"]


def test_beginning_of_several_ids_is_ambiguous(api: Served) -> None:
    for number in range(17):
        created(api, f"n{number}", subnet="0.0.0.0/28")
    found = [each["Id"] for each in api.ask("GET", "/v1/networks").body]
    first = next(each[0] for each in found if sum(other[0] == each[0] for other in found) > 1)
    count = sum(each[0] == first for each in found)
    answer = api.ask("GET", f"/v1/networks/{first}")
    assert (answer.status, answer.problem) == (
        400,
        f"network {first} is ambiguous ({count} matches found based on ID prefix)",
    )


@pytest.mark.parametrize("where", ["the host", "the dataplane"])
def test_what_fails_halfway_is_undone(
    api: Served, where: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise LinkError("cannot list the routes: No buffer space available")

    broken = (links, "on_link_subnets") if where == "the host" else (assembly, "add_inside")
    with monkeypatch.context() as broken_world:
        broken_world.setattr(*broken, fail)
        answer = create(api)
    assert (answer.status, answer.problem) == (
        409,
        "cannot list the routes: No buffer space available",
    )
    assert names(api) == ["bridge", "front", "host", "none"]
    assert domains(api) == ["bridge", "front"]
    assert created(api)["IPAM"]["Config"][0]["Subnet"] == "172.19.0.0/16"


@pytest.mark.parametrize("verb", ["create", "remove"])
def test_what_can_not_be_written_down_has_not_happened(
    api: Served, verb: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    created(api, "there")
    words = "state.db: the state can not be written: database or disk is full"

    def fail(*_: object) -> None:
        raise StoreError(words)

    with monkeypatch.context() as broken_world:
        broken_world.setattr(Shelf, "put" if verb == "create" else "remove", fail)
        answer = create(api) if verb == "create" else api.ask("DELETE", "/v1/networks/there")
    assert (answer.status, answer.problem) == (507, words)
    assert names(api) == ["bridge", "front", "there", "host", "none"]
    assert domains(api) == ["bridge", "front", "there"]
    assert [each.levelname for each in caplog.records if words in each.getMessage()] == ["ERROR"]
    caplog.clear()


def test_network_that_is_not_removed_stays_written_down(api: Served, tmp_path: Path) -> None:
    created(api, "there")
    assert api.daemon is not None
    api.daemon.inventory.add_endpoint(EndpointRequest("late", "there"))
    assert api.ask("DELETE", "/v1/networks/there").status == 403
    store = Store(tmp_path / "state" / "state.db")
    assert [each.name for each in store.networks.all().values()] == ["there"]
    store.close()


def test_two_wishes_at_once_get_two_subnets(api: Served) -> None:
    daemon = api.daemon
    assert daemon is not None

    async def both() -> list[str]:
        made = await asyncio.gather(
            *(daemon.networks.create(NetworkRequest(name)) for name in ("one", "two"))
        )
        return [str(each.subnet) for each in made]

    future = asyncio.run_coroutine_threadsafe(both(), api._loop)
    assert sorted(future.result(10)) == ["172.19.0.0/16", "172.20.0.0/16"]
