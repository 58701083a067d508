from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vswitch.wire.values import BROADCAST, IpAddress, IpInterface, IpNetwork, MacAddress

ADDRESSES = st.one_of(st.binary(min_size=4, max_size=4), st.binary(min_size=16, max_size=16)).map(
    IpAddress
)


@st.composite
def networks(draw: st.DrawFn) -> IpNetwork:
    address = draw(ADDRESSES)
    length = draw(st.integers(0, 8 * len(address)))
    return IpInterface.parse(f"{address}/{length}").network


def test_mac_address_is_read_and_printed() -> None:
    mac = MacAddress.parse("02:42:AC:12:00:02")
    assert mac == b"\x02\x42\xac\x12\x00\x02"
    assert str(mac) == "02:42:ac:12:00:02"
    assert "02:42:ac:12:00:02" in repr(mac)


@pytest.mark.parametrize(
    "text", ["", "02:42:ac:12:00", "02:42:ac:12:00:02:03", "02-42-ac-12-00-02", "2:42:ac:12:0:2",
             "02:42:ac:12:00:0g", "0242ac120002", "02:42:ac:12:00:02\n"]
)  # fmt: skip
def test_what_is_no_mac_address_is_refused_with_one_line_that_repeats_it(text: str) -> None:
    with pytest.raises(ValueError, match="is not a MAC address") as refusal:
        MacAddress.parse(text)
    assert f'"{text}"' in str(refusal.value)


@pytest.mark.parametrize("length", [0, 5, 7])
def test_mac_address_of_other_than_six_bytes_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="6 bytes"):
        MacAddress(bytes(length))


def test_mac_address_finds_what_its_plain_bytes_were_filed_under() -> None:
    frame = memoryview(bytearray(b"\x02\x42\xac\x12\x00\x02\x08\x00"))
    assert {b"\x02\x42\xac\x12\x00\x02": "web"}[MacAddress(frame[:6])] == "web"


def test_group_bit_tells_groups_from_stations() -> None:
    assert MacAddress.parse("01:00:5e:00:00:01").is_multicast
    assert BROADCAST.is_multicast
    assert not MacAddress.parse("02:00:5e:00:00:01").is_multicast


def test_only_all_ones_is_broadcast_and_only_all_zeros_is_zero() -> None:
    assert BROADCAST.is_broadcast
    assert not MacAddress.parse("ff:ff:ff:ff:ff:fe").is_broadcast
    assert MacAddress(bytes(6)).is_zero
    assert not MacAddress.parse("00:00:00:00:00:01").is_zero


def test_sixteen_groups_are_link_local() -> None:
    assert MacAddress.parse("01:80:c2:00:00:00").is_link_local_group
    assert MacAddress.parse("01:80:c2:00:00:0f").is_link_local_group
    assert not MacAddress.parse("01:80:c2:00:00:10").is_link_local_group
    assert not MacAddress.parse("01:80:c2:00:01:00").is_link_local_group


@given(ADDRESSES)
def test_ip_address_reads_what_it_printed_and_prints_as_others_do(address: IpAddress) -> None:
    assert IpAddress.parse(str(address)) == address
    assert ipaddress.ip_address(str(address)).packed == address
    assert address.version == ipaddress.ip_address(bytes(address)).version


@pytest.mark.parametrize(
    "text", ["", "10.0.0", "10.0.0.256", "010.0.0.1", "10.0.0.1/8", "fe80::1%eth0", "web",
             "1::2::3", "10.0.0.1\0", "１.2.3.4", " 10.0.0.1"]
)  # fmt: skip
def test_what_is_no_ip_address_is_refused_with_one_line_that_repeats_it(text: str) -> None:
    with pytest.raises(ValueError, match="is not an IP address") as refusal:
        IpAddress.parse(text)
    assert f'"{text}"' in str(refusal.value)


@pytest.mark.parametrize("length", [0, 3, 5, 15, 17])
def test_ip_address_of_other_than_four_or_sixteen_bytes_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="4 or 16 bytes"):
        IpAddress(bytes(length))


