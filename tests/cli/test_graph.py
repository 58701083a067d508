"""`vswitch graph`: where things are in the drawing, and what the texts say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cli.topologies import endpoint, lab, network, uplink
from vswitch.cli.graph import Format, svg, texts
from vswitch.cli.graph.layout import Box, Drawing, fitting, layout, pills_of
from vswitch.daemon.messages.topology import TopologyRow

if TYPE_CHECKING:
    from tests.cli.conftest import StubSwitch, Switches, Vswitch

names = st.text("abc-xyz019", min_size=1, max_size=63)


@st.composite
def topologies(draw: st.DrawFn) -> TopologyRow:
    """Up to three uplinks, six networks, thirty endpoints, in any combination."""
    uplinks = draw(st.lists(names, max_size=3, unique=True))
    networks = draw(st.lists(names, min_size=1, max_size=6, unique=True))
    exits: st.SearchStrategy[str | None] = st.sampled_from([None, *uplinks])
    published = st.lists(
        st.sampled_from(["0.0.0.0:80->80/tcp", "192.0.2.50:5000-5010->7000-7010/udp"]), max_size=7
    )
    members = draw(st.lists(st.tuples(names, st.sampled_from(networks), published), max_size=30))
    return TopologyRow(
        switch="lab",
        uplinks=tuple(uplink(name) for name in uplinks),
        networks=tuple(
            network(name, 17 + number, draw(exits)) for number, name in enumerate(networks)
        ),
        endpoints=tuple(endpoint(name, on, *ports) for name, on, ports in members),
    )


def overlap(a: Box, b: Box) -> bool:
    return a.x < b.right and b.x < a.right and a.y < b.bottom and b.y < a.bottom


def is_inside(inner: Box, outer: Box) -> bool:
    return (
        outer.x < inner.x
        and inner.right < outer.right
        and outer.y < inner.y
        and inner.bottom < outer.bottom
    )


def outer_boxes(drawing: Drawing) -> list[Box]:
    return [*(card.box for card in drawing.uplinks), *(panel.box for panel in drawing.panels)]


@given(topology=topologies())
def test_nothing_lies_over_something_else(topology: TopologyRow) -> None:
    drawing = layout(topology)
    for a, b in combinations(outer_boxes(drawing), 2):
        assert not overlap(a, b)
    for panel in drawing.panels:
        for first, second in combinations(panel.cards, 2):
            assert not overlap(first.box, second.box)


@given(topology=topologies())
def test_everything_is_there_once_and_in_its_place(topology: TopologyRow) -> None:
    drawing = layout(topology)
    page = Box(0, 0, drawing.width, drawing.height)
    assert all(is_inside(box, page) for box in outer_boxes(drawing))
    assert [panel.network for panel in drawing.panels] == list(topology.networks)
    assert {card.uplink.name for card in drawing.uplinks} == {
        each.name for each in topology.uplinks
    }
    for panel in drawing.panels:
        here = [each for each in topology.endpoints if each.network == panel.network.name]
        assert [card.endpoint for card in panel.cards] == here
        assert all(is_inside(card.box, panel.box) for card in panel.cards)


@given(topology=topologies())
def test_endpoint_hangs_on_a_lane_of_its_network(topology: TopologyRow) -> None:
    for panel in layout(topology).panels:
        assert panel.gateway == panel.lanes[0].left
        assert panel.gateway.x == panel.box.x
        for card in panel.cards:
            (lane,) = (each for each in panel.lanes if each.left.y == card.hook.y)
            assert lane.left.x < card.hook.x <= lane.right.x
            assert card.box.x < card.hook.x < card.box.right
            assert card.hook.y < card.box.y


@given(topology=topologies())
def test_wire_leads_from_each_network_to_its_uplink(topology: TopologyRow) -> None:
    drawing = layout(topology)
    cards = {card.uplink.name: card.box for card in drawing.uplinks}
    wires = [
        ((cards[panel.network.uplink].right, cards[panel.network.uplink].middle), panel.gateway)
        for panel in drawing.panels
        if panel.network.uplink is not None
    ]
    assert [(wire.begin, wire.end) for wire in drawing.wires] == wires


def test_network_of_a_few_endpoints_has_one_row_and_one_of_many_several() -> None:
    def lanes(count: int) -> int:
        members = tuple(endpoint(f"e{number}", "front") for number in range(count))
        front = network("front", 18)
        topology = TopologyRow(
            switch="lab", uplinks=(uplink(),), networks=(front,), endpoints=members
        )
        return len(layout(topology).panels[0].lanes)

    assert [lanes(count) for count in (0, 1, 4)] == [1, 1, 1]
    assert lanes(100) == 10


def test_many_published_ports_are_counted() -> None:
    web = endpoint("web", "front", *(f"0.0.0.0:{port}->{port}/tcp" for port in range(1, 8)))
    assert pills_of(web) == ["1 → 1/tcp", "2 → 2/tcp", "3 → 3/tcp", "and 4 more"]
    assert pills_of(endpoint("web", "front", "127.0.0.1:80->8080/udp")) == [
        "127.0.0.1:80 → 8080/udp"
    ]


@pytest.mark.parametrize(("width", "text"), [(50, "abcde"), (49, "abc…"), (10, "a…")])
def test_text_is_cut_where_it_would_be_too_wide(width: float, text: str) -> None:
    assert fitting("abcde", width, 10) == text


def words_of(document: str) -> Iterator[str]:
    for element in ElementTree.fromstring(document).iter():
        if element.tag.endswith("text"):
            yield "".join(element.itertext())


def test_drawing_shows_names_addresses_and_published_ports() -> None:
    words = set(words_of(svg.document(layout(lab()))))
    assert {"lab", "web", "app", "db", "uplink", "192.0.2.50/24", "172.18.0.3"} <= words
    assert {"front172.18.0.0/16", "gateway 172.18.0.1", "8080 → 80/tcp"} <= words
    assert {"2 endpoints, out by uplink", "1 endpoint, no way out"} <= words


@given(topology=topologies())
def test_drawing_is_well_formed_and_always_the_same(topology: TopologyRow) -> None:
    document = svg.document(layout(topology))
    ElementTree.fromstring(document)
    assert document == svg.document(layout(topology))


def test_text_is_no_markup() -> None:
    topology = lab().model_copy(update={"switch": "<script>&", "uplinks": ()})
    topology = topology.model_copy(update={"networks": (network('a"<b>', 18, None),)})
    topology = topology.model_copy(update={"endpoints": (endpoint("<i>&", 'a"<b>'),)})
    document = svg.document(layout(topology))
    assert {"<script>&", "<i>&"} <= set(words_of(document))
    assert "<script>" not in document


def test_drawing_asks_for_nothing_from_elsewhere() -> None:
    document = svg.document(layout(lab()))
    assert re.findall(r"(?:href|src|url\(|@import|@font-face)", document) == []
    assert set(re.findall(r"https?://[^\"]*", document)) == {"http://www.w3.org/2000/svg"}


def test_mermaid_says_who_is_where_and_what_leads_in() -> None:
    assert texts.mermaid(lab()).splitlines() == [
        "flowchart LR",
        '    uplink0(["uplink<br/>192.0.2.50/24<br/>eth1"])',
        '    subgraph network0["front · 172.18.0.0/16"]',
        '        gateway0(("172.18.0.1"))',
        '        endpoint0["web<br/>172.18.0.2"]',
        "        gateway0 --- endpoint0",
        '        endpoint1["app<br/>172.18.0.3"]',
        "        gateway0 --- endpoint1",
        "    end",
        '    subgraph network1["back · 172.19.0.0/16"]',
        '        gateway1(("172.19.0.1"))',
        '        endpoint2["db<br/>172.19.0.2"]',
        "        gateway1 --- endpoint2",
        "    end",
        "    uplink0 --- gateway0",
        '    uplink0 -- "8080 → 80/tcp" --> endpoint0',
    ]


def test_dot_has_a_cluster_for_each_network() -> None:
    text = texts.dot(lab())
    assert text.startswith('digraph "lab" {\n')
    assert re.findall(r"subgraph (\w+)", text) == ["cluster_network0", "cluster_network1"]
    assert '    uplink0 -> endpoint0 [label="8080 → 80/tcp"]\n' in text
    assert text.count("{") == text.count("}")


def test_endpoint_on_several_networks_is_in_each_and_is_one() -> None:
    both = (*lab().endpoints, endpoint("web", "back", address="172.19.0.3"))
    topology = lab().model_copy(update={"endpoints": both})
    assert "    endpoint0 -.- endpoint3\n" in texts.mermaid(topology)
    assert "    endpoint0 -> endpoint3 [dir=none, style=dotted]\n" in texts.dot(topology)
    assert "3 endpoints" in layout(topology).subtitle


def test_link_is_an_arrow_with_its_alias() -> None:
    web, *others = lab().endpoints
    linked = web.model_copy(update={"links": ("app:backend",)})
    topology = lab().model_copy(update={"endpoints": (linked, *others)})
    assert '    endpoint0 -. "backend" .-> endpoint1\n' in texts.mermaid(topology)
    assert '    endpoint0 -> endpoint1 [style=dotted, label="backend"]\n' in texts.dot(topology)


def test_quotes_end_no_label() -> None:
    topology = lab().model_copy(update={"networks": (network('a"#<', 18), network("back", 19))})
    topology = topology.model_copy(update={"endpoints": ()})
    assert 'network0["a#quot;#35;#lt; · 172.18.0.0/16"]' in texts.mermaid(topology)
    assert 'label="a\\"#<  172.18.0.0/16"' in texts.dot(topology)


@pytest.fixture
def running(switches: Switches) -> StubSwitch:
    stub = switches("lab")
    stub.content = lab().model_dump_json().encode()
    return stub


@pytest.mark.parametrize(
    ("file", "begin"),
    [
        ("x.svg", "<svg "),
        ("x.SVG", "<svg "),
        ("x.mmd", "flowchart LR"),
        ("x.dot", "digraph "),
        ("x.gv", "digraph "),
    ],
)
def test_name_of_the_file_says_what_is_written(
    vswitch: Vswitch, running: StubSwitch, tmp_path: Path, file: str, begin: str
) -> None:
    outcome = vswitch("graph", "-o", str(tmp_path / file))
    assert (outcome.status, outcome.out, outcome.err) == (0, "", "")
    assert (tmp_path / file).read_text().startswith(begin)
    assert running.heard == ["GET /v1/topology"]


@pytest.mark.parametrize("format_", list(Format))
def test_format_may_be_said_instead(
    vswitch: Vswitch, running: StubSwitch, tmp_path: Path, format_: Format
) -> None:
    shown = vswitch("graph", "--format", format_.value).out
    assert vswitch("graph", "--format", format_.value, "-o", str(tmp_path / "x.txt")).status == 0
    assert (tmp_path / "x.txt").read_text() == shown


def test_drawing_goes_to_standard_output_if_no_file_is_named(
    vswitch: Vswitch, running: StubSwitch
) -> None:
    assert vswitch("graph").out.startswith("<svg ")


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ("x.png", "x.png: allowed is .svg, .mmd, .mermaid, .dot, .gv, or say --format"),
        ("no/such/x.svg", "no/such/x.svg: No such file or directory"),
    ],
)
def test_file_that_can_not_be_written_is_told(
    vswitch: Vswitch,
    running: StubSwitch,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    file: str,
    told: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = vswitch("graph", "-o", file)
    assert (outcome.status, outcome.err) == (1, f"vswitch: {told}\n")
