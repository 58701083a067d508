"""Network namespaces: naming them, making them, working inside one, and seeing one go.

Theory of operation. A namespace is something that can be opened: a name under /run/netns, the
network namespace of a process, or any path. `Namespace` is that, and nothing is held open by it:
an open descriptor keeps a namespace alive after everybody else left, so each use opens, works and
closes.

Entering is a property of a thread, not of the process (namespaces(7)). `run` therefore starts a
thread that enters, works and ends. There is nothing to restore, and the event loop's thread never
leaves its own namespace. A socket made in there stays in there after the thread is gone.

Named namespaces are made the way ip-netns(8) makes them, so that `ip netns` lists, enters and
deletes ours and we take its own: /run/netns is a shared mount, and each name in it is an empty file
with the namespace bound over it. The new namespace belongs to a thread until it is bound, so no
process is forked for it.

This module decides nothing about links or addresses, and never touches the namespace that the
process itself is in.
"""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from vswitch.daemon.kernel.inotify import IN_DELETE, Inotify
from vswitch.daemon.kernel.syscalls import (
    CLONE_NEWNET,
    MNT_DETACH,
    MS_BIND,
    MS_REC,
    MS_SHARED,
    call,
    mount,
)
from vswitch.daemon.kernel.unsharing import RESOLV_CONF as RESOLV_CONF
from vswitch.daemon.kernel.unsharing import NamespaceError as NamespaceError

NAMED = Path("/run/netns")
"""Where ip-netns(8) keeps the named namespaces."""

NS_GET_NSTYPE = 0xB703
"""ioctl_ns(2): the CLONE_NEW* flag of the namespace that a descriptor stands for."""


Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Namespace:
    """A network namespace by the path that opens it. Two spellings of one path are two values,
    unless made by `at`."""

    path: Path

    @classmethod
    def named(cls, name: str) -> Namespace:
        """The namespace that `ip netns` calls `name`. Raises NamespaceError for what is no name."""
        if name in ("", ".", "..") or "/" in name or "\0" in name:
            raise NamespaceError(f"{name!r} cannot be the name of a namespace")
        return cls(NAMED / name)

    @classmethod
    def of_process(cls, pid: int) -> Namespace:
        """The namespace that process `pid` is in: right only while that process lives."""
        return cls(Path(f"/proc/{pid}/ns/net"))

    @classmethod
    def at(cls, path: Path) -> Namespace:
        """The namespace at `path`, one spelling for all ways through symbolic links to it."""
        return cls(path.parent.resolve() / path.name)

    @property
    def pid(self) -> int | None:
        """The process that it is known by, or None where it is known by name or path."""
        match self.path.parts:
            case ("/", "proc", number, "ns", "net") if number.isdecimal():
                return int(number)
        return None

    @property
    def name(self) -> str | None:
        """Its name under /run/netns, or None where it is known by process or path only."""
        return self.path.name if self.path.parent == NAMED else None

    def exists(self) -> bool:
        """Is a network namespace there? A leftover file that nothing is bound over is none."""
        try:
            self.require()
        except NamespaceError:
            return False
        return True

    def require(self) -> None:
        """Raises NamespaceError where no network namespace is there, and says what is instead."""
        with self.opened() as descriptor:
            try:
                kind = fcntl.ioctl(descriptor, NS_GET_NSTYPE)
            except OSError:
                kind = None
        if kind != CLONE_NEWNET:
            raise NamespaceError(f"{self.path} is no network namespace")

    @contextmanager
    def opened(self) -> Iterator[int]:
        """A descriptor of it for as long as the block runs, pinning the namespace meanwhile.

        Raises NamespaceError where it cannot be opened.
        """
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise NamespaceError(f"{self} does not exist") from None
        except OSError as error:
            raise NamespaceError(f"cannot open {self}: {error.strerror}") from error
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def __str__(self) -> str:
        return f"namespace {self.name or self.path}"


def create(name: str) -> Namespace:
    """Make a named namespace, with `lo` down and nothing else in it.

    Raises NamespaceError where the name is taken or the privilege is missing.
    """
    namespace = Namespace.named(name)
    try:
        _share_directory_of_names()
        os.close(os.open(namespace.path, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0))
    except FileExistsError:
        raise NamespaceError(f"{namespace} exists already") from None
    except OSError as error:
        raise NamespaceError(f"cannot make {namespace}: {error.strerror}") from error
    try:
        run(lambda: _bind_fresh_namespace(namespace.path), None)
    except OSError as error:
        namespace.path.unlink()
        raise NamespaceError(f"cannot make {namespace}: {error.strerror}") from error
    return namespace


