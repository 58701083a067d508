"""DHCP messages from the server's end: scapy writes what is read, and reads what is written."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.dhcp import BOOTP, DHCP

from vswitch.units import SECOND
from vswitch.wire import dhcp_service
from vswitch.wire.dhcp import LONGEST, SHORTEST, BadMessage, MessageType, Option, Reply
from vswitch.wire.dhcp_service import Boot, Request
from vswitch.wire.values import IpAddress, IpNetwork, MacAddress

CLIENT = MacAddress.parse("02:00:00:00:00:50")
ADDRESS = IpAddress.parse("192.0.2.50")
SERVER = IpAddress.parse("192.0.2.1")


def message(*options: Any, **fields: Any) -> bytes:
    header = {"op": 1, "xid": 7, "chaddr": CLIENT, **fields}
    return bytes(BOOTP(**header) / DHCP(options=[*options, "end"]))


def read(data: bytes) -> Request:
    request = Request.parse(data)
    assert isinstance(request, Request)
    return request


def answer(options: dict[Option, bytes], longest: int = 548, **said: Any) -> BOOTP:
    asked = read(message(("message-type", "discover"), **said.pop("asked", {})))
    return BOOTP(dhcp_service.build(MessageType.OFFER, asked, options, longest=longest, **said))


# What a client asks


def test_request_is_read_with_its_options() -> None:
    request = read(
        message(
            ("message-type", "request"),
            ("client_id", b"\xffme"),
            ("param_req_list", [3, 1, 6]),
            ("max_dhcp_size", 1500),
            ciaddr=str(ADDRESS),
            giaddr=str(SERVER),
            flags=0x8000,
        )
    )
    assert (request.type, request.transaction) == (MessageType.REQUEST, 7)
    assert (request.client, request.address, request.relay) == (CLIENT, ADDRESS, SERVER)
    assert request.wants_broadcast
    assert (request.identifier, request.parameters) == (b"\xffme", bytes((3, 1, 6)))
    assert request.longest_answer == 1472


def test_client_that_says_little_takes_what_every_client_takes() -> None:
    request = read(message(("message-type", "discover"), ("max_dhcp_size", 300)))
    assert request.longest_answer == 548
    assert (request.identifier, request.parameters) == (b"", None)
    assert not request.wants_broadcast


def test_options_in_the_fields_for_names_are_read() -> None:
    """RFC 2131, 4.1: options, then the file's field, then the server's name's."""
    request = read(
        message(
            ("message-type", "discover"),
            (52, b"\3"),
            ("client_id", b"one"),
            file=b"\x3d\x03two\xff",
            sname=b"\x3d\x05three\xff",
        )
    )
    assert request.identifier == b"onetwothree"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", BadMessage.TRUNCATED),
        (message(("message-type", "discover"))[:239], BadMessage.TRUNCATED),
        (message(("message-type", "discover")).ljust(LONGEST + 1, b"\0"), BadMessage.TOO_LONG),
        (message(("message-type", "offer"), op=2), BadMessage.NOT_A_REQUEST),
        (message(("message-type", "discover"), htype=6), BadMessage.NOT_ETHERNET),
        (message(("message-type", "discover"), hlen=16), BadMessage.NOT_ETHERNET),
        (message(("message-type", "discover"), options=b"\0\0\0\0"), BadMessage.NO_OPTIONS),
        (message(("hostname", b"box")), BadMessage.NO_TYPE),
        (message(("message-type", "discover"), chaddr=b"\1" * 6), BadMessage.NO_STATION),
        (message(("message-type", "discover"), chaddr=bytes(6)), BadMessage.NO_STATION),
    ],
)
def test_what_is_no_request_is_named(data: bytes, why: BadMessage) -> None:
    assert Request.parse(data) is why


@given(st.binary(max_size=700), st.booleans())
def test_any_bytes_are_read_or_refused(noise: bytes, has_header: bool) -> None:
    data = message(("message-type", "discover"))[:240] + noise if has_header else noise
    assert isinstance(Request.parse(data), Request | BadMessage)


# What it is answered


def test_answer_has_the_clients_number_and_station_and_what_it_is_about() -> None:
    read_back = answer(
        {Option.SERVER_IDENTIFIER: SERVER},
        address=ADDRESS,
        client_address=SERVER,
        boot=Boot(SERVER, b"boot.example", b"kernel"),
        asked={"flags": 0x8000},
    )
    assert (read_back.op, read_back.xid, read_back.chaddr[:6]) == (2, 7, bytes(CLIENT))
    assert (read_back.yiaddr, read_back.ciaddr, read_back.siaddr) == (
        str(ADDRESS),
        str(SERVER),
        str(SERVER),
    )
    assert (read_back.sname.rstrip(b"\0"), read_back.file.rstrip(b"\0")) == (
        b"boot.example",
        b"kernel",
    )
    assert read_back.flags == 0x8000
    assert ("server_id", str(SERVER)) in read_back[DHCP].options


