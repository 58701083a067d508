"""What the DHCP client takes for an answer, and what a lease holds then."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Dot1Q, Ether

from tests.dataplane.dhcp_line import (
    ADDRESS,
    EVERYBODY,
    LEASE_SECONDS,
    OTHER_SERVER,
    OURS,
    SERVER,
    START,
    STATION,
    STRANGER,
    line_in,
    option,
    reply,
)
from vswitch.dataplane.dhcp.client.client import DhcpClient
from vswitch.dataplane.dhcp.client.lease import Lease
from vswitch.dataplane.dhcp.client.outcome import Bound, Ignored, Step
from vswitch.dataplane.dhcp.client.states import TRANSITIONS, Cause, State
from vswitch.units import SECOND
from vswitch.wire import offload
from vswitch.wire.dhcp import Option
from vswitch.wire.offload import FINISHED, OffloadHeader
from vswitch.wire.values import IpAddress, IpInterface


# What a lease holds
def test_lease_holds_what_the_server_tells() -> None:
    line = line_in(
        State.BOUND,
        router="192.0.2.254",
        name_server="192.0.2.53",
        domain="example.org",
        **{"interface-mtu": 1400},
        renewal_time=300,
        rebinding_time=600,
    )
    assert line.news == [Bound(line.lease)]
    assert line.lease == Lease(
        address=IpInterface.parse("192.0.2.50/24"),
        gateway=IpAddress.parse("192.0.2.254"),
        mtu=1400,
        name_servers=(IpAddress.parse("192.0.2.53"),),
        domain="example.org",
        server=SERVER,
        server_station=STATION,
        obtained_at=START,
        renew_at=START + 300 * SECOND,
        rebind_at=START + 600 * SECOND,
        expires_at=START + 1000 * SECOND,
    )


def test_lease_counts_from_the_request_and_not_from_the_answer() -> None:
    line = line_in(State.REQUESTING)
    line.wait()
    asked_at = line.now
    line.now += SECOND
    line.hear("ack")
    line.wait_until(line.now + 10 * SECOND)
    assert line.lease.obtained_at == asked_at
    assert line.lease.expires_at == asked_at + LEASE_SECONDS * SECOND


@pytest.mark.parametrize(
    ("renewal", "rebinding", "renew", "rebind"),
    [
        (None, None, 500, 875),
        (100, None, 100, 875),
        (None, 700, 400, 700),
        (600, 700, 600, 700),
        (700, 600, 600 * 4 / 7, 600),
        (0, 0, 500, 875),
        (100, 1000, 100, 875),
        (900, 950, 900, 950),
    ],
)
def test_times_of_renewal_come_one_after_the_other_whatever_the_server_says(
    renewal: int | None, rebinding: int | None, renew: float, rebind: float
) -> None:
    lease = line_in(State.BOUND, renewal_time=renewal, rebinding_time=rebinding).lease
    assert lease.renew_at == START + int(renew * SECOND)
    assert lease.rebind_at == START + int(rebind * SECOND)


def test_lease_without_an_end_is_never_renewed() -> None:
    line = line_in(State.BOUND, lease_time=0xFFFFFFFF, renewal_time=10)
    lease = line.lease
    assert (lease.renew_at, lease.rebind_at, lease.expires_at) == (None, None, None)
    assert line.client.next_deadline() is None


# What is offered


def test_first_offer_is_taken_and_later_ones_are_not() -> None:
    line = line_in(State.SELECTING)
    line.hear("offer", server_id=str(OTHER_SERVER), yiaddr="192.0.2.99")
    assert line.hear("offer").ignored is Ignored.NOT_ASKED
    assert option(line.last, "server_id") == str(OTHER_SERVER)
    assert option(line.last, "requested_addr") == "192.0.2.99"


@pytest.mark.parametrize(
    "said",
    [
        {"server_id": None},
        {"server_id": "0.0.0.0"},
        {"lease_time": None},
        {"lease_time": 0},
        {"subnet_mask": None},
        {"subnet_mask": "0.0.0.0"},
        {"subnet_mask": "255.0.255.0"},
        {"yiaddr": "0.0.0.0"},
        {"yiaddr": "0.0.2.50"},
        {"yiaddr": "192.0.2.0"},
        {"yiaddr": "192.0.2.255"},
        {"yiaddr": "224.0.0.1"},
        {"yiaddr": "127.0.0.1"},
        {"yiaddr": "255.255.255.255"},
    ],
    ids=str,
)
def test_offer_that_no_uplink_can_live_with_is_passed_over(said: dict[str, Any]) -> None:
    line = line_in(State.SELECTING)
    assert line.hear("offer", **said).ignored is Ignored.UNUSABLE
    line.hear("offer")
    assert option(line.last, "server_id") == str(SERVER)


@pytest.mark.parametrize(
    ("said", "name", "told"),
    [
        ({"router": None}, "gateway", None),
        ({"router": "0.0.0.0"}, "gateway", None),
        ({"router": "255.255.255.255"}, "gateway", None),
        ({"router": str(ADDRESS)}, "gateway", None),
        ({"interface-mtu": 575}, "mtu", None),
        ({"interface-mtu": 576}, "mtu", 576),
        ({"name_server": "0.0.0.0"}, "name_servers", ()),
        ({"domain": "example.org\0"}, "domain", "example.org"),
        ({"domain": "two words"}, "domain", None),
        ({"domain": "\x1b[2J"}, "domain", None),
        ({"domain": "a" * 254}, "domain", None),
    ],
    ids=str,
)
def test_what_makes_no_sense_in_a_lease_counts_as_not_said(
    said: dict[str, Any], name: str, told: object
) -> None:
    assert getattr(line_in(State.BOUND, **said).lease, name) == told


@pytest.mark.parametrize("mask", ["255.255.255.254", "255.255.255.255"])
def test_subnet_without_a_broadcast_address_has_hosts_at_its_ends(mask: str) -> None:
    lease = line_in(State.BOUND, subnet_mask=mask, yiaddr="192.0.2.50").lease
    assert lease.address.address == ADDRESS


# Who may answer


@pytest.mark.parametrize(
    ("state", "said", "why"),
    [
        (State.REQUESTING, {"xid": 1}, Ignored.NOT_ASKED),
        (State.REQUESTING, {"chaddr": STRANGER}, Ignored.NOT_FOR_US),
        (State.REQUESTING, {"dst": str(STRANGER)}, Ignored.NOT_FOR_US),
        (State.REQUESTING, {"server_id": str(OTHER_SERVER)}, Ignored.OTHER_SERVER),
        (State.REQUESTING, {"server_id": None}, Ignored.UNUSABLE),
        (State.REQUESTING, {"yiaddr": "192.0.2.51"}, Ignored.OTHER_ADDRESS),
        (State.REQUESTING, {"station": "ff:ff:ff:ff:ff:ff"}, Ignored.MALFORMED),
        (State.REQUESTING, {"station": "00:00:00:00:00:00"}, Ignored.MALFORMED),
        (State.RENEWING, {"server_id": str(OTHER_SERVER)}, Ignored.OTHER_SERVER),
        (State.RENEWING, {"yiaddr": "192.0.2.51"}, Ignored.OTHER_ADDRESS),
        (State.REBINDING, {"yiaddr": "192.0.2.51"}, Ignored.OTHER_ADDRESS),
        (State.REBOOTING, {"yiaddr": "192.0.2.51"}, Ignored.OTHER_ADDRESS),
    ],
)
def test_wrong_answer_is_ignored_and_the_right_one_still_counts(
    state: State, said: dict[str, Any], why: Ignored
) -> None:
    line = line_in(state)
    assert line.hear("ack", **said) == Step(ignored=why)
    assert line.client.state is state
    assert line.hear("ack").ignored is None
    assert line.client.state is TRANSITIONS[state, Cause.ACK]


@pytest.mark.parametrize("state", [State.REQUESTING, State.RENEWING])
def test_refusal_by_a_server_that_was_not_asked_is_ignored(state: State) -> None:
    line = line_in(state)
    assert line.hear("nak", server_id=str(OTHER_SERVER)).ignored is Ignored.OTHER_SERVER
    assert line.client.state is state


def test_answer_to_all_stations_is_heard() -> None:
    line = line_in(State.SELECTING)
    line.hear("offer", dst="ff:ff:ff:ff:ff:ff")
    assert line.client.state is State.REQUESTING


def test_answer_that_is_over_when_it_comes_is_no_lease() -> None:
    line = line_in(State.REQUESTING, lease_time=2)
    line.now += 2 * SECOND
    assert line.hear("ack", lease_time=2).ignored is Ignored.UNUSABLE


# Frames


def frame(xid: int = 1, **fields: Any) -> bytes:
    """A good offer's frame with other fields; what depends on them is computed anew."""
    packet = Ether(reply(xid, "offer")[offload.HEADER_LENGTH :])
    del packet[IP].chksum, packet[IP].len, packet[IP].ihl, packet[UDP].chksum, packet[UDP].len
    for name, value in fields.items():
        layer, _, field = name.partition("_")
        setattr(packet[{"ip": IP, "udp": UDP, "ether": Ether}[layer]], field, value)
    return FINISHED + bytes(packet)


