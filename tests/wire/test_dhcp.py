"""DHCP messages: scapy writes what is read, and reads what is written."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.dhcp import BOOTP, DHCP

from vswitch.wire import dhcp
from vswitch.wire.dhcp import LONGEST, SHORTEST, BadMessage, MessageType, Option, Reply
from vswitch.wire.values import IpAddress, MacAddress

CLIENT = MacAddress.parse("02:00:00:00:00:50")
ADDRESS = IpAddress.parse("192.0.2.50")
SERVER = IpAddress.parse("192.0.2.1")
OTHER = IpAddress.parse("192.0.2.2")


def message(*options: Any, **fields: Any) -> bytes:
    header = {"op": 2, "xid": 7, "yiaddr": str(ADDRESS), "chaddr": CLIENT, **fields}
    return bytes(BOOTP(**header) / DHCP(options=[*options, "end"]))


def read(data: bytes) -> Reply:
    reply = Reply.parse(data)
    assert isinstance(reply, Reply)
    return reply


def test_reply_is_read_with_its_options() -> None:
    reply = read(
        message(
            ("message-type", "offer"),
            ("server_id", str(SERVER)),
            ("name_server", str(SERVER), str(OTHER)),
            ("lease_time", 3600),
            ("interface-mtu", 1400),
        )
    )
    assert (reply.type, reply.transaction) == (MessageType.OFFER, 7)
    assert (reply.client, reply.address) == (CLIENT, ADDRESS)
    assert reply.address_of(Option.SERVER_IDENTIFIER) == SERVER
    assert reply.addresses_of(Option.NAME_SERVERS) == (SERVER, OTHER)
    assert reply.number_of(Option.LEASE_TIME, 4) == 3600
    assert reply.number_of(Option.INTERFACE_MTU, 2) == 1400


def test_option_that_is_missing_or_of_the_wrong_size_is_not_there() -> None:
    reply = read(message(("message-type", "ack"), (51, b"\0\1"), (54, b"abc"), (6, b"12345")))
    assert reply.number_of(Option.LEASE_TIME, 4) is None
    assert reply.number_of(Option.RENEWAL_TIME, 4) is None
    assert reply.address_of(Option.SERVER_IDENTIFIER) is None
    assert reply.addresses_of(Option.NAME_SERVERS) == ()
    assert reply.addresses_of(Option.ROUTERS) == ()


def test_pieces_of_one_option_are_joined() -> None:
    reply = read(message(("message-type", "ack"), (6, SERVER + OTHER[:1]), (6, OTHER[1:])))
    assert reply.addresses_of(Option.NAME_SERVERS) == (SERVER, OTHER)


@pytest.mark.parametrize(("overload", "read_of"), [(1, {3}), (2, {6}), (3, {3, 6}), (0, set())])
def test_options_go_on_in_other_fields_where_the_server_says_so(
    overload: int, read_of: set[int]
) -> None:
    fields = {"file": b"\x03\x04" + SERVER + b"\xff", "sname": b"\x06\x04" + OTHER + b"\xff"}
    reply = read(message(("message-type", "ack"), (52, bytes([overload])), **fields))
    assert set(reply.options) & {3, 6} == read_of


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", BadMessage.TRUNCATED),
        (message(("message-type", "ack"))[:239], BadMessage.TRUNCATED),
        (message(("message-type", "ack"))[:240] + b"\x35", BadMessage.TRUNCATED),
        (message(("message-type", "ack")).ljust(LONGEST + 1, b"\0"), BadMessage.TOO_LONG),
        (message(("message-type", "ack"), op=1), BadMessage.NOT_A_REPLY),
        (message(("message-type", "ack"), htype=6), BadMessage.NOT_ETHERNET),
        (message(("message-type", "ack"), hlen=16), BadMessage.NOT_ETHERNET),
        (message(("message-type", "ack"), options=b"\0\0\0\0"), BadMessage.NO_OPTIONS),
        (message(("server_id", str(SERVER))), BadMessage.NO_TYPE),
        (message((53, b"\x63")), BadMessage.NO_TYPE),
        (message((53, b"\x05\x05")), BadMessage.NO_TYPE),
    ],
)
def test_what_is_no_reply_is_named(data: bytes, why: BadMessage) -> None:
    assert Reply.parse(data) is why


def test_longest_message_is_read() -> None:
    assert read(message(("message-type", "ack")).ljust(LONGEST, b"\0")).type is MessageType.ACK


@given(head=st.binary(max_size=240), options=st.binary(max_size=200), sound=st.booleans())
def test_any_bytes_are_a_reply_or_say_why_not(head: bytes, options: bytes, sound: bool) -> None:
    data = message()[:240] + options if sound else head + options
    assert isinstance(Reply.parse(data), Reply | BadMessage)


def test_what_a_client_says_is_read_by_scapy() -> None:
    built = dhcp.build(
        MessageType.REQUEST,
        0x01020304,
        CLIENT,
        {Option.REQUESTED_ADDRESS: ADDRESS, Option.HOST_NAME: b"switch"},
        seconds=9,
        client_address=OTHER,
    )
    said = BOOTP(built)
    assert len(built) == SHORTEST
    assert (said.op, said.htype, said.hlen, said.xid, said.secs) == (1, 1, 6, 0x01020304, 9)
    assert (said.ciaddr, said.yiaddr, said.flags) == (str(OTHER), "0.0.0.0", 0)
    assert said.chaddr == CLIENT + bytes(10)
    options = [option for option in said[DHCP].options if option != "pad"]
    assert options == [
        ("message-type", 3),
        ("requested_addr", str(ADDRESS)),
        ("hostname", b"switch"),
        "end",
    ]
