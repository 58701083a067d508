"""What the API says: rows as JSON, and every mistake as one line.

Theory of operation. A mistake of the client is a 4xx whose body says in one line what is wrong; an
unexpected error is logged with its traceback and answered with a plain 500.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from typing import TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from vswitch.daemon import messages
from vswitch.daemon.attaching.endpoints import AttachError
from vswitch.daemon.captures import TooManyReadersError
from vswitch.daemon.exposure import PortTakenError
from vswitch.daemon.filters import FilterRuleError
from vswitch.daemon.kernel.links import LinkError
from vswitch.daemon.reload import ReloadError
from vswitch.daemon.store import StoreError
from vswitch.debug.explain.describing import DescriptionError
from vswitch.debug.files.bpf import FilterError
from vswitch.impairment import ImpairmentError
from vswitch.network.configuration.mistakes import ConfigurationError
from vswitch.network.errors import ForbiddenError, InvalidRequestError, NetworkError
from vswitch.network.names import did_you_mean

log = logging.getLogger(__name__)

Body = TypeVar("Body", bound=BaseModel)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

PCAPNG = "application/x-pcapng"
JSON_LINES = "application/x-ndjson"
"""The media types of what is streamed."""


class NotUnderstoodError(ValueError):
    """A request is none. The text is one line for who has sent it: where, what, what is allowed."""


def rows(each: Sequence[BaseModel], status: int = 200) -> web.Response:
    """A list of rows."""
    text = ",\n".join(row.model_dump_json() for row in each)
    return web.Response(text=f"[{text}]", status=status, content_type="application/json")


def json(row: BaseModel, status: int = 200) -> web.Response:
    """One row."""
    return web.Response(text=row.model_dump_json(), status=status, content_type="application/json")


def nothing() -> web.Response:
    """It is done, and there is nothing to say."""
    return web.Response(status=204)


def problem(status: int, text: str) -> web.Response:
    """What is wrong. What the client sent may be quoted in `text`, line ends and all."""
    line = "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
    return json(messages.Problem(error=line), status)


async def body(request: web.Request, kind: type[Body]) -> Body:
    """What the client asks for. Raises NotUnderstoodError."""
    said = await request.read()
    return understood(kind, lambda: kind.model_validate_json(said))


def query(kind: type[Body], said: Mapping[str, object]) -> Body:
    """The same of what stands behind the ? in its request."""
    return understood(kind, lambda: kind.model_validate(said))


def understood(kind: type[Body], read: Callable[[], Body]) -> Body:
    """What `read` makes of a request. Raises NotUnderstoodError."""
    try:
        return read()
    except ValidationError as error:
        raise NotUnderstoodError(_in_words(error, kind)) from error


async def stream(
    request: web.Request,
    pieces: AsyncGenerator[bytes, None],
    media: str,
    headers: Mapping[str, str] | None = None,
) -> web.StreamResponse:
    """Answer with something of unknown length. A refusal has to come before its first piece."""
    async with aclosing(pieces):
        first = await anext(pieces)
        response = web.StreamResponse(headers={**(headers or {}), "Content-Type": media})
        with suppress(ConnectionError):  # the reader has left, which is the usual end
            await response.prepare(request)
            await response.write(first)
            async for piece in pieces:
                await response.write(piece)
            await response.write_eof()
    return response


def is_read(request: web.Request) -> bool:
    """Whether the client is still there."""
    return request.transport is not None and not request.transport.is_closing()


@web.middleware
async def in_one_line(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every error as a `Problem`."""
    try:
        return await handler(request)
    except ForbiddenError as error:
        return problem(403, error.explained)
    except InvalidRequestError as error:
        return problem(400, error.explained)
    except NetworkError as error:
        return problem(404 if "not found" in str(error) else 409, error.explained)
    except (AttachError, LinkError, PortTakenError, TooManyReadersError) as error:
        return problem(409, str(error))
    except StoreError as error:
        log.error("%s %s: %s", request.method, request.path, error)
        return problem(507, str(error))
    except ReloadError as error:
        return problem(409, str(error))
    except ConfigurationError as error:
        return problem(400, "; ".join(str(error).splitlines()))
    except (
        ImpairmentError,
        FilterError,
        FilterRuleError,
        DescriptionError,
        NotUnderstoodError,
    ) as error:
        return problem(400, str(error))
    except web.HTTPException as error:
        return problem(error.status, f"{request.method} {request.path}: {error.reason}")
    except ConnectionResetError:
        return problem(400, "the client left before its request had ended")
    except Exception:
        log.exception("%s %s failed", request.method, request.path)
        return problem(500, "the switch failed to do this; its log says why")


def _in_words(error: ValidationError, kind: type[BaseModel]) -> str:
    """One mistake: a key that is not known first, as it may be why another one is missing."""
    mistakes = error.errors(include_url=False)
    unknown = [each for each in mistakes if each["type"] == "extra_forbidden"]
    mistake = (unknown or mistakes)[0]
    where = ".".join(str(part) for part in mistake["loc"]) or "body"
    match mistake["type"], mistake["loc"]:
        case "extra_forbidden", (key,):
            allowed = kind.model_fields
            words = f"unknown key: allowed is {', '.join(allowed)}"
            guess = did_you_mean(str(key), allowed)
            return f"{where}: {words}{'; ' if guess else ''}{guess}"
        case "extra_forbidden", _:
            return f"{where}: unknown key"
        case "missing", _:
            return f"{where}: missing: it has to be said"
    return f"{where}: {mistake['msg']}"
