"""The switch's configuration on the control socket: what another one would change of it."""

from __future__ import annotations

from typing import Literal

from vswitch.daemon.messages.base import Message


class SourceBody(Message):
    """A configuration, as the text of `file`. Without a text it is the file that the switch was
    started with, read again."""

    text: str | None = None
    file: str = "configuration"
    """What mistakes in it are blamed on."""


class DetailRow(Message):
    """What one key said, and what it says; of a list, what is gone and what is new. The key is
    empty where the change is about one."""

    key: str
    before: str
    after: str


class ChangeRow(Message):
    """What becomes of one thing."""

    sign: Literal["+", "-", "~", "!"]
    """It is added, removed, or changed; or it can not be changed while the switch runs."""
    what: Literal["uplink", "network", "endpoint", "filter", "setting"]
    name: str
    details: tuple[DetailRow, ...]
    way: Literal["in place", "anew", "restart"]
    along: tuple[str, ...]
    """The endpoints that are attached again because of it."""
    words: str
    """All of that in a line."""


class ConfigurationRow(Message):
    """Where the configuration is from, and what is being done about it."""

    file: str | None
    is_reloading: bool
    step: int
    """The one that is done at the moment, from 1, or 0."""
    steps: int
    doing: str
