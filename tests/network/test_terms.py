"""The terms of published ports as they are written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vswitch.network import publish, terms
from vswitch.network.errors import NetworkError
from vswitch.translation import OPEN_TO_ALL, Terms
from vswitch.units import HOUR, MINUTE, SECOND
from vswitch.wire.values import IpAddress, IpNetwork

OFFICE, HOME = IpNetwork.parse("192.0.2.0/24"), IpNetwork.parse("198.51.100.7/32")

UNDERSTOOD = {
    "8080:80": OPEN_TO_ALL,
    "8080:80 from=192.0.2.0/24": Terms(sources=(OFFICE,)),
    "8080:80 from=192.0.2.0/24,198.51.100.7": Terms(sources=(OFFICE, HOME)),
    "8080:80 for=10m": Terms(lasts=10 * MINUTE),
    "8080:80 for=90": Terms(lasts=90 * SECOND),
    "8080:80 once": Terms(is_for_one=True),
    "8080:80 rate=100/s": Terms(per_second=100),
    "80/udp  rate=1/s once for=1h from=0.0.0.0/0": Terms(
        (IpNetwork.parse("0.0.0.0/0"),), HOUR, True, 1
    ),
}

FROM = 'allowed is an IPv4 subnet, like "192.0.2.0/24"'
FOR = 'allowed is a time from 1s to 365d, like "10m"'
RATE = "allowed is a number of new connections in a second from 1/s to 1000000/s"

REFUSED = {
    "8080:80 form=192.0.2.0/24": f"form=192.0.2.0/24: allowed is {terms.TERMS_GRAMMAR}",
    "8080:80 from": f"from: allowed is {terms.TERMS_GRAMMAR}",
    "8080:80 from=": f"from=: {FROM}",
    "8080:80 from=home": f"from=home: {FROM}",
    "8080:80 from=192.0.2.0/33": f"from=192.0.2.0/33: {FROM}",
    "8080:80 from=2001:db8::/32": f"from=2001:db8::/32: {FROM}",
    "8080:80 from=192.0.2.1/24": "invalid subnet 192.0.2.1/24: it should be 192.0.2.0/24",
    "8080:80 from=192.0.2.1,": f"from=: {FROM}",
    "8080:80 for=soon": f"for=soon: {FOR}",
    "8080:80 for=0s": f"for=0s: {FOR}",
    "8080:80 for=366d": f"for=366d: {FOR}",
    "8080:80 once=1": f"once=1: allowed is {terms.TERMS_GRAMMAR}",
    "8080:80 once once": "once: once is said twice",
    "8080:80 rate=100": f"rate=100: {RATE}",
    "8080:80 rate=0/s": f"rate=0/s: {RATE}",
    "8080:80 rate=-1/s": f"rate=-1/s: {RATE}",
    "8080:80 rate=9999999/s": f"rate=9999999/s: {RATE}",
    "8080:80 rate=6/m": f"rate=6/m: {RATE}",
    "web:80 once": "invalid hostPort: web",
}


@pytest.mark.parametrize("spec", UNDERSTOOD)
def test_terms_stand_behind_the_port(spec: str) -> None:
    assert publish.parse(spec).terms == UNDERSTOOD[spec]


@pytest.mark.parametrize("spec", REFUSED)
def test_mistake_says_what_is_allowed(spec: str) -> None:
    with pytest.raises(NetworkError) as refused:
        publish.parse(spec)
    assert str(refused.value).startswith(REFUSED[spec])
    assert "\n" not in refused.value.explained


@pytest.mark.parametrize("term", ["from=192.0.2.0/24", "for=10m", "once", "rate=1/s"])
def test_static_mapping_has_no_terms(term: str) -> None:
    with pytest.raises(NetworkError) as refused:
        publish.parse_mapping(f"5000:5000 {term}")
    assert str(refused.value).startswith("allowed is")


@given(
    st.builds(
        Terms,
        sources=st.lists(
            st.binary(min_size=4, max_size=4).map(lambda raw: IpNetwork(IpAddress(raw), 32))
        ).map(tuple),
        lasts=st.none() | st.integers(1, 10**6).map(lambda seconds: seconds * SECOND),
        is_for_one=st.booleans(),
        per_second=st.integers(0, terms.FASTEST),
    )
)
def test_terms_are_read_as_they_are_written(some: Terms) -> None:
    assert terms.parse(terms.text(some).split()) == some
