"""Which names those may ask for who are no endpoint: a whole network's, or those of all networks.

Theory of operation. Whoever is on a network by other means than the switch's own (a station behind
a virtual machine's TAP, say) may ask for who is known to all there: on the default network nobody,
as between endpoints, unless the user has it otherwise. The host stands outside of all networks, and
Docker's rule about the default one is about endpoints, so it may ask for everybody. It asks in the
order of the networks, as an endpoint that was on all of them: a name alone is that of the first
network that has it, and the name and its network, as in `web.front`, are never in doubt. An address
of a network that nobody there has is nobody's, as for an endpoint.

What speaks DNS is loaded when somebody asks. What an endpoint may ask for is `to_endpoints`'.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from vswitch.known.directory import Directory, State
from vswitch.known.to_endpoints import surroundings
from vswitch.naming import NameSettings
from vswitch.network.errors import NetworkError

if TYPE_CHECKING:
    from vswitch.dataplane.responders.dns.inside.names import Names

Look: TypeAlias = "Callable[[NameSettings], Names]"


class Overview:
    """The names on some networks: the same object for as long as that is so."""

    def __init__(self, directory: Directory, look: Look) -> None:
        self._directory = directory
        self._look = look
        self._as_of: State | None = None
        self._names: Names

    @classmethod
    def of_network(cls, directory: Directory, name: str) -> Overview:
        """What is known to all on the network called `name`."""
        return cls(directory, lambda settings: _on(directory, name, settings))

    @classmethod
    def of_all(cls, directory: Directory) -> Overview:
        """What the host may ask for."""
        return cls(directory, lambda settings: _on_all(directory, settings))

    def __call__(self) -> Names:
        """As of now."""
        state = self._directory.state()
        if self._as_of != state:
            self._names = self._look(state[1])
            self._as_of = state
        return self._names


def _on(directory: Directory, name: str, settings: NameSettings) -> Names:
    """No endpoints where the network has gone."""
    from vswitch.dataplane.responders.dns.inside.names import Names

    try:
        network = directory.inventory.network(name)
    except NetworkError:
        return Names((), settings)
    is_known = not network.predefined or settings.default_network
    known = (directory.on(network.name),) if is_known else ()
    return Names(known, settings, surroundings(network, directory.inventory))


def _on_all(directory: Directory, settings: NameSettings) -> Names:
    from vswitch.dataplane.responders.dns.inside.names import Names, Surroundings

    networks = directory.inventory.networks
    around = Surroundings(tuple(each.subnet for each in networks))
    return Names((directory.on(each.name) for each in networks), settings, around)
