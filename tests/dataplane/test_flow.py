"""Flow tuples by themselves: what is packed comes out again, and turning round is its own undo."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vswitch.dataplane.flow import ANSWERS, QUESTIONS, FlowTuple
from vswitch.fastpath.states import Direction
from vswitch.wire.icmp import QUERIES
from vswitch.wire.values import IpAddress, Protocol

A, S1 = IpAddress.parse("10.0.0.2"), IpAddress.parse("198.51.100.1")

addresses = st.binary(min_size=4, max_size=4).map(IpAddress)
ports = st.integers(0, 0xFFFF)
networks = st.integers(0, 0xFFFF)
with_ports = st.builds(
    FlowTuple,
    networks,
    st.integers(0, 255).filter(lambda number: number != Protocol.ICMP),
    addresses,
    ports,
    addresses,
    ports,
)
queries = st.builds(
    FlowTuple,
    networks,
    st.just(Protocol.ICMP),
    addresses,
    ports,
    addresses,
    ports,
    st.sampled_from([*ANSWERS, *QUESTIONS]),
)
tuples = with_ports | queries


@given(
    network=networks,
    protocol=st.integers(0, 255),
    source=addresses,
    source_port=ports,
    destination=addresses,
    destination_port=ports,
    kind=st.integers(0, 255),
)
def test_what_is_packed_comes_out_again(
    network: int,
    protocol: int,
    source: IpAddress,
    source_port: int,
    destination: IpAddress,
    destination_port: int,
    kind: int,
) -> None:
    flow = FlowTuple(network, protocol, source, source_port, destination, destination_port, kind)
    assert (flow.network, flow.protocol, flow.kind) == (network, protocol, kind)
    assert (flow.source, flow.source_port) == (source, source_port)
    assert (flow.destination, flow.destination_port) == (destination, destination_port)
    assert isinstance(flow.source, IpAddress)
    assert len(flow) == 16


@given(flow=tuples)
def test_answers_of_an_address_outside_are_turned_but_for_that(flow: FlowTuple) -> None:
    outside, port = IpAddress.parse("203.0.113.1"), 6000
    answer = flow.answered_from(7, flow.destination, flow.destination_port, outside, port)
    back = answer.turned
    assert (answer.network, answer.protocol, answer.kind) == (7, flow.protocol, flow.turned.kind)
    assert (answer.sender, back.source, back.source_port) == (flow.receiver, outside, port)


@given(flow=tuples)
def test_turning_round_exchanges_the_ends_and_is_its_own_undo(flow: FlowTuple) -> None:
    turned = flow.turned
    assert (turned.source, turned.source_port) == (flow.destination, flow.destination_port)
    assert (turned.destination, turned.destination_port) == (flow.source, flow.source_port)
    assert (turned.network, turned.protocol) == (flow.network, flow.protocol)
    assert turned.turned == flow
    assert isinstance(turned, FlowTuple)


@given(flow=queries)
def test_a_question_turns_into_its_answer_with_the_same_identifier(flow: FlowTuple) -> None:
    expected = ANSWERS.get(flow.kind, QUESTIONS.get(flow.kind))
    assert flow.turned.kind == expected != flow.kind
    assert flow.turned.identifier == flow.identifier


def test_each_query_of_icmp_has_its_answer() -> None:
    assert {*ANSWERS, *QUESTIONS} == QUERIES
    assert len(ANSWERS) == len(QUESTIONS) == 4


@pytest.mark.parametrize(
    ("flow", "text"),
    [
        (FlowTuple(1, Protocol.UDP, A, 5000, S1, 53), "10.0.0.2:5000 > 198.51.100.1:53"),
        (FlowTuple(1, Protocol.UDP, A, 0, S1, 53), "10.0.0.2:0 > 198.51.100.1:53"),
        (FlowTuple(1, Protocol.GRE, A, 0, S1, 0), "10.0.0.2 > 198.51.100.1 protocol 47"),
        (FlowTuple(1, Protocol.ICMP, A, 9, S1, 0, 8), "10.0.0.2 > 198.51.100.1 id 9"),
        (FlowTuple(1, Protocol.ICMP, S1, 0, A, 9, 0), "198.51.100.1 > 10.0.0.2 id 9"),
    ],
)
def test_flow_is_printed_as_people_write_it(flow: FlowTuple, text: str) -> None:
    assert str(flow) == text
    assert repr(flow) == f"<FlowTuple {text} on network 1>"


def test_directions_are_each_others_other() -> None:
    assert [direction.index for direction in Direction] == [0, 1]
    assert [direction.other for direction in Direction] == [Direction.REPLY, Direction.ORIGINAL]
