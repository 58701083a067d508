"""`vswitch` with steps that fail on demand: python faulty_switch.py FILE VSWITCH ARGUMENT...

FILE holds a number, counted from when it was last written: that step on the way to an endpoint is
refused, as the kernel would refuse it, and no other. Steps are every request over netlink, every
device that is opened, and everything else that attaching asks of the system.
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vswitch.cli import main
from vswitch.daemon.exposure import Exposure, PortTakenError
from vswitch.daemon.kernel import links
from vswitch.daemon.kernel.links import LinkError
from vswitch.daemon.kernel.processes import Process, ProcessError
from vswitch.daemon.resolving.files.resolvconffiles import ResolvConfFiles
from vswitch.daemon.resolving.listening import listeners
from vswitch.devices import tap
from vswitch.devices.afpacket import PacketDevice
from vswitch.devices.base import OpenError
from vswitch.devices.tap import TapDevice


class Steps:
    """Counts steps, and refuses one."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._told = ""
        self._count = 0

    def refuse(
        self, owner: Any, name: str, error: Callable[[str], Exception], static: bool = False
    ) -> None:
        """Let `owner`'s function `name` be a step, refused with `error`."""
        original: Callable[..., Any] = getattr(owner, name)

        def step(*arguments: Any, **keywords: Any) -> Any:
            if self._is_the_one():
                raise error("refused for the test")
            return original(*arguments, **keywords)

        setattr(owner, name, staticmethod(step) if static else step)

    def _is_the_one(self) -> bool:
        told = self._file.read_text()
        if told != self._told:
            self._told, self._count = told, 0
        self._count += 1
        return bool(told) and self._count == int(told)


def _not_permitted(text: str) -> OSError:
    return OSError(errno.EPERM, text)


if __name__ == "__main__":
    steps = Steps(Path(sys.argv[1]))
    steps.refuse(links._Kernel, "ask", LinkError)
    steps.refuse(links, "_disable_ipv6", _not_permitted)
    steps.refuse(tap, "make_for_another", OpenError)
    steps.refuse(TapDevice, "open", OpenError, static=True)
    steps.refuse(PacketDevice, "open", OpenError, static=True)
    steps.refuse(listeners, "listening_sockets", _not_permitted)
    steps.refuse(ResolvConfFiles, "install", _not_permitted)
    steps.refuse(TapDevice, "set_persistent", _not_permitted)
    steps.refuse(Exposure, "reserve", PortTakenError)
    steps.refuse(Process, "__init__", ProcessError)
    sys.argv = sys.argv[2:]
    main()
