"""What the daemon may do: a few capabilities, and for good no others.

Theory of operation. The process begins as root with whatever it was given (capabilities(7)). Once
its sockets are bound and its keys are read, `reduce` takes away everything but `KEPT`: from the
bounding set, so that nothing can bring it back; from what is permitted, effective, inheritable and
ambient; and no program that it might run gets more (PR_SET_NO_NEW_PRIVS). Capabilities belong to
threads, and a thread has those of the one that started it, so this comes before any other thread.

It remains user 0, to whom the files and directories belong that it works with: /run/netns,
/etc/netns, /dev/net/tun, its own under /run and /var/lib. Without CAP_DAC_OVERRIDE other users'
files are closed to it where their modes say so.
"""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Mapping
from enum import IntEnum

from vswitch.daemon.kernel.syscalls import call

log = logging.getLogger(__name__)


class Capability(IntEnum):
    """<linux/capability.h>: those that are spoken of here."""

    KILL = 5
    SETPCAP = 8
    NET_BIND_SERVICE = 10
    NET_ADMIN = 12
    NET_RAW = 13
    SYS_PTRACE = 19
    SYS_ADMIN = 21
    MKNOD = 27

    def __str__(self) -> str:
        return f"CAP_{self.name}"


NEEDED: Mapping[Capability, str] = {
    Capability.NET_ADMIN: "to make links, TAPs, addresses and routes",
    Capability.NET_RAW: "to read and write frames",
    Capability.SYS_ADMIN: "to make and enter network namespaces",
    Capability.NET_BIND_SERVICE: "to answer at 127.0.0.11:53 and to hold host ports below 1024",
}
"""Without these there is no switch."""

FURTHER: Mapping[Capability, str] = {
    Capability.SYS_PTRACE: "to open the namespace of a process: vswitch run, attach PID",
    Capability.KILL: "to end commands that run as other users: vswitch stop",
    Capability.MKNOD: 'to open uplinks with device = "macvtap"',
}
"""Without one of these, what it is for is refused when it is asked for.

A process of root with more capabilities than the daemon is closed to it as another user's is
(ptrace(2), PTRACE_MODE_READ_FSCREDS), so `run` needs the first one for every command.
"""

KEPT = {**NEEDED, **FURTHER}

_PR_CAPBSET_READ = 23
_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
"""prctl(2), <linux/prctl.h>."""

_VERSION_3 = 0x2008_0522
"""capget(2): sets of 64 bits, in two halves."""

_LIBC = ctypes.CDLL(None, use_errno=True)


class MissingCapabilitiesError(Exception):
    """There can be no switch with so few. The text is one line for the user."""


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Half(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_uint32) for name in ("effective", "permitted", "inheritable"))


def reduce() -> None:
    """Keep `KEPT` alone. For a process with one thread; raises MissingCapabilitiesError."""
    permitted = _permitted()
    require(permitted)
    if Capability.SETPCAP in permitted:  # who gave no right to narrow the set has narrowed it
        _narrow_bounding_set()
    call("prctl", _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    _permit(permitted & KEPT.keys())
    call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def require(permitted: frozenset[int]) -> None:
    """Raise MissingCapabilitiesError where a switch needs more than is `permitted`.

    What will be refused for lack of a further one is logged.
    """
    lacking = [f"{each} ({NEEDED[each]})" for each in NEEDED if each not in permitted]
    if lacking:
        raise MissingCapabilitiesError(f"root lacks {', '.join(lacking)}: is this a container?")
    for each, purpose in FURTHER.items():
        if each not in permitted:
            log.warning("the switch runs without %s, which is needed %s", each, purpose)


def _permitted() -> frozenset[int]:
    halves = (_Half * 2)()
    call("capget", ctypes.byref(_Header(_VERSION_3, 0)), halves)
    together = halves[0].permitted | halves[1].permitted << 32
    return frozenset(number for number in range(64) if together >> number & 1)


def _narrow_bounding_set() -> None:
    """To be done while CAP_SETPCAP is there. The kernel knows no capability beyond the last."""
    number = 0
    while _LIBC.prctl(_PR_CAPBSET_READ, number, 0, 0, 0) >= 0:
        if number not in KEPT:
            call("prctl", _PR_CAPBSET_DROP, number, 0, 0, 0)
        number += 1


def _permit(capabilities: frozenset[int]) -> None:
    """Let these, all below 32, be permitted and effective, and none inheritable."""
    bits = sum(1 << each for each in capabilities)
    halves = (_Half * 2)(_Half(bits, bits, 0), _Half(0, 0, 0))
    call("capset", ctypes.byref(_Header(_VERSION_3, 0)), halves)
