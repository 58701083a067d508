"""Who is there still, and what becomes of whom, with no kernel under it."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from vswitch.daemon.attaching.takeover import Takeover
from vswitch.daemon.kernel import processes
from vswitch.daemon.published import Published
from vswitch.daemon.store import FILE, Store
from vswitch.daemon.store.kept import Home, KeptEndpoint
from vswitch.dataplane.publications import PublicationTable
from vswitch.network import publish
from vswitch.network.configuration import config
from vswitch.network.errors import Refusal
from vswitch.network.inventory import Inventory
from vswitch.network.model import Endpoint, EndpointRequest, MembershipRequest, NetworkRequest
from vswitch.wire.values import IpAddress, IpNetwork

BASE = """
name = "lab"
[uplink]
interface = "up0"
address = "198.51.100.2/24"
[networks.front]
subnet = "172.18.0.0/16"
"""
WEB = '[endpoints.web]\nnetwork = "front"\npublish = ["80"]\n'

HERE = Home(process=processes.birth_of(os.getpid()))
"""Where somebody lives who is there still."""

GUEST = EndpointRequest("guest", "front", publish=(publish.parse("80"),))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / FILE)
    yield store
    store.close()


class Daemon:
    """One daemon: its inventory, with those of the configuration and those that it takes over."""

    def __init__(self, store: Store, tables: str = "") -> None:
        self.store = store
        configuration = config.parse(BASE + tables, "lab.toml")
        uplinks = configuration.uplinks
        self.inventory = Inventory(configuration.networks, uplinks, Random(7))
        self.inventory.add_network(
            NetworkRequest("back", IpNetwork.parse("10.9.0.0/24")), "b" * 64, 0
        )
        published = Published(PublicationTable())
        published.keep_in(store)
        takeover = Takeover(store, published, self.inventory, configuration)
        self.inventory.remember([each.given for each in takeover.kept.values()], {})
        self.refusals: list[Refusal] = takeover.admit()
        self.kept = dict(takeover.kept)

    def bring(self, request: EndpointRequest, home: Home = HERE) -> Endpoint:
        """As `Endpoints.add` does, but for what is published."""
        endpoint = self.inventory.add_endpoint(request)
        self.keep(KeptEndpoint(request, endpoint, home))
        return endpoint

    def keep(self, kept: KeptEndpoint) -> None:
        self.store.endpoints.put(kept.given.name, kept)

    def connect(self, name: str, request: MembershipRequest) -> Endpoint:
        """As `Endpoints.connect` does."""
        connected = self.inventory.connect(name, request)
        kept = self.store.endpoints.all() | self.kept
        self.keep(replace(kept[name], given=connected))
        return connected

    @property
    def endpoints(self) -> dict[str, Endpoint]:
        return {each.name: each for each in self.inventory.endpoints}


def test_both_kinds_are_given_what_they_had(store: Store) -> None:
    before = Daemon(store, WEB)
    guest = before.bring(replace(GUEST, publish=()))
    after = Daemon(store, '[endpoints.new]\nnetwork = "front"\n' + WEB)
    assert after.endpoints["web"] == before.endpoints["web"]
    assert after.endpoints["guest"] == guest
    assert str(after.endpoints["new"].address) == "172.18.0.4"


@pytest.mark.parametrize(
    ("home", "told"),
    [
        (Home(process=HERE.process and HERE.process._replace(started=1)), "has ended"),
        (Home(process=HERE.process and HERE.process._replace(boot="another")), "has ended"),
        (Home("/run/netns/vst-nobody-makes-this"), "namespace vst-nobody-makes-this is gone"),
    ],
    ids=["number used again", "machine started again", "namespace deleted"],
)
def test_who_has_no_home_any_more_is_forgotten_in_one_line(
    store: Store, home: Home, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    Daemon(store).bring(GUEST, home)
    after = Daemon(store)
    assert (after.refusals, after.endpoints, store.endpoints.all()) == ([], {}, {})
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith("endpoint guest is not taken over: ")
    assert record.getMessage().endswith(told)


def test_machine_is_at_home_in_its_tap(store: Store) -> None:
    Daemon(store).bring(GUEST, Home())
    assert list(Daemon(store).endpoints) == ["guest"]


def test_what_the_configuration_names_is_not_taken_over(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    address = IpAddress.parse("172.18.0.9")
    Daemon(store).bring(replace(GUEST, address=address))
    after = Daemon(store, '[endpoints.web]\nnetwork = "front"\naddress = "172.18.0.9"\n')
    assert after.refusals == []
    assert list(after.endpoints) == ["web"]
    assert "guest is not taken over: Address already in use" in caplog.text


def test_network_that_is_gone_takes_its_endpoint_along(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    before = Daemon(store)
    before.inventory.add_network(NetworkRequest("lost"), "c" * 64, 0)
    before.bring(replace(GUEST, network="lost"))
    assert Daemon(store).endpoints == {}
    assert "guest is not taken over: network lost not found" in caplog.text


@pytest.mark.parametrize("name", ["web", "guest"])
def test_networks_that_it_was_connected_to_are_its_own_again(store: Store, name: str) -> None:
    before = Daemon(store, WEB)
    before.bring(GUEST)
    connected = before.connect(name, MembershipRequest("back", aliases=("deep",)))
    assert Daemon(store, WEB).endpoints[name].memberships == connected.memberships


def test_other_wish_of_the_configuration_is_taken_as_it_is(store: Store) -> None:
    before = Daemon(store, WEB)
    connected = before.connect("web", MembershipRequest("back"))
    after = Daemon(store, '[endpoints.web]\nnetwork = "front"\naliases = ["www"]\n')
    (membership,) = after.endpoints["web"].memberships
    assert (membership.address, membership.aliases) == (connected.address, ("www",))


def test_configurations_own_that_can_not_be_as_it_was_is_as_it_is_written(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    before = Daemon(store, WEB)
    before.inventory.add_network(NetworkRequest("lost"), "c" * 64, 0)
    before.connect("web", MembershipRequest("lost"))
    after = Daemon(store, WEB)
    assert after.refusals == []
    assert [each.network for each in after.endpoints["web"].memberships] == ["front"]
    assert "web is as the configuration has it, and not as it was: network lost" in caplog.text


def test_brought_one_that_the_configuration_has_by_now_is_the_configurations(store: Store) -> None:
    web = Daemon(store).bring(replace(GUEST, name="web"))
    after = Daemon(store, WEB)
    assert after.kept["web"].home is None
    assert after.endpoints["web"].address == web.address
