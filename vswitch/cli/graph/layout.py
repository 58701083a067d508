"""Where everything is in the drawing of a topology: pure geometry, in pixels.

Theory of operation. The drawing is read from left to right, as a frame comes in: uplinks, then
networks below each other, in each of them its endpoints. A network is a *lane*, the line that all
its endpoints hang on, as broadcast domains have been drawn since there was a cable; it begins at
the *gateway*, a door in the panel's left side, where the wire from its uplink arrives. Where the
endpoints need several rows, each has a lane, and a trunk joins them.

All cards of endpoints have one width, so that they stand in columns over all networks. Uplinks
stand as near to the middle of their networks as their neighbours allow, in that order, so that few
wires cross. Text is measured by rule of thumb, with room to spare, and cut where it would be wider
than the widest card: who draws knows no fonts.

The same topology makes the same drawing. What it looks like is for `svg` to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil, sqrt
from typing import NamedTuple

from vswitch.daemon.messages import UplinkRow
from vswitch.daemon.messages.topology import EndpointNode, NetworkNode, TopologyRow

MARGIN = 40.0
HEAD = 128.0
"""From the top to the first panel: the title, and what stands below it."""

UPLINK_LEAST = 190.0
BETWEEN_COLUMNS = 120.0
"""Room for the wires from uplinks to networks."""

BETWEEN_UPLINKS = 24.0
BETWEEN_PANELS = 28.0
BETWEEN_CARDS = 16.0
BETWEEN_ROWS = 24.0

PANEL_PADDING = 28.0
PANEL_HEAD = 74.0
"""From a panel's top to its first lane: its name, and the gateway's address."""

LANE_DROP = 20.0
"""From a lane to the cards that hang on it."""

CARD_LEAST, CARD_MOST = 156.0, 300.0
CARD_PADDING = 14.0
CARD_BASE = 56.0
"""Height of an endpoint without published ports."""

PILL_HEIGHT, PILL_STEP = 20.0, 24.0
PILLS_AT_MOST = 4
"""Of one endpoint; with more of them, the last says how many more there are."""

LINE = 18.0
"""Height of a line of text on an uplink's card."""

PANEL_USUAL = 1000.0
"""Width that a panel may have: one row of cards, if they fit into it."""

FEWEST_COLUMNS, MOST_COLUMNS = 2, 12

BOLD, MONOSPACE, SMALL = 8.0, 6.9, 6.2
"""Widths of an average character of the three kinds of text, generously."""

ELLIPSIS = "…"


class Point(NamedTuple):
    """A place, from the top left corner."""

    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """Where it ends on the right."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """Where it ends below."""
        return self.y + self.height

    @property
    def middle(self) -> float:
        """Half its height."""
        return self.y + self.height / 2


@dataclass(frozen=True, slots=True)
class EndpointCard:
    """An endpoint, hanging on its lane by `hook`, with what is published of it as pills."""

    box: Box
    hook: Point
    endpoint: EndpointNode
    name: str
    pills: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Lane:
    """A line that endpoints hang on."""

    left: Point
    right: Point


@dataclass(frozen=True, slots=True)
class Panel:
    """A network, its gateway in the left side, and its endpoints. `colour` numbers networks."""

    box: Box
    network: NetworkNode
    name: str
    colour: int
    gateway: Point
    lanes: tuple[Lane, ...]
    cards: tuple[EndpointCard, ...]


@dataclass(frozen=True, slots=True)
class UplinkCard:
    """An uplink, and what stands on its card under its name."""

    box: Box
    uplink: UplinkRow
    name: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wire:
    """The way from a network out: from an uplink's card to a gateway."""

    begin: Point
    end: Point
    colour: int


@dataclass(frozen=True, slots=True)
class Drawing:
    """Everything, with its place."""

    width: float
    height: float
    title: str
    subtitle: str
    uplinks: tuple[UplinkCard, ...]
    panels: tuple[Panel, ...]
    wires: tuple[Wire, ...]


