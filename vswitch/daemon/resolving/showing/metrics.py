"""Names in numbers, for `daemon.metrics`: what became of queries, and how servers are doing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from vswitch.daemon.messages.dns import ServerRow

_SERVER = ("server", "asked_from")


class NamesCollector(Collector):
    """What was asked for, and of whom."""

    def __init__(self, outcomes: Mapping[str, int], servers: Sequence[ServerRow]) -> None:
        """`outcomes` are numbers of queries by what became of them."""
        self._outcomes = outcomes
        self._servers = servers

    def collect(self) -> Iterator[Metric]:
        """All families."""
        queries = CounterMetricFamily(
            "vswitch_dns_queries",
            "Queries for names, by what became of them.",
            labels=("outcome",),
        )
        for outcome, count in self._outcomes.items():
            queries.add_metric((outcome,), count)
        yield queries
        up = GaugeMetricFamily(
            "vswitch_dns_server_up", "Whether a server that was asked answers.", labels=_SERVER
        )
        takes = GaugeMetricFamily(
            "vswitch_dns_server_answer_seconds", "What an answer takes, smoothed.", labels=_SERVER
        )
        for each in self._servers:
            up.add_metric((each.server, each.asked_from), float(not each.is_down))
            if each.answers_in_seconds is not None:
                takes.add_metric((each.server, each.asked_from), each.answers_in_seconds)
        yield from (up, takes)
        for name, words in (
            ("queries", "Queries that were sent to a server."),
            ("failures", "Answers of a server that said that it can not say."),
            ("silences", "Queries that a server has not answered in time."),
        ):
            family = CounterMetricFamily(f"vswitch_dns_server_{name}", words, labels=_SERVER)
            for each in self._servers:
                family.add_metric((each.server, each.asked_from), getattr(each, name))
            yield family
