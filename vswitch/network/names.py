"""What may be called what.

A name becomes a file under /run/netns or /run/vswitch, a label in DNS and a word in a log line, so
one rule holds for switches, networks, endpoints, aliases and namespaces: Docker's characters, at
the length of a DNS label.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from difflib import get_close_matches

from vswitch.network.errors import NetworkError

LONGEST_NAME = 63
"""Characters: the longest label of RFC 1035, 2.3.4."""

LONGEST_INTERFACE_NAME = 15
"""Bytes: the kernel's IFNAMSIZ without its closing zero."""

CHARACTERS = "[a-zA-Z0-9][a-zA-Z0-9_.-]"

ALLOWED_NAME = (
    f"a name of 1 to {LONGEST_NAME} letters, digits, '_', '.' or '-', the first a letter or digit"
)

ALLOWED_INTERFACE = (
    f"the name of an interface: 1 to {LONGEST_INTERFACE_NAME} bytes without '/', ':' or space"
)

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")


def is_name(text: str) -> bool:
    """Whether a switch, network, endpoint, alias or namespace may be called `text`."""
    return len(text) <= LONGEST_NAME and _NAME.fullmatch(text) is not None


def is_interface_name(text: str) -> bool:
    """Whether the kernel accepts `text` as the name of an interface (dev_valid_name)."""
    if not 1 <= len(text.encode()) <= LONGEST_INTERFACE_NAME or text in (".", ".."):
        return False
    return text.isprintable() and not any(char in "/:" or char.isspace() for char in text)


def require_name(what: str, text: str, *key: str | int) -> None:
    """Refuse `text` as the name of a `what`, in Docker's words.

    Raises:
        NetworkError: blamed on `key`.
    """
    if is_name(text):
        return
    hint = f"at most {LONGEST_NAME} characters" if len(text) > LONGEST_NAME else ""
    message = f"Invalid {what} name ({text}), only {CHARACTERS} are allowed"
    raise NetworkError(message, hint=hint, key=key)


def host_interface(network: str) -> str:
    """What the host's own interface on a network is called: `vs-front`, shortened where that is too
    long, and still another one for each network."""
    name = f"vs-{network}"
    if len(name) <= LONGEST_INTERFACE_NAME:
        return name
    mark = hashlib.sha256(network.encode()).hexdigest()[:4]
    return f"{name[: LONGEST_INTERFACE_NAME - 1 - len(mark)]}-{mark}"


def did_you_mean(found: str, allowed: Iterable[str]) -> str:
    """`did you mean "publish"?`, or nothing where no allowed word is near."""
    near = get_close_matches(found, list(allowed), n=1)
    return f'did you mean "{near[0]}"?' if near else ""
