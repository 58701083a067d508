"""From what a client spells to what the inventory is asked for, with Docker's words for mistakes.

Theory of operation. A body of the API carries texts; here each becomes a value, or a NetworkError
that says in Docker's words which one is wrong. Whether an address or a port is free is for the
inventory to say.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from vswitch.daemon.kernel.netns import Namespace
from vswitch.daemon.messages.endpoints import EndpointBody, MembershipBody, TapBody, Wish
from vswitch.naming import Server
from vswitch.network import expose, linking, namewords, publish
from vswitch.network.errors import NetworkError
from vswitch.network.model import EndpointKind, EndpointRequest, MembershipRequest
from vswitch.network.names import is_name
from vswitch.wire.values import IpAddress, MacAddress


def of_endpoint(body: EndpointBody, namespace: Namespace) -> EndpointRequest:
    """What `body` asks for, in that namespace. Raises NetworkError.

    Without a name of its own an endpoint is called after its namespace, or after its process.
    """
    after = f"run-{namespace.pid}" if namespace.pid is not None else namespace.path.name
    return replace(
        _common(body, body.name or after),
        kind=body.kind,
        namespace=namespace.name,
    )


def of_tap(body: TapBody) -> EndpointRequest:
    """What `body` asks for. Raises NetworkError."""
    return replace(_common(body, body.name), kind=EndpointKind.VM, owner=body.owner)


def _common(wish: Wish, name: str) -> EndpointRequest:
    published = tuple(publish.parse(spec) for spec in wish.publish)
    exposed = dict.fromkeys(
        (*(expose.parse(spec) for spec in wish.expose), *expose.exposed_by(published))
    )
    if wish.publish_all:
        published += tuple(expose.publish_all(exposed, published))
    first = of_membership(wish)
    return EndpointRequest(
        name,
        first.network,
        address=first.address,
        mac=first.mac,
        aliases=first.aliases,
        gateway_priority=first.gateway_priority,
        also=tuple(of_membership(each) for each in wish.also),
        publish=published,
        exposed=tuple(exposed),
        links=tuple(linking.parse(spec) for spec in wish.links),
        role=wish.role,
        dns=tuple(_server(each) for each in wish.dns),
        dns_search=tuple(_domain(each, namewords.search) for each in wish.dns_search),
        dns_options=tuple(_option(each) for each in wish.dns_options),
        hostname=None if wish.hostname is None else _hostname(wish.hostname),
        domainname=None if wish.domainname is None else _domain(wish.domainname),
    )


def of_membership(body: MembershipBody) -> MembershipRequest:
    """What `body` asks for on one network. Raises NetworkError."""
    return MembershipRequest(
        body.network,
        None if body.address is None else _address(body.address),
        None if body.mac is None else _mac(body.mac),
        body.aliases,
        body.gateway_priority,
    )


def _address(text: str) -> IpAddress:
    try:
        address = IpAddress.parse(text)
    except ValueError:
        raise NetworkError(f"invalid IPv4 address: {text}") from None
    if address.version != 4:
        raise NetworkError(f"invalid IPv4 address: {text}")
    return address


def _mac(text: str) -> MacAddress:
    """One that a station may have: no group's, and not that of nobody."""
    try:
        mac = MacAddress.parse(text.strip())
    except ValueError:
        raise NetworkError(f"{text} is not a valid mac address") from None
    if mac.is_multicast or mac.is_zero:
        hint = "a station's own is neither a group's nor all zero"
        raise NetworkError(f"{text} is not a valid mac address", hint=hint)
    return mac


def _server(text: str) -> Server:
    try:
        return namewords.server(text)
    except ValueError:
        hint = "a name server is IP, IP:PORT or tls://IP#NAME"
        raise NetworkError(f"{text} is not an ip address", hint=hint) from None


def _domain(text: str, read: Callable[[str], str] = namewords.domain) -> str:
    try:
        return read(text)
    except ValueError:
        raise NetworkError(f"{text} is not a valid domain") from None


def _option(text: str) -> str:
    try:
        return namewords.option(text)
    except ValueError as error:
        raise NetworkError(str(error)) from None


def _hostname(text: str) -> str:
    """Docker's rule for a hostname, which is that of an endpoint's name here."""
    if not is_name(text):
        raise NetworkError(f"invalid hostname format: {text}")
    return text
