"""Who asks: the parties of one switch."""

from __future__ import annotations

from collections.abc import Callable

from vswitch.daemon.kernel.netns import Namespace
from vswitch.daemon.resolving.directory import Directory
from vswitch.daemon.resolving.resolvconffiles import ResolvConfFiles
from vswitch.daemon.resolving.routes import Routes
from vswitch.daemon.resolving.views import View
from vswitch.dataplane.responders.dns.party import Party
from vswitch.naming import NameSettings
from vswitch.network.inventory import Inventory


class Parties:
    """Makes them of what the inventory knows."""

    def __init__(
        self,
        inventory: Inventory,
        routes: Routes,
        resolv_confs: ResolvConfFiles,
        settings: Callable[[], NameSettings],
    ) -> None:
        """`settings` are those of the moment."""
        self._inventory = inventory
        self._directory = Directory(inventory, settings)
        self._routes = routes
        self._resolv_confs = resolv_confs

    def of(self, name: str, namespace: Namespace) -> Party:
        """The endpoint called `name`, which lives in `namespace`."""
        endpoint = self._inventory.endpoint(name)
        return Party(
            name,
            View(self._directory, name),
            self._routes.of_endpoint(name, namespace),
            endpoint.network,
            lambda: self._resolv_confs.sets_ndots(name),
        )
