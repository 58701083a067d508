"""What one value of a configuration file may be.

Theory of operation. A function for each kind of value: it is given what TOML holds and answers with
a value of this house, or raises `NotAllowedError`. With a reason the error is told in its own
words; without one, in those of the field's description in `schema`. What several keys must agree on
is not known here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum
from itertools import pairwise
from typing import TypeVar

from vswitch.impairment import LARGEST_SEED, Impairment, ImpairmentError
from vswitch.naming import Server
from vswitch.network import durations, expose, ipam, linking, names, namewords, publish, sizes
from vswitch.network.errors import NetworkError
from vswitch.network.model import LearntAddress, NamedLink, TriggerEvent, TriggerRequest
from vswitch.network.ports import ExposedPorts, PublicationRequest, StaticMapping
from vswitch.policy import NAMED_PROTOCOLS, GatewayMode
from vswitch.translation import PROFILES
from vswitch.units import MEBIBYTE, SECOND, Nanoseconds
from vswitch.wire.values import IpAddress, IpInterface, IpNetwork, MacAddress

T = TypeVar("T")
E = TypeVar("E", bound=Enum)

SMALLEST_MTU = 68
"""Bytes that every IPv4 link must carry (RFC 791, 3.2)."""

LARGEST_MTU = 65521
"""Bytes: what the kernel allows on a TAP (65535 without the Ethernet header)."""

ALLOWED_MAC = '"auto" or a unicast MAC address, like "02:00:5e:10:00:01"'

SMALLEST_RECORDER = 1 * MEBIBYTE
LARGEST_RECORDER = 256 * MEBIBYTE
"""Bytes: enough for a few thousand frames, and no more than is copied in a tenth of a second, which
is how long frames then wait when a dump begins."""

MOST_DUMPS = 1000

LARGEST_ANYWHERE = 14
"""The prefix length of the largest of the predefined pools, of which 0.0.0.0/N asks for a part."""

PROTOCOLS = {each.name.lower(): each for each in NAMED_PROTOCOLS}

HIGHEST_PROTOCOL = 255

NO_SUBNET = tuple(IpNetwork.parse(text) for text in ("0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/4"))
"""Where no host of a network can live: this host, loopback, multicast (RFC 6890, RFC 5771)."""

_TRIGGER = re.compile(r"(?P<event>[a-z]+)( (?P<reason>[a-z0-9_]+))? (?P<rate>[0-9]{1,9})/s")


class NotAllowedError(ValueError):
    """A value is not allowed: for the reason given, or because of the field's description."""


def or_say(allowed: str, read: Callable[[object], T]) -> Callable[[object], T]:
    """`read` for values whose keys are for the user to choose, and have no description."""

    def value(found: object) -> T:
        try:
            return read(found)
        except NotAllowedError as error:
            raise NotAllowedError(str(error) or f"allowed is {allowed}") from None

    return value


# Text, numbers and names


def string(value: object) -> str:
    """Any text."""
    if not isinstance(value, str):
        raise NotAllowedError
    return value


def flag(value: object) -> bool:
    """true or false."""
    if not isinstance(value, bool):
        raise NotAllowedError
    return value


