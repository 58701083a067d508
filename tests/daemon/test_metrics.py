"""The switch in numbers, read as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families as families

from tests.daemon.test_api import Served
from vswitch.daemon.messages import PortRow, StatusRow
from vswitch.daemon.messages.dns import ServerRow
from vswitch.daemon.metrics import exposition
from vswitch.daemon.resolving.showing.metrics import NamesCollector

STATUS = StatusRow(
    name="lab",
    version="1.2",
    pid=1,
    fastpath="compiled",
    uplinks=(),
    networks=("bridge", "front"),
    endpoints=("web",),
    connections=7,
    connections_at_most=100,
    mappings=5,
    held_syns=2,
    incomplete_datagrams=1,
    errors_withheld=3,
    captures=0,
    name_servers=("198.51.100.53",),
    without_names={},
    silent_servers=(),
    drops={"not_published": 4, "filtered": 1},
)
WEB = PortRow(
    port=1,
    name="web",
    network="front",
    device="tap",
    offloads=(),
    received_frames=10,
    received_bytes=1000,
    sent_frames=20,
    sent_bytes=3000,
    wrong_checksums=1,
    lost={"full": 6},
    drops={"not_published": 4},
)


SERVER = ServerRow(
    server="192.0.2.53",
    asked_from="host",
    queries=11,
    answers=9,
    failures=1,
    silences=2,
    answers_in_seconds=0.5,
    is_down=True,
    trouble=None,
)


def exposed(unresolved: int = 0) -> str:
    outcomes = {"names": 12, "not_allowed": 3}
    names = NamesCollector(outcomes, [SERVER])
    return exposition(STATUS, [WEB], unresolved, names).decode()


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families(text)
        for sample in family.samples
    }


def of(name: str, /, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset(labels.items())


def test_counters_and_gauges_have_the_values_of_the_tables() -> None:
    found = samples(exposed(unresolved=9))
    server = {"server": "192.0.2.53", "asked_from": "host"}
    port = {"port": "web", "network": "front", "device": "tap"}
    assert found == {
        of("vswitch_info", name="lab", version="1.2", fastpath="compiled"): 1,
        of("vswitch_networks"): 2,
        of("vswitch_endpoints"): 1,
        of("vswitch_connections"): 7,
        of("vswitch_connections_limit"): 100,
        of("vswitch_mappings"): 5,
        of("vswitch_held_syns"): 2,
        of("vswitch_incomplete_datagrams"): 1,
        of("vswitch_captures"): 0,
        of("vswitch_errors_withheld_total"): 3,
        of("vswitch_dns_unresolved_total"): 9,
        of("vswitch_drops_total", reason="not_published"): 4,
        of("vswitch_drops_total", reason="filtered"): 1,
        of("vswitch_port_received_frames_total", **port): 10,
        of("vswitch_port_received_bytes_total", **port): 1000,
        of("vswitch_port_sent_frames_total", **port): 20,
        of("vswitch_port_sent_bytes_total", **port): 3000,
        of("vswitch_port_wrong_checksums_total", **port): 1,
        of("vswitch_port_lost_total", **port, reason="full"): 6,
        of("vswitch_port_drops_total", **port, reason="not_published"): 4,
        of("vswitch_dns_queries_total", outcome="names"): 12,
        of("vswitch_dns_queries_total", outcome="not_allowed"): 3,
        of("vswitch_dns_server_up", **server): 0,
        of("vswitch_dns_server_answer_seconds", **server): 0.5,
        of("vswitch_dns_server_queries_total", **server): 11,
        of("vswitch_dns_server_failures_total", **server): 1,
        of("vswitch_dns_server_silences_total", **server): 2,
    }


def test_every_family_says_what_it_is() -> None:
    told = list(families(exposed()))
    assert {family.type for family in told} == {"gauge", "counter"}
    assert all(family.documentation.endswith(".") for family in told)


@pytest.fixture
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    served = Served(tmp_path_factory.mktemp("metrics"))
    try:
        yield served
    finally:
        served.close()


def test_metrics_are_served(api: Served) -> None:
    with api.connect() as client:
        client.sendall(b"GET /v1/metrics HTTP/1.1\r\nHost: s\r\nConnection: close\r\n\r\n")
        head, _, body = client.makefile("rb").read().partition(b"\r\n\r\n")
    assert b" 200 " in head.split(b"\r\n")[0]
    assert b"Content-Type: text/plain; version=" in head
    assert samples(body.decode())[of("vswitch_networks")] == 2
