"""How what a user writes finds a network: Docker's order, and its words where it finds none."""

from __future__ import annotations

import re
from random import Random

import pytest

from vswitch.network import ids
from vswitch.network.errors import InvalidRequestError, NetworkError
from vswitch.network.model import Network
from vswitch.wire.values import IpAddress, IpNetwork

AB, AC, B = (("ab" + "0" * 62), ("ac" + "0" * 62), ("b" + "0" * 63))


def network(name: str, network_id: str) -> Network:
    subnet = IpNetwork.parse("10.0.0.0/24")
    return Network(name, subnet, IpAddress.parse("10.0.0.1"), id=network_id)


THERE = (network("front", AB), network("back", AC), network("ab", B), network(AC, "d" * 64))


def test_id_is_random_and_has_64_digits() -> None:
    random = Random(1)
    made = {ids.new_id(random) for _ in range(100)}
    assert len(made) == 100
    assert all(re.fullmatch(r"[0-9a-f]{64}", each) for each in made)


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        (AB, "front"),
        (AC, "back"),
        ("back", "back"),
        ("ab", "ab"),
        ("ab0", "front"),
        ("ac", "back"),
        ("b0", "ab"),
        ("d", AC),
    ],
    ids=[
        *("full id", "full id before a name", "name", "name before a beginning"),
        *("beginning", "shorter beginning", "two digits", "one digit"),
    ],
)
def test_full_id_comes_before_full_name_and_that_before_the_beginning_of_an_id(
    reference: str, name: str
) -> None:
    assert ids.find(reference, THERE).name == name


def test_beginning_of_several_ids_is_ambiguous() -> None:
    with pytest.raises(InvalidRequestError) as refused:
        ids.find("a", THERE)
    words = "network a is ambiguous (2 matches found based on ID prefix)"
    assert refused.value.explained == words


@pytest.mark.parametrize(
    ("reference", "hint"),
    [("frnt", 'did you mean "front"?'), ("", f"there is front, back, ab, {AC}")],
)
def test_what_finds_nothing_is_told_with_what_there_is(reference: str, hint: str) -> None:
    with pytest.raises(NetworkError) as refused:
        ids.find(reference, THERE)
    assert str(refused.value) == f"network {reference} not found"
    assert refused.value.hint == hint


def test_network_without_an_id_is_found_by_its_name_alone() -> None:
    unidentified = (network("front", ""),)
    assert ids.find("front", unidentified).name == "front"
    with pytest.raises(NetworkError):
        ids.find("", unidentified)