def whole_number(least: int, most: int) -> Callable[[object], int]:
    """A number from `least` to `most`."""

    def number(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise NotAllowedError
        return value

    return number


def size(least: int, most: int) -> Callable[[object], int]:
    """A number of bytes from `least` to `most`, as a text."""

    def number(value: object) -> int:
        found = _parsed(sizes.parse, value)
        if not least <= found <= most:
            raise NotAllowedError
        return found

    return number


def or_zero(read: Callable[[object], int]) -> Callable[[object], int]:
    """The same, or 0 for none at all."""

    def number(value: object) -> int:
        if value == 0 and isinstance(value, int) and not isinstance(value, bool):
            return 0
        return read(value)

    return number


def at_least_one(read: Callable[[object], T]) -> Callable[[object], tuple[T, ...]]:
    """A list of one or more."""

    def values(found: object) -> tuple[T, ...]:
        if not isinstance(found, list) or not found:
            raise NotAllowedError
        return tuple(map(read, found))

    return values


def one_or_more(read: Callable[[object], T]) -> Callable[[object], tuple[T, ...]]:
    """One alone, or a list of one or more."""

    def values(found: object) -> tuple[T, ...]:
        return at_least_one(read)(found) if isinstance(found, list) else (read(found),)

    return values


def duration(least: Nanoseconds, most: Nanoseconds) -> Callable[[object], Nanoseconds]:
    """A time from `least` to `most`, as a text or a number of seconds."""

    def time(value: object) -> Nanoseconds:
        if isinstance(value, int) and not isinstance(value, bool):
            found = value * SECOND
        else:
            found = _parsed(durations.parse, value)
        if not least <= found <= most:
            raise NotAllowedError
        return found

    return time


def one_of(kind: type[E]) -> Callable[[object], E]:
    """The member of `kind` whose value is written."""

    def member(value: object) -> E:
        members = {each.value: each for each in kind}
        text = string(value)
        if text not in members:
            raise NotAllowedError
        return members[text]

    return member


def quoted(kind: type[Enum]) -> str:
    """The values of `kind` as a description lists them."""
    return " or ".join(f'"{each.value}"' for each in kind)


def name(value: object) -> str:
    """A name of this house."""
    text = string(value)
    if not names.is_name(text):
        raise NotAllowedError
    return text


def interface(value: object) -> str:
    """The name of an interface."""
    text = string(value)
    if not names.is_interface_name(text):
        raise NotAllowedError
    return text


def directory(value: object) -> str:
    """An absolute path."""
    text = string(value)
    if not text.startswith("/") or "\0" in text:
        raise NotAllowedError
    return text


# Addresses


def ipv4(value: object) -> IpAddress:
    """An IPv4 address."""
    address = _parsed(IpAddress.parse, value)
    if address.version != 4:
        raise NotAllowedError
    return address


def uplink_address(value: object) -> IpInterface | LearntAddress:
    """An uplink's own IPv4 address with its prefix length, or where it is learnt."""
    learnt = {each.value: each for each in LearntAddress}
    if isinstance(value, str) and value in learnt:
        return learnt[value]
    found = _parsed(IpInterface.parse, value)
    network = found.network
    if found.address.version != 4:
        raise NotAllowedError
    if any(network.overlaps(other) for other in NO_SUBNET):
        raise NotAllowedError
    if not ipam.is_usable(network, found.address):
        raise NotAllowedError(f"that is the network or broadcast address of {network}")
    return found


def gateway(value: object) -> IpInterface:
    """The switch's own IPv4 address in a subnet where hosts can live."""
    found = _parsed(IpInterface.parse, value)
    if found.address.version != 4:
        raise NotAllowedError
    home_subnet(str(found.network))
    if not ipam.is_usable(found.network, found.address):
        raise NotAllowedError(f"that is the network or broadcast address of {found.network}")
    return found


def mac(value: object) -> MacAddress | None:
    """A MAC address that a station may have, or None for any."""
    if value == "auto":
        return None
    address = _parsed(MacAddress.parse, value)
    if address.is_multicast or address.is_zero:
        raise NotAllowedError
    return address


def destinations(value: object) -> IpNetwork:
    """An IPv4 subnet, whatever it is of."""
    written = _parsed(IpInterface.parse, value)
    subnet = written.network
    if subnet.version != 4:
        raise NotAllowedError
    if written.address != subnet.address:
        raise NotAllowedError(f"invalid subnet {written}: it should be {subnet}")
    return subnet


def hosts(value: object) -> IpNetwork:
    """An IPv4 subnet, or the one that a single address is."""
    text = string(value)
    return destinations(text if "/" in text else f"{text}/32")


def home_subnet(value: object) -> IpNetwork:
    """An IPv4 subnet where hosts can live, or 0.0.0.0/N for any of that size."""
    subnet = destinations(value)
    if subnet.address.is_unspecified and subnet.prefix_length >= LARGEST_ANYWHERE:
        return subnet
    for other in NO_SUBNET:
        if subnet.overlaps(other):
            raise NotAllowedError(f"allowed is a subnet of unicast addresses, and {other} has none")
    return subnet


def host_address(value: object) -> IpAddress:
    """An address of either family that one host has."""
    address = _parsed(IpAddress.parse, value)
    if address.is_unspecified or address.is_multicast or address.is_limited_broadcast:
        raise NotAllowedError
    return address


def listening(value: object) -> tuple[IpAddress, int]:
    """Where to listen: an address of the host's, or the unspecified one for all, with a port."""
    address, port = _parsed(namewords.address_and_port, value)
    if port is None:
        raise NotAllowedError
    return address, port


def host_place(value: object) -> tuple[IpAddress, int]:
    """Where to listen for datagrams: at one address, as answers come from where was asked."""
    address, port = listening(value)
    if address.is_unspecified:
        raise NotAllowedError
    return address, port


# Names


def server(value: object) -> Server:
    """A name server."""
    return _parsed(namewords.server, value)


def domain(value: object) -> str:
    """A domain name."""
    return _parsed(namewords.domain, value)


def domain_pattern(value: object) -> str:
    """A domain name, or all names below one."""
    return _parsed(namewords.pattern, value)


def search(value: object) -> str:
    """A domain of a search list."""
    return _parsed(namewords.search, value)


def resolver_option(value: object) -> str:
    """An option of resolv.conf(5)."""
    return _parsed(namewords.option, value)


# Ports


def publication(value: object) -> PublicationRequest:
    """What `-p` takes."""
    try:
        return publish.parse(string(value))
    except NetworkError as error:
        raise NotAllowedError(error.explained) from None


def exposed(value: object) -> ExposedPorts:
    """What `--expose` takes."""
    try:
        return expose.parse(string(value))
    except NetworkError as error:
        raise NotAllowedError(error.explained) from None


def link(value: object) -> NamedLink:
    """What `--link` takes."""
    try:
        return linking.parse(string(value))
    except NetworkError as error:
        raise NotAllowedError(error.explained) from None


def mapping(value: object) -> StaticMapping:
    """A static mapping."""
    try:
        return publish.parse_mapping(string(value))
    except NetworkError as error:
        raise NotAllowedError(error.explained) from None


def ports(value: object) -> range:
    """A port or a range of ports."""
    found = publish.parse_ports(string(value))
    if found is None or found.first == 0:
        raise NotAllowedError
    return range(found.first, found.last + 1)


def apart(given: list[range]) -> list[range]:
    """Ranges of ports in rising order, none of them twice."""
    if not given:
        raise NotAllowedError("allowed is one port at least, or no such key")
    in_order = sorted(given, key=lambda each: each.start)
    for lower, higher in pairwise(in_order):
        if higher.start in lower:
            words = f"{higher.start} is in {lower.start}-{lower.stop - 1} already"
            raise NotAllowedError(f"{words}: allowed is each port once")
    return in_order


# Policy


def gateway_mode(value: object) -> GatewayMode:
    """What the gateway of a network does for it."""
    text = string(value)
    try:
        return GatewayMode(text)
    except ValueError:
        words = f"unknown gateway mode {text}: allowed is {quoted(GatewayMode)}"
        raise NotAllowedError(words) from None


def protocol(value: object) -> int:
    """A protocol of IP by its name or number."""
    if isinstance(value, str) and value in PROTOCOLS:
        return int(PROTOCOLS[value])
    return whole_number(1, HIGHEST_PROTOCOL)(value)


# The rest


def impairment(value: object) -> Impairment:
    """How bad a line is."""
    try:
        return Impairment.parse(string(value))
    except ImpairmentError as error:
        raise NotAllowedError(str(error)) from None


seed = whole_number(0, LARGEST_SEED)


def profile(value: object) -> str:
    """The name of a profile of timeouts."""
    text = string(value)
    if text not in PROFILES:
        raise NotAllowedError
    return text


def profile_as_table(value: object) -> object:
    """A table of timeouts, or the table that a profile's name stands for."""
    return {"profile": profile(value)} if isinstance(value, str) else value


recorder_size = or_zero(size(SMALLEST_RECORDER, LARGEST_RECORDER))


def trigger(value: object) -> TriggerRequest:
    """What makes the flight recorder write a dump."""
    parts = _TRIGGER.fullmatch(string(value))
    events = {event.value: event for event in TriggerEvent}
    if parts is None or parts["event"] not in events or int(parts["rate"]) == 0:
        raise NotAllowedError
    event = events[parts["event"]]
    if parts["reason"] and event is not TriggerEvent.DROPPED:
        raise NotAllowedError(f'a reason only goes with "dropped", not with "{event.value}"')
    return TriggerRequest(event, parts["reason"], float(parts["rate"]))


def _parsed(parse: Callable[[str], T], value: object) -> T:
    text = string(value)
    try:
        return parse(text)
    except ValueError:
        raise NotAllowedError from None