@pytest.mark.parametrize(
    ("seen", "answer"),
    [
        (frame(), True),
        (frame(ether_dst="ff:ff:ff:ff:ff:ff"), True),
        (frame(ip_options=[b"\x01"] * 4), True),
        (frame(ether_dst=str(STRANGER)), False),
        (frame(ether_type=0x86DD), False),
        (frame(ip_proto=6), False),
        (frame(udp_dport=67), False),
        (frame()[: offload.HEADER_LENGTH + 14 + 27], False),
        (
            FINISHED
            + bytes(Ether(dst=OURS) / Dot1Q(vlan=3) / Ether(frame()[offload.HEADER_LENGTH :])[IP]),
            False,
        ),
        (FINISHED, False),
        (b"", False),
    ],
)
def test_glance_at_a_frame(seen: bytes, answer: bool) -> None:
    client = DhcpClient(OURS, Random(1))
    for buffer in (seen, bytearray(seen), memoryview(bytearray(seen))):
        assert client.is_for_client(buffer) is answer


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"ip_chksum": 1}, Ignored.MALFORMED),
        ({"udp_chksum": 1}, Ignored.MALFORMED),
        ({"udp_chksum": 0}, None),
        ({"ip_flags": "MF"}, Ignored.MALFORMED),
        ({"ip_frag": 1}, Ignored.MALFORMED),
        ({"ip_version": 5}, Ignored.MALFORMED),
        ({"ip_ihl": 4}, Ignored.NOT_FOR_US),
        ({"ip_len": 20}, Ignored.MALFORMED),
        ({"ip_len": 2000}, Ignored.MALFORMED),
        ({"udp_len": 7}, Ignored.MALFORMED),
        ({"udp_len": 20}, Ignored.MALFORMED),
        ({"udp_len": 2000}, Ignored.MALFORMED),
        ({"udp_dport": 67}, Ignored.NOT_FOR_US),
        ({"ip_options": [b"\x01"] * 4}, None),
    ],
    ids=str,
)
def test_frame_has_to_be_sound(fields: dict[str, Any], why: Ignored | None) -> None:
    line = line_in(State.SELECTING)
    assert line.hear_frame(frame(line.xid, **fields)).ignored is why


