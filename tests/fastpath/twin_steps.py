"""What a switch may do to its fast path: stories of steps for `twins`, made by chance.

Theory of operation. Steps chosen one by one would seldom hit: a frame is only a hit where a program
was kept for its flow. So a story is made of chapters. One is about a flow: a program is kept, then
frames come in, something happens to the table, a port or a window, and more frames come in. Or it
is about a TCP connection: a window is opened and both SYNs noted, a program is kept for either way,
and segments come in, most of them at an edge of the window. Chapters have few ports, flows and
windows to choose from, so they meddle with each other.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from tests.fastpath.odd_frames import (
    DESTINATIONS,
    FIRST_NUMBERS,
    GATEWAY,
    HOST,
    NEIGHBOUR,
    SOURCES,
    UPLINK,
    Flow,
    a_flow,
    a_number,
    a_scale,
    a_segment,
    a_stranger,
    a_window,
    answering,
    critical_checksums,
    odd,
    sound,
)
from tests.fastpath.twins import (
    CONNECTIONS,
    Accept,
    Attach,
    Begin,
    Behind,
    Detach,
    Feed,
    FeedAtEdge,
    Follow,
    Invalidate,
    Keep,
    Observe,
    OpenWindow,
    Remove,
    Replace,
    SetGateway,
    Settle,
    Spoil,
    Step,
    Transmit,
    Unfollow,
    Vanish,
)
from vswitch.devices.base import Sent
from vswitch.fastpath.program import (
    Action,
    ClampMss,
    DecrementTtl,
    FitMtu,
    Output,
    SetStations,
    Track,
)
from vswitch.fastpath.states import State
from vswitch.wire.offload import Offloads
from vswitch.wire.values import Protocol

INWARD, OUTWARD, BRIDGED, NOWHERE = 1, 2, 3, 4
"""The first three are attached where a story begins."""

_PORTS = (INWARD, OUTWARD, BRIDGED, NOWHERE)
_WAYS = ((INWARD, GATEWAY), (INWARD, GATEWAY), (OUTWARD, UPLINK), (INWARD, NEIGHBOUR),
         (BRIDGED, HOST))  # fmt: skip
_STATIONS = (None, GATEWAY, UPLINK)
_OFFLOADS = (Offloads.NONE, Offloads.CHECKSUM, Offloads.CHECKSUM | Offloads.TSO4, Offloads.ALL)
_TIMES = (1, 5, 10**9, 1 << 62)
_SEGMENT_SIZES = (536, 1459, 1460, 1461)
_MTUS = (28, 68, 1499, 1500, 1500, 1501)


def a_story(random: Random) -> list[Step]:
    """Ports, and what happens to them and to their frames."""
    steps: list[Step] = [
        Attach(INWARD, Offloads.ALL, GATEWAY, _behind(random)),
        Attach(OUTWARD, Offloads.NONE, UPLINK, _behind(random)),
        Attach(BRIDGED, Offloads.CHECKSUM | Offloads.TSO4, None, _behind(random)),
    ]
    for _ in range(random.randint(1, 4)):
        steps += _chapter(random)
    return steps


def _chapter(random: Random) -> list[Step]:
    return random.choice((_flow, _connection))(random)


def _flow(random: Random) -> list[Step]:
    """Any flow, and what happens between its frames."""
    port, station = random.choice(_WAYS)
    flow, number = a_flow(random, station), random.choice(CONNECTIONS)
    tracked = random.choice((None, Track(number, random.randrange(2))))
    program = _program(random, tracked)
    critical = critical_checksums(flow, program)
    return [
        Follow(number, random.choice(tuple(State))),
        Keep(port, random.choice((sound, odd))(random, flow), program, number),
        _feed(random, port, flow, critical),
        *(random.choice(_EVENTS)(random) for _ in range(random.randrange(3))),
        _feed(random, port, flow, critical),
    ]


def _connection(random: Random) -> list[Step]:
    """A TCP connection whose segments come in from either side, not only within its window."""
    flow = a_flow(random, GATEWAY)._replace(protocol=Protocol.TCP)
    number, direction = random.choice(CONNECTIONS), random.randrange(2)
    ways = (
        (INWARD, flow, Track(number, direction)),
        (OUTWARD, answering(flow, UPLINK), Track(number, 1 - direction)),
    )
    steps = _handshake(random, flow, ways[0][2])
    for port, one, tracked in ways:
        steps.append(Keep(port, a_segment(random, one), _program(random, tracked), number))
    for _ in range(random.randint(1, 6)):
        port, one, tracked = random.choice(ways)
        match random.randrange(6):
            case 0:
                steps.append(random.choice(_EVENTS)(random))
            case 1 | 2:
                steps.append(_feed(random, port, one, ()))
            case _:
                place = random.random() < 0.5, random.choice((1, -1)), random.randrange(3)
                steps.append(FeedAtEdge(port, a_segment(random, one), tracked, *place))
    return steps


def _handshake(random: Random, flow: Flow, tracked: Track) -> list[Step]:
    """A connection, and a window with a SYN in each direction; sometimes less is seen of them."""
    first, other = flow.numbers if tracked.direction == 0 else flow.numbers[::-1]
    syn = first, 0, None, a_window(random), a_scale(random)
    answer = other, 0, (first + 1) % (1 << 32), a_window(random), a_scale(random)
    state = random.choice((State.OPENING, State.ESTABLISHED, State.ESTABLISHED, *State))
    steps: list[Step] = [
        Follow(tracked.flow, state),
        OpenWindow(tracked.flow),
        Begin(tracked.flow, 0, *syn),
        Begin(tracked.flow, 1, *answer),
    ]
    return steps[: random.choice((4, 4, 4, 4, 3, 3, 2, 1))]


def _program(random: Random, tracked: Track | None = None) -> tuple[Action, ...]:
    """Actions in any order, none of them twice."""
    actions: list[Action] = [
        SetStations(NEIGHBOUR, GATEWAY),
        DecrementTtl(),
        random.choice(SOURCES),
        random.choice(DESTINATIONS),
    ]
    actions = random.sample(actions, random.randrange(len(actions) + 1))
    if random.random() < 0.2:
        actions.append(ClampMss(random.choice(_SEGMENT_SIZES)))
    if random.random() < 0.4:
        actions.append(FitMtu(random.choice(_MTUS)))
    if tracked is not None:
        actions.append(tracked)
    random.shuffle(actions)
    outputs = random.choices(_PORTS, k=random.choice((0, 1, 1, 1, 2)))
    return *actions, *map(Output, outputs)


def _feed(random: Random, port: int, flow: Flow, critical: tuple[int, ...]) -> Step:
    frames = (
        a_stranger(random) if random.random() < 0.1 else odd(random, flow, critical)
        for _ in range(random.randint(1, 4))
    )
    return Feed(port, tuple(frames), random.choice(_TIMES), random.choice((64, 64, 64, 1, 2)))


# What happens in between


def _attach(random: Random) -> Step:
    offloads, gateway = random.choice(_OFFLOADS), random.choice(_STATIONS)
    return Attach(random.choice(_PORTS), offloads, gateway, _behind(random))


def _replace(random: Random) -> Step:
    return Replace(random.choice(_PORTS), random.choice(_OFFLOADS), _behind(random))


def _behind(random: Random) -> Behind:
    return random.choice(tuple(Behind))


def _spoil(random: Random) -> Step:
    answers = random.choices(tuple(Sent), k=random.randint(1, 4))
    return Spoil(random.choice(_PORTS), tuple(answers))


def _settle(random: Random) -> Step:
    octets = random.choice((0, 60, 1514))
    return Settle(random.choice(_PORTS), octets, random.choice(tuple(Sent)))


def _begin(random: Random) -> Step:
    first, other = random.choice(FIRST_NUMBERS), random.choice(FIRST_NUMBERS)
    return Begin(
        random.choice(CONNECTIONS),
        random.randrange(2),
        a_number(random, first),
        random.choice((0, 1, 1460, 66_000)),
        random.choice((None, a_number(random, other))),
        a_window(random),
        a_scale(random),
    )


def _accept(random: Random) -> Step:
    first, other = random.choice(FIRST_NUMBERS), random.choice(FIRST_NUMBERS)
    return Accept(
        random.choice(CONNECTIONS),
        random.randrange(2),
        a_number(random, first),
        random.choice((0, 1, 1460, 66_000)),
        a_number(random, other),
        a_window(random),
    )


def _transmit(random: Random) -> Step:
    frame = odd(random, a_flow(random, GATEWAY))
    return Transmit(random.choice(_PORTS), frame, random.choice(_TIMES))


_EVENTS: tuple[Callable[[Random], Step], ...] = (
    lambda random: Remove(random.randrange(4)),
    lambda _: Invalidate(),
    lambda random: Observe(random.random() < 0.7),
    _attach,
    lambda random: Detach(random.choice(_PORTS)),
    lambda random: SetGateway(random.choice(_PORTS), random.choice(_STATIONS)),
    _replace,
    _spoil,
    _settle,
    lambda random: Vanish(random.choice(_PORTS)),
    lambda random: OpenWindow(random.choice(CONNECTIONS)),
    lambda random: Follow(random.choice(CONNECTIONS), random.choice(tuple(State))),
    lambda random: Unfollow(random.choice(CONNECTIONS)),
    _begin,
    _accept,
    _transmit,
)