@pytest.mark.parametrize(
    ("text", "traits"),
    [
        ("10.0.0.1", set()),
        ("224.0.0.1", {"multicast"}),
        ("239.255.255.255", {"multicast"}),
        ("223.255.255.255", set()),
        ("240.0.0.1", set()),
        ("127.0.0.11", {"loopback"}),
        ("126.255.255.255", set()),
        ("0.0.0.0", {"unspecified"}),
        ("0.0.0.1", set()),
        ("255.255.255.255", {"limited_broadcast"}),
        ("169.254.169.254", {"link_local"}),
        ("169.253.0.1", set()),
        ("fd00::1", set()),
        ("ff02::1", {"multicast"}),
        ("::1", {"loopback"}),
        ("::", {"unspecified"}),
        ("fe80::1", {"link_local"}),
        ("febf::1", {"link_local"}),
        ("fec0::1", set()),
    ],
)
def test_special_addresses_are_known(text: str, traits: set[str]) -> None:
    address = IpAddress.parse(text)
    names = ("multicast", "loopback", "unspecified", "limited_broadcast", "link_local")
    assert {name for name in names if getattr(address, f"is_{name}")} == traits


@given(networks(), ADDRESSES)
def test_network_contains_what_shares_its_prefix(network: IpNetwork, address: IpAddress) -> None:
    theirs = ipaddress.ip_network(str(network))
    assert (address in network) == (ipaddress.ip_address(str(address)) in theirs)
    assert network.address in network


@given(networks(), networks())
def test_networks_overlap_where_one_contains_the_other(one: IpNetwork, two: IpNetwork) -> None:
    theirs = (ipaddress.ip_network(str(one)), ipaddress.ip_network(str(two)))
    expected = theirs[0].version == theirs[1].version and theirs[0].overlaps(theirs[1])
    assert one.overlaps(two) == two.overlaps(one) == expected


def test_wider_network_overlaps_the_narrower_within_it() -> None:
    wide, narrow = IpNetwork.parse("172.16.0.0/12"), IpNetwork.parse("172.18.0.0/16")
    assert wide.overlaps(narrow)
    assert narrow.overlaps(wide)
    assert not IpNetwork.parse("172.17.0.0/16").overlaps(narrow)


@pytest.mark.parametrize(
    ("network", "broadcast"),
    [
        ("172.18.0.0/16", "172.18.255.255"),
        ("10.0.0.4/30", "10.0.0.7"),
        ("0.0.0.0/0", "255.255.255.255"),
    ],
)
def test_broadcast_is_the_highest_address(network: str, broadcast: str) -> None:
    assert IpNetwork.parse(network).broadcast == IpAddress.parse(broadcast)


@pytest.mark.parametrize("network", ["10.0.0.4/31", "10.0.0.4/32", "fd00::/64"])
def test_point_to_point_links_and_ipv6_have_no_broadcast(network: str) -> None:
    assert IpNetwork.parse(network).broadcast is None


def test_network_with_host_bits_is_refused_and_the_right_one_named() -> None:
    with pytest.raises(ValueError, match=r"172\.18\.0\.1/16 .*172\.18\.0\.0/16"):
        IpNetwork.parse("172.18.0.1/16")


@pytest.mark.parametrize("text", ["10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "fd00::/129",
                                  "10.0.0.0/+8", "10.0.0.0/255.0.0.0", "web/8", "/8"])  # fmt: skip
def test_what_is_no_network_is_refused_with_one_line_that_repeats_it(text: str) -> None:
    for kind in (IpNetwork, IpInterface):
        with pytest.raises(ValueError, match="is not a") as refusal:
            kind.parse(text)
        assert f'"{text}"' in str(refusal.value)
        assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("length", [-1, 33])
def test_prefix_longer_than_the_address_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="between 0 and 32"):
        IpNetwork(IpAddress.parse("10.0.0.0"), length)


def test_networks_are_equal_by_address_and_length() -> None:
    assert IpNetwork.parse("10.0.0.0/8") == IpNetwork.parse("10.0.0.0/8")
    assert IpNetwork.parse("10.0.0.0/8") != IpNetwork.parse("10.0.0.0/9")
    assert len({IpNetwork.parse("10.0.0.0/8"), IpNetwork.parse("10.0.0.0/8")}) == 1


def test_interface_keeps_its_host_bits_and_knows_its_network() -> None:
    interface = IpInterface.parse("172.18.0.1/16")
    assert interface.address == IpAddress.parse("172.18.0.1")
    assert interface.network == IpNetwork.parse("172.18.0.0/16")
    assert str(interface) == "172.18.0.1/16"


def test_interface_outside_its_network_is_refused() -> None:
    with pytest.raises(ValueError, match=r"10\.0\.0\.1 is not in 172\.18\.0\.0/16"):
        IpInterface(IpAddress.parse("10.0.0.1"), IpNetwork.parse("172.18.0.0/16"))
