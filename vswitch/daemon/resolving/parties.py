"""Who asks: the parties of one switch."""

from __future__ import annotations

from collections.abc import Callable

from vswitch.daemon.kernel.netns import Namespace
from vswitch.daemon.resolving.directory import Directory
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
        settings: Callable[[], NameSettings],
        *,
        keeps_single_labels: bool,
    ) -> None:
        """See `Directory` and `View`."""
        self._inventory = inventory
        self._directory = Directory(inventory, settings)
        self._routes = routes
        self._keeps_single_labels = keeps_single_labels

    def of(self, name: str, namespace: Namespace) -> Party:
        """The endpoint called `name`, which lives in `namespace`."""
        endpoint = self._inventory.endpoint(name)
        return Party(
            name,
            View(self._directory, name, keeps_single_labels=self._keeps_single_labels),
            self._routes.of(namespace, endpoint.dns),
            endpoint.network,
        )
