"""Links of endpoints that come and go, and of what they publish while they are linked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.publishing import PublishingLab
from vswitch.daemon.attaching.linked import LinkedEndpoints
from vswitch.network import expose, linking
from vswitch.network.model import EndpointRequest


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[PublishingLab]:
    """`app` is linked to `db`, which publishes and exposes nothing yet."""
    with PublishingLab(tmp_path) as lab:
        links = (linking.parse("db:database"),)
        lab.daemon.inventory.add_endpoint(EndpointRequest("app", "front", links=links))
        yield lab


def linked_in(lab: PublishingLab) -> LinkedEndpoints:
    return lab.daemon.publishing._linked


def opened(lab: PublishingLab) -> list[str]:
    network = lab.daemon.inventory.network("front")
    links = lab.switch.tables.networks[lab.daemon.networks.number(network)].links
    return [str(each) for group in links.values() for each in group]


def test_link_holds_while_both_ends_are_attached(lab: PublishingLab) -> None:
    lab.publish("db", "15432:5432")
    linked, link = linked_in(lab), "172.18.0.4 > 172.18.0.3 tcp port 5432"
    for name, expected in (("app", []), ("web", []), ("db", [link])):
        linked.come(name, "front")
        assert opened(lab) == expected
    for end in ("db", "app"):
        linked.go(end, "front")
        assert opened(lab) == []
        linked.come(end, "front")
        assert opened(lab) == [link]


def test_what_is_published_and_withdrawn_while_linked_is_opened_and_closed(
    lab: PublishingLab,
) -> None:
    for name in ("app", "db"):
        linked_in(lab).come(name, "front")
    assert opened(lab) == []
    lab.publish("db", "15432:5432")
    assert opened(lab) == ["172.18.0.4 > 172.18.0.3 tcp port 5432"]
    assert lab.ask("DELETE", "endpoints/db/publications/15432").status == 204
    assert opened(lab) == []


def test_child_that_comes_back_is_linked_again_at_its_new_address(lab: PublishingLab) -> None:
    inventory, linked = lab.daemon.inventory, linked_in(lab)
    for name in ("app", "db"):
        linked.come(name, "front")
    linked.go("db", "front")
    inventory.remove_endpoint("db")
    exposed = (expose.parse("53/udp"),)
    inventory.add_endpoint(EndpointRequest("third", "front"))
    inventory.add_endpoint(EndpointRequest("db", "front", exposed=exposed))
    linked.come("db", "front")
    assert opened(lab) == ["172.18.0.4 > 172.18.0.5 udp port 53"]
