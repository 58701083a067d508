"""The OpenAPI document: all that is served is in it and nothing else, and it can be resolved."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import web

from tests.daemon.test_api import Served
from vswitch.daemon.api import application
from vswitch.daemon.api.openapi import UndescribedError, document


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    served = Served(tmp_path_factory.mktemp("openapi"))
    try:
        yield served
    finally:
        served.close()


@pytest.fixture(scope="module")
def told(api: Served) -> dict[str, Any]:
    answer = api.ask("GET", "/v1/openapi.json")
    assert answer.status == 200, answer.body
    told: dict[str, Any] = answer.body
    return told


def test_every_route_is_described_and_no_other(api: Served, told: dict[str, Any]) -> None:
    """A new route fails here with its name until `@described` stands above its handler."""
    assert api.daemon is not None
    routes = list(application(api.daemon).router.routes())
    served = {(each.resource.canonical, each.method) for each in routes if each.resource}
    documented = {
        (path, method.upper()) for path, methods in told["paths"].items() for method in methods
    }
    assert documented == {(path, method) for path, method in served if method != "HEAD"}


def test_route_that_nobody_describes_is_named() -> None:
    async def mystery(_: web.Request) -> web.Response:
        return web.Response()

    router = web.Application()
    router.add_routes([web.put("/v1/mysteries/{number:[0-9]+}", mystery)])
    with pytest.raises(UndescribedError, match=r"PUT /v1/mysteries/{number}: put @described"):
        document(router.router.routes())


def test_every_reference_leads_to_a_schema(told: dict[str, Any]) -> None:
    schemas = told["components"]["schemas"]
    references = set(references_in(told))
    assert references
    for reference in references:
        assert reference.removeprefix("#/components/schemas/") in schemas


def test_every_variable_of_a_path_is_a_parameter_and_every_operation_has_its_own_name(
    told: dict[str, Any],
) -> None:
    names = []
    for path, methods in told["paths"].items():
        for operation in methods.values():
            names.append(operation["operationId"])
            inside = [each for each in operation.get("parameters", ()) if each["in"] == "path"]
            assert [each["name"] for each in inside] == re.findall(r"{(\w+)}", path)
            assert all(each["required"] for each in inside)
    assert len(set(names)) == len(names)
    assert all(name.isidentifier() for name in names)


def test_operation_says_what_it_takes_and_answers(told: dict[str, Any]) -> None:
    add = told["paths"]["/v1/endpoints"]["post"]
    assert schema_of(add["requestBody"]) == {"$ref": "#/components/schemas/EndpointBody"}
    assert schema_of(add["responses"]["201"]) == {"$ref": "#/components/schemas/EndpointRow"}
    assert schema_of(add["responses"]["default"]) == {"$ref": "#/components/schemas/Problem"}
    flows = told["paths"]["/v1/flows"]["get"]["responses"]["200"]
    items = {"$ref": "#/components/schemas/FlowRow"}
    assert schema_of(flows) == {"type": "array", "items": items}
    remove = told["paths"]["/v1/endpoints/{name}"]["delete"]
    assert "content" not in remove["responses"]["204"]
    body = told["components"]["schemas"]["TapBody"]
    assert body["required"] == ["name"]
    assert body["additionalProperties"] is False


def test_query_is_parameters_with_their_bounds(told: dict[str, Any]) -> None:
    capture = told["paths"]["/v1/capture/stream"]["get"]
    parameters = {each["name"]: each for each in capture["parameters"]}
    assert parameters["snap_length"]["in"] == "query"
    assert parameters["snap_length"]["schema"]["minimum"] == 64
    assert not parameters["snap_length"]["required"]
    assert list(capture["responses"]["200"]["content"]) == ["application/x-pcapng"]
    assert "CaptureQuery" not in told["components"]["schemas"]


def schema_of(part: dict[str, Any]) -> Any:
    (content,) = part["content"].values()
    return content["schema"]


def references_in(part: object) -> Iterator[str]:
    if isinstance(part, dict):
        if "$ref" in part:
            yield part["$ref"]
        for each in part.values():
            yield from references_in(each)
    elif isinstance(part, list):
        for each in part:
            yield from references_in(each)