def layout(topology: TopologyRow) -> Drawing:
    """Find a place for everything."""
    members = {
        network.name: [each for each in topology.endpoints if each.network == network.name]
        for network in topology.networks
    }
    uplink_width = _uplink_width(topology.uplinks)
    left = MARGIN + (uplink_width + BETWEEN_COLUMNS if topology.uplinks else 0)
    panels = _panels(topology.networks, members, left)
    cards = _uplink_cards(topology.uplinks, panels, uplink_width)
    boxes = [*(panel.box for panel in panels), *(card.box for card in cards)]
    return Drawing(
        width=max((box.right for box in boxes), default=left) + MARGIN,
        height=max((box.bottom for box in boxes), default=HEAD) + MARGIN,
        title=topology.switch,
        subtitle=_subtitle(topology),
        uplinks=cards,
        panels=panels,
        wires=_wires(cards, panels),
    )


def fitting(text: str, width: float, character: float) -> str:
    """As much of `text` as fits into `width`, with an ellipsis where something is left out."""
    room = int(width / character)
    return text if len(text) <= room else text[: max(room - 1, 1)] + ELLIPSIS


def _subtitle(topology: TopologyRow) -> str:
    counts = (
        (len(topology.uplinks), "uplink"),
        (len(topology.networks), "network"),
        (len({each.name for each in topology.endpoints}), "endpoint"),
        (sum(len(each.published) for each in topology.endpoints), "published port"),
    )
    return " · ".join(f"{count} {what}{'' if count == 1 else 's'}" for count, what in counts)


# Networks


class _Grid(NamedTuple):
    """The columns that cards stand in, over all panels."""

    left: float
    columns: int
    card_width: float

    @property
    def width(self) -> float:
        """Of a panel."""
        cards = self.columns * (self.card_width + BETWEEN_CARDS) - BETWEEN_CARDS
        return cards + 2 * PANEL_PADDING

    def x(self, column: int) -> float:
        """Where the cards of a column begin."""
        return self.left + PANEL_PADDING + column * (self.card_width + BETWEEN_CARDS)


def _panels(
    networks: Sequence[NetworkNode], members: dict[str, list[EndpointNode]], left: float
) -> tuple[Panel, ...]:
    card_width = _card_width(each for endpoints in members.values() for each in endpoints)
    most = max(map(len, members.values()), default=0)
    grid = _Grid(left, _columns(most, card_width), card_width)
    panels: list[Panel] = []
    top = HEAD
    for number, network in enumerate(networks):
        panels.append(_panel(network, number, members[network.name], grid, top))
        top = panels[-1].box.bottom + BETWEEN_PANELS
    return tuple(panels)


def _panel(
    network: NetworkNode, number: int, endpoints: Sequence[EndpointNode], grid: _Grid, top: float
) -> Panel:
    lanes: list[Lane] = []
    cards: list[EndpointCard] = []
    left, y = grid.left, top + PANEL_HEAD
    for first in range(0, len(endpoints), grid.columns):
        row = endpoints[first : first + grid.columns]
        hung = [_card(each, grid.x(i), y, grid.card_width) for i, each in enumerate(row)]
        lanes.append(Lane(Point(left, y), Point(hung[-1].hook.x, y)))
        cards += hung
        y = max(card.box.bottom for card in hung) + BETWEEN_ROWS
    if not lanes:
        lanes.append(Lane(Point(left, y), Point(grid.x(0) + grid.card_width / 2, y)))
        y += BETWEEN_ROWS
    return Panel(
        box=Box(left, top, grid.width, y - top),
        network=network,
        name=fitting(network.name, grid.width / 2, BOLD),
        colour=number,
        gateway=lanes[0].left,
        lanes=tuple(lanes),
        cards=tuple(cards),
    )


def _card(endpoint: EndpointNode, x: float, lane: float, width: float) -> EndpointCard:
    pills = tuple(fitting(each, width - 3 * CARD_PADDING, MONOSPACE) for each in pills_of(endpoint))
    height = CARD_BASE + len(pills) * PILL_STEP + (4 if pills else 0)
    kind_width = len(endpoint.kind) * SMALL + CARD_PADDING
    return EndpointCard(
        box=Box(x, lane + LANE_DROP, width, height),
        hook=Point(x + width / 2, lane),
        endpoint=endpoint,
        name=fitting(endpoint.name, width - 2 * CARD_PADDING - kind_width, BOLD),
        pills=pills,
    )


