"""The grammar of `--expose`: `port[-end][/tcp|udp]`, and what `-P` makes of it.

An exposed port is a promise that something listens there. It opens nothing by itself: `-P`
publishes each exposed port, and a link opens exactly those.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from vswitch.network.errors import NetworkError
from vswitch.network.model import Endpoint
from vswitch.network.ports import ExposedPorts, PortRange, PublicationRequest
from vswitch.network.publish import PROTOCOLS, parse_ports


def parse(spec: str) -> ExposedPorts:
    """What `spec` exposes.

    Raises:
        NetworkError: with Docker's text for what is wrong with it.
    """
    if ":" in spec:
        raise NetworkError(f"invalid port format for --expose: {spec}")
    text, _, protocol = spec.partition("/")
    ports = parse_ports(text)
    if ports is None or ports.first == 0:
        raise NetworkError(f"invalid range format for --expose: {spec}")
    name = protocol.lower() or "tcp"
    if name not in PROTOCOLS:
        hint = "the switch translates tcp and udp" if name == "sctp" else ""
        raise NetworkError(f"invalid proto: {name}", hint=hint)
    return ExposedPorts(PROTOCOLS[name], ports)


def served(endpoint: Endpoint) -> Iterator[ExposedPorts]:
    """All that an endpoint exposes, by itself or because it publishes it by now; each once."""
    published = (ExposedPorts(each.protocol, each.endpoint_ports) for each in endpoint.publications)
    yield from dict.fromkeys((*endpoint.exposed, *published))


def exposed_by(publications: Iterable[PublicationRequest]) -> Iterator[ExposedPorts]:
    """Whoever publishes a port exposes it."""
    for each in publications:
        yield ExposedPorts(each.protocol, each.endpoint_ports)


def publish_all(
    exposed: Iterable[ExposedPorts], published: Iterable[PublicationRequest]
) -> Iterator[PublicationRequest]:
    """A host port of the switch's choice for each exposed port that is not published by hand."""
    taken = {(each.protocol, port) for each in published for port in each.endpoint_ports}
    for each in exposed:
        for port in each.ports:
            if (each.protocol, port) not in taken:
                taken.add((each.protocol, port))
                yield PublicationRequest(each.protocol, None, None, PortRange(port, port))
