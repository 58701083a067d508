"""Ports that are published and withdrawn by the control socket while the switch runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.publishing import PublishingLab
from vswitch.daemon.messages.publications import MOST_AT_ONCE
from vswitch.dataplane.publications import Publication
from vswitch.translation import Terms
from vswitch.units import SECOND
from vswitch.wire.values import IpAddress, IpNetwork, Protocol

ANYWHERE = {"sources": [], "is_for_one": False, "is_used_up": False, "per_second": 0}
FOREVER = {"expires_in_seconds": None}


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[PublishingLab]:
    with PublishingLab(tmp_path) as lab:
        yield lab


def test_port_is_published_as_asked(lab: PublishingLab) -> None:
    answer = lab.publish("web", "8080-8081:80-81/udp")
    assert answer.status == 201
    (row,) = answer.body
    assert row == {
        "endpoint": "web",
        "network": "front",
        "published": "0.0.0.0:8080-8081->80-81/udp",
        "protocol": "udp",
        "host_address": "0.0.0.0",
        "host_ports": [8080, 8081],
        "endpoint_ports": [80, 81],
        **ANYWHERE,
        **FOREVER,
    }
    (made,) = lab.switch.tables.publications
    assert made == Publication(
        Protocol.UDP, None, range(8080, 8082), made.network, IpAddress.parse("172.18.0.2"), 80
    )
    assert lab.ask("GET", "publications").body == answer.body


def test_terms_reach_the_dataplane(lab: PublishingLab) -> None:
    answer = lab.publish("web", "198.51.100.2:8080:80 from=192.0.2.0/24 for=10m once rate=5/s")
    (row,) = answer.body
    assert (row["host_address"], row["sources"]) == ("198.51.100.2", ["192.0.2.0/24"])
    assert (row["is_for_one"], row["is_used_up"], row["per_second"]) == (True, False, 5)
    assert 590 < row["expires_in_seconds"] <= 600
    (made,) = lab.switch.tables.publications
    assert made.terms == Terms((IpNetwork.parse("192.0.2.0/24"),), 600 * SECOND, True, 5)


def test_ten_thousand_ports_are_one_entry(lab: PublishingLab) -> None:
    lab.publish("web", "10000-19999:10000-19999")
    assert len(lab.switch.tables.publications) == 1
    assert lab.published() == ["0.0.0.0:10000-19999->10000-19999/tcp"]


def test_all_are_published_or_none(lab: PublishingLab) -> None:
    lab.publish("db", "5432:5432")
    refused = lab.publish("web", "8080:80", "5432:80", "81")
    assert (refused.status, refused.problem) == (
        409,
        "Bind for 0.0.0.0:5432 failed: port is already allocated (by endpoint db)",
    )
    assert lab.published() == ["0.0.0.0:5432->5432/tcp"]
    assert lab.publish("web", "8080:80").status == 201


def test_withdrawn_port_is_free_for_others(lab: PublishingLab) -> None:
    lab.publish("web", "8080:80", "8080:80/udp")
    assert lab.ask("DELETE", "endpoints/web/publications/8080%2Fudp").status == 204
    assert lab.published() == ["0.0.0.0:8080->80/tcp"]
    assert lab.publish("db", "8080:80/udp").status == 201


def test_port_that_ends_by_itself_is_free_for_others(lab: PublishingLab) -> None:
    lab.publish("web", "8080:80 for=1h", "81:81")
    lab.switch.changes.expire_publications(lab.daemon.runtime.now() + 3600 * SECOND)
    assert lab.switch.news.is_any
    lab.daemon.publishing.take_news()
    assert lab.published() == ["0.0.0.0:81->81/tcp"]
    assert lab.publish("db", "8080:80").status == 201


def test_timer_ends_what_lasts_for_a_second(lab: PublishingLab) -> None:
    """By the loop's own clock: it is waited for, and nothing is said of how long that takes."""
    lab.publish("web", "8080:80 for=1s", "81:81")
    while len(lab.ask("GET", "publications").body) > 1:
        pass
    assert lab.published() == ["0.0.0.0:81->81/tcp"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "problem"),
    [
        ("POST", "endpoints/wbe/publications", {"publish": ["80"]}, 404, "endpoint wbe not found"),
        ("POST", "endpoints/web/publications", {"publish": []}, 400, "publish: Tuple should have"),
        ("POST", "endpoints/web/publications", {}, 400, "publish: missing: it has to be said"),
        ("POST", "endpoints/web/publications", {"publish": "80"}, 400, "publish: Input should be"),
        ("POST", "endpoints/web/publications", {"publish": [80]}, 400, "publish.0: Input should"),
        (
            "POST",
            "endpoints/web/publications",
            {"publish": ["80"] * (MOST_AT_ONCE + 1)},
            400,
            "publish: Tuple should have at most",
        ),
        (
            "POST",
            "endpoints/web/publications",
            {"publish": ["80"], "terms": 1},
            400,
            "terms: unknown key: allowed is publish",
        ),
        (
            "POST",
            "endpoints/web/publications",
            {"publish": ["80 \n\u2028"]},
            409,
            "invalid containerPort: 80 \\n\\u2028",
        ),
        (
            "POST",
            "endpoints/web/publications",
            {"publish": ["192.0.2.1:80:80"]},
            409,
            "failed to bind host port 192.0.2.1:80/tcp: cannot assign requested address",
        ),
        ("DELETE", "endpoints/wbe/publications/80", None, 404, "endpoint wbe not found"),
        (
            "DELETE",
            "endpoints/web/publications/81",
            None,
            409,
            "no public port '81/tcp' published for web (published is 0.0.0.0:90->90/tcp)",
        ),
        ("DELETE", "endpoints/web/publications/x", None, 409, "invalid hostPort: x"),
    ],
)
def test_mistake_is_one_line_and_changes_nothing(
    lab: PublishingLab, method: str, path: str, body: object, status: int, problem: str
) -> None:
    lab.publish("web", "90:90")
    answer = lab.ask(method, path, b"" if body is None else body)
    assert answer.status == status
    assert answer.problem.startswith(problem)
    assert lab.published() == ["0.0.0.0:90->90/tcp"]


def test_endpoint_that_is_just_coming_publishes_nothing_yet(lab: PublishingLab) -> None:
    lab.stop_exposing()
    refused = lab.publish("web", "80:80")
    assert (refused.status, refused.problem) == (
        409,
        "endpoint web is not attached yet, or not any more",
    )
    assert lab.published() == []


def test_what_comes_and_goes_is_told(lab: PublishingLab) -> None:
    lab.publish("web", "8080:80", "81:81 for=1h")
    lab.publish("web", "8080:80", "82:82")
    lab.ask("DELETE", "endpoints/web/publications/8080")
    lab.switch.changes.expire_publications(lab.daemon.runtime.now() + 3600 * SECOND)
    lab.daemon.publishing.take_news()
    assert lab.events() == [
        ("create", "0.0.0.0:8080->80/tcp", "web", ""),
        ("create", "0.0.0.0:81->81/tcp", "web", ""),
        ("destroy", "0.0.0.0:8080->80/tcp", "web", "withdrawn"),
        ("destroy", "0.0.0.0:81->81/tcp", "web", "it has come to its end"),
    ]
