"""The drawing of a topology as an SVG document, which needs no other program and no fonts of ours.

Theory of operation. What is where comes from `layout`; here it gets its looks. Text is the reader's
own sans and monospaced font. Each network has a colour for its lane, its wire and its panel; the
rest is grey, so that a reader sees first what belongs together. The colours stand in one style
sheet, for a light page and, where the reader's system is dark, for a dark one. Whatever is cut
short stands in full in a `<title>`, which browsers show under the pointer and screen readers read.

SVG 1.1 and CSS 2 but for the media query, which an older reader ignores.
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.sax.saxutils import escape

from vswitch.cli.graph.layout import (
    CARD_BASE,
    CARD_PADDING,
    LINE,
    MARGIN,
    PANEL_PADDING,
    PILL_HEIGHT,
    PILL_STEP,
    SMALL,
    Box,
    Drawing,
    EndpointCard,
    Panel,
    Point,
    UplinkCard,
    Wire,
)

COLOURS = (
    "#4f6bed",
    "#0e9384",
    "#c77700",
    "#d14a78",
    "#7f56d9",
    "#1583c7",
    "#4d8a1f",
    "#c4432b",
)
"""Of networks, in turn: apart in hue and of one lightness, on white and on black."""

SANS = "Inter, 'Helvetica Neue', 'Segoe UI', Roboto, 'Noto Sans', 'DejaVu Sans', Arial, sans-serif"
MONOSPACED = "ui-monospace, 'SF Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace"

STYLE = f"""
text {{ font-family: {SANS}; font-size: 12px; fill: #475467; }}
.paper {{ fill: #ffffff; }}
.title {{ font-size: 22px; font-weight: 700; fill: #101828; }}
.heading {{ font-size: 10.5px; font-weight: 600; letter-spacing: 1.4px; fill: #98a2b3; }}
.name {{ font-size: 13px; font-weight: 600; fill: #101828; }}
.network {{ font-size: 15px; font-weight: 700; }}
.quiet {{ font-size: 10.5px; fill: #98a2b3; }}
.mono {{ font-family: {MONOSPACED}; font-size: 11px; }}
.card {{ fill: #ffffff; stroke: #d0d5dd; stroke-width: 1; }}
.shade {{ fill: #101828; fill-opacity: 0.05; }}
.uplink {{ fill: #f2f4f7; stroke: #98a2b3; stroke-width: 1; }}
.globe {{ fill: none; stroke: #475467; stroke-width: 1.3; }}
.pill {{ fill-opacity: 0.12; }}
.panel {{ fill-opacity: 0.055; stroke-opacity: 0.35; stroke-width: 1; }}
.lane {{ stroke-width: 5; stroke-linecap: round; fill: none; }}
.drop {{ stroke-width: 1.6; fill: none; }}
.wire {{ stroke-width: 2.2; fill: none; stroke-opacity: 0.85; }}
.door {{ fill: #ffffff; stroke-width: 3; }}
"""

DARK = """
.paper { fill: #0d1117; } text { fill: #9aa4b2; } .title, .name { fill: #f0f3f6; }
.heading, .quiet { fill: #77808d; } .card { fill: #161b22; stroke: #343b45; }
.shade { fill: #000000; fill-opacity: 0.3; } .uplink { fill: #1c222b; stroke: #57606a; }
.globe { stroke: #9aa4b2; } .door { fill: #0d1117; }
.panel { fill-opacity: 0.10; } .pill { fill-opacity: 0.22; }
"""

_DOOR_RADIUS = 7


def document(drawing: Drawing) -> str:
    """The whole document, which ends with a line end."""
    width, height = f"{drawing.width:g}", f"{drawing.height:g}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"'
        f' viewBox="0 0 {width} {height}" role="img">',
        f"<title>{escape(drawing.title)}: {escape(drawing.subtitle)}</title>",
        f"<style>{_style(len(drawing.panels))}</style>",
        f'<rect class="paper" width="{width}" height="{height}"/>',
        *_head(drawing),
        *(_wire(wire) for wire in drawing.wires),
        *(_uplink(card) for card in drawing.uplinks),
        *(_panel(panel) for panel in drawing.panels),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _style(networks: int) -> str:
    of_networks = [
        f".{_colour(number)}s {{ stroke: {COLOURS[number]}; }} "
        f".{_colour(number)}f {{ fill: {COLOURS[number]}; }}"
        for number in range(min(networks, len(COLOURS)))
    ]
    dark = ("@media (prefers-color-scheme: dark) {", DARK, *of_networks, "}")
    return "\n".join((STYLE, *of_networks, *dark, ""))


def _colour(number: int) -> str:
    return f"n{number % len(COLOURS)}"


def _head(drawing: Drawing) -> Iterator[str]:
    yield _text(Point(MARGIN, MARGIN + 14), drawing.title, "title")
    yield _text(Point(MARGIN, MARGIN + 34), drawing.subtitle)
    if drawing.uplinks:
        yield _text(Point(MARGIN, drawing.uplinks[0].box.y - 12), "OUTSIDE", "heading")
    if drawing.panels:
        box = drawing.panels[0].box
        yield _text(Point(box.x, box.y - 12), "NETWORKS", "heading")


def _wire(wire: Wire) -> str:
    """A curve that leaves and arrives level."""
    (x1, y1), (x2, y2) = wire.begin, wire.end
    half = (x2 - x1) / 2
    path = f"M{x1:g} {y1:g}C{x1 + half:g} {y1:g} {x2 - half:g} {y2:g} {x2:g} {y2:g}"
    return f'<path class="wire {_colour(wire.colour)}s" d="{path}"/>'


# Uplinks


def _uplink(card: UplinkCard) -> str:
    box, x = card.box, card.box.x + CARD_PADDING
    told = (f"uplink {card.uplink.name}", *card.lines, f"station {card.uplink.mac}")
    lines = (
        _text(Point(x, box.y + 46 + LINE * number), line, "mono")
        for number, line in enumerate(card.lines)
    )
    return _group(
        told,
        _shade(box),
        _rectangle(box, "uplink", radius=10),
        _globe(Point(x + 7, box.y + 21)),
        _text(Point(x + 22, box.y + 26), card.name, "name"),
        *lines,
    )


def _globe(at: Point) -> str:
    x, y = at
    return (
        f'<g class="globe"><circle cx="{x:g}" cy="{y:g}" r="7"/>'
        f'<ellipse cx="{x:g}" cy="{y:g}" rx="3" ry="7"/>'
        f'<path d="M{x - 7:g} {y:g}h14"/></g>'
    )


# Networks


def _panel(panel: Panel) -> str:
    box, network, colour = panel.box, panel.network, _colour(panel.colour)
    lane = panel.lanes[0]
    told = (f"network {network.name}", network.subnet, f"gateway {network.gateway}", _exit(panel))
    parts = [
        _rectangle(box, f"panel {colour}s {colour}f", radius=12),
        f'<text x="{box.x + PANEL_PADDING:g}" y="{box.y + 30:g}">'
        f'<tspan class="network {colour}f">{escape(panel.name)}</tspan>'
        f'<tspan class="mono" dx="10">{escape(network.subnet)}</tspan></text>',
        _text(Point(box.right - PANEL_PADDING, box.y + 30), _aside(panel), "quiet", anchor="end"),
        _text(Point(lane.left.x + 14, lane.left.y - 11), f"gateway {network.gateway}", "mono"),
    ]
    parts += [f'<path class="lane {colour}s" d="{path}"/>' for path in _lanes(panel)]
    parts += [_endpoint(card, colour) for card in panel.cards]
    if not panel.cards:
        beside = Point(lane.right.x + 16, lane.right.y + 4)
        parts.append(_text(beside, "no endpoints", "quiet"))
    door = panel.gateway
    parts.append(
        f'<circle class="door {colour}s" cx="{door.x:g}" cy="{door.y:g}" r="{_DOOR_RADIUS}"/>'
    )
    return _group(told, *parts)


def _lanes(panel: Panel) -> Iterator[str]:
    """The first lane from the door on; each further one from the trunk, round the corner."""
    first, *further = panel.lanes
    trunk = first.left.x + PANEL_PADDING / 2
    yield f"M{first.left.x:g} {first.left.y:g}H{first.right.x:g}"
    for lane in further:
        y, corner = lane.left.y, PANEL_PADDING / 2
        yield (
            f"M{trunk:g} {first.left.y:g}V{y - corner:g}"
            f"Q{trunk:g} {y:g} {trunk + corner:g} {y:g}H{lane.right.x:g}"
        )


def _exit(panel: Panel) -> str:
    uplink = panel.network.uplink
    return "no way out" if uplink is None else f"out by {uplink}"


def _aside(panel: Panel) -> str:
    count = len(panel.cards)
    counted = f"{count} endpoint{'' if count == 1 else 's'}, " if count else ""
    return counted + _exit(panel)


# Endpoints


def _endpoint(card: EndpointCard, colour: str) -> str:
    box, endpoint, hook = card.box, card.endpoint, card.hook
    x = box.x + CARD_PADDING
    also = f"also {', '.join(endpoint.aliases)}" if endpoint.aliases else ""
    told = (
        f"endpoint {endpoint.name}",
        also,
        f"{endpoint.address} on {endpoint.network}",
        f"station {endpoint.mac}",
        *(f"published {each}" for each in endpoint.published),
    )
    kind = _text(Point(box.right - CARD_PADDING, box.y + 24), endpoint.kind, "quiet", anchor="end")
    return _group(
        told,
        f'<path class="drop {colour}s" d="M{hook.x:g} {hook.y:g}V{box.y:g}"/>',
        f'<circle class="{colour}f" cx="{hook.x:g}" cy="{hook.y:g}" r="4.5"/>',
        _shade(box),
        _rectangle(box, "card", radius=8),
        _text(Point(x, box.y + 24), card.name, "name"),
        kind,
        _text(Point(x, box.y + 42), endpoint.address, "mono"),
        *(_pill(text, box, number, colour) for number, text in enumerate(card.pills)),
    )


def _pill(text: str, card: Box, number: int, colour: str) -> str:
    y = card.y + CARD_BASE + number * PILL_STEP
    place = Box(card.x + CARD_PADDING, y, len(text) * SMALL * 1.08 + CARD_PADDING, PILL_HEIGHT)
    words = Point(place.x + CARD_PADDING / 2, place.y + 14)
    return _rectangle(place, f"pill {colour}f", radius=PILL_HEIGHT / 2) + _text(
        words, text, f"mono {colour}f"
    )


# Pieces


def _group(told: tuple[str, ...], *parts: str) -> str:
    title = escape("\n".join(line for line in told if line))
    return "\n".join((f"<g><title>{title}</title>", *parts, "</g>"))


def _text(at: Point, text: str, style: str = "", *, anchor: str = "start") -> str:
    attributes = f' class="{style}"' if style else ""
    if anchor != "start":
        attributes += f' text-anchor="{anchor}"'
    return f'<text x="{at.x:g}" y="{at.y:g}"{attributes}>{escape(text)}</text>'


def _rectangle(box: Box, style: str, *, radius: float) -> str:
    return (
        f'<rect class="{style}" x="{box.x:g}" y="{box.y:g}" width="{box.width:g}"'
        f' height="{box.height:g}" rx="{radius:g}"/>'
    )


def _shade(box: Box) -> str:
    return _rectangle(Box(box.x, box.y + 2, box.width, box.height), "shade", radius=9)
