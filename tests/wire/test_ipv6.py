from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet6 import IPv6
from scapy.packet import Raw

from vswitch.wire import ipv6
from vswitch.wire.ipv6 import Ipv6
from vswitch.wire.malformed import Malformed
from vswitch.wire.values import IpAddress

INSIDE6 = IpAddress.parse("fd00::2")
OUTSIDE6 = IpAddress.parse("2001:db8::1")

U8 = st.integers(0, 0xFF)
DATA = st.binary(max_size=40)


@given(data=DATA, hop_limit=U8, traffic_class=U8, label=st.integers(0, 0xFFFFF), protocol=U8)
def test_ipv6_header(
    data: bytes, hop_limit: int, traffic_class: int, label: int, protocol: int
) -> None:
    built = ipv6.build(
        INSIDE6, OUTSIDE6, protocol, data,
        hop_limit=hop_limit, traffic_class=traffic_class, flow_label=label,
    )  # fmt: skip
    theirs = IPv6(
        src=str(INSIDE6), dst=str(OUTSIDE6), nh=protocol, hlim=hop_limit, tc=traffic_class, fl=label
    )
    assert built == bytes(theirs / Raw(data))
    view = Ipv6.parse(b"front" + built + b"padding", 5)
    assert isinstance(view, Ipv6)
    assert (view.source, view.destination) == (INSIDE6, OUTSIDE6)
    assert (view.traffic_class, view.flow_label) == (traffic_class, label)
    assert (view.next_header, view.hop_limit) == (protocol, hop_limit)
    assert (view.payload_length, view.payload, view.end) == (len(data), 45, 45 + len(data))


def test_lies_of_an_ipv6_header() -> None:
    good = bytes(IPv6() / Raw(b"1234"))
    assert Ipv6.parse(good[:39], 0) is Malformed.TRUNCATED_IPV6
    assert Ipv6.parse(good[:43], 0) is Malformed.IPV6_BAD_PAYLOAD_LENGTH
    assert Ipv6.parse(b"\x40" + good[1:], 0) is Malformed.IPV6_BAD_VERSION
    cut_off = Ipv6.parse_quoted(good, 0, 43)
    assert isinstance(cut_off, Ipv6)
    assert cut_off.end == 43
