"""Frames in a few words: `app tcp 172.18.0.3:40000 > 93.184.216.34:443 syn`.

Theory of operation. A description begins with the port that the frame comes in by and with what it
is, followed by its addresses, and by flags and `name=value` options in any order:

    PORT tcp ADDRESS:PORT > ADDRESS:PORT [syn|ack|fin|rst|psh|urg|...|none]
    PORT udp ADDRESS:PORT > ADDRESS:PORT
    PORT icmp echo [reply] ADDRESS > ADDRESS [id=N] [seq=N]
    PORT arp who-has ADDRESS [tell ADDRESS]
    PORT arp ADDRESS is-at MAC
    PORT dns NAME [TYPE] [from ADDRESS]

The last one asks the gateway for a name, by UDP.
`->` and `to` mean the same as `>`, which a shell takes for itself unless it is quoted. `parse`
makes a `Description` of that, `str` of which is the description again, and `build` makes the frame.
What a description leaves open, above all the stations, is for whoever knows the switch to say
(`tracing`).

Nothing is refused for being unwise: what becomes of SYN with FIN is a question worth asking. Frames
that can not be said in these words are given as bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from vswitch import naming
from vswitch.wire import arp, ethernet, icmp, ipv4, tcp, udp
from vswitch.wire.values import BROADCAST, EtherType, IpAddress, MacAddress, Protocol

EXAMPLE = "app tcp 172.18.0.3:40000 > 93.184.216.34:443 syn"

KINDS = "tcp, udp, icmp echo, arp who-has, arp ADDRESS is-at and dns"

DEFAULT_TTL = 64
"""What most hosts begin with (RFC 1700)."""

HIGHEST_VLAN = 4094
"""802.1Q-2018, table 9-2: 4095 is reserved."""

MOST_DATA = 0xFFFF - ipv4.HEADER_LENGTH - tcp.HEADER_LENGTH
"""Bytes that fit behind the headers of the longest IPv4 packet."""

_IDENTIFIER, _ANY_PORT = 1, 40000
"""Of a query, which nobody waits for."""

_NO_FLAGS = "none"
_DONT_FRAGMENT = "df"
_UNKNOWN_STATION = MacAddress(bytes(6))


class DescriptionError(ValueError):
    """A description that is not understood, or leaves too much open. The text is one line."""


class Socket(NamedTuple):
    """An address with a port."""

    address: IpAddress
    port: int

    def __str__(self) -> str:
        return f"{self.address}:{self.port}"


@dataclass(frozen=True, slots=True)
class Segment:
    """Of TCP."""

    source: Socket
    destination: Socket
    flags: tcp.Flags = tcp.Flags.SYN

    @property
    def addresses(self) -> tuple[IpAddress, IpAddress]:
        """From whom to whom."""
        return self.source.address, self.destination.address

    def __str__(self) -> str:
        flags = ",".join(
            flag.name.lower() for flag in tcp.Flags if flag in self.flags and flag.name
        )
        return f"tcp {self.source} > {self.destination} {flags or _NO_FLAGS}"


@dataclass(frozen=True, slots=True)
class Datagram:
    """Of UDP."""

    source: Socket
    destination: Socket

    @property
    def addresses(self) -> tuple[IpAddress, IpAddress]:
        """From whom to whom."""
        return self.source.address, self.destination.address

    def __str__(self) -> str:
        return f"udp {self.source} > {self.destination}"


@dataclass(frozen=True, slots=True)
class Echo:
    """An ICMP echo request, or the reply to one."""

    source: IpAddress
    destination: IpAddress
    is_reply: bool = False
    identifier: int = 1
    sequence: int = 1

    @property
    def addresses(self) -> tuple[IpAddress, IpAddress]:
        """From whom to whom."""
        return self.source, self.destination

    def __str__(self) -> str:
        reply = "reply " if self.is_reply else ""
        numbers = f"id={self.identifier} seq={self.sequence}"
        return f"icmp echo {reply}{self.source} > {self.destination} {numbers}"


@dataclass(frozen=True, slots=True)
class WhoHas:
    """An ARP request. Without a `sender` it is the host's behind the port."""

    target: IpAddress
    sender: IpAddress | None = None

    def __str__(self) -> str:
        tell = f" tell {self.sender}" if self.sender else ""
        return f"arp who-has {self.target}{tell}"


