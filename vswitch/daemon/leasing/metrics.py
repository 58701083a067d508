"""Leases in numbers, as Prometheus collects them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from vswitch.daemon.messages.leases import PoolRow

_NETWORK = ("network",)


class LeasesCollector(Collector):
    """What networks lease at one moment."""

    def __init__(self, pools: Iterable[PoolRow]) -> None:
        self._pools = tuple(pools)

    def collect(self) -> Iterator[Metric]:
        """All families."""
        leased = GaugeMetricFamily("vswitch_leases", "Addresses that are leased.", labels=_NETWORK)
        addresses = GaugeMetricFamily(
            "vswitch_lease_pool_addresses", "Addresses there are to lease.", labels=_NETWORK
        )
        exhausted = CounterMetricFamily(
            "vswitch_leases_exhausted",
            "Times, once a second at most, that no address was left for a station.",
            labels=_NETWORK,
        )
        for pool in self._pools:
            leased.add_metric((pool.network,), pool.leased)
            addresses.add_metric((pool.network,), pool.addresses)
            exhausted.add_metric((pool.network,), pool.exhausted)
        yield from (leased, addresses, exhausted)
