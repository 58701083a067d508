"""What the tables of a configuration have in common, and the kinds of values that stand in several.

The tables themselves are in `schema`, those of names and leases in `nameschema` and `leaseschema`.
"""

from __future__ import annotations

from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PlainValidator

from vswitch.network import sizes
from vswitch.network.configuration import fields
from vswitch.units import DAY, MEBIBYTE

LONGEST_TIMEOUT = 365 * DAY

LARGEST_MEMORY = 1024 * 1024 * MEBIBYTE


class Table(BaseModel):
    """A table of a file: keys that it does not know are mistakes.

    Its validator is built with that of the table around it, not for itself as well.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


_T = TypeVar("_T", bound=Table)

Flag = Annotated[bool, PlainValidator(fields.flag), Field(description="true or false")]


def by_default(table: type[_T]) -> _T:
    """A table in which nothing is said. There is nothing to check, so no validator is built."""
    return table.model_construct()


def size(least: int, example: str) -> str:
    """What is allowed of a number of bytes."""
    return f'a size from "{sizes.text(least)}" to "{sizes.text(LARGEST_MEMORY)}", like "{example}"'


def time(least: str) -> str:
    """What is allowed of a time."""
    return f'a time from {least} to 365d, like "30s", "2h4m" or 120 (seconds)'
