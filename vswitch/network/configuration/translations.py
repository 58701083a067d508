"""From the keys of a network to its `Translation`: profiles, and how low a timeout may be.

Theory of operation. A network's timeouts are those of a profile but for the ones that it names. The
RFCs say how low some of them may be, and what is lower breaks programs that rely on it, far from
where it was written. So it is refused, unless the profile is one that is lower itself: whoever asks
for Linux's or Open vSwitch's timeouts knows that they are not the RFCs'.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace

from vswitch.network import durations
from vswitch.network.configuration.mistakes import Mistake
from vswitch.network.configuration.schema import NetworkTable, TimeoutsTable
from vswitch.translation import MINIMUMS, PROFILES, Quotas, Timeouts, Translation
from vswitch.units import Nanoseconds

RFC_PROFILE = "rfc"
"""The one in which the minimums hold."""

_SAID_BY = {
    "udp_unanswered": "RFC 4787, REQ-5",
    "udp": "RFC 4787, REQ-5",
    "udp_mapping": "RFC 4787, REQ-5",
    "icmp": "RFC 5508, REQ-2",
    "tcp_opening": "RFC 7857, 2.2",
    "tcp_established": "RFC 5382, REQ-5",
    "tcp_half_closed": "RFC 5382, REQ-5",
    "tcp_closing": "RFC 7857, 2.2",
    "tcp_reset": "RFC 7857, 2.3",
}
"""Where each of the minimums stands."""


def translation(table: NetworkTable) -> Translation:
    """What the keys of a network say."""
    quotas = table.quotas
    return Translation(
        filtering=table.filtering,
        refresh=table.refresh,
        timeouts=_timeouts(table.timeouts),
        quotas=Quotas(quotas.mappings, quotas.connections, quotas.connections_per_second),
        window_tracking=table.window_tracking,
        keeps_parity=table.port_parity,
        external=table.external,
        untranslated=tuple(table.untranslated),
        resets=table.resets,
    )


def too_low(name: str, table: NetworkTable) -> Iterator[Mistake]:
    """Every timeout of the network called `name` that no RFC allows."""
    if table.timeouts.profile != RFC_PROFILE:
        return
    lower = " or ".join(f'"{profile}"' for profile in PROFILES if profile != RFC_PROFILE)
    for key, value in _named(table.timeouts).items():
        least = MINIMUMS.get(key)
        if least is not None and value < least:
            words = f"allowed is {durations.text(least)} or more ({_SAID_BY[key]}), "
            words += f"or less with profile = {lower}"
            yield Mistake(("networks", name, "timeouts", key), words)


def _timeouts(table: TimeoutsTable) -> Timeouts:
    return replace(PROFILES[table.profile], **_named(table))


def _named(table: TimeoutsTable) -> dict[str, Nanoseconds]:
    """The timeouts that the table does not leave to the profile."""
    values = {field.name: getattr(table, field.name) for field in fields(Timeouts)}
    return {key: value for key, value in values.items() if value is not None}
