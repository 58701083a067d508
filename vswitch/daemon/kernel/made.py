"""Things that a switch makes in the system and that outlive it, and how each is removed.

What is here is as much of a thing as is written down (`journal`): enough to find it again, and to
tell it from a thing of somebody else's in the same place. Only what the switch made is removed. A
file that somebody else altered since is theirs, a TAP is ours by its MAC address, as its namespace
may be called after a process that is another one by now, and a directory goes only when nothing is
left in it.
"""

from __future__ import annotations

import errno
import hashlib
import os
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TypeAlias

from vswitch.daemon.guard import clsact
from vswitch.daemon.kernel import links, netns
from vswitch.daemon.kernel.netns import Namespace


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
class MadeTap:
    """A persistent TAP in an endpoint's namespace, which has the path `namespace`."""

    namespace: str
    name: str
    mac: str

    def __str__(self) -> str:
        return f"TAP {self.name} in {Namespace(Path(self.namespace))}"


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


Made: TypeAlias = (
    MadeNamespace | MadeLink | MadeTap | MadeDirectory | MadeFile | MadeQdisc | MadeFilter
)

KINDS: dict[str, type[Made]] = {
    "namespace": MadeNamespace,
    "link": MadeLink,
    "tap": MadeTap,
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


def remove(thing: Made) -> Undone:
    """Raises NamespaceError, LinkError or OSError where the kernel refuses."""
    match thing:
        case MadeNamespace(name):
            return _remove_namespace(name)
        case MadeLink(name):
            return _remove_link(name)
        case MadeTap(namespace, name, mac):
            return _remove_tap(Namespace(Path(namespace)), name, mac)
        case MadeDirectory(path):
            return _remove_directory(Path(path))
        case MadeFile(path, sha256):
            return _remove_file(Path(path), sha256)
        case MadeQdisc(index):
            return _BY_CLSACT[clsact.remove_qdisc(index)]
        case MadeFilter(index):
            return _BY_CLSACT[clsact.remove_filter(index)]


def is_present(file: MadeFile) -> bool:
    """Whether a file is there as it was written."""
    try:
        return hashlib.sha256(Path(file.path).read_bytes()).hexdigest() == file.sha256
    except OSError:
        return False


def is_used(directory: MadeDirectory) -> bool:
    """Whether something is in a directory."""
    try:
        return bool(os.listdir(directory.path))
    except OSError:
        return False


def _remove_namespace(name: str) -> Undone:
    present = Namespace.named(name).path.exists()
    netns.remove(name)
    return Undone.REMOVED if present else Undone.ABSENT


def _remove_link(name: str) -> Undone:
    if links.find(name) is None:
        return Undone.ABSENT
    links.delete(name)
    return Undone.REMOVED


def _remove_tap(namespace: Namespace, name: str, mac: str) -> Undone:
    if not namespace.exists():
        return Undone.ABSENT
    link = links.find(name, namespace)
    if link is None:
        return Undone.ABSENT
    if str(link.mac) != mac:
        return Undone.KEPT
    links.delete(name, namespace)
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
