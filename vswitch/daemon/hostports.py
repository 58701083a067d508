"""Host ports made real: a TAP that puts the host itself into a network.

Theory of operation. The TAP stays in the namespace that the switch runs in. There it is an
interface with the gateway's address and prefix, so the kernel routes the network's subnet to it,
sends from that address, and has its own services listen on it. What the host says by it, and what
is said to it, is decided about like everything else (`dataplane.router`); the host finds every
endpoint behind the gateway's station, and its own station is known to the switch alone.

The kernel is asked in the loop's own thread, and takes some 10 ms to make an interface and 30 to
delete it: networks come and go seldom, and frames of known flows pass meanwhile.

Nothing of this outlives the switch: a TAP that is not persistent goes with the descriptor, however
the process ends, and takes its address and route along. So there is nothing for the journal.

Read first: tuntap.rst in the kernel's documentation; ARCHITECTURE.md, "Words".
"""

from __future__ import annotations

import logging
from contextlib import ExitStack
from dataclasses import dataclass

from vswitch.daemon.kernel import links
from vswitch.daemon.kernel.links import LinkError
from vswitch.daemon.runtime import Runtime
from vswitch.dataplane.switch import Switch
from vswitch.dataplane.topology import Port
from vswitch.devices.base import OpenError
from vswitch.devices.tap import TapDevice
from vswitch.network.inventory import Inventory
from vswitch.network.model import Network
from vswitch.network.names import host_interface
from vswitch.wire.values import IpInterface

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Live:
    """A host port that is up. `undo` takes it down again."""

    port: Port
    undo: ExitStack


class HostPorts:
    """Where the host is on the networks of one switch."""

    def __init__(self, switch: Switch, runtime: Runtime, inventory: Inventory) -> None:
        self._switch = switch
        self._runtime = runtime
        self._inventory = inventory
        self._live: dict[str, _Live] = {}

    def add(self, network: Network, number: int) -> None:
        """Put the host into `network`, which the dataplane knows by `number`.

        Raises LinkError, and then nothing is left of it.
        """
        name = host_interface(network.name)
        try:
            with ExitStack() as undo:
                port = self._make(name, network, number, undo)
                self._live[network.name] = _Live(port, undo.pop_all())
        except (OpenError, LinkError, OSError) as error:
            raise LinkError(f"network {network.name}: host port {name}: {error}") from error
        where = IpInterface(network.gateway, network.subnet)
        log.info("network %s: the host is on it with %s at %s", network.name, where, name)

    def remove(self, network: Network) -> None:
        """Take the host out of a network; where it is not there, nothing is done."""
        live = self._live.pop(network.name, None)
        if live is not None:
            live.undo.close()
            self._runtime.rearm()

    def gone(self, port: Port) -> None:
        """Give `port` up, whose device has vanished."""
        for name, live in list(self._live.items()):
            if live.port.number == port.number:
                words = "the host is not on it until the switch is restarted"
                log.error("network %s: %s: %s is gone", name, words, port.name)
                self.remove(self._inventory.network(name))

    def close(self) -> None:
        """Take the host out of all networks."""
        for name in list(self._live):
            self.remove(self._inventory.network(name))

    def _make(self, name: str, network: Network, number: int, undo: ExitStack) -> Port:
        if links.find(name) is not None:
            raise LinkError("there is an interface of that name")
        tap = TapDevice.open(name)
        undo.callback(tap.close)
        mac, now = self._inventory.allocate_mac(f"host on {network.name}"), self._runtime.now
        address = IpInterface(network.gateway, network.subnet)
        links.equip_host(links.EndpointLink(name, mac, address, None, network.mtu))
        port = self._switch.add_host_port(name, number, tap, mac)
        forget = self._switch.changes.forget_address
        undo.callback(lambda: forget(number, network.gateway, now()))
        undo.callback(self._switch.remove_port, port.number)
        self._runtime.watch(port)
        undo.callback(self._runtime.forget, port)
        return port
