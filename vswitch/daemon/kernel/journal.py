"""What this switch has made in the system, written down before it is made.

Theory of operation. Namespaces, links, filters and files outlive the process that makes them. Each
is therefore recorded first and made second: what the journal does not know was never made. A thing
is recorded as of the endpoint that it is for, or of nobody, as what the switch itself needs. An
endpoint that outlives the daemon keeps its things, and the next daemon finds by the journal that
they are ours, and whether they are `whole`: a kill in the middle of making them leaves a part. All
else goes by `sweep`, at an orderly end and at the start after a kill -9 alike, the latest first,
because later things stand on earlier ones.

The journal is a file of JSON lines under /run/vswitch/NAME, appended to with one write per line
and never fsynced: it has to survive the process, not the machine, whose restart takes away
namespaces, links and /run alike. A line that a kill cut short is passed over: its thing was not
begun.

The same directory holds the lock that makes a switch of a name run only once, and the process id
of the one that runs. The lock is flock(2) on a file, so it ends with the process however that
ends.

TAPs that are not persistent and everything inside a removed namespace go by themselves and are not
recorded. Read on: `made` for what may be, and how it goes.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from vswitch.daemon.guard import clsact
from vswitch.daemon.kernel import links, netns
from vswitch.daemon.kernel.links import Link, LinkError
from vswitch.daemon.kernel.made import (
    KINDS,
    Made,
    MadeDirectory,
    MadeFile,
    MadeFilter,
    MadeLink,
    MadeNamespace,
    MadeQdisc,
    Undone,
    is_present,
    is_used,
    remove,
)
from vswitch.daemon.kernel.netns import Namespace, NamespaceError
from vswitch.daemon.process.rundir import RUN
from vswitch.wire.values import MacAddress

log = logging.getLogger(__name__)


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


NOBODY = ""
"""Of whom is what the switch itself needs, and no endpoint."""


class Written(Enum):
    """How writing a file ended."""

    WRITTEN = "written"
    KEPT = "kept: there was one already"


class Journal:
    """The lock of one switch, and the things that it made and has not removed yet."""

    def __init__(self, directory: Path, lock: int, left: _Records) -> None:
        self.directory = directory
        """Of this switch alone, for as long as the journal is open: the control socket's place."""
        self._lock = lock
        self._made = left.made
        self._whole = left.whole
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

    def has(self, thing: Made) -> bool:
        """Whether `thing` is recorded: made by this daemon, or left by an earlier one."""
        return thing in self._made

    def of(self, endpoint: str) -> tuple[Made, ...]:
        """What is recorded as of an endpoint."""
        return tuple(thing for thing, of in self._made.items() if of == endpoint)

    @property
    def owners(self) -> frozenset[str]:
        """The endpoints of which something is recorded."""
        return frozenset(self._made.values()) - {NOBODY}

    def is_whole(self, endpoint: str) -> bool:
        """Whether all that is recorded as of an endpoint was finished."""
        return endpoint in self._whole

    def finish(self, endpoint: str) -> None:
        """Note that nothing is missing of an endpoint."""
        if endpoint not in self._whole:
            self._whole[endpoint] = None
            self._write(_whole(endpoint))

    @contextmanager
    def making(self, thing: Made, of: str = NOBODY) -> Iterator[None]:
        """Around the step that makes `thing`, for an endpoint where `of` names one. Where the step
        raises, nothing was made.

        That is what tells ours from a thing of the same name that was there before, which is why
        the step must refuse to take over what it finds.
        """
        self._append("made", thing, of)
        self._made[thing] = of
        try:
            yield
        except Exception:
            self.forget(thing)
            raise

    def make_namespace(self, name: str, of: str = NOBODY) -> Namespace:
        """Make a named namespace. Raises NamespaceError, as where the name is taken."""
        with self.making(MadeNamespace(name), of):
            return netns.create(name)

    def make_veth(
        self, name: str, namespace: Namespace, peer: str, *, mtu: int, of: str = NOBODY
    ) -> Link:
        """`links.make_veth` with the switch's end in the daemon's namespace. Raises LinkError."""
        with self.making(MadeLink(name), of):
            return links.make_veth(name, namespace, peer, mtu=mtu)

    def make_macvtap(self, name: str, parent: str, mac: MacAddress) -> Link:
        """`links.make_macvtap` in the daemon's namespace. Raises LinkError."""
        with self.making(MadeLink(name)):
            return links.make_macvtap(name, parent, mac)

    def make_vm_tap(self, name: str, owner: int | None, *, mtu: int) -> Link:
        """`links.make_vm_tap` in the daemon's namespace, for the endpoint of that name.

        Raises OpenError or LinkError.
        """
        with self.making(MadeLink(name), name):
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

    def write_file(self, path: Path, text: str, of: str = NOBODY) -> Written:
        """Write a file that was not there, with the directories that it needs.

        One that is there belongs to somebody else and stays as it is, unless it is recorded and
        nobody has changed it: that one is written anew where it is, so that whoever has it bound
        over another file finds there what it says. Raises OSError.
        """
        content = text.encode()
        wanted = MadeFile(str(path), hashlib.sha256(content).hexdigest())
        for thing in [each for each in self._made if isinstance(each, MadeFile)]:
            if thing.path != wanted.path:
                continue
            if is_present(thing):
                self._write_anew(thing, wanted, content)
                return Written.WRITTEN
            self._let_go(thing)
        for parent in reversed(path.parents):
            if not parent.exists():
                with self.making(MadeDirectory(str(parent))):
                    parent.mkdir(mode=0o755)
        if path.exists():
            self._remove_empty_parents(path)
            return Written.KEPT
        with self.making(wanted, of):
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
            ending = remove(thing)
        except (NamespaceError, LinkError, OSError) as error:
            log.warning("%s could not be removed: %s", thing, error)
            return Undone.FAILED
        self.forget(thing)
        return ending

    def forget(self, thing: Made) -> None:
        """Note that `thing` is gone, or was never made."""
        if thing in self._made:
            of = self._made.pop(thing)
            self._append("gone", thing, of)
            self._whole.pop(of, None)

    def hand_over(self, thing: Made, to: str) -> None:
        """Let what is recorded be of another endpoint, or of `NOBODY`."""
        if self._made[thing] != to:
            self._made[thing] = to
            self._append("made", thing, to)

    def sweep(self, spare: Collection[str] = ()) -> tuple[Swept, ...]:
        """Remove all that is recorded, the latest first, whatever one thing's removal answers.

        What those have who are to be spared stays, and directories that this needs.
        """
        stale = [thing for thing, of in self._made.items() if of not in spare]
        return tuple(
            Swept(thing, self.undo(thing))
            for thing in reversed(stale)
            if not (spare and isinstance(thing, MadeDirectory) and is_used(thing))
        )

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
        records = [_record("made", thing, of) for thing, of in self._made.items()]
        records += [_whole(endpoint) for endpoint in self._whole]
        fresh.write_bytes(b"".join(map(_line, records)))
        fresh.replace(self.directory / "journal")
        return os.open(self.directory / "journal", os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)

    def _let_go(self, file: MadeFile) -> None:
        """Of one that is not as it was written. What it was of is no less whole for that."""
        of = self._made[file]
        was_whole = self.is_whole(of)
        self.undo(file)
        if was_whole:
            self.finish(of)

    def _write_anew(self, before: MadeFile, wanted: MadeFile, content: bytes) -> None:
        """Both are recorded while it is written, as either may be what a kill leaves."""
        if before == wanted:
            return
        of = self._made[before]
        self._append("made", wanted, of)
        self._made[wanted] = of
        descriptor = os.open(before.path, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)
        try:
            os.write(descriptor, content)
        finally:
            os.close(descriptor)
        del self._made[before]
        whole = [_whole(of)] if of in self._whole else []
        os.write(self._file, b"".join(map(_line, (_record("gone", before, of), *whole))))

    def _append(self, event: str, thing: Made, of: str) -> None:
        self._write(_record(event, thing, of))

    def _write(self, record: dict[str, object]) -> None:
        os.write(self._file, _line(record))

    def _remove_empty_parents(self, path: Path) -> None:
        """The recorded ones, from the deepest. One that others still use stays recorded."""
        for parent in path.parents:
            thing = MadeDirectory(str(parent))
            if thing not in self._made or remove(thing) is Undone.KEPT:
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


