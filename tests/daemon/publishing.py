"""A daemon's control socket behind which endpoints publish ports, with no kernel under them."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from tests.daemon.test_api import Answer, Served
from vswitch import assembly
from vswitch.daemon.daemon import Daemon
from vswitch.daemon.messages.events import EventsQuery, EventType
from vswitch.dataplane.switch import Switch
from vswitch.network.model import EndpointRequest

UPLINK = """
[uplink]
interface = "up0"
address = "198.51.100.2/24"
"""


class PublishingLab:
    """One switch with an uplink and the endpoints `web` and `db` on the network `front`."""

    def __init__(self, directory: Path) -> None:
        self.served = Served(directory, UPLINK)
        assert self.served.daemon is not None
        self.daemon: Daemon = self.served.daemon
        self._undo = ExitStack()

    def __enter__(self) -> PublishingLab:
        daemon = self.daemon
        uplink = daemon.configuration.uplinks[0]
        mac = daemon.inventory.allocate_mac("uplink")
        daemon._outside[uplink.name] = assembly.add_outside(daemon.switch, uplink, mac, 1500).number
        for network in daemon.inventory.networks:
            daemon.networks.begin(network)
        for name in ("web", "db"):
            endpoint = daemon.inventory.add_endpoint(EndpointRequest(name, "front"))
            number = daemon.networks.number(daemon.endpoints.network_of(endpoint))
            self._undo.enter_context(daemon._uplinks.exposure.reserve(endpoint, number))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._undo.close()
        self.served.close()

    @property
    def switch(self) -> Switch:
        return self.daemon.switch

    def ask(self, method: str, path: str, body: object = b"") -> Answer:
        return self.served.ask(method, f"/v1/{path}", body)

    def events(self) -> list[tuple[str, ...]]:
        """What was told of publications: what became of them, of which, whose, and why."""
        wish = EventsQuery(type=(EventType.PUBLICATION,), since_seconds=3600)
        reader = self.daemon.events.begin(wish)
        self.daemon.events.close(reader)
        return [
            (
                row.event.value,
                row.name,
                row.attributes["endpoint"],
                row.attributes.get("reason", ""),
            )
            for row in reader.take()
        ]

    def stop_exposing(self) -> None:
        """What the end of an attachment does."""
        self._undo.close()

    def publish(self, endpoint: str, *specs: str) -> Answer:
        return self.ask("POST", f"endpoints/{endpoint}/publications", {"publish": specs})

    def published(self) -> list[str]:
        """What the list says, which is what inventory and dataplane have."""
        rows = self.ask("GET", "publications").body
        held = [str(each) for one in self.daemon.inventory.endpoints for each in one.publications]
        listed = [row["published"] for row in rows]
        assert listed == held
        assert len(self.switch.tables.publications) == len(held)
        return listed
