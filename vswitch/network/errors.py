"""What is refused, in the words that a Docker user knows."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

KeyPath: TypeAlias = tuple[str | int, ...]
"""The way to a value in a configuration: ("endpoints", "web", "publish", 0)."""


class NetworkError(Exception):
    """A request that cannot be honoured.

    `str()` is Docker's own text wherever Docker has one, so that what greps for it keeps working.
    `hint` adds what that text leaves out, and `explained` is both. `key` is the part of the request
    that is at fault; empty where it is the request as a whole.
    """

    def __init__(self, message: str, *, hint: str = "", key: KeyPath = ()) -> None:
        super().__init__(message)
        self.hint = hint
        self.key = key

    @property
    def explained(self) -> str:
        """The text for a person: `Address already in use (by endpoint db)`."""
        return f"{self} ({self.hint})" if self.hint else str(self)

    def at(self, *key: str | int) -> NetworkError:
        """The same refusal, blamed on `key`."""
        return type(self)(str(self), hint=self.hint, key=key)


class InvalidRequestError(NetworkError):
    """The request makes no sense, whatever there is on the switch."""


class ForbiddenError(NetworkError):
    """What is asked for is never done to this one, or not as long as somebody uses it."""


class Refusal(NamedTuple):
    """One of several requests was refused: the name it asked for, and why."""

    name: str
    error: NetworkError