def pills_of(endpoint: EndpointNode) -> list[str]:
    """What is published, in few letters: an address that means any is left out."""
    texts = [each.removeprefix("0.0.0.0:").replace("->", " → ") for each in endpoint.published]
    if len(texts) <= PILLS_AT_MOST:
        return texts
    shown = texts[: PILLS_AT_MOST - 1]
    return [*shown, f"and {len(texts) - len(shown)} more"]


def _card_width(endpoints: Iterable[EndpointNode]) -> float:
    widest = CARD_LEAST
    for each in endpoints:
        head = (len(each.name) + 1) * BOLD + len(each.kind) * SMALL + 3 * CARD_PADDING
        pill = max(map(len, pills_of(each)), default=0) * MONOSPACE + 3.2 * CARD_PADDING
        widest = max(widest, head, len(each.address) * MONOSPACE + 2 * CARD_PADDING, pill)
    return min(float(ceil(widest)), CARD_MOST)


def _columns(most_endpoints: int, card_width: float) -> int:
    """One row if that is not too wide, and for many endpoints a panel that is not too high."""
    fitting_in = max(FEWEST_COLUMNS, int(PANEL_USUAL / (card_width + BETWEEN_CARDS)))
    if most_endpoints <= fitting_in:
        return max(FEWEST_COLUMNS, most_endpoints)
    return min(MOST_COLUMNS, max(fitting_in, ceil(sqrt(most_endpoints))))


# Uplinks


def _uplink_width(uplinks: Iterable[UplinkRow]) -> float:
    widest = UPLINK_LEAST
    for each in uplinks:
        head = len(each.name) * BOLD + 4 * CARD_PADDING
        text = max(map(len, _uplink_lines(each))) * MONOSPACE + 2 * CARD_PADDING
        widest = max(widest, head, text)
    return min(float(ceil(widest)), CARD_MOST)


def _uplink_lines(uplink: UplinkRow) -> tuple[str, ...]:
    return (
        *(uplink.address, *uplink.also),
        f"at {uplink.interface}",
        "no gateway" if uplink.gateway == "none" else f"gateway {uplink.gateway}",
    )


def _uplink_cards(
    uplinks: Sequence[UplinkRow], panels: Sequence[Panel], width: float
) -> tuple[UplinkCard, ...]:
    """From the top down, each where its wires want it, but below the one before."""
    wanted = [(_wanted_middle(each, panels), number) for number, each in enumerate(uplinks)]
    cards: list[UplinkCard] = []
    top = HEAD
    for middle, number in sorted(wanted):
        uplink = uplinks[number]
        lines = tuple(
            fitting(each, width - 2 * CARD_PADDING, MONOSPACE) for each in _uplink_lines(uplink)
        )
        height = 46.0 + LINE * len(lines)
        y = max(top, middle - height / 2)
        name = fitting(uplink.name, width - 4 * CARD_PADDING, BOLD)
        cards.append(UplinkCard(Box(MARGIN, y, width, height), uplink, name, lines))
        top = y + height + BETWEEN_UPLINKS
    return tuple(cards)


def _wanted_middle(uplink: UplinkRow, panels: Sequence[Panel]) -> float:
    """Half way between its networks; at the end where it has none."""
    doors = [panel.gateway.y for panel in panels if panel.network.uplink == uplink.name]
    if doors:
        return (doors[0] + doors[-1]) / 2
    return panels[-1].box.bottom if panels else HEAD


def _wires(cards: Sequence[UplinkCard], panels: Sequence[Panel]) -> tuple[Wire, ...]:
    by_name = {card.uplink.name: card.box for card in cards}
    return tuple(
        Wire(Point(box.right, box.middle), panel.gateway, panel.colour)
        for panel in panels
        if (box := by_name.get(panel.network.uplink or "")) is not None
    )