@dataclass(frozen=True, slots=True)
class IsAt:
    """An ARP reply to the switch."""

    address: IpAddress
    mac: MacAddress

    def __str__(self) -> str:
        return f"arp {self.address} is-at {self.mac}"


@dataclass(frozen=True, slots=True)
class Question:
    """A query for a name, to the gateway. Without a `sender` it is the host's behind the port."""

    name: str
    kind: str = "A"
    sender: IpAddress | None = None

    def __str__(self) -> str:
        sender = f" from {self.sender}" if self.sender else ""
        return f"dns {self.name} {self.kind}{sender}"


Message: TypeAlias = Segment | Datagram | Echo | WhoHas | IsAt | Question


@dataclass(frozen=True, slots=True)
class Options:
    """All that is the same for every kind of frame. Stations that are None are left open."""

    ttl: int = DEFAULT_TTL
    data: int = 0
    """Bytes behind the transport header, all zero."""
    dont_fragment: bool = False
    vlan: int = 0
    source_mac: MacAddress | None = None
    destination_mac: MacAddress | None = None

    def __str__(self) -> str:
        words = [f"ttl={self.ttl}"] if self.ttl != DEFAULT_TTL else []
        words += [f"data={self.data}"] if self.data else []
        words += [_DONT_FRAGMENT] if self.dont_fragment else []
        words += [f"vlan={self.vlan}"] if self.vlan else []
        words += [f"src-mac={self.source_mac}"] if self.source_mac else []
        words += [f"dst-mac={self.destination_mac}"] if self.destination_mac else []
        return " ".join(words)


@dataclass(frozen=True, slots=True)
class Description:
    """A frame that comes in by the port called `port`."""

    port: str
    message: Message
    options: Options = Options()

    def __str__(self) -> str:
        return f"{self.port} {self.message} {self.options}".rstrip()


@dataclass(frozen=True, slots=True)
class Stations:
    """What a description leaves open, as it is where the frame comes in."""

    source: MacAddress
    destination: MacAddress
    address: IpAddress
    """Of the host behind the port, which ARP asks on behalf of."""
    gateway: IpAddress
    """The switch's own address there, which ARP answers to."""
    sequence: int = 1
    acknowledgment: int = 0
    """What a segment of TCP would say next, where it is part of a connection."""


def parse(text: str) -> Description:
    """The description that `text` is. Raises DescriptionError."""
    words = _Words(text)
    port = words.take("the port that the frame comes in by")
    kind = words.take(f"what it is: {KINDS}").lower()
    match kind:
        case "tcp":
            ends = _sockets(words)
            rest = _rest(words, _OF_PACKETS, may_have_flags=True)
            flags = tcp.Flags.SYN if rest.flags is None else rest.flags
            return Description(port, Segment(*ends, flags), rest.options)
        case "udp":
            ends = _sockets(words)
            return Description(port, Datagram(*ends), _rest(words, _OF_PACKETS).options)
        case "icmp":
            return _echo(port, words)
        case "arp":
            message = _arp(words)
            return Description(port, message, _rest(words, _OF_FRAMES).options)
        case "dns":
            question = _question(words)
            return Description(port, question, _rest(words, _OF_QUESTIONS).options)
    raise DescriptionError(f"{kind!r} can not be described: allowed are {KINDS}")


def build(description: Description, stations: Stations) -> bytearray:
    """The frame, with its (empty) virtio-net header."""
    options = description.options
    source = options.source_mac or stations.source
    destination = options.destination_mac or stations.destination
    message = description.message
    if isinstance(message, WhoHas):
        sender = message.sender or stations.address
        asked = arp.build(arp.Operation.REQUEST, source, sender, _UNKNOWN_STATION, message.target)
        to = options.destination_mac or BROADCAST
        return ethernet.build(to, source, EtherType.ARP, asked, options.vlan)
    if isinstance(message, IsAt):
        reply = arp.Operation.REPLY
        told = arp.build(reply, message.mac, message.address, destination, stations.gateway)
        return ethernet.build(destination, source, EtherType.ARP, told, options.vlan)
    if isinstance(message, Question):
        packet = _asked(message, options, stations)
    else:
        packet = _packet(message, options, stations)
    return ethernet.build(destination, source, EtherType.IPV4, packet, options.vlan)


