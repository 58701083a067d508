"""The host's resolv.conf, as it is: followed while somebody writes it, renames another one over it,
or lets a symbolic link lead elsewhere.

Theory of operation. The kernel tells of names in directories (inotify(7)), so those directories are
watched that the file is reached by: often /etc, and /run/systemd/resolve behind a link; of one that
goes it tells, too, and what it is in is watched until it is there again. The file is watched as
well: one that is mounted over another is written to by a name elsewhere, as a container's is.
Whatever is told of that way is a reason to read the file, a moment later, as more may come: a file
is made before anything is in it. Only what differs is passed on. Where the file is not there, which
it may be between two names, what it said last stands.

A mount that is laid over the file is no event, and is seen with the next one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

from vswitch.daemon.kernel.inotify import (
    IN_CLOSE_WRITE,
    IN_CREATE,
    IN_DELETE_SELF,
    IN_MOVE_SELF,
    IN_MOVED_TO,
    Inotify,
)
from vswitch.daemon.resolving.files import resolvconf
from vswitch.daemon.resolving.files.resolvconf import ResolvConf

log = logging.getLogger(__name__)

_EVENTS = IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_DELETE_SELF | IN_MOVE_SELF

_MOMENT_SECONDS = 0.05
"""From the first that is told until the file is read."""

_MOST_LINKS = 40
"""The kernel's own limit for symbolic links behind each other (path_resolution(7))."""


class HostFile:
    """What is said by one resolv.conf that is somebody else's."""

    def __init__(self, path: Path) -> None:
        """One that cannot be read says nothing."""
        self._path = path
        self.conf = self._read() or ResolvConf()
        """As it is by now, while it is watched; else as it was."""
        self._inotify: Inotify | None = None
        self._way: frozenset[Path] = frozenset()
        """What it is reached by, and the directories of that, since they were found last."""
        self._soon: asyncio.TimerHandle | None = None
        self._followers: tuple[Callable[[ResolvConf], None], ...] = ()

    def watch(self, *followers: Callable[[ResolvConf], None]) -> None:
        """Call each of `followers` in the running event loop when it says something else."""
        self._followers = followers
        try:
            self._inotify = Inotify()
        except OSError as error:
            log.warning("%s is not followed: %s", self._path, error.strerror)
            return
        self._watch_the_way()
        asyncio.get_running_loop().add_reader(self._inotify.fileno(), self._look)
        self._follow()

    def close(self) -> None:
        """Watch it no more."""
        if self._soon is not None:
            self._soon.cancel()
        if self._inotify is not None:
            asyncio.get_running_loop().remove_reader(self._inotify.fileno())
            self._inotify.close()
            self._inotify = None

    def _look(self) -> None:
        if self._inotify is not None and not self._way.isdisjoint(self._inotify.paths()):
            self._watch_the_way()
            if self._soon is None:
                loop = asyncio.get_running_loop()
                self._soon = loop.call_later(_MOMENT_SECONDS, self._follow)

    def _follow(self) -> None:
        self._soon = None
        conf = self._read()
        if conf is None or conf == self.conf:
            return
        self.conf = conf
        servers = ", ".join(map(str, conf.servers)) or "none"
        log.info("%s has changed: name servers %s", self._path, servers)
        for follower in self._followers:
            follower(conf)

    def _watch_the_way(self) -> None:
        way = frozenset(self._find_the_way())
        directories = frozenset(each.parent for each in way)
        self._way = way | directories
        for place in {self._path, *directories}:
            try:
                if self._inotify is not None and place.exists():
                    self._inotify.add(place, _EVENTS)
            except OSError as error:
                log.warning("%s is not followed at %s: %s", self._path, place, error.strerror)

    def _find_the_way(self) -> Iterator[Path]:
        """The file, and what it leads to, link by link, each in a directory without links; and what
        is missing of such a directory."""
        path = self._path
        yield path
        for _ in range(_MOST_LINKS):
            path = path.parent.resolve() / path.name
            yield path
            yield from (each for each in path.parents if not each.exists())
            if not path.is_symlink():
                return
            path = path.parent / path.readlink()

    def _read(self) -> ResolvConf | None:
        try:
            return resolvconf.read(self._path.read_text(errors="replace"))
        except OSError as error:
            log.warning("%s cannot be read: %s", self._path, error.strerror)
            return None
