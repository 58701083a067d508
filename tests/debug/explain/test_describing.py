"""Frames in words: what is understood, what is refused and how, and what scapy reads in them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.dns import DNS
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Packet

from vswitch.debug.explain.describing import (
    EXAMPLE,
    MOST_DATA,
    Datagram,
    Description,
    DescriptionError,
    Echo,
    IsAt,
    Message,
    Options,
    Question,
    Segment,
    Socket,
    Stations,
    WhoHas,
    build,
    parse,
)
from vswitch.wire import tcp
from vswitch.wire.offload import HEADER_LENGTH
from vswitch.wire.values import IpAddress, MacAddress

OWN = "02:00:00:00:00:0a"
GATEWAY = "02:00:00:00:00:01"
STATIONS = Stations(
    MacAddress.parse(OWN),
    MacAddress.parse(GATEWAY),
    IpAddress.parse("172.18.0.3"),
    IpAddress.parse("172.18.0.1"),
)

words = st.integers(0, 0xFFFF)
addresses = st.binary(min_size=4, max_size=4).map(IpAddress)
macs = st.binary(min_size=6, max_size=6).map(MacAddress)
sockets = st.builds(Socket, addresses, words)
ports = st.from_regex(r"[a-z][a-z0-9_.-]{0,14}", fullmatch=True)
flags = st.integers(0, 0xFF).map(tcp.Flags)
link_options = {
    "vlan": st.integers(0, 4094),
    "source_mac": st.none() | macs,
    "destination_mac": st.none() | macs,
}
options = st.builds(
    Options,
    ttl=st.integers(0, 255),
    data=st.integers(0, MOST_DATA),
    dont_fragment=st.booleans(),
    **link_options,
)
packets = (
    st.builds(Segment, sockets, sockets, flags)
    | st.builds(Datagram, sockets, sockets)
    | st.builds(Echo, addresses, addresses, st.booleans(), words, words)
)
arps = st.builds(WhoHas, addresses, st.none() | addresses) | st.builds(IsAt, addresses, macs)
names = st.from_regex(r"[a-z]{1,9}(\.[a-z]{1,9}){0,2}", fullmatch=True)
questions = st.builds(Question, names, st.sampled_from(("A", "AAAA", "PTR")), st.none() | addresses)
descriptions = st.builds(Description, ports, packets, options) | st.builds(
    Description, ports, arps | questions, st.builds(Options, **link_options)
)


def frame_of(text: str) -> Packet:
    return Ether(bytes(build(parse(text), STATIONS)[HEADER_LENGTH:]))


@given(descriptions)
def test_description_reads_back_as_what_it_says(description: Description) -> None:
    assert parse(str(description)) == description


@given(
    st.text()
    | st.lists(
        st.sampled_from(
            (*EXAMPLE.split(), "udp", "arp", "icmp", "echo", "ttl=", "is-at", "dns", "from")
        )
    ).map(" ".join)
)
def test_anything_is_a_description_or_refused_in_one_line(text: str) -> None:
    assert _understood(text).isprintable()


def _understood(text: str) -> str:
    """The description as it was read, or why it was not."""
    try:
        return str(parse(text))
    except DescriptionError as error:
        return str(error)


@given(descriptions)
def test_frame_has_what_the_description_says(description: Description) -> None:
    message, said = description.message, description.options
    frame = Ether(bytes(build(description, STATIONS)[HEADER_LENGTH:]))
    assert frame.src == str(said.source_mac or OWN)
    assert (frame[Dot1Q].vlan if Dot1Q in frame else 0) == said.vlan
    if isinstance(message, WhoHas | IsAt):
        assert ARP in frame
        return
    assert frame.dst == str(said.destination_mac or GATEWAY)
    packet = frame[IP]
    if isinstance(message, Question):
        sender = str(message.sender or STATIONS.address)
        assert (packet.src, packet.dst) == (sender, str(STATIONS.gateway))
        assert packet[DNS].qd[0].qname.decode() == f"{message.name}."
        return
    assert (packet.src, packet.dst) == tuple(str(each) for each in message.addresses)
    assert (packet.ttl, packet.flags.DF) == (said.ttl, said.dont_fragment)
    assert bytes(packet)[-said.data :] == bytes(said.data) or not said.data
    again = packet.copy()
    for layer in (IP, TCP, UDP, ICMP):
        if layer in again:
            del again[layer].chksum
    assert bytes(again) == bytes(packet)
    if isinstance(message, Segment):
        ends = packet[TCP].sport, packet[TCP].dport
        assert ends == (message.source.port, message.destination.port)
        assert int(packet[TCP].flags) == message.flags
    elif isinstance(message, Datagram):
        assert packet[UDP].len == 8 + said.data
    else:
        assert packet[ICMP].type == (0 if message.is_reply else 8)
        assert (packet[ICMP].id, packet[ICMP].seq) == (message.identifier, message.sequence)


@pytest.mark.parametrize(
    "towards",
    [
        "1.2.3.4:5 > 6.7.8.9:10",
        "1.2.3.4:5>6.7.8.9:10",
        "1.2.3.4:5 -> 6.7.8.9:10",
        "1.2.3.4:5 to 6.7.8.9:10",
    ],
)
def test_arrow_may_be_written_as_a_shell_or_a_hand_prefers(towards: str) -> None:
    assert parse(f"app udp {towards}") == parse("app udp 1.2.3.4:5 > 6.7.8.9:10")


def test_segment_without_flags_is_a_syn() -> None:
    assert frame_of("app tcp 1.2.3.4:5 > 6.7.8.9:10")[TCP].flags == "S"


def test_flags_may_be_words_or_a_list_and_may_be_none() -> None:
    assert frame_of("app tcp 1.2.3.4:5 > 6.7.8.9:10 syn ack ttl=3")[TCP].flags == "SA"
    assert frame_of("app tcp 1.2.3.4:5 > 6.7.8.9:10 ttl=3 SYN,ack")[TCP].flags == "SA"
    assert int(frame_of("app tcp 1.2.3.4:5 > 6.7.8.9:10 none")[TCP].flags) == 0


def test_arp_is_asked_by_the_host_itself_or_by_whom_it_says() -> None:
    asked = frame_of("app arp who-has 172.18.0.1")
    assert (asked.dst, asked[ARP].op) == ("ff:ff:ff:ff:ff:ff", 1)
    assert (asked[ARP].hwsrc, asked[ARP].psrc, asked[ARP].pdst) == (OWN, "172.18.0.3", "172.18.0.1")
    assert frame_of("app arp who-has 172.18.0.1 tell 9.9.9.9")[ARP].psrc == "9.9.9.9"


def test_query_is_for_an_address_unless_it_says_another_type() -> None:
    asked = frame_of("app dns web.front")
    assert (asked.dst, asked[UDP].dport, asked[DNS].qd[0].qtype) == (GATEWAY, 53, 1)
    asked = frame_of("app dns web.front aaaa from 9.9.9.9 ttl=3 df")
    assert (asked[IP].src, asked[IP].ttl, asked[DNS].qd[0].qtype) == ("9.9.9.9", 3, 28)


def test_arp_answers_the_gateway() -> None:
    told = frame_of("app arp 172.18.0.9 is-at 02:00:00:00:00:99")
    assert (told.src, told.dst, told[ARP].op) == (OWN, GATEWAY, 2)
    assert (told[ARP].hwsrc, told[ARP].psrc) == ("02:00:00:00:00:99", "172.18.0.9")
    assert (told[ARP].hwdst, told[ARP].pdst) == (GATEWAY, "172.18.0.1")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "the port that the frame comes in by; an example: app tcp 172.18.0.3:40000 >"),
        ("app", "what it is: tcp, udp, icmp echo"),
        ("app sctp 1.2.3.4:5 > 6.7.8.9:1", "'sctp' can not be described: allowed are tcp, udp"),
        ("app tcp 1.2.3.4 > 6.7.8.9:1", "'1.2.3.4' has no port: allowed is ADDRESS:PORT"),
        ("app tcp 1.2.3.4:70000 > 6.7.8.9:1", "'1.2.3.4:70000': allowed is 0 to 65535"),
        ("app tcp 1.2.3:4 > 6.7.8.9:1", "'1.2.3' is not an IPv4 address like 172.18.0.2"),
        ("app tcp ::1:4 > 6.7.8.9:1", "'::1' is not an IPv4 address"),
        ("app tcp 1.2.3.4:5 6.7.8.9:1", "'6.7.8.9:1' stands where there has to be > (or to)"),
        ("app tcp 1.2.3.4:5", "a shell takes > for itself"),
        ("app tcp 1.2.3.4:5 > 6.7.8.9:1 sny", "'sny' is not understood: allowed here are fin, syn"),
        ("app udp 1.2.3.4:5 > 6.7.8.9:1 syn", "'syn' is not understood: allowed here are ttl="),
        ("app dns a..b", "dns 'a..b' 'A': no name, or no type like AAAA"),
        ("app dns web BOGUS", "dns 'web' 'BOGUS': no name, or no type like AAAA"),
        ("app dns web from", "the description ends where there has to be who asks"),
        ("app udp 1.2.3.4:5 > 6.7.8.9:1 ttl=256", "'ttl=256': allowed is 0 to 255"),
        ("app udp 1.2.3.4:5 > 6.7.8.9:1 vlan=4095", "'vlan=4095': allowed is 1 to 4094"),
        ("app udp 1.2.3.4:5 > 6.7.8.9:1 ttl=1 ttl=2", "'ttl' is said twice"),
        ("app udp 1.2.3.4:5 > 6.7.8.9:1 df=1", "'df=1' is not understood"),
        ("app udp 1.2.3.4:5 > 6.7.8.9:1 dst-mac=02:03", "'02:03' is not a MAC address like"),
        ("app icmp 1.2.3.4 > 6.7.8.9", "icmp '1.2.3.4': only icmp echo can be described"),
        ("app icmp echo 1.2.3.4 > 6.7.8.9 id=x", "'id=x': allowed is 0 to 65535"),
        ("app arp 1.2.3.4", "arp 1.2.3.4 has to be followed by is-at and a MAC address"),
        ("app arp who-has 1.2.3.4 ttl=3", "'ttl=3' is not understood: allowed here are vlan="),
    ],
)
def test_mistake_is_told_with_what_is_allowed(text: str, told: str) -> None:
    with pytest.raises(DescriptionError) as refused:
        parse(text)
    assert told in str(refused.value)


def test_message_is_a_closed_set() -> None:
    kinds: set[type[Message]] = {Segment, Datagram, Echo, WhoHas, IsAt}
    texts = (
        "a tcp 1.2.3.4:5 > 6.7.8.9:1",
        "a udp 1.2.3.4:5 > 6.7.8.9:1",
        "a icmp echo reply 1.2.3.4 > 6.7.8.9",
        "a arp who-has 1.2.3.4",
        "a arp 1.2.3.4 is-at 02:00:00:00:00:01",
    )
    assert {type(parse(text).message) for text in texts} == kinds
