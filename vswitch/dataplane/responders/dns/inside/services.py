"""Services of endpoints: `_http._tcp.web` says at which port (SRV) and what else is known (TXT).

Theory of operation. A service is asked for by what it is called and by its protocol, in front of a
name of who has it (RFC 2782; Docker's form is the same). A port has its number for a name, `_8080`,
and IANA's where that is in `NAMED`. It is there where the endpoint says that it serves that port,
by exposing or by publishing it. Names in front of an endpoint's that begin so are ours alone: one
that is no service does not exist.

TXT says `port=` and, where it is published, `published=` as `vswitch port` prints it, each as a key
and a value (RFC 6763, 6.3).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import chain

import dns.rdatatype

from vswitch.dataplane.responders.dns.inside.held import Held, by_family
from vswitch.dataplane.responders.dns.inside.names import Names
from vswitch.dataplane.responders.dns.inside.neighbourhood import Host, Service
from vswitch.dataplane.responders.dns.telling import Rrset
from vswitch.wire.domain import ROOT
from vswitch.wire.values import Protocol

NAMED = {
    "ftp": 21,
    "ssh": 22,
    "telnet": 23,
    "smtp": 25,
    "domain": 53,
    "http": 80,
    "kerberos": 88,
    "pop3": 110,
    "ntp": 123,
    "imap": 143,
    "snmp": 161,
    "ldap": 389,
    "https": 443,
    "submissions": 465,
    "syslog": 514,
    "submission": 587,
    "ldaps": 636,
    "domain-s": 853,
    "imaps": 993,
    "pop3s": 995,
    "mqtt": 1883,
    "nfs": 2049,
    "mysql": 3306,
    "stun": 3478,
    "sip": 5060,
    "sips": 5061,
    "xmpp-client": 5222,
    "xmpp-server": 5269,
    "postgresql": 5432,
    "amqp": 5672,
    "amqps": 5671,
    "redis": 6379,
    "http-alt": 8080,
    "secure-mqtt": 8883,
    "memcache": 11211,
}
"""Ports by the names that IANA has for them (RFC 6335): those of what endpoints serve mostly."""

_PROTOCOLS = {
    b"_tcp": Protocol.TCP,
    b"_udp": Protocol.UDP,
    b"_sctp": Protocol.SCTP,
}
_NO_PREFERENCE = 0, 0
"""Priority and weight: each who has the service is as good as the others."""


def find(name: bytes, names: Names) -> Held | None:
    """What there is to say about a name in small letters; None where it is no name of a service of
    somebody whom who asks knows."""
    first, rest = _split(name)
    if not first.startswith(b"_"):
        return None
    if first in _PROTOCOLS:
        return Held(rest) if names.bearers(rest) else None
    second, bearing = _split(rest)
    protocol, bearers = _PROTOCOLS.get(second), names.bearers(bearing)
    if protocol is None or not bearers:
        return None
    port = _port(first[1:])
    serving = [each for each in bearers if any(_serving(each, protocol, port))]
    if port is None or not serving:
        return Held(bearing, exists=False)
    return Held(
        bearing,
        {
            dns.rdatatype.SRV: tuple(chain.from_iterable(_srv(each, port) for each in serving)),
            dns.rdatatype.TXT: tuple(dict.fromkeys(_txt(each, protocol, port) for each in serving)),
        },
        additional=tuple(_addresses(serving, names.ttl)),
    )


def _split(name: bytes) -> tuple[bytes, bytes]:
    """The first label, and what is left."""
    return (name[1 : 1 + name[0]], name[1 + name[0] :]) if name != ROOT else (b"", ROOT)


def _port(label: bytes) -> int | None:
    text = label.decode("latin-1")
    return int(text) if text.isascii() and text.isdecimal() else NAMED.get(text)


def _serving(host: Host, protocol: Protocol, port: int | None) -> Iterator[Service]:
    return (each for each in host.services if each.protocol is protocol and port in each.ports)


def _srv(host: Host, port: int) -> Iterator[bytes]:
    if host.canonical is not None:
        yield struct.pack("!HHH", *_NO_PREFERENCE, port) + host.canonical


def _txt(host: Host, protocol: Protocol, port: int) -> bytes:
    published = (each.published_as(port) for each in _serving(host, protocol, port))
    texts = (f"port={port}", *(f"published={each}" for each in published if each is not None))
    return b"".join(bytes((len(text),)) + text.encode() for text in texts)


def _addresses(hosts: list[Host], ttl: int) -> Iterator[Rrset]:
    for host in hosts:
        for kind, data in by_family(host.addresses).items():
            if host.canonical is not None and data:
                yield Rrset(host.canonical, kind, ttl, data)
