"""Verbs about endpoints: what is asked of the switch, and how its answer is shown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.conftest import StubSwitch
from vswitch.daemon.messages.endpoints import EndpointRow, MembershipRow
from vswitch.network.model import EndpointKind
from vswitch.policy import PortRole

if TYPE_CHECKING:
    from tests.cli.conftest import Vswitch

WEB = EndpointRow(
    name="web",
    network="front",
    kind=EndpointKind.VETH,
    namespace="lab",
    pid=None,
    address="172.18.0.2/16",
    gateway="172.18.0.1",
    mac="02:00:00:00:00:02",
    aliases=("www",),
    networks=(
        MembershipRow(
            network="front",
            address="172.18.0.2/16",
            mac="02:00:00:00:00:02",
            aliases=("www",),
            interface="eth0",
            gateway_priority=0,
        ),
    ),
    hostname=None,
    domainname=None,
    published=("0.0.0.0:8080->80/tcp",),
    exposed=("80/tcp", "90/udp"),
    dns=(),
    dns_search=(),
    dns_options=(),
    links=(),
    role=PortRole.COMMUNITY,
    lease=None,
    by_dhcp=False,
    resolv_conf="nameserver 127.0.0.11\n",
    resolv_conf_file="/etc/netns/lab/resolv.conf",
)
JOB = WEB.model_copy(update={"name": "job", "namespace": "/proc/7/ns/net", "pid": 7})
MACHINE = WEB.model_copy(update={"name": "vm1", "kind": EndpointKind.VM, "namespace": ""})
BESIDE = WEB.model_copy(
    update={"name": "beside", "network": "host", "kind": None, "pid": 8, "address": "", "mac": ""}
    | {"published": (), "exposed": (), "networks": ()}
)


class Listening(StubSwitch):
    """A switch that notes what is asked of it with a body."""

    def __init__(self, run_directory: Path) -> None:
        self.bodies: list[bytes] = []
        super().__init__(run_directory, "lab")

    def handler(self) -> type[BaseHTTPRequestHandler]:
        stub = self

        class Handler(super().handler()):  # type: ignore[misc]
            def do_POST(self) -> None:  # noqa: N802
                stub.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
                self.do_GET()

            def do_DELETE(self) -> None:  # noqa: N802
                self.do_GET()

        return Handler


@pytest.fixture
def lab(run_directory: Path) -> Iterator[Listening]:
    stub = Listening(run_directory)
    stub.content = WEB.model_dump_json().encode()
    yield stub
    stub.die()


def asked(lab: Listening) -> dict[str, Any]:
    """What the only request that came asks for, without what it leaves to the switch."""
    (body,) = lab.bodies
    wish: dict[str, Any] = json.loads(body)
    return {key: value for key, value in wish.items() if value not in (None, [], False, 0)}


def test_list_says_where_each_lives_and_what_it_serves(vswitch: Vswitch, lab: Listening) -> None:
    rows = ",".join(row.model_dump_json() for row in (WEB, JOB, MACHINE, BESIDE))
    lab.content = f"[{rows}]".encode()
    header, *lines = vswitch("ps").out.splitlines()
    assert header.split() == [
        "name",
        "network",
        "address",
        "station",
        "kind",
        "lives",
        "in",
        "ports",
    ]
    found = {line.split()[0]: " ".join(line.split()[1:]) for line in lines}
    served = "0.0.0.0:8080->80/tcp, 90/udp"
    common = "front 172.18.0.2/16 02:00:00:00:00:02"
    assert found == {
        "web": f"{common} veth lab {served}",
        "job": f"{common} veth process 7 {served}",
        "vm1": f"{common} vm a virtual machine {served}",
        "beside": "host - - - process 8 -",
    }
    assert vswitch("endpoint", "ls", "-q").out == "web\njob\nvm1\nbeside\n"
    assert vswitch("ps", "--json").out == f"[{rows}]\n"


def test_inspection_is_a_list_as_dockers_is(vswitch: Vswitch, lab: Listening) -> None:
    outcome = vswitch("endpoint", "inspect", "web", "a/b")
    assert json.loads(outcome.out) == [json.loads(WEB.model_dump_json())] * 2
    assert lab.heard == ["GET /v1/endpoints/web", "GET /v1/endpoints/a%2Fb"]


@pytest.mark.parametrize(
    ("spelled", "place"),
    [
        ("lab", {"path": "/run/netns/lab"}),
        ("4711", {"pid": 4711}),
        ("/proc/4711/ns/net", {"path": "/proc/4711/ns/net"}),
        ("/srv/sandboxes/4f", {"path": "/srv/sandboxes/4f"}),
    ],
)
def test_namespace_is_a_name_a_process_or_a_path(
    vswitch: Vswitch, lab: Listening, spelled: str, place: dict[str, Any]
) -> None:
    assert vswitch("attach", spelled).status == 0
    assert lab.heard == ["POST /v1/endpoints"]
    assert asked(lab) == {"network": "bridge", "kind": "tap", "role": "community", **place}


def test_path_that_is_relative_or_a_link_is_sent_as_it_is_found(
    vswitch: Vswitch, lab: Listening, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    monkeypatch.chdir(tmp_path)
    vswitch("attach", "link/sandbox")
    assert asked(lab)["path"] == str((tmp_path / "real" / "sandbox").resolve())


NAMES = (
    *("--dns", "tls://9.9.9.9#dns.quad9.net", "--dns-search", "corp.example"),
    *("--dns-search", "lab", "--dns-option", "ndots:1", "--dns-opt", "timeout:2"),
    *("--domainname", "corp.example"),
)


def test_tap_is_asked_for_with_names_as_well(vswitch: Vswitch, lab: Listening) -> None:
    vswitch("tap", "add", "vm1", "--hostname", "guest", *NAMES)
    wish = json.loads(lab.bodies[0])
    assert (wish["dns"], wish["hostname"]) == (["tls://9.9.9.9#dns.quad9.net"], "guest")


def test_every_option_of_docker_run_is_sent_along(vswitch: Vswitch, lab: Listening) -> None:
    vswitch(
        *("attach", "lab", "--net", "front", "--name", "web", "--ip", "172.18.0.9"),
        *("--mac-address", "02:00:00:00:00:09", "--network-alias", "www", "--alias", "site"),
        *("-p", "8080:80", "--publish", "81", "--expose", "90", "-P"),
        *("--kind", "veth", "--dns", "192.0.2.53", "--role", "isolated"),
        *("--link", "db:database", "--link", "cache", "-h", "inner"),
        *NAMES,
    )
    assert asked(lab) == {
        "path": "/run/netns/lab",
        "network": "front",
        "name": "web",
        "address": "172.18.0.9",
        "mac": "02:00:00:00:00:09",
        "aliases": ["www", "site"],
        "publish": ["8080:80", "81"],
        "expose": ["90"],
        "publish_all": True,
        "kind": "veth",
        "dns": ["192.0.2.53", "tls://9.9.9.9#dns.quad9.net"],
        "dns_search": ["corp.example", "lab"],
        "dns_options": ["ndots:1", "timeout:2"],
        "hostname": "inner",
        "domainname": "corp.example",
        "links": ["db:database", "cache"],
        "role": "isolated",
    }


@pytest.mark.parametrize(("owner", "user"), [("1000", 1000), ("root", 0)])
def test_owner_of_a_tap_is_a_user_by_name_or_number(
    vswitch: Vswitch, lab: Listening, owner: str, user: int
) -> None:
    outcome = vswitch("tap", "add", "vm1", "--network", "front", "--owner", owner)
    assert outcome.status == 0
    assert lab.heard == ["POST /v1/taps"]
    assert json.loads(lab.bodies[0])["owner"] == user


@pytest.mark.parametrize("verb", [("detach",), ("endpoint", "rm"), ("tap", "rm")])
def test_what_is_taken_off_is_printed(
    vswitch: Vswitch, lab: Listening, verb: tuple[str, ...]
) -> None:
    lab.status, lab.content = 204, b""
    assert vswitch(*verb, "web", "app").out == "web\napp\n"
    assert lab.heard == ["DELETE /v1/endpoints/web", "DELETE /v1/endpoints/app"]


def test_command_gets_its_time_to_stop(vswitch: Vswitch, lab: Listening) -> None:
    lab.status, lab.content = 204, b""
    assert vswitch("stop", "-t", "3", "web").out == "web\n"
    assert (lab.heard, asked(lab)) == (["POST /v1/endpoints/web/stop"], {"seconds": 3.0})


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("attach", "0"), "0 is no process id: allowed is 1 to 4194304"),
        (("attach", "99999999"), "99999999 is no process id: allowed is 1 to 4194304"),
        (("attach", ".."), "'..' cannot be the name of a namespace"),
        (("tap", "add", "vm1", "--owner", "no-one-at-all"), "there is no user no-one-at-all"),
        (("tap", "add", "vm1", "--owner", "4294967295"), "there is no user 4294967295"),
        (("logs", "../lab"), "../lab has not run in the background on this switch"),
    ],
)
def test_mistake_is_told_in_one_line_and_asks_no_switch(
    vswitch: Vswitch, lab: Listening, words: tuple[str, ...], told: str
) -> None:
    outcome = vswitch(*words)
    assert (outcome.status, outcome.err) == (1, f"vswitch: {told}\n")
    assert lab.heard == []
