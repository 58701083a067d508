"""How a mistake in a configuration reads: one line with the place, what was found, what is allowed.

A place is a key path as TOML would write it (`endpoints."a b".publish[0]`). Mistakes are told in
the order of the file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from vswitch.network.errors import KeyPath

LONGEST_QUOTATION = 60
"""Characters of what was found that a line repeats: enough to recognise it."""

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Mistake:
    """Something at `path` that is not allowed; `words` say what is, or why not.

    `quotes_value` is False where the key itself is the mistake, whatever it holds.
    """

    path: KeyPath
    words: str
    quotes_value: bool = True


class ConfigurationError(Exception):
    """A configuration that cannot be honoured; `str()` is one line for each mistake in it."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines = tuple(lines)
        super().__init__("\n".join(self.lines))


def lines(file: str, document: dict[str, Any], mistakes: Iterable[Mistake]) -> list[str]:
    """One line for each mistake in `document`, in the order of the file."""
    in_order = sorted(mistakes, key=lambda mistake: _position(document, mistake.path))
    return [_line(file, document, mistake) for mistake in in_order]


def quote(value: object) -> str:
    """A value of a TOML document as its author would recognise it, on one line."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        text = f"[{', '.join(quote(item) for item in value)}]"
    elif isinstance(value, str):
        text = json.dumps(value, ensure_ascii=not value.isprintable())
    elif isinstance(value, bool):
        text = str(value).lower()
    else:
        text = str(value)
    if len(text) <= LONGEST_QUOTATION:
        return text
    return text[: LONGEST_QUOTATION - 3] + "..."


def _line(file: str, document: dict[str, Any], mistake: Mistake) -> str:
    place = _place(mistake.path)
    found = _found(document, mistake.path)
    if found is None or not mistake.quotes_value:
        return _on_one_line(f"{file}: {place}: {mistake.words}")
    return _on_one_line(f"{file}: {place}: found {found}: {mistake.words}")


def _on_one_line(text: str) -> str:
    """`text` with everything escaped that would break the line or steer a terminal."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def _place(path: KeyPath) -> str:
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
            continue
        key = step if _BARE_KEY.fullmatch(step) else json.dumps(step)
        text += f".{key}" if text else key
    return text


def _found(document: dict[str, Any], path: KeyPath) -> str | None:
    """What stands at `path`; None where nothing does, or where the path says it all."""
    value: Any = document
    for step in path:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return None
    return None if isinstance(value, dict) else quote(value)


def _position(document: dict[str, Any], path: KeyPath) -> tuple[int, ...]:
    """Where `path` stands in the file: what is missing comes at the end of its table."""
    position: list[int] = []
    value: Any = document
    for step in path:
        if isinstance(value, dict):
            keys = list(value)
            position.append(keys.index(step) if step in value else len(keys))
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int):
            position.append(step)
            value = value[step]
    return tuple(position)
