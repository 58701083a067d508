"""What a DHCP server tells a client beside its address: the options of its answers.

Theory of operation. What a network's terms come to is put into octets once (`Parameters`). An
answer begins with what every answer needs: whose it is, and for how long; then come the subnet's
mask, and what the client asks for in the client's own order, so that what does not fit is what it
wants least (RFC 2131, 4.3.1; RFC 2132, 3.3, has the mask before the routers). A client that asks
for nothing in particular gets what an ordinary host needs.

Classless routes are told to who asks for them alone, with the default route among them, because who
takes these takes no other (RFC 3442). A client's identifier is always repeated (RFC 6842).
"""

from __future__ import annotations

from itertools import chain

from vswitch.dataplane.dhcp.server.book import Terms
from vswitch.dataplane.topology import Interface
from vswitch.leasing import Leasing
from vswitch.units import Nanoseconds
from vswitch.wire import dhcp_service
from vswitch.wire.dhcp import Option
from vswitch.wire.dhcp_service import FILE_LENGTH, NAME_LENGTH, NOWHERE, Boot, Request
from vswitch.wire.values import IpAddress, IpNetwork

ORDINARY = bytes(
    (
        Option.ROUTERS,
        Option.NAME_SERVERS,
        Option.HOST_NAME,
        Option.DOMAIN_NAME,
        Option.INTERFACE_MTU,
        Option.BROADCAST_ADDRESS,
    )
)
"""What is told to who asks for nothing in particular."""

_EVERYWHERE = IpNetwork.parse("0.0.0.0/0")


class Parameters:
    """The options of one network."""

    def __init__(self, terms: Terms, interface: Interface, mtu: int) -> None:
        """Raises ValueError where a domain of the search list is none."""
        self._server = interface.address.address
        self._mask = _mask(interface.address.network)
        self._told = _told(terms, interface, mtu)
        self.boot = _boot(terms.leasing)

    def of_lease(
        self, request: Request, time: Nanoseconds, hostname: str | None
    ) -> dict[Option, bytes]:
        """Of an OFFER or ACK for so long a time, to who is called that, if anything."""
        times = {
            Option.LEASE_TIME: time,
            Option.RENEWAL_TIME: time // 2,
            Option.REBINDING_TIME: time * 7 // 8,
        }
        encoded = {option: dhcp_service.seconds(each) for option, each in times.items()}
        return self._whose(request) | encoded | self._wanted(request, hostname)

    def of_host(self, request: Request, hostname: str | None) -> dict[Option, bytes]:
        """Of the ACK to who has its address already (RFC 2131, 4.3.5: without a time)."""
        return self._whose(request) | self._wanted(request, hostname)

    def of_refusal(self, request: Request, why: str) -> dict[Option, bytes]:
        """Of a NAK (RFC 2131, table 3)."""
        return self._whose(request) | {Option.MESSAGE: why.encode("ascii", "replace")}

    def _whose(self, request: Request) -> dict[Option, bytes]:
        whose: dict[Option, bytes] = {Option.SERVER_IDENTIFIER: self._server}
        if request.identifier:
            whose[Option.CLIENT_IDENTIFIER] = request.identifier
        return whose

    def _wanted(self, request: Request, hostname: str | None) -> dict[Option, bytes]:
        told = self._told
        if hostname is not None:
            told = told | {Option.HOST_NAME: hostname.encode("ascii", "replace")}
        asked_for = ORDINARY if request.parameters is None else request.parameters
        wanted = {Option.SUBNET_MASK: self._mask}
        for code in asked_for:
            if code in told:
                option = Option(code)
                wanted[option] = told[option]
        return wanted


def _told(terms: Terms, interface: Interface, mtu: int) -> dict[Option, bytes]:
    leasing, subnet = terms.leasing, interface.address.network
    told = {
        Option.ROUTERS: terms.router or b"",
        Option.NAME_SERVERS: b"".join(terms.name_servers),
        Option.DOMAIN_NAME: terms.domain.encode("ascii", "replace"),
        Option.INTERFACE_MTU: mtu.to_bytes(2, "big"),
        Option.BROADCAST_ADDRESS: subnet.broadcast or b"",
        Option.TIME_SERVERS: b"".join(leasing.ntp),
        Option.DOMAIN_SEARCH: dhcp_service.search_list(leasing.search) if leasing.search else b"",
        Option.CLASSLESS_ROUTES: _routes(leasing, terms.router),
    }
    if leasing.boot is not None:
        told[Option.BOOT_SERVER] = leasing.boot.server.encode("ascii", "replace")
        told[Option.BOOT_FILE] = leasing.boot.file.encode("ascii", "replace")
    return {option: octets for option, octets in told.items() if octets}


def _routes(leasing: Leasing, router: IpAddress | None) -> bytes:
    if not leasing.routes:
        return b""
    default = () if router is None else ((_EVERYWHERE, router),)
    return dhcp_service.classless_routes(chain(leasing.routes, default))


def _mask(subnet: IpNetwork) -> bytes:
    return (0xFFFFFFFF << (32 - subnet.prefix_length) & 0xFFFFFFFF).to_bytes(4, "big")


def _boot(leasing: Leasing) -> Boot:
    """What the header says of it, beside the options: many a boot ROM reads nothing else."""
    if leasing.boot is None:
        return NOWHERE
    name, file = (each.encode("ascii", "replace") for each in leasing.boot)
    try:
        address = IpAddress.parse(leasing.boot.server)
    except ValueError:
        address = NOWHERE.server
    return Boot(
        address if address.version == 4 else NOWHERE.server,
        name if len(name) < NAME_LENGTH else b"",
        file if len(file) < FILE_LENGTH else b"",
    )
