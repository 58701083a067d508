"""Batches of datagrams on loopback: each sender is told what is its own."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from vswitch.daemon.resolving.listening.datagrams import LONGEST, SLOTS, Datagrams, Slots

PATIENCE = 10.0
"""Seconds after which a datagram counts as lost."""


class Line:
    """A socket of ours, and some that send to it."""

    def __init__(self, family: socket.AddressFamily, address: str, undo: ExitStack) -> None:
        def bound() -> socket.socket:
            made = undo.enter_context(socket.socket(family, socket.SOCK_DGRAM))
            made.bind((address, 0))
            made.settimeout(PATIENCE)
            return made

        self.ours = bound()
        self.senders = [bound() for _ in range(4)]
        self.datagrams = Datagrams(self.ours, Slots(family))

    def send(self, sender: int, *octets: bytes) -> None:
        for each in octets:
            self.senders[sender].sendto(each, self.ours.getsockname())

    def heard(self) -> list[tuple[int, bytes]]:
        return list(self.datagrams.receive())

    def told(self, sender: int) -> bytes:
        return self.senders[sender].recv(65535)


@pytest.fixture(params=[(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def line(request: pytest.FixtureRequest) -> Iterator[Line]:
    with ExitStack() as undo:
        yield Line(*request.param, undo)


def test_all_that_is_there_is_read_at_once_in_its_order(line: Line) -> None:
    line.send(0, b"one", b"", b"three")
    line.send(1, b"four")
    assert [octets for _, octets in line.heard()] == [b"one", b"", b"three", b"four"]
    assert line.heard() == []


def test_no_more_are_read_than_there_are_slots(line: Line) -> None:
    for number in range(SLOTS + 3):
        line.send(0, b"%d" % number)
    assert [octets for _, octets in line.heard()] == [b"%d" % each for each in range(SLOTS)]
    assert len(line.heard()) == 3


def test_each_is_told_its_own_whoever_before_it_is_told_nothing(line: Line) -> None:
    for sender in range(4):
        line.send(sender, b"%d" % sender)
    for slot, octets in line.datagrams.receive():
        if octets in (b"1", b"3"):
            line.datagrams.say(slot, b"to " + octets)
    line.datagrams.send()
    assert (line.told(1), line.told(3)) == (b"to 1", b"to 3")
    for sender in (0, 2):
        line.senders[sender].setblocking(False)
        with pytest.raises(BlockingIOError):
            line.told(sender)


def test_what_was_said_in_one_batch_is_not_said_again_in_the_next(line: Line) -> None:
    for octets in (b"first and longer", b"second"):
        line.send(0, octets)
        for slot, heard in line.datagrams.receive():
            line.datagrams.say(slot, heard)
        line.datagrams.send()
        assert line.told(0) == octets


def test_longer_answer_and_one_that_has_to_wait_go_by_themselves(line: Line) -> None:
    line.send(0, b"much")
    line.send(1, b"later")
    (much, _), (later, _) = line.heard()
    tell = line.datagrams.later(later)
    line.datagrams.say(much, b"x" * (LONGEST + 1))
    assert line.told(0) == b"x" * (LONGEST + 1)
    line.send(2, b"meanwhile")
    line.heard()
    tell(b"at last")
    assert line.told(1) == b"at last"


def test_what_can_not_be_sent_is_lost_and_the_rest_is_not(line: Line) -> None:
    line.send(0, b"nobody is at port 0")
    line.send(1, b"fine")
    (first, _), (second, _) = line.heard()
    line.datagrams._slots.senders[2:4] = bytes(2)
    for slot in (first, second):
        line.datagrams.say(slot, b"fine")
    line.datagrams.send()
    assert line.told(1) == b"fine"
