"""The resolv.conf of each endpoint: where it lies, and what it says when that changes.

Theory of operation. That of a namespace with a name lies where `ip netns exec` finds it, which
binds it over /etc/resolv.conf. That of any other namespace lies in the switch's directory, and
`vswitch run` binds it. When the host's file changes, or what the endpoint asks for, it is written
anew in the same file, so whoever has it bound reads what it says. A file that somebody put there,
or has edited since, is never touched: that is told once.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from vswitch.daemon.kernel.journal import Journal, Written
from vswitch.daemon.kernel.netns import Namespace
from vswitch.daemon.process import rundir
from vswitch.daemon.resolving.files import resolvconf
from vswitch.daemon.resolving.files.resolvconf import ResolvConf
from vswitch.network.inventory import Inventory
from vswitch.network.model import Endpoint
from vswitch.network.namewords import sets_ndots

log = logging.getLogger(__name__)

ETC_NETNS = Path("/etc/netns")
"""Where ip-netns(8) looks for files to bind over those of /etc."""


@dataclass(slots=True)
class _File:
    path: Path
    text: str = ""
    """What was written into it."""
    is_ours: bool = True
    """Nobody else has put it there or edited it, as far as that is known."""


class ResolvConfFiles:
    """Those of one switch."""

    def __init__(
        self,
        inventory: Inventory,
        journal: Journal,
        host: ResolvConf,
        etc_netns: Path = ETC_NETNS,
    ) -> None:
        """`host` is what the host's own says."""
        self._inventory = inventory
        self._journal = journal
        self._host = host
        self._etc_netns = etc_netns
        self._files: dict[str, _File] = {}
        """By the names of endpoints."""

    def text(self, endpoint: Endpoint) -> str:
        """What an endpoint finds where nobody has edited it."""
        own = resolvconf.endpoints_own(self._host, endpoint.dns_search, endpoint.dns_options)
        return resolvconf.text(own)

    def sets_ndots(self, name: str) -> bool:
        """Whether somebody has chosen `ndots` for the endpoint called `name`: itself, or the host
        for all."""
        own = self._inventory.endpoint(name).dns_options
        return sets_ndots((*self._host.options, *own))

    def path(self, name: str) -> Path | None:
        """Where that of the endpoint called `name` lies; None where it has none."""
        file = self._files.get(name)
        return None if file is None else file.path

    def install(self, name: str, namespace: Namespace, *, was_left: bool) -> None:
        """Let an endpoint have one in its namespace; with `was_left`, the one that it has there
        from an earlier daemon's time. Raises OSError."""
        in_our_directory = rundir.resolv_conf(self._journal.directory, name)
        if namespace.name is None:
            self._files[name] = _File(in_our_directory)
            if not was_left:
                in_our_directory.unlink(missing_ok=True)
        else:
            path = self._etc_netns / namespace.name / "resolv.conf"
            self._files[name] = _File(path)
        self._write(name)

    def remove(self, name: str, *, stays: bool = False) -> None:
        """Know of that one no more, and take it away unless it `stays` for the next daemon. One
        that could not be installed is no error."""
        file = self._files.pop(name, None)
        if file is None or stays:
            return
        self._journal.remove_file(file.path)
        if file.path == rundir.resolv_conf(self._journal.directory, name):
            file.path.unlink(missing_ok=True)

    def follow_host(self, host: ResolvConf) -> None:
        """The host's own says this from now on."""
        self._host = host
        for name in self._files:
            self.follow(name)

    def follow(self, name: str) -> None:
        """Let that of an endpoint say what it is to say by now."""
        file = self._files.get(name)
        if file is None or not file.is_ours:
            return
        if file.text == self.text(self._inventory.endpoint(name)):
            return
        try:
            self._write(name)
        except OSError as error:
            log.error("endpoint %s: %s stays as it is: %s", name, file.path, error.strerror)

    def _write(self, name: str) -> None:
        file = self._files[name]
        file.text = self.text(self._inventory.endpoint(name))
        if self._journal.write_file(file.path, file.text, name) is Written.KEPT:
            file.is_ours = False
            log.info("endpoint %s: %s is somebody's own and stays as it is", name, file.path)
