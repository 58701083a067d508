"""Which way of keeping the kernel silent is chosen, and what is said of the others."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from vswitch.daemon.guard import bpf, clsact
from vswitch.daemon.guard.bpf import BpfError
from vswitch.daemon.guard.clsact import QdiscExists
from vswitch.daemon.guard.holds import HoldError, Holds
from vswitch.daemon.guard.ways import Guard, Guarded, GuardError, Way, WhyNot, choose
from vswitch.daemon.kernel.journal import Journal
from vswitch.daemon.kernel.links import LinkError
from vswitch.daemon.kernel.made import MadeFilter, MadeQdisc
from vswitch.wire.values import IpAddress, Protocol

ADDRESS = IpAddress(bytes((127, *os.getpid().to_bytes(4, "big")[2:], 1)))
"""A loopback address that no other run of these tests uses at the same time."""

WHAT = Guarded("up0", 7, ADDRESS, (range(61500, 61502), range(61510, 61511)))


class Kernel:
    """Says yes to everything, but for what is in `refusing`."""

    def __init__(self) -> None:
        self.refusing: set[str] = set()
        self.has_qdisc = False
        self.attached: list[int] = []
        self.present: list[str] = []

    def load(self, program: bytes) -> int:
        if "load" in self.refusing:
            raise BpfError("cannot load a BPF program: not permitted")
        return os.open("/dev/null", os.O_RDONLY)

    def attach_tcx(self, program: int, interface: int) -> int:
        if "tcx" in self.refusing:
            raise BpfError("cannot attach by TCX: this kernel has no TCX")
        self.attached.append(os.open("/dev/null", os.O_RDONLY))
        return self.attached[-1]

    def make_qdisc(self, interface: int) -> None:
        if self.has_qdisc:
            raise QdiscExists
        self.present.append("qdisc")

    def make_filter(self, interface: int, program: int) -> None:
        if "filter" in self.refusing:
            raise LinkError("cannot make a BPF filter: File exists")
        self.present.append("filter")

    def remove(self, thing: str) -> clsact.Removed:
        self.present.remove(thing)
        return clsact.Removed.REMOVED


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    kernel = Kernel()
    monkeypatch.setattr(bpf, "load", kernel.load)
    monkeypatch.setattr(bpf, "attach_tcx", kernel.attach_tcx)
    monkeypatch.setattr(clsact, "has_qdisc", lambda _: kernel.has_qdisc)
    monkeypatch.setattr(clsact, "make_qdisc", kernel.make_qdisc)
    monkeypatch.setattr(clsact, "make_filter", kernel.make_filter)
    monkeypatch.setattr(clsact, "remove_qdisc", lambda _: kernel.remove("qdisc"))
    monkeypatch.setattr(clsact, "remove_filter", lambda _: kernel.remove("filter"))
    return kernel


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with closing(Journal.open("lab", tmp_path)) as journal:
        yield journal


@pytest.fixture
def holds() -> Iterator[Holds]:
    with closing(Holds()) as holds:
        yield holds


def is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def test_tcx_comes_first_and_ends_with_its_descriptor(
    kernel: Kernel, journal: Journal, holds: Holds
) -> None:
    guard = choose(WHAT, journal=journal, holds=holds)
    assert (guard.way, guard.why_not, guard.what) == (Way.TCX, (), WHAT)
    assert (kernel.present, journal.made, len(holds)) == ([], (), 0)
    (link,) = kernel.attached
    assert is_open(link)
    guard.close()
    assert not is_open(link)
    guard.close()


def test_clsact_comes_next_and_is_in_the_journal_while_it_is_there(
    kernel: Kernel, journal: Journal, holds: Holds, caplog: pytest.LogCaptureFixture
) -> None:
    kernel.refusing = {"tcx"}
    with caplog.at_level(logging.INFO):
        guard = choose(WHAT, journal=journal, holds=holds)
    reason = "cannot attach by TCX: this kernel has no TCX"
    assert (guard.way, guard.why_not) == (Way.CLSACT, (WhyNot(Way.TCX, reason),))
    assert kernel.present == ["qdisc", "filter"]
    assert journal.made == (MadeQdisc(7, "up0"), MadeFilter(7, "up0"))
    what = f"{ADDRESS}:61500-61501,61510-61510 at up0"
    assert caplog.messages == [
        f"{what} cannot be guarded by tcx: {reason}",
        f"{what} is guarded by clsact",
    ]
    guard.close()
    assert (kernel.present, journal.made) == ([], ())


def test_qdisc_that_was_there_is_shared_and_stays(
    kernel: Kernel, journal: Journal, holds: Holds
) -> None:
    kernel.has_qdisc = True
    kernel.present = ["qdisc"]
    guard = choose(WHAT, journal=journal, holds=holds, only=Way.CLSACT)
    assert journal.made == (MadeFilter(7, "up0"),)
    guard.close()
    assert kernel.present == ["qdisc"]


@pytest.mark.parametrize("refusing", [{"load"}, {"tcx", "filter"}])
def test_sockets_are_the_last_and_nothing_is_left_of_the_others(
    kernel: Kernel, journal: Journal, holds: Holds, refusing: set[str]
) -> None:
    kernel.refusing = refusing
    guard = choose(WHAT, journal=journal, holds=holds)
    assert guard.way is Way.SOCKETS
    assert [each.way for each in guard.why_not] == [Way.TCX, Way.CLSACT]
    assert (kernel.present, journal.made) == ([], ())
    assert len(holds) == 2 * 3
    guard.close()
    assert len(holds) == 0


def test_publication_and_guard_may_hold_one_port(
    kernel: Kernel, journal: Journal, holds: Holds
) -> None:
    holds.hold(Protocol.TCP, WHAT.address, [61500])
    guard = choose(WHAT, journal=journal, holds=holds, only=Way.SOCKETS)
    guard.close()
    assert len(holds) == 1


def test_each_way_can_be_forced_and_is_not_replaced(
    kernel: Kernel, journal: Journal, holds: Holds
) -> None:
    for way in Way:
        guard = choose(WHAT, journal=journal, holds=holds, only=way)
        assert (guard.way, guard.why_not) == (way, ())
        guard.close()
    kernel.refusing = {"tcx"}
    with pytest.raises(GuardError, match="tcx: cannot attach by TCX"):
        choose(WHAT, journal=journal, holds=holds, only=Way.TCX)


def test_no_way_at_all_is_one_line_with_every_reason(
    kernel: Kernel, journal: Journal, holds: Holds
) -> None:
    kernel.refusing = {"tcx", "filter"}
    with closing(Holds()) as of_somebody_else:
        of_somebody_else.hold(Protocol.UDP, WHAT.address, [61510])
        with pytest.raises(GuardError) as refusal:
            choose(WHAT, journal=journal, holds=holds)
    assert str(refusal.value) == (
        f"the kernel cannot be kept off {ADDRESS}:61500-61501,61510-61510 at up0: "
        "tcx: cannot attach by TCX: this kernel has no TCX; "
        "clsact: cannot make a BPF filter: File exists; "
        f"sockets: failed to bind host port {ADDRESS}:61510/udp: address already in use"
    )
    assert [each.way for each in refusal.value.why_not] == list(Way)
    assert (kernel.present, journal.made, len(holds)) == ([], (), 0)


def test_descriptor_of_the_program_is_not_kept(
    kernel: Kernel, journal: Journal, holds: Holds, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[int] = []

    def load(program: bytes) -> int:
        loaded.append(os.open("/dev/null", os.O_RDONLY))
        return loaded[-1]

    monkeypatch.setattr(bpf, "load", load)
    guards: list[Guard] = []
    for way in (Way.TCX, Way.CLSACT):
        guards.append(choose(WHAT, journal=journal, holds=holds, only=way))
        assert not is_open(loaded.pop())
    for guard in guards:
        guard.close()


def test_hold_error_says_whether_the_port_is_taken(holds: Holds) -> None:
    nowhere = IpAddress.parse("192.0.2.77")
    with pytest.raises(HoldError) as refusal:
        holds.hold(Protocol.TCP, nowhere, [61500])
    assert str(refusal.value) == (
        "failed to bind host port 192.0.2.77:61500/tcp: cannot assign requested address"
    )
    assert not refusal.value.is_taken


def test_machine_whose_system_call_is_not_known_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(BpfError, match=r"^the number of bpf\(2\) on riscv64 is not known$"):
        bpf.load(b"")