def test_checksum_that_the_sender_left_to_do_is_no_fault() -> None:
    line = line_in(State.SELECTING)
    unfinished = OffloadHeader(flags=offload.NEEDS_CSUM, checksum_start=34, checksum_offset=6)
    wrong = frame(line.xid, udp_chksum=0x1234)[offload.HEADER_LENGTH :]
    assert line.hear_frame(unfinished.pack() + wrong).ignored is None


@given(
    state=st.sampled_from(list(State)),
    kind=st.sampled_from(["offer", "ack", "nak", "decline"]),
    changes=st.lists(st.tuples(st.integers(0, 330), st.integers(0, 255)), max_size=6),
    length=st.integers(0, 400),
    tail=st.binary(max_size=60),
)
@settings(max_examples=300)
def test_mutated_replies_have_named_outcomes_and_keep_to_the_table(
    state: State, kind: str, changes: list[tuple[int, int]], length: int, tail: bytes
) -> None:
    """Checksums are left to do, as on a veth, so that mutations are looked at at all."""
    line = line_in(state)
    mutated = bytearray(reply(line.xid, kind))
    for at, value in changes:
        if at < len(mutated):
            mutated[at] = value
    mutated[offload.FLAGS] = offload.NEEDS_CSUM
    step = line.hear_frame(bytes(mutated[:length]) + tail)
    if step.ignored is not None:
        assert step == Step(ignored=step.ignored)
        assert line.client.state is state
    else:
        ways = {TRANSITIONS.get((state, cause)) for cause in (Cause.OFFER, Cause.ACK, Cause.NAK)}
        assert line.client.state in ways
    assert (line.client.next_deadline() is None) == (state is State.STOPPED)


SAID = st.lists(
    st.tuples(
        st.sampled_from([code.value for code in Option if code is not Option.MESSAGE_TYPE]),
        st.binary(max_size=9) | st.sampled_from([bytes(SERVER), b"\xff\xff\xff\0"]),
    ),
    max_size=12,
)
SOUND = [("server_id", str(SERVER)), ("lease_time", 60), ("subnet_mask", "255.255.255.0")]


@given(
    address=st.binary(min_size=4, max_size=4) | st.just(bytes(ADDRESS)),
    said=SAID | SAID.map(lambda said: SOUND + said),
)
@settings(max_examples=300)
def test_whatever_a_server_says_a_lease_is_sound(
    address: bytes, said: list[tuple[int | str, Any]]
) -> None:
    line = line_in(State.SELECTING)
    for kind in ("offer", "ack"):
        header = BOOTP(op=2, xid=line.xid, yiaddr=str(IpAddress(address)), chaddr=OURS)
        datagram = IP(src=str(SERVER), dst=EVERYBODY) / UDP(sport=67, dport=68) / header
        options = DHCP(options=[("message-type", kind), *said, "end"])
        packet = Ether(dst=str(OURS), src=str(STATION)) / datagram / options
        line.hear_frame(FINISHED + bytes(packet))
    if line.client.state is not State.PROBING:
        assert line.client.state is State.SELECTING
        return
    while line.client.state is State.PROBING:
        line.wait()
    lease = line.client.lease
    if lease is None:
        return  # too short to be used
    assert lease.address.address == address
    assert address[0] not in (0, 127, *range(224, 240))
    moments = (line.now - SECOND, lease.renew_at, lease.rebind_at, lease.expires_at)
    finite = [moment for moment in moments if moment is not None]
    assert len(finite) in (1, 4)
    assert finite == sorted(set(finite))
