"""rtnetlink by pyroute2, and of pyroute2 nothing else.

Theory of operation. Importing a module of a package runs the package's own first, and pyroute2's
imports all that it can do: a database, nftables, 9P, wireless. That takes as long as a whole switch
takes to start, and all that is wanted here are links, addresses, routes and traffic control. So
`pyroute2` is an empty shell while its netlink is loaded, and is itself again afterwards: whoever
imports another part of it later, pyroute2 included, gets it as ever.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec, module_from_spec

_PACKAGE = "pyroute2"


@contextmanager
def _only_what_is_asked_for() -> Iterator[None]:
    """Let modules of the package be imported without the package's own, where that is not there."""
    spec = find_spec(_PACKAGE)
    if spec is None or _PACKAGE in sys.modules:
        yield
        return
    sys.modules[_PACKAGE] = module_from_spec(spec)
    try:
        yield
    finally:
        del sys.modules[_PACKAGE]


with _only_what_is_asked_for():
    from pyroute2.iproute.linux import IPRoute
    from pyroute2.netlink.exceptions import NetlinkError

__all__ = ["IPRoute", "NetlinkError"]
