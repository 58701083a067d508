"""What all messages have in common: nothing that is not known passes, and nothing is changed."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Message(BaseModel):
    """The body of a request, or a row of an answer.

    Its validator is built when it is first used: a switch that starts needs none of them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)
