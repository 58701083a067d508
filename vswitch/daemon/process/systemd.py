"""What a service manager says to the daemon, and what it hears from it.

Theory of operation. Who started the daemon says in its environment where to report
(NOTIFY_SOCKET), within which time to hear of it again and again (WATCHDOG_USEC), and which sockets
are open already, from descriptor 3 on (LISTEN_FDS). A report is one datagram with a line for each
KEY=VALUE: what can be said are the functions at the end. Where nobody asked, nothing is said.

The protocol is systemd's and others speak it: sd_notify(3), sd_watchdog_enabled(3),
sd_listen_fds(3). systemd passes the variables to one process, so they are taken out of the
environment when they are read.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import MutableMapping
from dataclasses import dataclass

from vswitch.units import MICROSECOND, Nanoseconds

log = logging.getLogger(__name__)

_FIRST_PASSED = 3
"""SD_LISTEN_FDS_START."""

_PATIENCE_SECONDS = 0.1
"""For a manager that is too busy to take a datagram: the event loop has other things to do."""


@dataclass(frozen=True, slots=True)
class Manager:
    """Who started the daemon, as far as it wants to know."""

    address: str | None = None
    """Where to report: a path, or an abstract name that begins with `@`."""
    watchdog: Nanoseconds | None = None
    """The time after which a daemon that has not said `ALIVE` is taken for dead."""
    passed: tuple[int, ...] = ()
    """The descriptors of sockets that are open already."""

    @classmethod
    def of(cls, environment: MutableMapping[str, str], pid: int) -> Manager:
        """The one that the `environment` of process `pid` tells of, and tells no more."""
        watchdog = _for_this_process(environment, "WATCHDOG_USEC", "WATCHDOG_PID", pid)
        passed = _for_this_process(environment, "LISTEN_FDS", "LISTEN_PID", pid)
        environment.pop("LISTEN_FDNAMES", None)
        return cls(
            environment.pop("NOTIFY_SOCKET", None) or None,
            watchdog * MICROSECOND if watchdog else None,
            tuple(range(_FIRST_PASSED, _FIRST_PASSED + (passed or 0))),
        )

    def tell(self, *lines: str) -> None:
        """Report. A manager that does not listen is none of the switch's trouble, and logged."""
        if self.address is None:
            return
        address = f"\0{self.address[1:]}" if self.address.startswith("@") else self.address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as report:
            report.settimeout(_PATIENCE_SECONDS)
            try:
                report.sendto("\n".join(lines).encode(), address)
            except OSError as error:
                log.warning("the service manager at %s does not listen: %s", self.address, error)


READY = "READY=1"
STOPPING = "STOPPING=1"
ALIVE = "WATCHDOG=1"


def reloading(now: Nanoseconds) -> tuple[str, str]:
    """The configuration is being read again, which `READY` ends; `now` is the monotonic clock's."""
    return "RELOADING=1", f"MONOTONIC_USEC={now // MICROSECOND}"


def status(text: str) -> str:
    """One line for `systemctl status`."""
    return f"STATUS={' '.join(text.split())}"


def _for_this_process(
    environment: MutableMapping[str, str], key: str, owner: str, pid: int
) -> int | None:
    """The number under `key`, unless `owner` says that it is another process's."""
    number, meant = environment.pop(key, ""), environment.pop(owner, str(pid))
    return int(number) if number.isdecimal() and meant == str(pid) else None
