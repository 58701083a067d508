"""The interface as an OpenAPI document, `/v1/openapi.json`, for clients in any language.

Theory of operation. The document is made of the router itself and of what stands beside each
handler (`described`), so a route that is served is in it and no other can be. Schemas are those of
the pydantic models in `messages`. Whatever is not a success is answered with a `Problem`.

To read: https://spec.openapis.org/oas/v3.1.1, whose schemas are JSON Schema 2020-12, which is what
pydantic writes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from aiohttp import hdrs, web
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from vswitch import __version__
from vswitch.daemon import messages
from vswitch.daemon.api.described import Description, described, description_of
from vswitch.daemon.daemon import Daemon

PATH = "/v1/openapi.json"

Json = dict[str, Any]

_SCHEMAS = "#/components/schemas/{model}"

_VARIABLE = re.compile(r"{(\w+)}")


class UndescribedError(Exception):
    """Routes that nobody has described, and what to do about it."""


def routes(_: Daemon) -> list[web.RouteDef]:
    """The route of the document."""
    return [web.get(PATH, _tell)]


@described("This document.", media="application/json")
async def _tell(request: web.Request) -> web.Response:
    return web.json_response(document(request.app.router.routes()))


def document(served: Iterable[web.AbstractRoute]) -> Json:
    """The OpenAPI document of all routes. Raises UndescribedError."""
    operations = list(_operations(served))
    paths: dict[str, Json] = {}
    schemas = _schemas(each for _, _, each in operations)
    for path, method, description in operations:
        paths.setdefault(path, {})[method] = _operation(path, method, description, schemas)
    queries = {each.query.__name__ for _, _, each in operations if each.query}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "vswitch",
            "version": __version__,
            "summary": "A userspace virtual switch and NAT, over the socket of its daemon.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/", "description": "HTTP on the switch's unix socket."}],
        "paths": paths,
        "components": {
            "schemas": {name: each for name, each in schemas.items() if name not in queries}
        },
    }


def _operations(served: Iterable[web.AbstractRoute]) -> Iterator[tuple[str, str, Description]]:
    """Path, method and description of each route; HEAD is GET without its body (RFC 9110, 9.3.2).

    Raises UndescribedError.
    """
    nameless = []
    for route in served:
        if route.method == hdrs.METH_HEAD or route.resource is None:
            continue
        description = description_of(route.handler)
        if description is None:
            nameless.append(f"{route.method} {route.resource.canonical}")
        else:
            yield route.resource.canonical, route.method.lower(), description
    if nameless:
        raise UndescribedError(
            f"not described: {', '.join(nameless)}: put @described(...) above the handler "
            f"({described.__module__})"
        )


def _schemas(descriptions: Iterable[Description]) -> Json:
    models: set[type[BaseModel]] = {messages.Problem}
    models.update(model for each in descriptions for model in each.models)
    in_order = sorted(models, key=lambda model: model.__name__)
    _, definitions = models_json_schema(
        [(model, "validation") for model in in_order], ref_template=_SCHEMAS
    )
    schemas: Json = definitions["$defs"]
    return schemas


def _operation(path: str, method: str, description: Description, schemas: Json) -> Json:
    operation: Json = {
        "operationId": _identifier(path, method),
        "summary": description.words,
        "tags": [path.split("/")[2].removesuffix(".json")],
    }
    parameters = [*_path_parameters(path), *_query_parameters(description, schemas)]
    if parameters:
        operation["parameters"] = parameters
    if description.body:
        content = {"application/json": {"schema": _reference(description.body.__name__)}}
        operation["requestBody"] = {"required": True, "content": content}
    operation["responses"] = {
        str(description.status): _success(description),
        "default": {
            "description": "A mistake, in one line.",
            "content": {"application/json": {"schema": _reference(messages.Problem.__name__)}},
        },
    }
    return operation


def _identifier(path: str, method: str) -> str:
    """A name that a generated client can call: `get_flows_number`."""
    words = re.findall(r"\w+", path.removeprefix("/v1/").replace(".", "_"))
    return "_".join((method, *words))


def _path_parameters(path: str) -> list[Json]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _VARIABLE.findall(path)
    ]


def _query_parameters(description: Description, schemas: Json) -> Iterator[Json]:
    """A parameter for each field; one that is a list is said several times."""
    if description.query is None:
        return
    schema = schemas[description.query.__name__]
    for name, field in schema["properties"].items():
        required = name in schema.get("required", ())
        yield {"name": name, "in": "query", "required": required, "schema": field}


def _success(description: Description) -> Json:
    content: Json = {}
    if description.rows:
        rows = {"type": "array", "items": _reference(description.rows.__name__)}
        content["application/json"] = {"schema": rows}
    elif description.row:
        media = description.media or "application/json"
        content[media] = {"schema": _reference(description.row.__name__)}
    elif description.media:
        content[description.media] = {"schema": {}}
    if not content:
        return {"description": "It is done."}
    return {"description": description.words, "content": content}


def _reference(name: str) -> Json:
    return {"$ref": _SCHEMAS.format(model=name)}
