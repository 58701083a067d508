"""Bad input: whatever bytes come in by whatever port, the switch counts them and goes on.

Frames are made by hypothesis and by damaging good ones of every kind. Each is sent through a lab,
which holds its two invariants against all that comes out. A frame ends in one fate: forwarded,
flooded, answered, absorbed, waiting, or dropped under a reason.
"""

from __future__ import annotations

from itertools import chain

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP
from scapy.layers.l2 import Ether

from tests.dataplane.corpus import Sample, cut, feed, samples, warm_lab
from tests.harness import Lab
from vswitch.dataplane.verdict import Fate
from vswitch.units import SECOND
from vswitch.wire.offload import HEADER_LENGTH, Offloads

SAMPLES = samples()
HOSTS = ["a", "b", "c", "outside"]
INTERESTING = [0, 1, 2, 4, 6, 8, 11, 17, 0x45, 0x4F, 0x7F, 0x80, 0x81, 0xFE, 0xFF]
"""Bytes that mean something somewhere: types, protocols, versions, limits."""

soon = settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def repaired(raw: bytes) -> bytes:
    """The frame with a right IPv4 header checksum, so that damage is seen by later stages."""
    frame = bytearray(raw)
    at = HEADER_LENGTH + 14
    if len(frame) < at + 20 or frame[at - 2 : at] != b"\x08\x00":
        return raw
    end = at + max(20, (frame[at] & 0x0F) * 4)
    frame[at + 10 : at + 12] = b"\0\0"
    total = int.from_bytes(frame[at:end], "big") % 0xFFFF
    frame[at + 10 : at + 12] = (0xFFFF - total).to_bytes(2, "big")
    return bytes(frame)


@st.composite
def damaged(draw: st.DrawFn) -> Sample:
    """A good frame, changed in a few places, cut or made longer, perhaps by another sender."""
    sample = draw(st.sampled_from(SAMPLES))
    raw = bytearray(sample.raw)
    reach = min(len(raw), HEADER_LENGTH + 90) - 1
    for _ in range(draw(st.integers(0, 4))):
        value = draw(st.sampled_from(INTERESTING) | st.integers(0, 255))
        raw[draw(st.integers(0, reach))] = value
    change = draw(st.sampled_from(["keep", "keep", "cut", "extend"]))
    if change == "cut":
        del raw[max(HEADER_LENGTH, len(raw) - draw(st.integers(1, 80))) :]
    elif change == "extend":
        raw += draw(st.binary(min_size=1, max_size=60))
    host = draw(st.sampled_from([sample.host, sample.host, *HOSTS]))
    whole = bytes(raw)
    return Sample(host, repaired(whole) if draw(st.booleans()) else whole)


WHOLE = [
    sample
    for sample in SAMPLES
    if IP in (frame := Ether(sample.raw[HEADER_LENGTH:]))
    and not frame[IP].frag
    and not frame[IP].flags.MF
    and len(frame[IP].payload) > 8
    and sample.raw[:HEADER_LENGTH] == bytes(HEADER_LENGTH)
]
"""Samples that can be cut into fragments."""


