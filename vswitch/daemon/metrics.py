"""The switch in numbers, as Prometheus collects them.

Theory of operation. Nothing is counted for this: what the tables and the fast path have counted
anyway is put into families when somebody asks, so a switch that nobody scrapes pays nothing. The
names follow the conventions (base units, `_total` for what only grows); labels are names that a
user has given, reasons, devices and the few servers that are asked for names, never addresses or
flows, of which there is no end.

Read first: prometheus.io, "Metric and label naming" and "Exposition formats".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from vswitch.daemon.messages import PortRow, StatusRow

CONTENT_TYPE = CONTENT_TYPE_LATEST

_PORT = ("port", "network", "device")


def exposition(
    status: StatusRow, ports: Iterable[PortRow], unresolved: int, *topics: Collector
) -> bytes:
    """The text of all metrics; `unresolved` are queries that no server has answered. Each of the
    `topics` has families of its own."""
    registry = CollectorRegistry(auto_describe=False)
    for each in (_Switch(status, tuple(ports), unresolved), *topics):
        registry.register(each)
    return generate_latest(registry)


class _Switch(Collector):
    """What one switch is at one moment."""

    def __init__(self, status: StatusRow, ports: tuple[PortRow, ...], unresolved: int) -> None:
        self._status = status
        self._ports = ports
        self._unresolved = unresolved

    def collect(self) -> Iterator[Metric]:
        """All families."""
        status = self._status
        yield InfoMetricFamily(
            "vswitch",
            "The switch and the fast path that it runs.",
            {"name": status.name, "version": status.version, "fastpath": status.fastpath},
        )
        for name, words, value in (
            ("networks", "Networks.", len(status.networks)),
            ("endpoints", "Endpoints that are attached.", len(status.endpoints)),
            ("connections", "Connections that are tracked.", status.connections),
            ("connections_limit", "Connections there is room for.", status.connections_at_most),
            ("mappings", "External ports that stand for inside ones.", status.mappings),
            ("held_syns", "SYNs from outside that wait to be refused.", status.held_syns),
            ("incomplete_datagrams", "Datagrams with missing parts.", status.incomplete_datagrams),
            ("captures", "Captures that are being read.", status.captures),
        ):  # fmt: skip
            yield GaugeMetricFamily(f"vswitch_{name}", words, value)
        yield CounterMetricFamily(
            "vswitch_errors_withheld",
            "ICMP errors that were not sent because there were too many.",
            status.errors_withheld,
        )
        yield CounterMetricFamily(
            "vswitch_dns_unresolved", "Queries that no server has answered.", self._unresolved
        )
        drops = CounterMetricFamily(
            "vswitch_drops", "Frames that were dropped, by reason.", labels=("reason",)
        )
        for reason, count in sorted(status.drops.items()):
            drops.add_metric((reason,), count)
        yield drops
        yield from self._of_ports()

    def _of_ports(self) -> Iterator[Metric]:
        for name, words in (
            ("received_frames", "Frames that came in; a super-frame is one."),
            ("received_bytes", "Bytes of Ethernet that came in."),
            ("sent_frames", "Frames that left."),
            ("sent_bytes", "Bytes of Ethernet that left."),
            ("wrong_checksums", "Frames that came in with a wrong TCP or UDP checksum."),
        ):
            family = CounterMetricFamily(f"vswitch_port_{name}", words, labels=_PORT)
            for port in self._ports:
                family.add_metric((port.name, port.network, port.device), getattr(port, name))
            yield family
        for name, words in (
            ("lost", "Frames that a port's device did not take, by its answer."),
            ("drops", "Frames that came in by a port and were dropped, by reason."),
        ):
            family = CounterMetricFamily(f"vswitch_port_{name}", words, labels=(*_PORT, "reason"))
            for port in self._ports:
                for reason, count in sorted(getattr(port, name).items()):
                    family.add_metric((port.name, port.network, port.device, reason), count)
            yield family
