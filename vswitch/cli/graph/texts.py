"""A topology as text for tools that do their own drawing: Mermaid and Graphviz.

Both say the same: a node for each uplink, a group for each network with its gateway and endpoints
in it, a line from uplink to gateway and from gateway to endpoint, and an arrow from the uplink to
an endpoint for what is published of it. An endpoint on several networks is in the group of each,
and a dotted line says that it is the same one; a link is a dotted arrow with its alias. Nodes are
numbered, as not every name may be an identifier.

To read: https://mermaid.js.org/syntax/flowchart.html, https://graphviz.org/doc/info/lang.html.
"""

from __future__ import annotations

from collections.abc import Iterator

from vswitch.cli.graph.layout import pills_of
from vswitch.daemon.messages import UplinkRow
from vswitch.daemon.messages.topology import EndpointNode, TopologyRow


def mermaid(topology: TopologyRow) -> str:
    """A flowchart in Mermaid's language."""
    lines = ["flowchart LR"]
    for node, uplink in _uplinks(topology):
        lines.append(f"    {node}([{_mermaid_label(*_about_uplink(uplink))}])")
    for number, network in enumerate(topology.networks):
        title = f"{network.name} · {network.subnet}"
        lines.append(f"    subgraph network{number}[{_mermaid_label(title)}]")
        lines.append(f"        gateway{number}(({_mermaid_label(network.gateway)}))")
        for node, endpoint in _members(topology, network.name):
            lines.append(f"        {node}[{_mermaid_label(endpoint.name, endpoint.address)}]")
            lines.append(f"        gateway{number} --- {node}")
        lines.append("    end")
    lines += [f"    {node} -.- {further}" for node, further in _several(topology)]
    for parent, child, alias in _links(topology):
        lines.append(f"    {parent} -. {_mermaid_label(alias)} .-> {child}")
    lines += [f"    {uplink} --- {gateway}" for uplink, gateway in _exits(topology)]
    for uplink_node, node, endpoint in _published(topology):
        label = _mermaid_label(*pills_of(endpoint))
        lines.append(f"    {uplink_node} -- {label} --> {node}")
    return "\n".join(lines) + "\n"


def dot(topology: TopologyRow) -> str:
    """A graph in Graphviz's language."""
    lines = [
        f"digraph {_dot_label(topology.switch)} {{",
        '    graph [rankdir=LR, fontname="Helvetica", labeljust=l, style="rounded"]',
        '    node [shape=box, style="rounded", fontname="Helvetica", fontsize=11]',
        '    edge [fontname="Helvetica", fontsize=9]',
    ]
    for node, uplink in _uplinks(topology):
        lines.append(f"    {node} [label={_dot_label(*_about_uplink(uplink))}]")
    for number, network in enumerate(topology.networks):
        lines.append(f"    subgraph cluster_network{number} {{")
        lines.append(f"        label={_dot_label(f'{network.name}  {network.subnet}')}")
        lines.append(f"        gateway{number} [shape=oval, label={_dot_label(network.gateway)}]")
        for node, endpoint in _members(topology, network.name):
            label = _dot_label(endpoint.name, endpoint.address)
            lines.append(f"        {node} [label={label}]")
            lines.append(f"        gateway{number} -> {node} [dir=none]")
        lines.append("    }")
    for node, further in _several(topology):
        lines.append(f"    {node} -> {further} [dir=none, style=dotted]")
    for parent, child, alias in _links(topology):
        lines.append(f"    {parent} -> {child} [style=dotted, label={_dot_label(alias)}]")
    lines += [f"    {uplink} -> {gateway} [dir=none]" for uplink, gateway in _exits(topology)]
    for uplink_node, node, endpoint in _published(topology):
        lines.append(f"    {uplink_node} -> {node} [label={_dot_label(*pills_of(endpoint))}]")
    return "\n".join((*lines, "}")) + "\n"


def _uplinks(topology: TopologyRow) -> Iterator[tuple[str, UplinkRow]]:
    return ((f"uplink{number}", each) for number, each in enumerate(topology.uplinks))


def _members(topology: TopologyRow, network: str) -> Iterator[tuple[str, EndpointNode]]:
    for number, each in enumerate(topology.endpoints):
        if each.network == network:
            yield f"endpoint{number}", each


def _several(topology: TopologyRow) -> Iterator[tuple[str, str]]:
    """The nodes of each endpoint that is on several networks, two by two."""
    last: dict[str, str] = {}
    for number, each in enumerate(topology.endpoints):
        node = f"endpoint{number}"
        if each.name in last:
            yield last[each.name], node
        last[each.name] = node


def _links(topology: TopologyRow) -> Iterator[tuple[str, str, str]]:
    """The nodes of both ends of each link, and what the first calls the second."""
    nodes = {
        (each.network, each.name): f"endpoint{number}"
        for number, each in enumerate(topology.endpoints)
    }
    for each in topology.endpoints:
        for link in each.links:
            name, _, alias = link.partition(":")
            yield nodes[each.network, each.name], nodes[each.network, name], alias or name


def _exits(topology: TopologyRow) -> Iterator[tuple[str, str]]:
    nodes = {uplink.name: node for node, uplink in _uplinks(topology)}
    for number, network in enumerate(topology.networks):
        if network.uplink is not None:
            yield nodes[network.uplink], f"gateway{number}"


def _published(topology: TopologyRow) -> Iterator[tuple[str, str, EndpointNode]]:
    """The uplink's node, the endpoint's, and the endpoint, where something leads in."""
    nodes = {uplink.name: node for node, uplink in _uplinks(topology)}
    exits = {network.name: network.uplink for network in topology.networks}
    for number, endpoint in enumerate(topology.endpoints):
        uplink = exits[endpoint.network]
        if endpoint.published and uplink is not None:
            yield nodes[uplink], f"endpoint{number}", endpoint


def _about_uplink(uplink: UplinkRow) -> tuple[str, ...]:
    return uplink.name, uplink.address, *uplink.also, uplink.interface


def _mermaid_label(*lines: str) -> str:
    """In quotes, where only these characters mean something; entities as Mermaid has them."""
    text = "\n".join(lines).replace("#", "#35;").replace('"', "#quot;")
    text = text.replace("<", "#lt;").replace(">", "#gt;")
    return f'"{text}"'.replace("\n", "<br/>")


def _dot_label(*lines: str) -> str:
    text = "\n".join(lines).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'.replace("\n", "\\n")