@st.composite
def fragments(draw: st.DrawFn) -> list[Sample]:
    """A good packet in pieces, in any order, some of them twice, missing or damaged."""
    sample = draw(st.sampled_from(WHOLE))
    frame = Ether(sample.raw[HEADER_LENGTH:])
    packet = frame[IP]
    packet.id = draw(st.integers(0, 3))
    size = draw(st.integers(1, 12)) * 8
    pieces = draw(st.permutations(cut(packet, max(size, len(packet.payload) // 64 * 8))))
    pieces += draw(st.lists(st.sampled_from(pieces), max_size=3))
    made = []
    for piece in pieces[draw(st.integers(0, 1)) :]:
        raw = bytearray(sample.raw[: HEADER_LENGTH + 14] + bytes(piece))
        if draw(st.integers(0, 7)) == 7:
            raw[draw(st.integers(HEADER_LENGTH, len(raw) - 1))] = draw(st.integers(0, 255))
        made.append(Sample(sample.host, repaired(bytes(raw))))
    return made


made_up = st.builds(
    Sample,
    st.sampled_from(HOSTS),
    st.binary(min_size=HEADER_LENGTH, max_size=HEADER_LENGTH + 80),
)


def went_out(lab: Lab) -> int:
    """Frames that were sent or lost on the way out, by all ports."""
    total = 0
    for number in lab.switch.tables.ports:
        counters = lab.switch.fastpath.port_counters(number)
        total += counters.sent_frames
        total += sum(counters.lost.values()) + sum(counters.unsendable.values())
    return total


def assert_accounted_for(lab: Lab, sample: Sample) -> None:
    """Send it: it ends in one fate, with a reason if it is dropped, or is a hit and goes out. What
    else is counted as dropped by it has waited before."""
    counters = lab.switch.counters
    fates, drops, sent = counters.fates.copy(), counters.drops.copy(), went_out(lab)
    fastpath, port = lab.switch.fastpath, lab.hosts[sample.host].port
    received = fastpath.port_counters(port).received_frames
    feed(lab, sample)
    assert fastpath.port_counters(port).received_frames == received + 1
    new_fates, new_drops = counters.fates - fates, counters.drops - drops
    lost = new_drops.total() - new_fates[Fate.DROPPED]
    if new_fates:
        assert new_fates.total() == 1
        assert 0 <= lost <= fates[Fate.WAITING]
    else:
        assert new_drops.total() == 0
        assert went_out(lab) > sent
    if new_fates[Fate.FORWARDED] or new_fates[Fate.FLOODED] or new_fates[Fate.ANSWERED]:
        assert went_out(lab) > sent
    assert counters.drops.total() <= counters.fates[Fate.DROPPED] + counters.fates[Fate.WAITING]


@soon
@given(frames=st.lists(damaged(), min_size=1, max_size=5))
def test_damaged_frames_are_accounted_for_and_let_nothing_slip(frames: list[Sample]) -> None:
    lab = warm_lab()
    for sample in frames:
        assert_accounted_for(lab, sample)
    lab.pass_time(400 * SECOND)


@soon
@given(frames=st.lists(damaged(), min_size=1, max_size=5))
def test_damaged_frames_towards_devices_without_offloads(frames: list[Sample]) -> None:
    lab = warm_lab(Offloads.NONE)
    for sample in frames:
        assert_accounted_for(lab, sample)


@soon
@given(datagrams=st.lists(fragments(), min_size=1, max_size=3))
def test_fragments_are_accounted_for_and_let_nothing_slip(datagrams: list[list[Sample]]) -> None:
    lab = warm_lab()
    for sample in chain.from_iterable(datagrams):
        assert_accounted_for(lab, sample)
    lab.pass_time(400 * SECOND)
    assert len(lab.switch.tables.reassembly) == 0


@soon
@given(frames=st.lists(made_up, min_size=1, max_size=8))
def test_any_bytes_are_accounted_for(frames: list[Sample]) -> None:
    lab = warm_lab()
    for sample in frames:
        assert_accounted_for(lab, sample)


@soon
@given(frames=st.lists(st.sampled_from(SAMPLES), max_size=20))
def test_good_frames_in_any_order_are_accounted_for(frames: list[Sample]) -> None:
    lab = warm_lab()
    for sample in frames:
        assert_accounted_for(lab, sample)
    lab.pass_time(10_000 * SECOND)
    tables = lab.switch.tables
    assert len(tables.connections) == 0
    assert len(tables.mappings) == 0
    assert len(tables.accounts) == 0
    assert len(tables.held_syns) == 0
    assert len(tables.reassembly) == 0
    assert len(lab.switch.fastpath) == 0
    assert lab.windows() == []


def test_every_good_frame_can_be_cut_anywhere() -> None:
    lab = warm_lab()
    for sample in SAMPLES:
        for length in range(HEADER_LENGTH, min(len(sample.raw), HEADER_LENGTH + 80)):
            assert_accounted_for(lab, Sample(sample.host, sample.raw[:length]))
        for host in lab.hosts.values():
            host.device.take()


def test_frame_without_even_its_offload_header_is_dropped() -> None:
    lab = Lab()
    for length in range(HEADER_LENGTH):
        lab.a.device.feed(bytes(length))
        lab.switch.serve(lab.a.port, lab.now)
    assert lab.switch.counters.fates == {Fate.DROPPED: HEADER_LENGTH}
