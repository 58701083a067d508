"""Namespaces as the kernel and `ip netns` see them."""

from __future__ import annotations

import itertools
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from vswitch.daemon.kernel import netns, unsharing
from vswitch.daemon.kernel.journal import Journal, Swept
from vswitch.daemon.kernel.made import MadeNamespace, Undone
from vswitch.daemon.kernel.netns import Namespace, NamespaceError, NamespaceWatch

if TYPE_CHECKING:
    from tests.linux.conftest import Namespaces

pytestmark = pytest.mark.linux

PATIENCE = 5.0
"""Seconds after which an event counts as missing."""

IN_A_NAMESPACE_OF_ITS_OWN = """
import os, socket, sys
from pathlib import Path
from vswitch.daemon.kernel import netns, unsharing
unsharing.unshare_network()
unsharing.overlay_file("nameserver 127.0.0.11\\n", Path(sys.argv[1]))
print(os.stat("/proc/self/ns/net").st_ino)
print(socket.if_nameindex())
print(Path(sys.argv[1]).read_text(), end="", flush=True)
sys.stdin.read()
"""

KILLED_WITH_A_NAMESPACE_MADE = """
import os, signal, sys
from pathlib import Path
from vswitch.daemon.kernel.journal import Journal
Journal.open("lab", Path(sys.argv[1])).make_namespace(sys.argv[2])
os.kill(os.getpid(), signal.SIGKILL)
"""

_numbers = itertools.count()


@pytest.fixture
def name() -> Iterator[str]:
    """A name that is free, and is free again after the test."""
    yield from free_name()


@pytest.fixture
def other() -> Iterator[str]:
    yield from free_name()


def free_name() -> Iterator[str]:
    name = f"vst-own-{os.getpid()}-{next(_numbers)}"
    yield name
    netns.remove(name)


def inode_of_current() -> int:
    return os.stat("/proc/thread-self/ns/net").st_ino


