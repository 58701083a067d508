"""From the keys of a configuration to what they say about who may talk to whom.

Theory of operation. A network's keys become its `NetworkPolicy`, the tables `[[filters]]` become
`Filter`s in the order of the file. What the keys of one table must agree on is said here: a gateway
that is not there serves an internal network alone, ports are those of a protocol that has some, and
a filter names networks and uplinks that exist.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence

from vswitch.network import names
from vswitch.network.configuration.mistakes import Mistake
from vswitch.network.configuration.schema import FilterTable, NetworkTable
from vswitch.policy import Filter, GatewayMode, NetworkPolicy
from vswitch.wire.values import Protocol

ISOLATED_NEEDS_INTERNAL = "gateway mode 'isolated' can only be used for an internal network"
"""Docker's words."""

_WITH_PORTS = {Protocol.TCP, Protocol.UDP, Protocol.UDP_LITE, Protocol.SCTP, Protocol.DCCP}


def policy(table: NetworkTable) -> NetworkPolicy:
    """What the keys of a network say."""
    return NetworkPolicy(
        internal=table.internal,
        icc=table.icc,
        gateway_mode=table.gateway_mode,
        isolated_ports=table.isolated_ports,
        spoof_guard=table.spoof_guard,
    )


def read(table: FilterTable) -> Filter:
    """What the keys of a filter say."""
    return Filter(
        table.action,
        source=tuple(table.source),
        destination=tuple(table.destination),
        protocol=table.protocol,
        source_ports=tuple(table.source_ports),
        ports=tuple(table.ports),
        arrives=table.in_network,
        leaves=table.out_network,
    )


def merged(
    present: Sequence[Filter], before: Sequence[Filter], after: Sequence[Filter]
) -> tuple[Filter, ...]:
    """The rules that are asked when those of a configuration become others: `before` to `after`.

    What is `present` beyond `before` was added at run time, and stays in front of the rule that it
    stands in front of, or of the next one that is left. What is not present of `before` was removed
    at run time, and does not come back.
    """
    configured, removed = Counter(before), Counter(before) - Counter(present)
    ahead: dict[int, list[Filter]] = {}
    wanted = []
    for rule in after:
        if removed[rule]:
            removed[rule] -= 1
        else:
            wanted.append(rule)
    waiting: list[Filter] = []
    places = {rule: place for place, rule in reversed(list(enumerate(wanted)))}
    for rule in present:
        if not configured[rule]:
            waiting.append(rule)
            continue
        configured[rule] -= 1
        if rule in places:
            ahead.setdefault(places[rule], []).extend(waiting)
            waiting = []
    ordered = [each for place, rule in enumerate(wanted) for each in (*ahead.get(place, ()), rule)]
    return (*ordered, *waiting)


def contradictions(name: str, table: NetworkTable) -> Iterator[Mistake]:
    """What the policy keys of the network called `name` do not agree on."""
    if table.gateway_mode is GatewayMode.ISOLATED and not table.internal:
        yield Mistake(("networks", name, "gateway_mode"), ISOLATED_NEEDS_INTERNAL)


def unclear(
    table: FilterTable, inside: Collection[str], outside: Collection[str]
) -> Iterator[Mistake]:
    """What a filter says that means nothing; `inside` and `outside` are the names of networks and
    uplinks."""
    for key in ("source_ports", "ports"):
        if getattr(table, key) and table.protocol not in _WITH_PORTS:
            yield Mistake((key,), 'allowed with a protocol that has ports, like "tcp"')
    for key in ("in_network", "out_network"):
        name = getattr(table, key)
        if name is None or (name in inside) != (name in outside):
            continue
        if name in inside:
            words = "allowed is a name that is not both a network's and an uplink's"
            yield Mistake((key,), words)
        else:
            known = [*inside, *outside]
            there_is = f"allowed is {' or '.join(sorted(known))}"
            words = names.did_you_mean(name, known) or there_is
            yield Mistake((key,), f"network {name} not found: {words}")
