"""What this switch has made in the system, written down before it is made.

Theory of operation. Namespaces, links, filters and files outlive the process that makes them, so a
switch that is killed leaves them behind. Each is therefore recorded first and made second: what
the journal does not know was never made. An orderly end and the start after a kill -9 do the same
thing, `sweep`: remove all that is recorded, the latest first, because later things stand on
earlier ones.

The journal is a file of JSON lines under /run/vswitch/NAME, appended to with one write per line
and never fsynced: it has to survive the process, not the machine, whose restart takes away
namespaces, links and /run alike. A line that a kill cut short is passed over: its thing was not
begun.

The same directory holds the lock that makes a switch of a name run only once, and the process id
of the one that runs. The lock is flock(2) on a file, so it ends with the process however that
ends.

Only what the switch made is removed. A file that somebody else altered since is theirs, and a
directory goes only when nothing is left in it. TAPs that are not persistent and everything inside
a removed namespace go by themselves and are not recorded.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import TypeAlias

from vswitch.daemon import links, netns
from vswitch.daemon.guard import clsact
from vswitch.daemon.links import Link, LinkError
from vswitch.daemon.netns import Namespace, NamespaceError
from vswitch.daemon.rundir import RUN
from vswitch.wire.values import MacAddress

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class MadeNamespace:
    """A named namespace."""

    name: str

    def __str__(self) -> str:
        return f"namespace {self.name}"


@dataclass(frozen=True, slots=True)
class MadeLink:
    """A link in the namespace that the daemon itself runs in."""

    name: str

    def __str__(self) -> str:
        return f"link {self.name}"


@dataclass(frozen=True, slots=True)
class MadeDirectory:
    """A directory that was not there before."""

    path: str

    def __str__(self) -> str:
        return f"directory {self.path}"


@dataclass(frozen=True, slots=True)
class MadeFile:
    """A file that was not there before, with what was written into it."""

    path: str
    sha256: str

    def __str__(self) -> str:
        return f"file {self.path}"


@dataclass(frozen=True, slots=True)
class MadeQdisc:
    """A clsact qdisc that was not there before, by the interface's index and its name then."""

    index: int
    interface: str

    def __str__(self) -> str:
        return f"clsact qdisc of {self.interface}"


@dataclass(frozen=True, slots=True)
class MadeFilter:
    """The guard's filter at an interface's ingress, by its index and its name then."""

    index: int
    interface: str

    def __str__(self) -> str:
        return f"ingress filter of {self.interface}"


Made: TypeAlias = MadeNamespace | MadeLink | MadeDirectory | MadeFile | MadeQdisc | MadeFilter

KINDS: dict[str, type[Made]] = {
    "namespace": MadeNamespace,
    "link": MadeLink,
    "directory": MadeDirectory,
    "file": MadeFile,
    "qdisc": MadeQdisc,
    "filter": MadeFilter,
}
"""How each kind of thing is called in the file."""


class Undone(Enum):
    """How undoing one thing ended."""

    REMOVED = "removed"
    ABSENT = "was gone already"
    KEPT = "kept: somebody else changed it, or uses it"
    FAILED = "could not be removed"
    """It stays in the journal, for the next sweep."""


_BY_CLSACT = {
    clsact.Removed.REMOVED: Undone.REMOVED,
    clsact.Removed.ABSENT: Undone.ABSENT,
    clsact.Removed.KEPT: Undone.KEPT,
}


@dataclass(frozen=True, slots=True)
class Swept:
    """One thing that a sweep met, and what became of it."""

    thing: Made
    ending: Undone


class AlreadyRunning(Exception):
    """Another process runs a switch of this name. `pid` is None in its first instant."""

    def __init__(self, name: str, pid: int | None) -> None:
        who = "its pid is not known yet" if pid is None else f"pid {pid}"
        super().__init__(f"a switch named {name} is already running ({who})")
        self.name = name
        self.pid = pid


class Written(Enum):
    """How writing a file ended."""

    WRITTEN = "written"
    KEPT = "kept: there was one already"


