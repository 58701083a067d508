"""The responder of one switch: all that has to do with names, made and joined together.

Theory of operation. Who asks (`parties`) and whom we ask for them (`routes`) is known once, and so
is who answers (`resolver`), whichever of the three doors a query comes in by: 127.0.0.11 in a
namespace, where endpoints are attached to; port 53 of a gateway (`gateways`); one place for the
host itself (`host_names`). Beside these, each endpoint is told by a file where to ask
(`resolv_confs`), and a user how it goes (`shown`).

What the user wants of names, and what the host's resolv.conf says, are followed here, by all of
these at once. Nothing is decided about a query.
"""

from __future__ import annotations

from collections.abc import Callable

from vswitch.daemon.kernel import netns
from vswitch.daemon.kernel.journal import Journal
from vswitch.daemon.resolving.asking.routes import Routes
from vswitch.daemon.resolving.files.hostfile import HostFile
from vswitch.daemon.resolving.files.resolvconf import ResolvConf
from vswitch.daemon.resolving.files.resolvconffiles import ResolvConfFiles
from vswitch.daemon.resolving.limits import Limits
from vswitch.daemon.resolving.listening.gateways import Gateways
from vswitch.daemon.resolving.listening.hostnames import HostNames
from vswitch.daemon.resolving.listening.listeners import Resolver
from vswitch.daemon.resolving.parties import Parties
from vswitch.daemon.resolving.showing.shown import Shown
from vswitch.daemon.runtime import Runtime
from vswitch.dataplane.switch import Switch
from vswitch.naming import NameSettings
from vswitch.network.inventory import Inventory
from vswitch.network.model import Network


class Responder:
    """What there is one of for names. Belongs to the running event loop."""

    def __init__(
        self,
        switch: Switch,
        runtime: Runtime,
        inventory: Inventory,
        journal: Journal,
        number: Callable[[Network], int],
        settings: NameSettings,
    ) -> None:
        """Gateways answer from now on. `number` is what the dataplane knows a network by."""
        self._host_file = HostFile(netns.RESOLV_CONF)
        host = self._host_file.conf
        self.resolver = Resolver(runtime.now, settings, is_ours=switch.tables.is_inside)
        self.routes = Routes(inventory, settings, host.servers)
        self.resolv_confs = ResolvConfFiles(inventory, journal, host)
        self.parties = Parties(
            *(inventory, self.routes, self.resolv_confs),
            lambda: self.resolver.settings,
            Limits(inventory, switch.tables, number).on,
        )
        self.gateways = Gateways(switch, runtime, self.resolver, self.parties)
        self.host_names = HostNames(self.resolver, self.parties, inventory)
        self.shown = Shown(self.resolver, runtime.now)

    async def begin(self) -> None:
        """Answer the host, where the user wants that, write queries down, where he wants that, and
        follow the host's file. Raises ResolverError."""
        self._host_file.watch(self._follow_host)
        await self.host_names.follow(self.resolver.settings.listen)
        self.shown.follow(self.resolver.settings)

    async def follow(self, settings: NameSettings) -> None:
        """Do what the user wants from now on. Raises ResolverError, and then all is as it was."""
        await self.host_names.follow(settings.listen)
        self.resolver.follow(settings)
        self.routes.follow(settings)
        self.resolver.forget_servers()
        self.shown.follow(settings)

    async def close(self) -> None:
        """Answer nobody any more, and ask nobody."""
        self._host_file.close()
        await self.gateways.close()
        await self.host_names.close()
        await self.resolver.close()
        await self.shown.close()

    def _follow_host(self, conf: ResolvConf) -> None:
        self.routes.follow_host(conf.servers)
        self.resolver.forget_servers()
        self.resolv_confs.follow_host(conf)
