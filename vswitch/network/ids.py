"""Ids of networks, and how whatever a user writes finds one.

Theory of operation. An id is random and 256 bits long, so two of them are never the same, and
twelve of its digits are enough for a person. A reference is looked up in Docker's order: a full id,
a full name, then the beginning of an id that belongs to one network alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256
from random import Random
from typing import NamedTuple, Protocol, TypeVar

from vswitch.network.errors import InvalidRequestError, NetworkError
from vswitch.network.model import Endpoint, Membership
from vswitch.network.names import did_you_mean
from vswitch.units import Nanoseconds

ID_BITS = 256

SHORT_ID = 12
"""Digits that a table shows: Docker's."""


class Identity(NamedTuple):
    """What a network stays the same by: its id, and when it was made, which counts from 1970."""

    id: str
    created: Nanoseconds


class Identified(Protocol):
    """A thing with a name and an id, which is empty where it has none."""

    @property
    def name(self) -> str:
        """What its user calls it."""

    @property
    def id(self) -> str:
        """What the switch calls it."""


T = TypeVar("T", bound=Identified)


def new_id(random: Random) -> str:
    """A fresh one, of 64 hexadecimal digits."""
    return f"{random.getrandbits(ID_BITS):0{ID_BITS // 4}x}"


def membership_id(endpoint: Endpoint, at: Membership) -> str:
    """One like that for an endpoint's place on a network: the same while name and MAC are."""
    return sha256(at.mac + endpoint.name.encode()).hexdigest()


def find_named(reference: str, networks: Mapping[str, T]) -> T:
    """The same among `networks`, by their names: at once, as no name is as long as an id.

    Raises:
        NetworkError: none does, or several ids begin so.
    """
    named = networks.get(reference)
    return find(reference, networks.values()) if named is None else named


def find(reference: str, networks: Iterable[T]) -> T:
    """The network that `reference` stands for.

    Raises:
        NetworkError: none does, or several ids begin so.
    """
    there = tuple(networks)
    for network in there:
        if reference and network.id == reference:
            return network
    for network in there:
        if network.name == reference:
            return network
    begin_so = [each for each in there if reference and each.id.startswith(reference)]
    if len(begin_so) > 1:
        found = f"{len(begin_so)} matches found based on ID prefix"
        raise InvalidRequestError(f"network {reference} is ambiguous ({found})")
    if not begin_so:
        names = [network.name for network in there]
        hint = did_you_mean(reference, names) or f"there is {', '.join(names)}"
        raise NetworkError(f"network {reference} not found", hint=hint)
    return begin_so[0]
