"""Namespaces of the calling process's own: what a child does between fork and exec.

Theory of operation. A process that has one thread may leave what it shares with the others
(unshare(2)) and then become a command, which finds itself alone: with a network in which there is
nothing yet, with mounts that nobody else sees, with a name of its own. Nothing is to be undone,
because all of it ends with the process. Namespaces that have names and are entered from outside are
`netns`'s business.

`vswitch run` loads this, so it imports next to nothing.
"""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack, suppress
from pathlib import Path

from vswitch.daemon.kernel.syscalls import (
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWUTS,
    MS_BIND,
    MS_REC,
    MS_SLAVE,
    call,
    mount,
)

RESOLV_CONF = Path("/etc/resolv.conf")
HOSTS = Path("/etc/hosts")

_SCRATCH = Path("/run")
"""Where a file is for as long as it takes to lay it over another: root's alone."""


class NamespaceError(Exception):
    """A namespace cannot be named, made, opened or entered. The text is one line for the user."""


def unshare_network() -> None:
    """Put the calling process into a fresh network namespace and a mount namespace of its own.

    Mounts made afterwards are seen by this process and its children only, while the host's own
    still come and go in here, named namespaces among them: ip-netns(8) does the same. Raises
    NamespaceError.
    """
    try:
        _unshare_mounts_and(CLONE_NEWNET)
    except OSError as error:
        raise NamespaceError(f"cannot make a namespace: {error.strerror}") from error


def enter_process(pid: int) -> None:
    """Put the calling process into the network, mounts and hostname of the process `pid`.

    Raises NamespaceError.
    """
    here = Path.cwd()
    try:
        with ExitStack() as opened:
            kinds = (("net", CLONE_NEWNET), ("uts", CLONE_NEWUTS), ("mnt", CLONE_NEWNS))
            descriptors = [
                (opened.enter_context(open(f"/proc/{pid}/ns/{name}", "rb")).fileno(), kind)
                for name, kind in kinds
            ]
            for descriptor, kind in descriptors:
                call("setns", descriptor, kind)
        with suppress(FileNotFoundError):  # then it is the root of those mounts
            os.chdir(here)
    except OSError as error:
        raise NamespaceError(f"cannot enter process {pid}: {error.strerror}") from error


def enter_network(place: Path) -> None:
    """Put the calling process into the network namespace at a path, with mounts of its own as after
    `unshare_network`. Raises NamespaceError."""
    try:
        with place.open("rb") as namespace:
            call("setns", namespace.fileno(), CLONE_NEWNET)
        _unshare_mounts_and(0)
    except OSError as error:
        raise NamespaceError(f"cannot enter {place}: {error.strerror}") from error


def take_hostname(name: str) -> None:
    """Give the calling process a hostname that is its own and its children's alone.

    Raises NamespaceError.
    """
    try:
        call("unshare", CLONE_NEWUTS)
        socket.sethostname(name)
    except OSError as error:
        raise NamespaceError(f"cannot be called {name}: {error.strerror}") from error


def take_domainname(name: str) -> None:
    """Give the calling process, after `take_hostname`, a domain name (NIS's) that is its own and
    its children's alone. Raises NamespaceError."""
    octets = name.encode()
    try:
        call("setdomainname", octets, len(octets))
    except OSError as error:
        raise NamespaceError(f"cannot be in domain {name}: {error.strerror}") from error


def overlay_file(text: str, target: Path = RESOLV_CONF) -> None:
    """Let `target` read as `text` in the calling process's mount namespace.

    For after `unshare_network`: the file itself is not altered, and it must exist, because a mount
    needs something to lie on. A symbolic link is followed. Raises NamespaceError.
    """
    source = _SCRATCH / f"vswitch-{os.urandom(8).hex()}"
    try:
        descriptor = os.open(source, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with open(descriptor, "w", encoding="utf-8") as file:
                os.fchmod(descriptor, 0o644)
                file.write(text)
            mount(str(source), target, MS_BIND)
        finally:
            source.unlink()
    except OSError as error:
        raise _not_laid_over(target, error) from error


def bind_file(source: Path, target: Path = RESOLV_CONF) -> None:
    """Let `target` be the file `source` in the calling process's mount namespace, whatever becomes
    of that. Otherwise as `overlay_file`. Raises NamespaceError."""
    try:
        mount(str(source), target, MS_BIND)
    except OSError as error:
        raise _not_laid_over(target, error) from error


def _not_laid_over(target: Path, error: OSError) -> NamespaceError:
    return NamespaceError(f"cannot lay a file over {target}: {error.strerror}")


def _unshare_mounts_and(others: int) -> None:
    """Raises OSError."""
    call("unshare", CLONE_NEWNS | others)
    mount(None, Path("/"), MS_REC | MS_SLAVE)