@contextmanager
def running(program: str, *arguments: Path) -> Iterator[subprocess.Popen[str]]:
    """A Python process that lasts until the block ends."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def gone_until(watch: NamespaceWatch, last: str, mine: set[str]) -> set[str]:
    """Which of `mine` went away, up to `last`. Names that others delete meanwhile are passed."""
    gone: set[str] = set()
    while last not in gone:
        assert select.select([watch], [], [], PATIENCE)[0], f"{last} is not reported"
        gone |= names_gone(watch) & mine
    return gone


def names_gone(watch: NamespaceWatch) -> set[str]:
    return {path.name for path in watch.gone() if path.parent == netns.NAMED}


def test_namespace_we_make_is_one_that_ip_netns_lists_enters_and_deletes(name: str) -> None:
    namespace = netns.create(name)
    assert namespace.exists()
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True)
    assert name in listed.stdout.split()
    links = ["ip", "netns", "exec", name, "ip", "-brief", "link"]
    inside = subprocess.run(links, capture_output=True, text=True, check=True)
    assert [line.split()[0] for line in inside.stdout.splitlines()] == ["lo"]
    subprocess.run(["ip", "netns", "delete", name], check=True)
    assert not namespace.exists()


def test_namespace_of_ip_netns_is_entered_and_removed_by_us(namespaces: Namespaces) -> None:
    name = namespaces.create()
    namespace = Namespace.named(name)
    assert netns.run(inode_of_current, namespace) == namespace.path.stat().st_ino
    namespaces._names.remove(name)
    netns.remove(name)
    assert not namespace.path.exists()
    netns.remove(name)


def test_making_one_does_not_move_the_caller(name: str) -> None:
    before = inode_of_current()
    created = netns.create(name)
    assert inode_of_current() == before
    assert created.path.stat().st_ino != before


def test_name_that_is_taken_stays_what_it_was(name: str) -> None:
    inode = netns.create(name).path.stat().st_ino
    with pytest.raises(NamespaceError, match=f"^namespace {name} exists already$"):
        netns.create(name)
    assert Namespace.named(name).path.stat().st_ino == inode


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../a"])
def test_what_leads_elsewhere_is_no_name(name: str) -> None:
    with pytest.raises(NamespaceError, match="cannot be the name of a namespace"):
        netns.create(name)


def test_leftover_file_with_nothing_bound_to_it_is_no_namespace_and_can_be_removed(
    name: str,
) -> None:
    namespace = Namespace.named(name)
    namespace.path.touch()
    assert not namespace.exists()
    with pytest.raises(NamespaceError, match=f"cannot enter namespace {name}: it is no network"):
        netns.run(inode_of_current, namespace)
    netns.remove(name)
    assert not namespace.path.exists()


def test_missing_namespace_is_named_in_the_error(name: str) -> None:
    with pytest.raises(NamespaceError, match=f"^namespace {name} does not exist$"):
        netns.run(inode_of_current, Namespace.named(name))


def test_exception_inside_reaches_the_caller_and_leaves_no_thread(name: str) -> None:
    def fail() -> None:
        raise LookupError("in there")

    with pytest.raises(LookupError, match="in there"):
        netns.run(fail, netns.create(name))
    assert [each for each in threading.enumerate() if each.name.startswith("in ")] == []


def test_nothing_is_held_open_after_running_inside(name: str) -> None:
    namespace = netns.create(name)
    before = sorted(os.listdir("/proc/self/fd"))
    netns.run(inode_of_current, namespace)
    assert sorted(os.listdir("/proc/self/fd")) == before


def test_watch_names_what_went_away_once_and_not_what_came(name: str, other: str) -> None:
    netns.create(name)
    with closing(NamespaceWatch()) as watch:
        netns.create(other)
        netns.remove(name)
        assert gone_until(watch, name, {name, other}) == {name}
        netns.remove(other)
        assert gone_until(watch, other, {name, other}) == {other}


def test_watch_names_all_that_went_away_at_once(name: str, other: str) -> None:
    netns.create(name)
    netns.create(other)
    with closing(NamespaceWatch()) as watch:
        netns.remove(name)
        netns.remove(other)
        assert names_gone(watch) >= {name, other}


def test_watch_sees_a_deletion_behind_which_the_name_is_back(name: str) -> None:
    netns.create(name)
    with closing(NamespaceWatch()) as watch:
        subprocess.run(["ip", "netns", "delete", name], check=True)
        netns.create(name)
        assert gone_until(watch, name, {name}) == {name}


def test_watch_that_has_nothing_to_say_does_not_block(name: str) -> None:
    netns.create(name)
    with closing(NamespaceWatch()) as watch:
        assert name not in names_gone(watch)


def test_child_has_a_network_of_its_own_and_the_host_can_enter_it(tmp_path: Path) -> None:
    resolv_conf = tmp_path / "resolv.conf"
    resolv_conf.touch()
    with running(IN_A_NAMESPACE_OF_ITS_OWN, resolv_conf) as child:
        assert child.stdout is not None
        inode = int(child.stdout.readline())
        assert inode != inode_of_current()
        assert child.stdout.readline() == "[(1, 'lo')]\n"
        assert netns.run(inode_of_current, Namespace.of_process(child.pid)) == inode


def test_resolv_conf_of_a_child_is_not_the_hosts_even_on_a_shared_mount(name: str) -> None:
    """The directory of the named namespaces is shared with every later mount namespace."""
    netns.create(name)
    netns.remove(name)
    resolv_conf = netns.NAMED / name
    resolv_conf.write_text("the host's\n")
    with running(IN_A_NAMESPACE_OF_ITS_OWN, resolv_conf) as child:
        assert child.stdout is not None
        assert [child.stdout.readline() for _ in range(3)][-1] == "nameserver 127.0.0.11\n"
        assert resolv_conf.read_text() == "the host's\n"


def test_namespaces_that_the_host_makes_and_removes_come_and_go_in_a_child(
    name: str, tmp_path: Path
) -> None:
    resolv_conf = tmp_path / "resolv.conf"
    resolv_conf.touch()
    netns.create(name)
    netns.remove(name)
    with running(IN_A_NAMESPACE_OF_ITS_OWN, resolv_conf) as child:
        assert child.stdout is not None
        child.stdout.readline()
        mounts = Path(f"/proc/{child.pid}/mounts")
        netns.create(name)
        assert f"/run/netns/{name} " in mounts.read_text()
        netns.remove(name)
        assert f"/run/netns/{name} " not in mounts.read_text()


def test_file_is_not_laid_over_nothing(tmp_path: Path) -> None:
    with pytest.raises(NamespaceError, match=r"cannot lay a file over .*: No such file"):
        unsharing.overlay_file("text", tmp_path / "missing")


def test_namespace_of_a_killed_switch_is_swept(name: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED_WITH_A_NAMESPACE_MADE, str(tmp_path), name]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert Namespace.named(name).exists()
    with closing(Journal.open("lab", tmp_path)) as journal:
        assert journal.sweep() == (Swept(MadeNamespace(name), Undone.REMOVED),)
    assert not Namespace.named(name).path.exists()


def test_namespace_that_was_there_before_is_never_swept(name: str, tmp_path: Path) -> None:
    netns.create(name)
    with closing(Journal.open("lab", tmp_path)) as journal:
        with pytest.raises(NamespaceError, match="exists already"):
            journal.make_namespace(name)
        assert journal.sweep() == ()
    assert Namespace.named(name).exists()
