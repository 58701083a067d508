"""Values of this house as what JSON can say, and back.

Theory of operation. What is kept are the frozen dataclasses and NamedTuples that the other rooms
speak of. `plain` makes dictionaries of them, field by field, and texts of what has a text form: an
address is "172.18.0.2", an enumeration's member is its value, a range is its two ends. `valued`
reads them back by the types that their fields are annotated with. A field that was not written has
its default, so that a class may gain fields without a migration; one that is not known any more is
a mistake, as a value must never come back poorer than it was.

A value is checked as far as its types check it. Nothing is known here about files.
"""

from __future__ import annotations

import types
from collections.abc import Hashable
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, TypeAlias, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from vswitch.wire.values import IpAddress, IpInterface, IpNetwork, MacAddress

T = TypeVar("T")

Plain: TypeAlias = bool | int | float | str | list["Plain"] | dict[str, "Plain"] | None

_WITH_TEXT_FORM = (IpAddress, MacAddress, IpNetwork, IpInterface)
"""Classes whose `parse` reads what `str` writes."""

_AS_IT_IS = (bool, int, float, str, type(None))


class NotReadableError(ValueError):
    """Something that was read is no value of the type that it should have."""


def plain(value: object) -> Plain:
    """`value` as JSON can say it. TypeError for what is no value of this house."""
    match value:
        case Enum():
            return plain(value.value)
        case IpAddress() | MacAddress() | IpNetwork() | IpInterface():
            return str(value)
        case None | bool() | int() | float() | str():
            return value
        case range(start=start, stop=stop, step=1):
            return [start, stop]
        case tuple() if not hasattr(value, "_fields"):
            return [plain(each) for each in value]
        case _ if is_dataclass(value) or isinstance(value, tuple):
            return {
                name: plain(getattr(value, name)) for name in _field_types(cast(Any, type(value)))
            }
    raise TypeError(f"{value!r} can not be kept")


def valued(kind: type[T], said: Plain) -> T:
    """The value of type `kind` that `plain` made `said` of. Raises NotReadableError."""
    try:
        return cast(T, _valued(kind, said))
    except (ValueError, KeyError, AttributeError) as error:
        raise NotReadableError(f"{kind.__name__}: {error}") from error


def _valued(kind: Any, said: Any) -> Any:
    if kind in _AS_IT_IS:
        return _checked(said, kind)
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return None if said is None else _valued(_only_other_than_none(kind), said)
    if origin is tuple:
        return _tuple(get_args(kind), _checked(said, list))
    if kind is range:
        start, stop = _checked(said, list)
        return range(_checked(start, int), _checked(stop, int))
    if kind in _WITH_TEXT_FORM:
        return kind.parse(_checked(said, str))
    if issubclass(kind, Enum):
        return kind(said)
    return _fields(kind, _checked(said, dict))


def _checked(said: Any, kind: type) -> Any:
    """JSON writes a whole number without a point, so an int may stand for a float."""
    if type(said) is kind:
        return said
    if kind is float and type(said) is int:
        return float(said)
    raise NotReadableError(f"{said!r} is no {kind.__name__}")


def _only_other_than_none(union: Any) -> Any:
    (kind,) = (each for each in get_args(union) if each is not type(None))
    return kind


def _tuple(kinds: tuple[Any, ...], said: list[Any]) -> tuple[Any, ...]:
    each_kind = kinds[:1] * len(said) if kinds[1:] == (...,) else kinds
    return tuple(_valued(kind, each) for kind, each in zip(each_kind, said, strict=True))


def _fields(kind: Any, said: dict[str, Any]) -> Any:
    known = _field_types(kind)
    unknown = [name for name in said if name not in known]
    if unknown:
        raise NotReadableError(f"{', '.join(unknown)} is not known")
    try:
        return kind(**{name: _valued(known[name], each) for name, each in said.items()})
    except TypeError as error:
        raise NotReadableError(str(error)) from error


@cache
def _field_types(kind: Hashable) -> dict[str, Any]:
    """The fields that make a value, with their types, in the order of the class."""
    hints = get_type_hints(kind)
    if is_dataclass(kind):
        names = [each.name for each in fields(kind) if each.init]
    else:
        names = list(cast(Any, kind)._fields)
    return {name: hints[name] for name in names}