def _read(path: Path) -> _Records:
    """What the file says was made and is not gone. Lines that are no record are passed over."""
    records = _Records()
    with suppress(FileNotFoundError):
        for line in path.read_bytes().splitlines():
            try:
                records.read(json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError):
                log.warning("%s: passed over a line that is no record: %r", path, line[:80])
    return records


@dataclass(slots=True)
class _Records:
    """What is recorded: things, each with the endpoint that it is of, and who is whole."""

    made: dict[Made, str] = field(default_factory=dict)
    whole: dict[str, None] = field(default_factory=dict)

    def read(self, record: dict[str, Any]) -> None:
        """Follow one line. Raises ValueError, KeyError, TypeError or AttributeError."""
        event, of = record.pop("event"), record.pop("of", NOBODY)
        if event == "whole":
            self.whole[of] = None
            return
        thing = KINDS[record.pop("kind")](**record)
        if event == "made":
            self.made[thing] = of
        else:
            self.made.pop(thing, None)
            self.whole.pop(of, None)


def _record(event: str, thing: Made, of: str) -> dict[str, object]:
    kind = next(kind for kind, made in KINDS.items() if isinstance(thing, made))
    return {"event": event, "of": of, "kind": kind, **asdict(thing)}


def _whole(endpoint: str) -> dict[str, object]:
    return {"event": "whole", "of": endpoint}


def _line(record: dict[str, object]) -> bytes:
    return json.dumps(record).encode() + b"\n"