def _packet(message: Segment | Datagram | Echo, options: Options, stations: Stations) -> bytes:
    data = bytes(options.data)
    if isinstance(message, Echo):
        kind = icmp.Type.ECHO_REPLY if message.is_reply else icmp.Type.ECHO_REQUEST
        rest = message.identifier << 16 | message.sequence
        protocol, carried = Protocol.ICMP, icmp.build(kind, 0, rest, data)
        source, destination = message.source, message.destination
    else:
        (source, source_port), (destination, destination_port) = message.source, message.destination
        ends = source, destination, source_port, destination_port
        if isinstance(message, Segment):
            protocol = Protocol.TCP
            carried = tcp.build(
                *ends,
                sequence=stations.sequence,
                acknowledgment=stations.acknowledgment,
                flags=message.flags,
                payload=data,
            )
        else:
            protocol, carried = Protocol.UDP, udp.build(*ends, data)
    return ipv4.build(
        source,
        destination,
        protocol,
        carried,
        ttl=options.ttl,
        dont_fragment=options.dont_fragment,
    )


def _asked(question: Question, options: Options, stations: Stations) -> bytes:
    import dns.message

    query = dns.message.make_query(question.name, question.kind, id=_IDENTIFIER)
    ends = question.sender or stations.address, stations.gateway
    datagram = udp.build(*ends, _ANY_PORT, naming.PORT, query.to_wire())
    return ipv4.build(
        *(*ends, Protocol.UDP, datagram),
        ttl=options.ttl,
        dont_fragment=options.dont_fragment,
    )


class _Words:
    """The words of a description, taken one by one."""

    def __init__(self, text: str) -> None:
        self._words = text.replace("->", ">").replace(">", " > ").split()[::-1]

    def take(self, expected: str) -> str:
        if not self._words:
            raise DescriptionError(
                f"the description ends where there has to be {expected}; an example: {EXAMPLE}"
            )
        return self._words.pop()

    def take_if(self, word: str) -> bool:
        """Take the next word where it is this one."""
        if self._words and self._words[-1].lower() == word:
            self._words.pop()
            return True
        return False

    def take_unless(self, *others: str) -> str | None:
        """Take the next word where it is none of `others`, and gives no option a value."""
        if not self._words or self._words[-1].lower() in others or "=" in self._words[-1]:
            return None
        return self._words.pop()

    def take_all(self) -> list[str]:
        """What is left."""
        left, self._words = self._words[::-1], []
        return left


@dataclass(slots=True)
class _Rest:
    """What stands behind the addresses."""

    numbers: dict[str, int] = field(default_factory=dict)
    stations: dict[str, MacAddress] = field(default_factory=dict)
    dont_fragment: bool = False
    flags: tcp.Flags | None = None

    @property
    def options(self) -> Options:
        return Options(
            self.numbers.get("ttl", DEFAULT_TTL),
            self.numbers.get("data", 0),
            self.dont_fragment,
            self.numbers.get("vlan", 0),
            self.stations.get("src-mac"),
            self.stations.get("dst-mac"),
        )


_FLAGS = {flag.name.lower(): flag for flag in tcp.Flags if flag.name}

_RANGES = {
    "ttl": range(256),
    "data": range(MOST_DATA + 1),
    "vlan": range(1, HIGHEST_VLAN + 1),
    "id": range(0x10000),
    "seq": range(0x10000),
}

_OF_FRAMES = ("vlan", "src-mac", "dst-mac")
_OF_PACKETS = ("ttl", "data", _DONT_FRAGMENT, *_OF_FRAMES)
_OF_ECHOES = ("id", "seq", *_OF_PACKETS)
_OF_QUESTIONS = ("ttl", _DONT_FRAGMENT, *_OF_FRAMES)