def test_short_answer_is_filled_up() -> None:
    asked = read(message(("message-type", "discover")))
    assert len(dhcp_service.build(MessageType.OFFER, asked, {}, longest=548)) == SHORTEST


def test_option_that_is_longer_than_255_bytes_is_cut_and_joined_again() -> None:
    """RFC 3396."""
    asked = read(message(("message-type", "discover")))
    long = {Option.DOMAIN_SEARCH: bytes(range(256)) * 2}
    built = dhcp_service.build(MessageType.ACK, asked, long, longest=1472)
    reply = Reply.parse(built)
    assert isinstance(reply, Reply)
    assert reply.options[Option.DOMAIN_SEARCH] == long[Option.DOMAIN_SEARCH]


MANY = {
    Option.SERVER_IDENTIFIER: bytes(SERVER),
    Option.DOMAIN_SEARCH: b"s" * 200,
    Option.CLASSLESS_ROUTES: b"r" * 90,
    Option.DOMAIN_NAME: b"d" * 60,
    Option.HOST_NAME: b"h" * 60,
    Option.BOOT_FILE: b"f" * 120,
}


def test_what_does_not_fit_overflows_into_the_fields_for_names() -> None:
    asked = read(message(("message-type", "discover")))
    built = dhcp_service.build(MessageType.OFFER, asked, MANY, longest=548)
    assert len(built) <= 548
    reply = Reply.parse(built)
    assert isinstance(reply, Reply)
    fitting = {code for code in MANY if code in reply.options}
    assert fitting == set(MANY) - {Option.BOOT_FILE}
    assert all(reply.options[code] == MANY[code] for code in fitting)
    assert Option.OVERLOAD in reply.options


def test_fields_that_say_where_to_boot_from_are_not_written_over() -> None:
    asked = read(message(("message-type", "discover")))
    boot = Boot(file=b"kernel", name=b"boot")
    built = dhcp_service.build(MessageType.OFFER, asked, MANY, longest=548, boot=boot)
    assert len(built) <= 548
    assert BOOTP(built).file.rstrip(b"\0") == b"kernel"
    reply = Reply.parse(built)
    assert isinstance(reply, Reply)
    assert Option.OVERLOAD not in reply.options
    assert reply.options[Option.SERVER_IDENTIFIER] == SERVER
    assert Option.BOOT_FILE not in reply.options


@given(
    sizes=st.lists(st.integers(0, 300), max_size=12),
    longest=st.integers(548, 1472),
    boots=st.booleans(),
)
def test_answer_is_never_longer_than_the_client_takes_and_is_read_back(
    sizes: list[int], longest: int, boots: bool
) -> None:
    codes = [code for code in Option if code not in (Option.OVERLOAD, Option.MESSAGE_TYPE)]
    options = {code: b"x" * size for code, size in zip(codes, sizes, strict=False)}
    asked = read(message(("message-type", "discover")))
    boot = Boot(file=b"kernel") if boots else Boot()
    built = dhcp_service.build(MessageType.ACK, asked, options, longest=longest, boot=boot)
    assert len(built) <= longest
    reply = Reply.parse(built)
    assert isinstance(reply, Reply)
    for code, octets in reply.options.items():
        if code in options:
            assert octets == options[Option(code)]


# Values


def test_times_are_whole_seconds_and_never_without_end() -> None:
    assert dhcp_service.seconds(1800 * SECOND) == bytes((0, 0, 7, 8))
    assert dhcp_service.seconds(2**40 * SECOND) == b"\xff\xff\xff\xfe"


def test_routes_have_no_more_octets_than_their_prefix_needs() -> None:
    """The examples of RFC 3442."""
    router = IpAddress.parse("10.0.0.1")
    for network, octets in (
        ("0.0.0.0/0", bytes([0])),
        ("10.0.0.0/8", bytes([8, 10])),
        ("10.17.0.0/16", bytes([16, 10, 17])),
        ("10.27.129.0/24", bytes([24, 10, 27, 129])),
        ("10.229.0.128/25", bytes([25, 10, 229, 0, 128])),
    ):
        encoded = dhcp_service.classless_routes([(IpNetwork.parse(network), router)])
        assert encoded == octets + router


def test_search_list_is_compressed() -> None:
    """The example of RFC 3397."""
    encoded = dhcp_service.search_list(["eng.apple.com.", "marketing.apple.com."])
    assert encoded == b"\3eng\5apple\3com\0\x09marketing\xc0\x04"


@pytest.mark.parametrize("domain", ["a..b", "x" * 64, "." * 3])
def test_search_list_of_what_is_no_domain_is_refused(domain: str) -> None:
    with pytest.raises(ValueError, match="is not a domain"):
        dhcp_service.search_list([domain])
