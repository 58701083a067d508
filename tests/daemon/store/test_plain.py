"""Values as what JSON can say."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given

from tests.daemon.store.values import kept_endpoints, kept_filters, kept_leases, networks
from vswitch.daemon.store.kept import KeptEndpoint, KeptFilters, KeptLease
from vswitch.daemon.store.plain import NotReadableError, plain, valued
from vswitch.network.model import DEFAULT_NETWORK, Endpoint, EndpointKind, Membership, Network
from vswitch.translation import Filtering, Translation
from vswitch.wire.values import IpAddress, MacAddress

WEB = Endpoint(
    "web",
    EndpointKind.TAP,
    "web",
    (Membership("front", IpAddress.parse("172.18.0.2"), MacAddress.parse("02:00:00:00:00:01")),),
)


@given(endpoint=kept_endpoints())
def test_endpoint_comes_back_as_it_was(endpoint: KeptEndpoint) -> None:
    assert valued(KeptEndpoint, json.loads(json.dumps(plain(endpoint)))) == endpoint


@given(filters=kept_filters())
def test_filters_come_back_as_they_were(filters: KeptFilters) -> None:
    assert valued(KeptFilters, json.loads(json.dumps(plain(filters)))) == filters


@given(network=networks())
def test_network_comes_back_as_it_was(network: Network) -> None:
    assert valued(Network, json.loads(json.dumps(plain(network)))) == network


@given(lease=kept_leases())
def test_lease_comes_back_as_it_was(lease: KeptLease) -> None:
    assert valued(KeptLease, json.loads(json.dumps(plain(lease)))) == lease


def test_values_are_kept_as_people_write_them() -> None:
    kept = plain(replace(DEFAULT_NETWORK, translation=Translation(Filtering.ADDRESS_DEPENDENT)))
    assert isinstance(kept, dict)
    assert (kept["subnet"], kept["gateway"]) == ("172.17.0.0/16", "172.17.0.1")
    assert isinstance(kept["translation"], dict)
    assert kept["translation"]["filtering"] == Filtering.ADDRESS_DEPENDENT.value


def test_field_that_was_not_there_when_it_was_written_has_its_default() -> None:
    kept = plain(replace(WEB, hostname="www"))
    assert isinstance(kept, dict)
    del kept["hostname"]
    assert valued(Endpoint, kept) == WEB


@pytest.mark.parametrize(
    ("field", "said", "words"),
    [
        ("external", "172.18.0", "Endpoint: "),
        ("external", 7, "Endpoint: 7 is no str"),
        ("kind", "pigeon", "Endpoint: 'pigeon' is not a valid EndpointKind"),
        ("memberships", "www", "Endpoint: 'www' is no list"),
        ("colour", "red", "Endpoint: colour is not known"),
    ],
)
def test_what_is_no_value_is_said(field: str, said: object, words: str) -> None:
    kept = plain(WEB)
    assert isinstance(kept, dict)
    with pytest.raises(NotReadableError) as refusal:
        valued(Endpoint, {**kept, field: said})  # type: ignore[dict-item]
    assert str(refusal.value).startswith(words)


def test_field_without_a_default_must_be_there() -> None:
    with pytest.raises(NotReadableError, match="kind"):
        valued(Endpoint, {"name": "web"})


def test_what_is_no_value_of_this_house_is_not_kept() -> None:
    with pytest.raises(TypeError, match="can not be kept"):
        plain({1, 2})
