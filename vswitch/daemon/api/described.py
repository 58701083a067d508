"""What a route is for, said beside it: `@described` above the handler of each.

Theory of operation. The description is the handler's alone: one line for people, what may be asked
(`body` or `query`) and what is answered (`row`, `rows`, or a stream of `media`), as the models of
`messages` that the handler itself uses. `openapi` puts the descriptions of all routes into one
document, and refuses to where one is missing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel

_Handler = TypeVar("_Handler", bound=Callable[..., object])

_ATTRIBUTE = "described_as"


@dataclass(frozen=True, slots=True)
class Description:
    """What a route is for, what it takes and what it answers.

    Without `row`, `rows` and `media` there is nothing to say, and the status is 204. `media` alone
    is a stream of that type; with `row` each line of it is one.
    """

    words: str
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    row: type[BaseModel] | None = None
    rows: type[BaseModel] | None = None
    media: str | None = None
    status: int = 200

    @property
    def models(self) -> tuple[type[BaseModel], ...]:
        """Every model that it speaks of."""
        each = (self.body, self.query, self.row, self.rows)
        return tuple(model for model in each if model is not None)


def described(
    words: str,
    *,
    body: type[BaseModel] | None = None,
    query: type[BaseModel] | None = None,
    row: type[BaseModel] | None = None,
    rows: type[BaseModel] | None = None,
    media: str | None = None,
    status: int | None = None,
) -> Callable[[_Handler], _Handler]:
    """Say what the route of a handler is for. `status` is that of a success."""
    if status is None:
        status = 200 if row or rows or media else 204
    description = Description(words, body, query, row, rows, media, status)

    def describe(handler: _Handler) -> _Handler:
        setattr(handler, _ATTRIBUTE, description)
        return handler

    return describe


def description_of(handler: object) -> Description | None:
    """What is said about a handler; None where nobody has."""
    found = getattr(handler, _ATTRIBUTE, None)
    return found if isinstance(found, Description) else None