class Journal:
    """The lock of one switch, and the things that it made and has not removed yet."""

    def __init__(self, directory: Path, lock: int, made: list[Made]) -> None:
        self.directory = directory
        """Of this switch alone, for as long as the journal is open: the control socket's place."""
        self._lock = lock
        self._made: dict[Made, None] = dict.fromkeys(made)
        self._file = self._begin_file_with_what_is_left()

    @classmethod
    def open(cls, name: str, run: Path = RUN) -> Journal:
        """Take the lock of the switch `name` and read what an earlier one left.

        Raises AlreadyRunning where another process holds the lock, ValueError for what is no name,
        and OSError where the directory `run` cannot be used.
        """
        if name in ("", ".", "..") or "/" in name or "\0" in name:
            raise ValueError(f"{name!r} cannot be the name of a switch")
        directory = run / name
        lock = _take_lock(name, directory)
        try:
            return cls(directory, lock, _read(directory / "journal"))
        except BaseException:
            os.close(lock)
            raise

    @property
    def made(self) -> tuple[Made, ...]:
        """What is recorded, in the order in which it was made."""
        return tuple(self._made)

    @contextmanager
    def making(self, thing: Made) -> Iterator[None]:
        """Around the step that makes `thing`. Where the step raises, nothing was made.

        That is what tells ours from a thing of the same name that was there before, which is why
        the step must refuse to take over what it finds.
        """
        self._append("made", thing)
        self._made[thing] = None
        try:
            yield
        except Exception:
            self.forget(thing)
            raise

    def make_namespace(self, name: str) -> Namespace:
        """Make a named namespace. Raises NamespaceError, as where the name is taken."""
        with self.making(MadeNamespace(name)):
            return netns.create(name)

    def make_veth(self, name: str, namespace: Namespace, peer: str, *, mtu: int) -> Link:
        """`links.make_veth` with the switch's end in the daemon's namespace. Raises LinkError."""
        with self.making(MadeLink(name)):
            return links.make_veth(name, namespace, peer, mtu=mtu)

    def make_macvtap(self, name: str, parent: str, mac: MacAddress) -> Link:
        """`links.make_macvtap` in the daemon's namespace. Raises LinkError."""
        with self.making(MadeLink(name)):
            return links.make_macvtap(name, parent, mac)

    def make_vm_tap(self, name: str, owner: int | None, *, mtu: int) -> Link:
        """`links.make_vm_tap` in the daemon's namespace. Raises OpenError or LinkError."""
        with self.making(MadeLink(name)):
            return links.make_vm_tap(name, owner, mtu=mtu)

    def make_qdisc(self, index: int, interface: str) -> MadeQdisc:
        """`clsact.make_qdisc`, and the record of it. Raises QdiscExists, and LinkError.

        One that is there is not even recorded, lest a kill before the answer makes it ours.
        """
        if clsact.has_qdisc(index):
            raise clsact.QdiscExists
        thing = MadeQdisc(index, interface)
        with self.making(thing):
            clsact.make_qdisc(index)
        return thing

    def make_filter(self, index: int, interface: str, program: int) -> MadeFilter:
        """`clsact.make_filter`, and the record of it. Raises LinkError."""
        thing = MadeFilter(index, interface)
        with self.making(thing):
            clsact.make_filter(index, program)
        return thing

    def write_file(self, path: Path, text: str) -> Written:
        """Write a file that was not there, with the directories that it needs.

        One that is there belongs to somebody else and stays as it is. Raises OSError.
        """
        content = text.encode()
        for parent in reversed(path.parents):
            if not parent.exists():
                with self.making(MadeDirectory(str(parent))):
                    parent.mkdir(mode=0o755)
        if path.exists():
            self._remove_empty_parents(path)
            return Written.KEPT
        with self.making(MadeFile(str(path), hashlib.sha256(content).hexdigest())):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
            try:
                os.write(descriptor, content)
            finally:
                os.close(descriptor)
        return Written.WRITTEN

    def remove_file(self, path: Path) -> Undone:
        """Remove a file that `write_file` wrote, and its directories when nothing else is in them.

        A file that is not ours, or that somebody changed since, stays (Undone.KEPT).
        """
        for thing in self._made:
            if isinstance(thing, MadeFile) and thing.path == str(path):
                ending = self.undo(thing)
                self._remove_empty_parents(path)
                return ending
        return Undone.KEPT if path.exists() else Undone.ABSENT

    def undo(self, thing: Made) -> Undone:
        """Remove `thing` and forget it, unless removing it failed."""
        try:
            ending = _remove(thing)
        except (NamespaceError, LinkError, OSError) as error:
            log.warning("%s could not be removed: %s", thing, error)
            return Undone.FAILED
        self.forget(thing)
        return ending

    def forget(self, thing: Made) -> None:
        """Note that `thing` is gone, or was never made."""
        if thing in self._made:
            del self._made[thing]
            self._append("gone", thing)

    def sweep(self) -> tuple[Swept, ...]:
        """Remove all that is recorded, the latest first, whatever one thing's removal answers."""
        return tuple(Swept(thing, self.undo(thing)) for thing in reversed(self.made))

    def close(self) -> None:
        """Give the lock back. What is still recorded stays recorded for the next to sweep."""
        os.close(self._file)
        if not self._made:
            (self.directory / "journal").unlink(missing_ok=True)
        (self.directory / "pid").unlink(missing_ok=True)
        with suppress(OSError):
            self.directory.rmdir()
        os.close(self._lock)

    def _begin_file_with_what_is_left(self) -> int:
        """Start from whole lines, so that nothing is ever appended to a line that was cut short."""
        fresh = self.directory / "journal.new"
        fresh.write_bytes(b"".join(_line("made", thing) for thing in self._made))
        fresh.replace(self.directory / "journal")
        return os.open(self.directory / "journal", os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)

    def _append(self, event: str, thing: Made) -> None:
        os.write(self._file, _line(event, thing))

    def _remove_empty_parents(self, path: Path) -> None:
        """The recorded ones, from the deepest. One that others still use stays recorded."""
        for parent in path.parents:
            thing = MadeDirectory(str(parent))
            if thing not in self._made or _remove(thing) is Undone.KEPT:
                return
            self.forget(thing)


