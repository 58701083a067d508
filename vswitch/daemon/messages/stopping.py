"""The end of the switch, as it is wished for."""

from __future__ import annotations

from vswitch.daemon.messages.base import Message


class StopSwitchBody(Message):
    """A wish that the switch stops."""

    remove: bool = False
    """Whether it takes along what would live on for the next start: everything that was attached,
    and the namespaces that it has made, whoever lives in them."""
