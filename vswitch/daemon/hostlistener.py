"""Published ports as seen from the host itself, whose frames to itself no uplink ever sees.

Theory of operation. Where the host has a port on an endpoint's network, each of the endpoint's
published ports is also a socket of the host's, at every address of the host or at the one that it
is published on. It hears the host alone (`guard.socketfilter`): its programs come in by 127.0.0.1,
by the address of its LAN, by any that it has. Frames from outside find the port taken and are not
answered, so the switch, which sees them at its uplink, lets them in with the client's own address,
and the kernel stays silent meanwhile. So such a socket is a hold, too, and there is no other one.

A client is led to the endpoint by a second socket, over the host's port on that network, so the
endpoint sees the gateway's address (`relays`). The terms are asked, with the host's address.

An address need not be the host's: an uplink's own is not, and a learnt one may not be yet. Nothing
comes by `lo` for it then, and the socket is idle.

A port that a program of the host has, on any address that is asked for, can not be published, and
neither can a run that it is part of (`PortTakenError`). A NAPT that is guarded by single holds
(`guard.ways`) has its ports at the host's address in the same sense.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from vswitch import assembly
from vswitch.daemon.exposure import PortTakenError
from vswitch.daemon.guard import holds
from vswitch.daemon.guard.holds import Held, HoldError, TooManyHolds
from vswitch.daemon.guard.socketfilter import Hears
from vswitch.daemon.relays import tcp
from vswitch.daemon.relays.entrance import Entrance
from vswitch.daemon.relays.tcp import TcpRelay
from vswitch.daemon.relays.udp import UdpRelay
from vswitch.daemon.runtime import Runtime
from vswitch.dataplane.publications import Publication
from vswitch.dataplane.switch import Switch
from vswitch.network.model import Endpoint
from vswitch.network.publish import EVERY_ADDRESS
from vswitch.wire.values import Protocol


class HostListeners:
    """The host's side of what the endpoints of one switch publish."""

    def __init__(self, switch: Switch, runtime: Runtime) -> None:
        self._switch = switch
        self._runtime = runtime
        self._open: dict[str, dict[Publication, ExitStack]] = {}
        """By the name of the endpoint: the stack, when it is closed, ends all of a publication."""

    @contextmanager
    def listening(self, endpoint: Endpoint, network: int) -> Iterator[None]:
        """Listen for as long as this lasts for what an endpoint publishes.

        Its network is known by number. Raises PortTakenError.
        """
        self.begin(endpoint, network)
        try:
            yield
        finally:
            self.end(endpoint.name)

    def begin(self, endpoint: Endpoint, network: int) -> None:
        """Listen from now on for what an endpoint publishes, and for nothing else of it.

        Raises PortTakenError, and then everything is as it was.
        """
        before = self._open.get(endpoint.name, {})
        wanted = assembly.publications(endpoint, network)
        with ExitStack() as undo:
            fresh = {
                each: undo.enter_context(self._listening_for(each))
                for each in wanted
                if each not in before
            }
            undo.pop_all()
        for published in before.keys() - set(wanted):
            before[published].close()
        kept = {each: before[each] for each in wanted if each in before}
        self._open[endpoint.name] = kept | fresh

    def end(self, name: str) -> None:
        """Listen no longer for what the endpoint called `name` publishes, if anybody does."""
        for closing in self._open.pop(name, {}).values():
            closing.close()

    def follow(self, endpoint: Endpoint, network: int) -> None:
        """Listen for what an endpoint publishes now, where it is listened for at all.

        Raises PortTakenError, and then everything is as it was.
        """
        if endpoint.name in self._open:
            self.begin(endpoint, network)

    def _listening_for(self, published: Publication) -> ExitStack:
        """Raises PortTakenError."""
        entrance = Entrance(self._switch, self._runtime, published)
        try:
            holds.allow_descriptors(len(published.host_ports))
            with suppress(TooManyHolds):  # who finds no descriptor then, waits
                holds.allow_descriptors(len(published.host_ports) + 2 * tcp.MOST_CLIENTS)
            with ExitStack() as undo:
                for port in published.host_ports:
                    undo.callback(_relay(published, port, entrance).close)
                return undo.pop_all()
        except (HoldError, TooManyHolds) as error:
            raise PortTakenError(str(error)) from error


def _relay(published: Publication, port: int, entrance: Entrance) -> TcpRelay | UdpRelay:
    """Raises HoldError."""
    protocol = Protocol(published.protocol)
    where = Held(protocol, published.host_address or EVERY_ADDRESS, port)
    to = str(published.endpoint), published.endpoint_port(port)
    listening = holds.taken(where, Hears.HOST)
    listening.setblocking(False)
    relay = TcpRelay if protocol is Protocol.TCP else UdpRelay
    return relay(listening, to, entrance)