def remove(name: str) -> None:
    """Take the name away. The namespace itself ends when the last process and socket in it does.

    A name that is gone already, or that nothing was ever bound to, is no error. Raises
    NamespaceError where the privilege is missing.
    """
    namespace = Namespace.named(name)
    try:
        _detach_mount(namespace.path)
        namespace.path.unlink(missing_ok=True)
    except OSError as error:
        raise NamespaceError(f"cannot remove {namespace}: {error.strerror}") from error


def run(function: Callable[[], Result], namespace: Namespace | None) -> Result:
    """What `function` returns, or raises, when it is called inside `namespace`.

    None is the namespace of the calling thread. Either way the call happens in a thread of its
    own, where no event loop runs: pyroute2 would otherwise take the running one. The caller
    waits. Raises NamespaceError where the namespace cannot be entered.
    """
    outcome: Future[Result] = Future()

    def enter_and_call() -> None:
        try:
            if namespace is not None:
                _enter(namespace)
            outcome.set_result(function())
        except BaseException as error:
            outcome.set_exception(error)

    thread = threading.Thread(target=enter_and_call, name=f"in {namespace}", daemon=True)
    thread.start()
    thread.join()
    return outcome.result()


def inhabited(namespaces: Iterable[Namespace]) -> frozenset[Namespace]:
    """Those of `namespaces` that a process lives in, as far as processes may be looked at: those of
    other users and with further rights take CAP_SYS_PTRACE.
    """
    homes: dict[tuple[int, int], Namespace] = {}
    for each in namespaces:
        with suppress(OSError):
            homes[_identity(each.path)] = each
    found: set[Namespace] = set()
    for process in filter(str.isdecimal, os.listdir("/proc") if homes else ()):
        with suppress(OSError):  # it has ended meanwhile, or may not be looked at
            home = homes.get(_identity(Path(f"/proc/{process}/ns/net")))
            if home is not None:
                found.add(home)
    return frozenset(found)


class NamespaceWatch:
    """Says which paths of namespaces went away. Its descriptor becomes readable when some did.

    Only paths are watched, those under /run/netns always: a namespace that lost its path may live
    on in its processes, and that of a process is watched by the pidfd of the process.
    """

    def __init__(self) -> None:
        NAMED.mkdir(mode=0o755, exist_ok=True)
        self._inotify = Inotify()
        try:
            self._inotify.add(NAMED, IN_DELETE)
        except BaseException:
            self._inotify.close()
            raise

    def fileno(self) -> int:
        """The descriptor for the event loop to wait on."""
        return self._inotify.fileno()

    def add(self, namespace: Namespace) -> None:
        """Tell of this one, too, which has its path elsewhere. Raises NamespaceError."""
        directory = namespace.path.parent
        try:
            self._inotify.add(directory, IN_DELETE)
        except OSError as error:
            raise NamespaceError(f"cannot watch {directory}: {error.strerror}") from error

    def gone(self) -> frozenset[Path]:
        """The paths that went away since the last call, also those that are back by now."""
        return frozenset(self._inotify.paths())

    def close(self) -> None:
        """Stop watching."""
        self._inotify.close()


def _identity(path: Path) -> tuple[int, int]:
    """The same for all paths that open one namespace. Raises OSError."""
    there = path.stat()
    return there.st_dev, there.st_ino


def _share_directory_of_names() -> None:
    """Make /run/netns a mount that is shared with later mount namespaces, as ip-netns(8) does.

    The lock is the one that ip-netns takes, so that two programs do not each lay a mount of their
    own over the directory and hide what the other makes.
    """
    NAMED.mkdir(mode=0o755, exist_ok=True)
    directory = os.open(NAMED, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        try:
            mount(None, NAMED, MS_SHARED | MS_REC)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            mount(str(NAMED), NAMED, MS_BIND | MS_REC)
            mount(None, NAMED, MS_SHARED | MS_REC)
    finally:
        os.close(directory)


def _bind_fresh_namespace(path: Path) -> None:
    call("unshare", CLONE_NEWNET)
    mount("/proc/thread-self/ns/net", path, MS_BIND)


def _detach_mount(path: Path) -> None:
    try:
        call("umount2", os.fsencode(path), MNT_DETACH)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOENT):
            raise


def _enter(namespace: Namespace) -> None:
    with namespace.opened() as descriptor:
        try:
            call("setns", descriptor, CLONE_NEWNET)
        except OSError as error:
            reason = "it is no network namespace" if error.errno == errno.EINVAL else error.strerror
            raise NamespaceError(f"cannot enter {namespace}: {reason}") from error
