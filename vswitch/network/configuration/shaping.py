"""Whether a document has the shape of its tables, and what is wrong where it has not.

Theory of operation. pydantic finds what is wrong; here that becomes mistakes in this house's words.
What is allowed at a place is said by the description of its field (`schema`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

from pydantic import BaseModel, ValidationError

from vswitch.network import names
from vswitch.network.configuration.fields import NotAllowedError
from vswitch.network.configuration.leaseschema import BootTable, DhcpTable
from vswitch.network.configuration.mistakes import Mistake
from vswitch.network.configuration.nameschema import CacheTable, DnsTable, NetworkDnsTable
from vswitch.network.configuration.schema import (
    ApiTable,
    Document,
    EndpointTable,
    FilterTable,
    LimitsTable,
    MembershipTable,
    NetworkTable,
    PoolTable,
    QuotasTable,
    RecorderTable,
    TimeoutsTable,
    UplinkTable,
)
from vswitch.network.configuration.table import Table
from vswitch.network.errors import KeyPath

M = TypeVar("M", bound=BaseModel)

TableAround: TypeAlias = Callable[[KeyPath], type[Table]]

MOST_KEYS_NAMED = 16
"""Keys that the line about an unknown one lists; of more, only the nearest is named."""


class NamedTables(Table):
    """Stands for a table of tables, whose keys are for the user to choose."""


def check(document: dict[str, Any]) -> Document | list[Mistake]:
    """`document` in values of this house, or everything in it that has the wrong shape."""
    return shaped(Document, document, _table_around)


def shaped(model: type[M], document: dict[str, Any], around: TableAround) -> M | list[Mistake]:
    """The same for any document; `around` knows the table that the last key of a path is in."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        return [_mistake(one["loc"], one["type"], one.get("ctx", {}), around) for one in found]


def _mistake(path: KeyPath, kind: str, context: dict[str, Any], around: TableAround) -> Mistake:
    reason = context.get("error")
    if isinstance(reason, NotAllowedError) and str(reason):
        return Mistake(path, str(reason))
    if kind == "extra_forbidden":
        return Mistake(path, _unknown_key(path, around), quotes_value=False)
    if kind == "missing":
        return Mistake(path, f"missing: allowed is {_description(path, around)}")
    allowed = "allowed is a list, each item " if kind == "list_type" else "allowed is "
    return Mistake(path, allowed + _description(path, around))


def _unknown_key(path: KeyPath, around: TableAround) -> str:
    allowed = around(path).model_fields
    guess = names.did_you_mean(str(path[-1]), allowed)
    said = f"unknown key: allowed is {', '.join(allowed)}"
    if len(allowed) > MOST_KEYS_NAMED:
        said = "unknown key"
    return f"{said}; {guess}" if guess else said


def _description(path: KeyPath, around: TableAround) -> str:
    """What is allowed at `path`, for an item of a list what each of its items may be."""
    if isinstance(path[-1], int):
        return _description(path[:-1], around)
    fields = around(path).model_fields
    if path[-1] in fields:
        return fields[path[-1]].description or ""
    return f"a table, [{'.'.join(str(step) for step in path)}]"


def _table_around(path: KeyPath) -> type[Table]:
    match path:
        case ("uplink", _):
            return UplinkTable
        case ("uplinks" | "networks" | "endpoints", _):
            return NamedTables
        case ("uplinks", _, _):
            return UplinkTable
        case ("networks", _, _):
            return NetworkTable
        case ("default_address_pools", _, _):
            return PoolTable
        case ("networks", _, "timeouts", _):
            return TimeoutsTable
        case ("networks", _, "quotas", _):
            return QuotasTable
        case ("networks", _, "dhcp", _):
            return DhcpTable
        case ("networks", _, "dhcp", "boot", _):
            return BootTable
        case ("endpoints", _, _):
            return EndpointTable
        case ("endpoints", _, "networks", _):
            return NamedTables
        case ("endpoints", _, "networks", _, _):
            return MembershipTable
        case ("networks", _, "dns", _):
            return NetworkDnsTable
        case ("dns", _):
            return DnsTable
        case ("dns", "cache", _):
            return CacheTable
        case ("recorder", _):
            return RecorderTable
        case ("limits", _):
            return LimitsTable
        case ("api", _):
            return ApiTable
        case ("filters", int(), _):
            return FilterTable
    return Document
