"""Domain names on the wire and in writing; dnspython is the oracle."""

from __future__ import annotations

import dns.name
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vswitch.wire import domain

names = st.lists(st.binary(min_size=1, max_size=20), max_size=8).map(
    lambda labels: dns.name.Name([*labels, b""])
)


@pytest.mark.parametrize(
    ("text", "wire"),
    [
        ("registry.example", b"\x08registry\x07example\0"),
        ("Registry.EXAMPLE.", b"\x08registry\x07example\0"),
        ("_http._tcp.a", b"\x05_http\x04_tcp\x01a\0"),
        ("bücher.example", b"\x0dxn--bcher-kva\x07example\0"),
        (".", b"\0"),
        ("", b"\0"),
    ],
)
def test_written_name_is_encoded_in_small_letters(text: str, wire: bytes) -> None:
    assert domain.encode(text) == wire


@pytest.mark.parametrize("text", ["a..b", ".a", "..", "x" * 64, ".".join(["x" * 50] * 6)])
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a name"):
        domain.encode(text)


@given(names)
def test_name_is_written_so_that_another_reader_reads_the_same(name: dns.name.Name) -> None:
    wire = name.to_wire()
    assert wire is not None
    assert dns.name.from_text(domain.decode(wire)) == name


@given(names)
def test_name_is_below_what_another_reader_calls_its_parents(name: dns.name.Name) -> None:
    wire = name.to_wire()
    assert wire is not None
    parents = []
    while name != dns.name.root:
        name = name.parent()
        parents.append(name.to_wire())
    assert list(domain.above(wire)) == parents


@given(st.binary(max_size=40))
def test_octets_that_are_no_name_end_nothing(octets: bytes) -> None:
    assert isinstance(domain.decode(octets), str)
    assert len(list(domain.above(octets))) <= len(octets)
