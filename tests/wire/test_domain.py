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
        ("www\u3002example\uff0eorg\uff61x", b"\x03www\x07example\x03org\x01x\0"),
        (".", b"\0"),
        ("", b"\0"),
    ],
)
def test_written_name_is_encoded_in_small_letters(text: str, wire: bytes) -> None:
    assert domain.encode(text) == wire


@pytest.mark.parametrize(
    "text",
    [
        *("a..b", ".a", "..", "x" * 64, ".".join(["x" * 50] * 6)),
        *("\u3002", "x\u2026y", "\u2488", "\u00ad", "a." + "\u3002" * 2),
        *("\u2025".join(["x" * 40] * 2), "\u2025".join(["x" * 60] * 4)),
    ],
)
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a name"):
        domain.encode(text)


@given(st.text(max_size=80))
def test_whatever_is_written_is_a_name_on_the_wire_or_none(text: str) -> None:
    try:
        wire = domain.encode(text)
    except ValueError:
        return
    name, read = dns.name.from_wire(wire, 0)
    assert (read, name.to_wire()) == (len(wire), wire)
    assert wire == wire.lower()


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
