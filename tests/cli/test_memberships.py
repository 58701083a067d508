"""The networks of an endpoint, as they are written behind `--network`."""

from __future__ import annotations

import pytest

from vswitch.cli import memberships
from vswitch.cli.problem import Problem
from vswitch.daemon.messages.endpoints import MembershipBody, Wish


def test_no_network_is_the_default_one() -> None:
    assert Wish(**memberships.fields((), None, None, ())) == Wish()


def test_options_beside_are_of_the_first_network() -> None:
    fields = memberships.fields(("front", "back"), "172.18.0.9", "02:00:00:00:00:09", ("www",))
    assert Wish(**fields) == Wish(
        network="front",
        address="172.18.0.9",
        mac="02:00:00:00:00:09",
        aliases=("www",),
        also=(MembershipBody(network="back"),),
    )


def test_longer_spelling_says_all_of_one_network() -> None:
    text = "name=back,alias=api,alias=db,ip=10.0.0.9,mac-address=02:00:00:00:00:01,gw-priority=-3"
    assert memberships.parse(text) == MembershipBody(
        network="back",
        address="10.0.0.9",
        mac="02:00:00:00:00:01",
        aliases=("api", "db"),
        gateway_priority=-3,
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "name=back,colour=red",
            "invalid field colour=red in --network name=back,colour=red: "
            "allowed is name, alias, ip, mac-address, gw-priority",
        ),
        ("alias=db", "network name is missing in --network alias=db: allowed is name=NETWORK"),
        ("name=a,gw-priority=x", "invalid gw-priority (x): allowed is a whole number"),
    ],
)
def test_mistake_is_told(text: str, words: str) -> None:
    with pytest.raises(Problem) as told:
        memberships.parse(text)
    assert str(told.value) == words


def test_what_is_said_twice_is_refused() -> None:
    with pytest.raises(Problem, match="cannot specify both --ip and --network ip="):
        memberships.fields(("name=back,ip=10.0.0.9",), "10.0.0.8", None, ())
