from __future__ import annotations

import pytest

from bench import peers
from bench.peers import Missing, Path, Peer, Route, vswitch
from bench.topology import CommandError, World


class Reachable(World):
    """Nothing is made, and everybody answers."""

    def wait_until_reachable(self, *_: object) -> None:
        pass


def peer(name: str, *programs: str) -> Peer:
    return Peer(name, programs, lambda _: [Path(name, Route.NAPT, "in", "out", "192.0.2.1")])


def refuse(_: World) -> list[Path]:
    raise CommandError("no /dev/net/tun")


def build(monkeypatch: pytest.MonkeyPatch, *others: Peer) -> tuple[list[str], list[Missing]]:
    ours = peer("vswitch")
    monkeypatch.setattr(peers, "PEERS", (ours, *others))
    monkeypatch.setattr(vswitch, "PEER", ours)
    with Reachable() as world:
        paths, missing = peers.build_all(world, [other.name for other in others])
    return [path.contender for path in paths], missing


def test_this_switch_is_built_whoever_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert build(monkeypatch) == (["vswitch"], [])
    assert build(monkeypatch, peer("pasta")) == (["vswitch", "pasta"], [])


def test_a_peer_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    found = build(monkeypatch, peer("pasta", "no-such-program"), peer("vde"))
    assert found == (
        ["vswitch", "vde"],
        [Missing("pasta", "not installed: no-such-program")],
    )


def test_a_peer_that_can_not_be_built_is_named_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = build(monkeypatch, Peer("c-loop", (), refuse))
    assert found == (["vswitch"], [Missing("c-loop", "no /dev/net/tun")])


def test_every_peer_has_a_name_of_its_own() -> None:
    names = [each.name for each in peers.PEERS]
    assert len(set(names)) == len(names)
