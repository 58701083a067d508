"""Who may ask, by what the kernel knows of who has connected."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from tests.daemon.test_api import Served
from vswitch.daemon.process.access import Access, Group, NoSuchGroupError, Peer

OWNER, MEMBER, STRANGER = 0, 1001, 1002
GROUP = Group("vswitch", 990)


def peer(user: int, *groups: int) -> Peer:
    return Peer(user, frozenset(groups or (user,)))


def test_kernel_tells_user_and_groups_of_who_is_at_the_other_end() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        told = Peer.of(ours)
    assert told == Peer(os.geteuid(), frozenset({os.getegid(), *os.getgroups()}))


def test_root_and_the_daemons_own_user_may_ask() -> None:
    access = Access(owner=1000)
    assert access.admits(peer(0))
    assert access.admits(peer(1000))
    assert not access.admits(peer(STRANGER))


def test_members_of_the_group_may_ask_whether_it_is_their_first_or_not() -> None:
    access = Access(OWNER, GROUP)
    assert access.admits(peer(MEMBER, GROUP.number))
    assert access.admits(peer(MEMBER, MEMBER, 27, GROUP.number))
    assert not access.admits(peer(STRANGER, STRANGER, 27))


def test_without_a_group_no_group_helps() -> None:
    assert not Access(OWNER).admits(peer(MEMBER, GROUP.number, 0))


def test_who_is_refused_is_told_who_may() -> None:
    told = Access(OWNER, GROUP).refusal(peer(STRANGER))
    assert told == (
        "user 1002 may not ask this switch: allowed are root and members of group vswitch"
    )
    told = Access(1000).refusal(peer(STRANGER))
    assert told == "user 1002 may not ask this switch: allowed are root and user 1000"


def test_group_is_known_by_its_name() -> None:
    assert Group.called("root") == Group("root", 0)
    with pytest.raises(NoSuchGroupError) as refused:
        Group.called("no-such")
    assert str(refused.value) == (
        'api.group: found "no-such": allowed is the name of a group that exists '
        "(groupadd --system no-such)"
    )


def test_interface_answers_403_to_who_may_not_ask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is asked, and before a body is looked at."""
    monkeypatch.setattr(Peer, "of", lambda connection: peer(STRANGER))
    served = Served(tmp_path)
    try:
        for method, path in (("GET", "/v1/status"), ("POST", "/v1/networks"), ("GET", "/nowhere")):
            answer = served.ask(method, path, b"{")
            assert answer.status == 403
            assert answer.problem.startswith("user 1002 may not ask this switch: allowed are root")
        monkeypatch.undo()
        assert served.ask("GET", "/v1/status").status == 200
    finally:
        served.close()