def _echo(port: str, words: _Words) -> Description:
    if not words.take_if("echo"):
        found = words.take("echo")
        raise DescriptionError(f"icmp {found!r}: only icmp echo can be described")
    is_reply = words.take_if("reply")
    source = _address(words.take("the source address"))
    _towards(words)
    destination = _address(words.take("the destination address"))
    rest = _rest(words, _OF_ECHOES)
    identifier, sequence = rest.numbers.get("id", 1), rest.numbers.get("seq", 1)
    message = Echo(source, destination, is_reply, identifier, sequence)
    return Description(port, message, rest.options)


def _arp(words: _Words) -> WhoHas | IsAt:
    if words.take_if("who-has"):
        target = _address(words.take("the address that is asked for"))
        return WhoHas(target, _address(words.take("who asks")) if words.take_if("tell") else None)
    address = _address(words.take("who-has, or the address that is told about"))
    if not words.take_if("is-at"):
        raise DescriptionError(f"arp {address} has to be followed by is-at and a MAC address")
    return IsAt(address, _mac(words.take("a MAC address")))


def _question(words: _Words) -> Question:
    import dns.exception
    import dns.message

    name = words.take("the name that is asked for")
    kind = words.take_unless("from", _DONT_FRAGMENT) or "A"
    try:
        dns.message.make_query(name, kind)
    except (dns.exception.DNSException, ValueError) as error:
        raise DescriptionError(f"dns {name!r} {kind!r}: no name, or no type like AAAA") from error
    sender = _address(words.take("who asks")) if words.take_if("from") else None
    return Question(name, kind.upper(), sender)


def _sockets(words: _Words) -> tuple[Socket, Socket]:
    source = _socket(words.take("the source, ADDRESS:PORT"))
    _towards(words)
    return source, _socket(words.take("the destination, ADDRESS:PORT"))


def _towards(words: _Words) -> None:
    if not words.take_if(">") and not words.take_if("to"):
        found = words.take("> and the destination (quoted, or to: a shell takes > for itself)")
        raise DescriptionError(f"{found!r} stands where there has to be > (or to)")


def _rest(words: _Words, allowed: tuple[str, ...], *, may_have_flags: bool = False) -> _Rest:
    rest = _Rest()
    seen: set[str] = set()
    for word in words.take_all():
        name, equals, value = word.partition("=")
        name = name.lower()
        if name in seen:
            raise DescriptionError(f"{name!r} is said twice")
        if name in allowed and bool(equals) == (name != _DONT_FRAGMENT):
            seen.add(name)
            _read_option(rest, name, value)
        elif may_have_flags and all(each in (*_FLAGS, _NO_FLAGS) for each in name.split(",")):
            for each in name.split(","):
                rest.flags = (rest.flags or tcp.Flags(0)) | _FLAGS.get(each, tcp.Flags(0))
        else:
            options = [each if each == _DONT_FRAGMENT else f"{each}=" for each in allowed]
            flags = [*_FLAGS, _NO_FLAGS] if may_have_flags else []
            known = ", ".join((*flags, *options))
            raise DescriptionError(f"{word!r} is not understood: allowed here are {known}")
    return rest


def _read_option(rest: _Rest, name: str, value: str) -> None:
    if name == _DONT_FRAGMENT:
        rest.dont_fragment = True
    elif name in _RANGES:
        rest.numbers[name] = _number(f"{name}={value}", value, _RANGES[name])
    else:
        rest.stations[name] = _mac(value)


def _number(where: str, text: str, allowed: range) -> int:
    """Plain digits: int() would take `1_0` and other alphabets, too."""
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1
    if number not in allowed:
        raise DescriptionError(f"{where!r}: allowed is {allowed.start} to {allowed.stop - 1}")
    return number


def _socket(text: str) -> Socket:
    address, colon, port = text.rpartition(":")
    if not colon:
        raise DescriptionError(f"{text!r} has no port: allowed is ADDRESS:PORT")
    return Socket(_address(address), _number(text, port, range(0x10000)))


def _address(text: str) -> IpAddress:
    try:
        address = IpAddress.parse(text)
    except ValueError:
        address = None
    if address is None or address.version != 4:
        raise DescriptionError(f"{text!r} is not an IPv4 address like 172.18.0.2")
    return address


def _mac(text: str) -> MacAddress:
    try:
        return MacAddress.parse(text)
    except ValueError:
        raise DescriptionError(f"{text!r} is not a MAC address like 02:42:ac:12:00:02") from None
