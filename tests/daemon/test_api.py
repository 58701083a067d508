"""The control socket as a client sees it: tables, and one line for every mistake.

The daemon behind it is real, with networks and no kernel under it: it is never started. Requests
are written byte by byte, because most of these no client library would send.
"""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from vswitch.daemon.api import Api
from vswitch.daemon.captures import READERS
from vswitch.daemon.daemon import Daemon
from vswitch.daemon.kernel.journal import Journal
from vswitch.daemon.process.doors import opened
from vswitch.network.configuration import config

PATIENCE = 10.0
"""Seconds after which an answer counts as missing."""

CONFIGURATION = """
name = "lab"
[networks.front]
subnet = "172.18.0.0/16"
[recorder]
size = "1MiB"
"""


@dataclass(frozen=True)
class Answer:
    status: int
    head: str
    body: Any

    @property
    def problem(self) -> str:
        """The one line of a refusal."""
        assert list(self.body) == ["error"]
        text: str = self.body["error"]
        assert text
        assert text.isprintable(), f"more than one line: {text!r}"
        assert "application/json" in self.head
        return text


class Served:
    """A daemon's control socket, served by a loop in another thread."""

    def __init__(self, directory: Path, further: str = "") -> None:
        """`further` tables stand in the configuration behind the others."""
        file = directory / "lab.toml"
        file.write_text(f'state_directory = "{directory / "state"}"\n{CONFIGURATION}{further}')
        self.socket = directory / "socket"
        self.daemon: Daemon | None = None
        self._journal = Journal.open("lab", directory / "run")
        self._configuration = config.load(file)
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),))
        self._thread.start()
        assert self._ready.wait(PATIENCE)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        self._loop.close()
        self._journal.close()

    def connect(self) -> socket.socket:
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(PATIENCE)
        client.connect(str(self.socket))
        return client

    def send(self, request: bytes) -> Answer:
        """The answer to a request as it stands."""
        with self.connect() as client:
            client.sendall(request)
            head, _, body = client.makefile("rb").read().partition(b"\r\n\r\n")
        return Answer(int(head.split()[1]), head.decode(), json.loads(body) if body else None)

    def ask(self, method: str, path: str, body: object = b"") -> Answer:
        """The answer to a call; a body that is not bytes goes as JSON."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: switch\r\nConnection: close\r\n"
        return self.send(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)

    def call(self, function: Callable[..., object], *args: object, **kwargs: object) -> None:
        """Call `function` where the daemon runs, and wait until it is done."""

        async def called() -> None:
            function(*args, **kwargs)

        asyncio.run_coroutine_threadsafe(called(), self._loop).result(PATIENCE)

    async def _run(self) -> None:
        self.daemon = Daemon(self._configuration, self._journal)
        self.daemon.open_store()
        for network in self.daemon.inventory.networks:
            self.daemon.networks.begin(network)
        with opened(self._configuration.api, self.socket) as doors:
            doors.listen()
            api = Api(self.daemon, doors)
            await api.start()
            self._ready.set()
            await self._stop.wait()
            await api.close()
        self.daemon.runtime.close()


@pytest.fixture
def api(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Served]:
    """After each test: the socket still answers, and nothing was logged as an error."""
    caplog.set_level(logging.INFO)
    served = Served(tmp_path)
    try:
        yield served
        assert served.ask("GET", "/v1/status").status == 200
        logged = [*caplog.get_records("call"), *caplog.records]
        assert [each.getMessage() for each in logged if each.levelno >= logging.WARNING] == []
    finally:
        served.close()


def test_status_is_one_object(api: Served) -> None:
    answer = api.ask("GET", "/v1/status")
    assert (answer.status, answer.body["name"]) == (200, "lab")
    assert answer.body["networks"] == ["bridge", "front"]


@pytest.mark.parametrize("table", ["ports", "fdb", "neighbours", "flows", "mappings", "endpoints"])
def test_table_of_nothing_is_an_empty_list(api: Served, table: str) -> None:
    assert api.ask("GET", f"/v1/{table}").body == []


def test_socket_is_its_owners_alone(api: Served) -> None:
    assert api.socket.stat().st_mode & 0o777 == 0o600


def test_closed_server_leaves_no_socket(tmp_path: Path) -> None:
    served = Served(tmp_path)
    served.close()
    assert not served.socket.exists()


def test_who_asks_before_the_api_is_there_is_answered_when_it_is(tmp_path: Path) -> None:
    path, journal = tmp_path / "socket", Journal.open("lab", tmp_path / "run")

    async def asked_early() -> bytes:
        daemon = Daemon(config.parse('name = "lab"', "lab.toml"), journal)
        with opened(daemon.configuration.api, path) as doors:
            doors.listen()
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(b"GET /v1/status HTTP/1.1\r\nHost: switch\r\n\r\n")
            api = Api(daemon, doors)
            await api.start()
            answer = await reader.readline()
            writer.close()
            await api.close()
        daemon.runtime.close()
        return answer

    try:
        assert asyncio.run(asyncio.wait_for(asked_early(), PATIENCE)) == b"HTTP/1.1 200 OK\r\n"
    finally:
        journal.close()


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/", "/v1/flow", "/v2/flows", "/v1/endpoints/a/b"])
def test_unknown_route_is_not_found(api: Served, path: str) -> None:
    answer = api.ask("GET", path)
    assert answer.status == 404
    assert answer.problem == f"GET {path}: Not Found"


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "flows"), ("DELETE", "endpoints"), ("PUT", "recorder"), ("PATCH", "status")],
)
def test_wrong_method_is_not_allowed(api: Served, method: str, path: str) -> None:
    answer = api.ask(method, f"/v1/{path}")
    assert answer.status == 405
    assert answer.problem == f"{method} /v1/{path}: Method Not Allowed"


@pytest.mark.parametrize("path", ["/v1/%0Aerror:%20none", "/v1/endpoints/%0a%1b[2J"])
def test_unprintable_path_is_told_in_one_line(api: Served, path: str) -> None:
    answer = api.ask("DELETE", path)
    assert answer.status == 404
    assert "\\n" in answer.problem


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"null", b"[]", b'"pid"', b"\xff\xfe", b'{"pid": 1}{', b"[" * 10_000, b"\0"],
)
def test_body_that_is_no_json_object_is_refused(api: Served, body: bytes) -> None:
    answer = api.ask("POST", "/v1/endpoints", body)
    assert answer.status == 400
    assert answer.problem.startswith("body: ")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("pid", "init"),
        ("pid", 0),
        ("pid", -1),
        ("pid", 1.5),
        ("pid", 2**31),
        ("pid", 10**30),
        ("pid", [1]),
        ("path", "netns"),
        ("path", 5),
        ("address", 5),
        ("aliases", "www"),
        ("publish_all", "all"),
        ("name", 5),
        ("network", None),
        ("kind", "bridge"),
        ("role", "lonely"),
        ("links", "db"),
        ("publish", "80"),
        ("publish", [80]),
        ("adress", "172.18.0.9"),
    ],
)
def test_wrong_value_is_refused_with_its_key(api: Served, key: str, value: object) -> None:
    answer = api.ask("POST", "/v1/endpoints", {"pid": 1, key: value})
    assert answer.status == 400
    assert answer.problem.startswith(key)


@pytest.mark.parametrize(
    ("wish", "status", "told"),
    [
        ({"network": "frnt"}, 404, 'network frnt not found (did you mean "front"?)'),
        ({"publish": ["80:80:80:80"]}, 409, "invalid IP address: 80:80"),
        ({"publish": ["99999"]}, 409, "invalid containerPort: 99999"),
        ({"name": "a\nb"}, 409, "Invalid endpoint name"),
        ({"name": "x" * 64}, 409, "at most 63 characters"),
        ({"links": ["db"]}, 404, "could not get container for db: endpoint db not found"),
        ({"links": ["db:a:b"]}, 409, "bad format for links: db:a:b"),
        (
            {"network": "host", "links": ["db"]},
            409,
            "conflicting options: host type networking can't be used with links. "
            "This would result in undefined behavior",
        ),
        ({"network": "none", "role": "isolated"}, 409, "role and the network mode"),
    ],
)
def test_wish_that_cannot_be_granted_is_refused_in_dockers_words(
    api: Served, wish: dict[str, object], status: int, told: str
) -> None:
    answer = api.ask("POST", "/v1/endpoints", {"pid": 1, "network": "front", **wish})
    assert answer.status == status
    assert told in answer.problem


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ({}, "either the pid of a process, or the path of a namespace"),
        ({"pid": 1, "path": "/run/netns/x"}, "either the pid of a process, or the path"),
        ({"pid": 1, "kind": "vm"}, "a virtual machine lives in no namespace"),
    ],
)
def test_endpoint_lives_in_one_namespace(api: Served, place: dict[str, object], told: str) -> None:
    answer = api.ask("POST", "/v1/endpoints", {"network": "front", **place})
    assert answer.status == 400
    assert told in answer.problem


@pytest.mark.parametrize(
    ("key", "value"),
    [("name", None), ("owner", -1), ("owner", "root"), ("kind", "tap"), ("pid", 1)],
)
def test_wrong_value_of_a_tap_is_refused_with_its_key(api: Served, key: str, value: object) -> None:
    answer = api.ask("POST", "/v1/taps", {"name": "vm1", key: value})
    assert answer.status == 400
    assert answer.problem.startswith(key)


@pytest.mark.parametrize("seconds", [-1, 21, "long", None])
def test_command_is_not_given_any_time_to_stop(api: Served, seconds: object) -> None:
    answer = api.ask("POST", "/v1/endpoints/web/stop", {"seconds": seconds})
    assert answer.status == 400
    assert answer.problem.startswith("seconds")


@pytest.mark.parametrize(("method", "path"), [("GET", "nobody"), ("POST", "nobody/stop")])
def test_endpoint_that_is_not_there_is_not_found(api: Served, method: str, path: str) -> None:
    answer = api.ask(method, f"/v1/endpoints/{path}", {})
    assert (answer.status, answer.problem) == (404, "endpoint nobody not found")


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def test_command_on_network_host_is_listed_until_it_ends(
    api: Served, sleeper: subprocess.Popen[bytes]
) -> None:
    wish = {"pid": sleeper.pid, "network": "host", "name": "beside"}
    answer = api.ask("POST", "/v1/endpoints", wish)
    assert answer.status == 201
    assert api.ask("GET", "/v1/endpoints").body == [answer.body]
    assert api.ask("GET", "/v1/endpoints/beside").body == answer.body
    assert answer.body["pid"] == sleeper.pid
    again = api.ask("POST", "/v1/endpoints", {**wish, "network": "front"})
    assert (again.status, again.problem) == (
        409,
        "endpoint with name beside already exists in network host",
    )
    linked = api.ask("POST", "/v1/endpoints", {"pid": sleeper.pid, "links": ["beside:x"]})
    assert linked.problem.startswith("conflicting options: host type networking can't be used with")
    assert api.ask("POST", "/v1/endpoints/beside/stop", {}).status == 204
    assert sleeper.wait(PATIENCE) == -signal.SIGTERM
    for _ in range(100):
        if not api.ask("GET", "/v1/endpoints").body:
            return
        time.sleep(0.02)
    pytest.fail("it is listed still after two seconds")


def test_command_on_network_host_may_be_forgotten_and_goes_on(
    api: Served, sleeper: subprocess.Popen[bytes]
) -> None:
    wish = {"pid": sleeper.pid, "network": "host", "name": "beside"}
    for _ in range(2):
        assert api.ask("POST", "/v1/endpoints", wish).status == 201
        assert api.ask("DELETE", "/v1/endpoints/beside").status == 204
    assert api.ask("GET", "/v1/endpoints").body == []
    assert sleeper.poll() is None


@pytest.mark.parametrize(
    ("wish", "told"),
    [
        ({"address": "172.18.0.9"}, "user-specified IP address is supported on user-defined"),
        ({"aliases": ["www"]}, "network-scoped aliases are only supported for user-defined"),
        ({"mac": "02:00:00:00:00:09"}, "conflicting options: mac-address and the network mode"),
        ({"dns": ["192.0.2.1"]}, "conflicting options: dns and the network mode"),
        ({"dns_search": ["."]}, "conflicting options: dns-search and the network mode"),
        ({"pid": None, "path": "/run/netns/x"}, "nothing can be attached to network none"),
    ],
)
def test_network_that_is_not_the_switchs_gives_nothing_of_the_switchs(
    api: Served, sleeper: subprocess.Popen[bytes], wish: dict[str, object], told: str
) -> None:
    wish = {"pid": sleeper.pid, "network": "none", "name": "beside", **wish}
    answer = api.ask("POST", "/v1/endpoints", wish)
    assert answer.status == 409
    assert told in answer.problem
    assert api.ask("GET", "/v1/endpoints").body == []


def test_process_that_has_ended_gets_no_endpoint_and_keeps_no_name(api: Served) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    for _ in range(2):
        wish = {"pid": ended.pid, "network": "front", "name": "late"}
        answer = api.ask("POST", "/v1/endpoints", wish)
        assert answer.status == 409
        assert answer.problem == f"endpoint late: process {ended.pid}: No such process"
    assert api.ask("GET", "/v1/endpoints").body == []


def test_endpoint_that_is_not_there_cannot_be_removed(api: Served) -> None:
    answer = api.ask("DELETE", "/v1/endpoints/nobody")
    assert (answer.status, answer.problem) == (404, "endpoint nobody not found")


def test_body_that_is_too_long_is_refused(api: Served) -> None:
    answer = api.ask("POST", "/v1/endpoints", b" " * 1_100_000)
    assert answer.status == 413
    assert answer.problem == "POST /v1/endpoints: Request Entity Too Large"


@pytest.mark.parametrize(
    "request_",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"hello\r\n\r\n",
        b"GET /v1/\x7f HTTP/1.1\r\nHost: s\r\n\r\n",
        b"GET /v1/status HTTP/9.9\r\n\r\n",
        b"GET /v1/status HTTP/1.1\r\nHost\r\n\r\n",
        b"POST /v1/endpoints HTTP/1.1\r\nHost: s\r\nContent-Length: -5\r\n\r\n",
        b"GET /v1/status HTTP/1.1\r\nHost: s\r\nLong: " + b"x" * 20_000 + b"\r\n\r\n",
    ],
    ids=["tls", "no http", "path", "version", "header", "length", "long header"],
)
def test_what_is_no_request_is_refused(api: Served, request_: bytes) -> None:
    with api.connect() as client:
        client.sendall(request_)
        assert client.recv(4096).startswith((b"HTTP/1.0 400 ", b"HTTP/1.1 400 "))


def test_client_that_never_ends_its_request_holds_up_nobody(api: Served) -> None:
    with api.connect() as slow:
        slow.sendall(b"POST /v1/endpoints HTTP/1.1\r\nHost: s\r\nContent-Length: 10\r\n\r\n{")
        with api.connect() as silent:
            assert api.ask("GET", "/v1/status").status == 200
            silent.sendall(b"GET")
            assert api.ask("GET", "/v1/flows").status == 200


def test_client_that_leaves_in_the_middle_is_forgotten(api: Served) -> None:
    for request in (
        b"GET /v1/st",
        b"POST /v1/endpoints HTTP/1.1\r\nHost: s\r\nContent-Length: 9\r\n\r\n{",
    ):
        with api.connect() as client:
            client.sendall(request)
    assert api.ask("GET", "/v1/endpoints").body == []


def begun(api: Served, query: str = "") -> socket.socket:
    """A capture whose head has come."""
    client = api.connect()
    client.sendall(f"GET /v1/capture/stream{query} HTTP/1.1\r\nHost: switch\r\n\r\n".encode())
    head = client.recv(4096)
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"application/x-pcapng" in head
    return client


def test_capture_runs_until_it_is_ended_by_its_number(api: Served) -> None:
    with begun(api) as client:
        assert api.ask("GET", "/v1/status").body["captures"] == 1
        assert api.ask("DELETE", "/v1/capture/1").status == 204
        rest = client.makefile("rb")
        while rest.readline() not in (b"0\r\n", b""):
            pass
        late = api.ask("DELETE", "/v1/capture/1")
        assert (late.status, late.problem) == (
            404,
            "capture 1 not found: it has ended, or never was",
        )


def test_capture_whose_reader_leaves_ends_by_itself(api: Served) -> None:
    begun(api).close()
    for _ in range(100):
        if api.ask("GET", "/v1/status").body["captures"] == 0:
            return
        time.sleep(0.02)
    pytest.fail("it still runs after two seconds")


def test_captures_beyond_the_limit_are_refused(api: Served) -> None:
    readers = [begun(api) for _ in range(READERS)]
    answer = api.ask("GET", "/v1/capture/stream")
    assert (answer.status, answer.problem) == (409, "8 captures run already, which is the limit")
    for reader in readers:
        reader.close()


def test_switch_that_stops_ends_its_captures_in_order(tmp_path: Path) -> None:
    served = Served(tmp_path)
    with begun(served) as client:
        served.close()
        assert client.makefile("rb").read().endswith(b"0\r\n\r\n")


@pytest.mark.parametrize(
    ("query", "status", "told"),
    [
        ("port=wbe", 404, "port wbe not found"),
        ("network=fornt", 404, "network fornt not found"),
        ("endpoint=web", 404, "endpoint web not found"),
        ("filter=tcp+prt+80", 400, "filter 'tcp prt 80': can't parse filter expression"),
        ("filter=a%00b", 400, "the filter has a zero byte in it"),
        ("verdict=lost", 400, "verdict: "),
        ("stage=middle", 400, "stage: "),
        ("snap_length=63", 400, "snap_length: "),
        ("snap_length=262145", 400, "snap_length: "),
        ("count=0", 400, "count: "),
        ("seconds=0", 400, "seconds: "),
        ("seconds=nan", 400, "seconds: "),
        ("color=red", 400, "color: "),
        ("filter=" + "x" * 4097, 400, "filter: "),
    ],
)
def test_capture_that_cannot_begin_is_told_why(
    api: Served, query: str, status: int, told: str
) -> None:
    answer = api.ask("GET", f"/v1/capture/stream?{query}")
    assert answer.status == status
    assert told in answer.problem
    assert api.ask("GET", "/v1/status").body["captures"] == 0


def test_recorder_of_a_switch_without_traffic_is_a_capture_of_nothing(api: Served) -> None:
    with api.connect() as client:
        client.sendall(b"GET /v1/recorder HTTP/1.1\r\nHost: s\r\nConnection: close\r\n\r\n")
        answer = client.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"\x0a\x0d\x0d\x0a" in answer
