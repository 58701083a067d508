"""The grammar of `-p`: `[ip:][host[-end]:]port[-end][/tcp|udp]`, and terms of ours behind it.

Theory of operation. A specification is cut at its colons from the right, because an IPv6 address
has colons of its own, and then judged part by part in Docker's order, so that of several mistakes
the same one is named that Docker would name, in Docker's words (docker/go-connections, nat). The
result says what was asked for; whether the ports are free is `hostports`' business.

Host port 0 and an empty host port both ask for any. Two things are refused that Docker lets pass
here: endpoint port 0, on which nothing can listen, and SCTP, which the switch does not translate.

Behind the first space that a letter follows stand the terms (`terms`), which Docker does not have.
A static mapping is written in what is left of that grammar without an address, a choice and terms.
What is published is named by its host ports, as `publish ls` prints them: `published`.
"""

from __future__ import annotations

import re

from vswitch.network import terms
from vswitch.network.errors import NetworkError
from vswitch.network.model import Endpoint
from vswitch.network.ports import PortRange, Publication, PublicationRequest, StaticMapping
from vswitch.translation import OPEN_TO_ALL
from vswitch.wire.values import IpAddress, Protocol

GRAMMAR = "[ip:][host[-end]:]port[-end][/tcp|udp]"

MAPPING_GRAMMAR = "external[-end]:port[-end][/tcp|udp]"

PUBLISHED_GRAMMAR = "[ip:]host[-end][/tcp|udp]"

PROTOCOLS = {"tcp": Protocol.TCP, "udp": Protocol.UDP}

EVERY_ADDRESS = IpAddress.parse("0.0.0.0")
"""How every address of the switch is written."""

HIGHEST_PORT = 65535
"""The port field of TCP and UDP has 16 bits."""

_BEFORE_TERMS = re.compile(r" +(?=[a-z])")

_DECIMAL = re.compile(r"[0-9]{1,9}")
"""More digits than a port needs, so that leading zeros pass, and few enough to convert."""


def parse(spec: str) -> PublicationRequest:
    """What `spec` asks for.

    Raises:
        NetworkError: with Docker's text for the first mistake in it.
    """
    spec, *said = _BEFORE_TERMS.split(spec)
    host_text, host_ports_text, endpoint_text = _split(spec)
    ports_text, _, protocol_text = endpoint_text.partition("/")
    if not ports_text:
        raise NetworkError(f"no port specified: {spec}<empty>")
    protocol = _protocol(protocol_text)
    host_address = _host_address(host_text)
    endpoint_ports = parse_ports(ports_text)
    if endpoint_ports is None or endpoint_ports.first == 0:
        raise NetworkError(f"invalid containerPort: {ports_text}")
    host_ports = _host_ports(host_ports_text)
    if host_ports is not None and len(host_ports) != len(endpoint_ports) != 1:
        raise NetworkError(
            "invalid ranges specified for container and host Ports: "
            f"{ports_text} and {host_ports_text}"
        )
    return PublicationRequest(protocol, host_address, host_ports, endpoint_ports, terms.parse(said))


def parse_mapping(spec: str) -> StaticMapping:
    """The static mapping that `spec` asks for.

    Raises:
        NetworkError: with Docker's text for the first mistake in it, or what is allowed.
    """
    wanted = parse(spec)
    has_more = wanted.host_address is not None or wanted.terms != OPEN_TO_ALL
    if wanted.host_ports is None or wanted.chooses_host_port or has_more:
        raise NetworkError(f'allowed is "{MAPPING_GRAMMAR}", like "5000:5000/udp"')
    return StaticMapping(wanted.protocol, wanted.host_ports, wanted.endpoint_ports)


def published(endpoint: Endpoint, spec: str) -> tuple[Publication, ...]:
    """What `endpoint` publishes at the host ports that `spec` names; without an address in it, on
    every address.

    Raises:
        NetworkError: for a mistake in it, or because there is nothing.
    """
    where_text, _, protocol_text = spec.partition("/")
    host_text, _, ports_text = where_text.rpartition(":")
    protocol, host_address = _protocol(protocol_text), _host_address(host_text)
    ports = parse_ports(ports_text)
    if ports is None or ports.first == 0:
        raise NetworkError(f"invalid hostPort: {ports_text}", hint=PUBLISHED_GRAMMAR)
    found = tuple(
        each
        for each in endpoint.publications
        if (each.protocol, each.host_ports) == (protocol, ports)
        and (host_address is None or host_address == (each.host_address or EVERY_ADDRESS))
    )
    if not found:
        there = ", ".join(map(str, endpoint.publications)) or "nothing"
        raise NetworkError(
            f"no public port '{ports}/{protocol.name.lower()}' published for {endpoint.name}",
            hint=f"published is {there}",
        )
    return found


def parse_ports(text: str) -> PortRange | None:
    """The port or the range that `text` is, from 0; None where it is neither."""
    first_text, dash, last_text = text.partition("-")
    first = _port(first_text)
    last = _port(last_text) if dash else first
    if first is None or last is None or first > last:
        return None
    return PortRange(first, last)


def _split(spec: str) -> tuple[str, str, str]:
    """Host address, host ports and endpoint ports: the last is never left out."""
    parts = spec.rsplit(":", 2)
    missing = 3 - len(parts)
    host, host_ports, endpoint_ports = [""] * missing + parts
    return host, host_ports, endpoint_ports


def _protocol(text: str) -> Protocol:
    name = text.lower() or "tcp"
    if name not in PROTOCOLS:
        hint = "the switch translates tcp and udp" if name == "sctp" else ""
        raise NetworkError(f"invalid proto: {name}", hint=hint)
    return PROTOCOLS[name]


def _host_address(text: str) -> IpAddress | None:
    if not text:
        return None
    in_brackets = text.startswith("[") and text.endswith("]")
    bare = text[1:-1] if in_brackets else text
    try:
        return IpAddress.parse(bare)
    except ValueError:
        raise NetworkError(f"invalid IP address: {bare}") from None


def _host_ports(text: str) -> PortRange | None:
    if not text:
        return None
    ports = parse_ports(text)
    if ports == PortRange(0, 0):
        return None
    if ports is None or ports.first == 0:
        raise NetworkError(f"invalid hostPort: {text}")
    return ports


def _port(text: str) -> int | None:
    if _DECIMAL.fullmatch(text) is None:
        return None
    port = int(text)
    return port if port <= HIGHEST_PORT else None
