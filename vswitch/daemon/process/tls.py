"""TLS as the daemon serves it: 1.2 at least, and nobody without a certificate of the right hand.

A client has to show a certificate that the door's `client_ca` has signed; the handshake fails
without (RFC 8446, 4.4.2; with TLS 1.3 a client learns of it with its first read). Files are PEM.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

from vswitch.network.model import RemoteDoor


class TlsError(Exception):
    """A file that is needed can not be used. The text is one line for the user."""


def server_context(door: RemoteDoor) -> ssl.SSLContext:
    """What serves `door`. Raises TlsError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    for key, path in (
        *(("api.certificate", door.certificate), ("api.key", door.key)),
        *(("api.client_ca", door.client_ca),),
    ):
        _require_readable(key, path)
    _load(
        f"api.key: {door.key} is not the key of {door.certificate}, or one of them is no PEM",
        lambda: context.load_cert_chain(door.certificate, door.key, password=_no_password),
    )
    _load(
        f"api.client_ca: no certificate is in {door.client_ca}",
        lambda: context.load_verify_locations(door.client_ca),
    )
    return context


def _require_readable(key: str, path: str) -> None:
    """OpenSSL does not say which file it could not read."""
    try:
        Path(path).read_bytes()
    except OSError as error:
        raise TlsError(f"{key}: {path} can not be read: {error.strerror}") from error


def _load(trouble: str, load: Callable[[], None]) -> None:
    try:
        load()
    except (ssl.SSLError, ValueError) as error:
        raise TlsError(trouble) from error


def _no_password() -> str:
    """Nobody is there to type one."""
    raise ValueError("the key is encrypted")