def _take_lock(name: str, directory: Path) -> int:
    """The descriptor that holds the lock.

    The one who held it before removes the file, so a lock counts only on the file that is still
    found at the path: two processes could otherwise each hold one.
    """
    path = directory / "pid"
    while True:
        directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        try:
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_found_at(path, lock):
                os.truncate(lock, 0)
                os.pwrite(lock, b"%d\n" % os.getpid(), 0)
                return lock
        except BlockingIOError:
            holder = os.pread(lock, 32, 0).strip()
            os.close(lock)
            raise AlreadyRunning(name, int(holder) if holder.isdigit() else None) from None
        os.close(lock)


def _is_found_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _read(path: Path) -> list[Made]:
    """What the file says was made and is not gone. Lines that are no record are passed over."""
    made: dict[Made, None] = {}
    with suppress(FileNotFoundError):
        for line in path.read_bytes().splitlines():
            try:
                record = json.loads(line)
                event = record.pop("event")
                thing = KINDS[record.pop("kind")](**record)
            except (ValueError, KeyError, TypeError, AttributeError):
                log.warning("%s: passed over a line that is no record: %r", path, line[:80])
                continue
            if event == "made":
                made[thing] = None
            else:
                made.pop(thing, None)
    return list(made)


def _line(event: str, thing: Made) -> bytes:
    kind = next(kind for kind, made in KINDS.items() if isinstance(thing, made))
    return json.dumps({"event": event, "kind": kind, **asdict(thing)}).encode() + b"\n"


def _remove(thing: Made) -> Undone:
    """Raises NamespaceError, LinkError or OSError where the kernel refuses."""
    match thing:
        case MadeNamespace(name):
            return _remove_namespace(name)
        case MadeLink(name):
            return _remove_link(name)
        case MadeDirectory(path):
            return _remove_directory(Path(path))
        case MadeFile(path, sha256):
            return _remove_file(Path(path), sha256)
        case MadeQdisc(index):
            return _BY_CLSACT[clsact.remove_qdisc(index)]
        case MadeFilter(index):
            return _BY_CLSACT[clsact.remove_filter(index)]


def _remove_namespace(name: str) -> Undone:
    present = Namespace.named(name).path.exists()
    netns.remove(name)
    return Undone.REMOVED if present else Undone.ABSENT


def _remove_link(name: str) -> Undone:
    if links.find(name) is None:
        return Undone.ABSENT
    links.delete(name)
    return Undone.REMOVED


def _remove_directory(path: Path) -> Undone:
    try:
        path.rmdir()
    except FileNotFoundError:
        return Undone.ABSENT
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.ENOTDIR):
            return Undone.KEPT
        raise
    return Undone.REMOVED


def _remove_file(path: Path, sha256: str) -> Undone:
    """An empty file is one whose writing was cut short."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return Undone.ABSENT
    if content and hashlib.sha256(content).hexdigest() != sha256:
        return Undone.KEPT
    path.unlink()
    return Undone.REMOVED
