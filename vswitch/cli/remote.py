"""A switch on another host, as the environment names it.

VSWITCH_HOST is `tcp://HOST:PORT`, where the switch's configuration says `[api] listen`.
VSWITCH_CERT_PATH is a directory with ca.pem, whose word is good for the switch's certificate, and
with cert.pem and key.pem, which show who asks: as Docker's DOCKER_HOST and DOCKER_CERT_PATH.
"""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from vswitch.cli.problem import Problem

HOST = "VSWITCH_HOST"
CERTIFICATES = "VSWITCH_CERT_PATH"


class Remote(NamedTuple):
    """Where it listens, and what opens the door."""

    host: str
    port: int
    certificates: Path

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Remote | None:
        """The one that is named; None where none is. Raises Problem."""
        text = environment.get(HOST)
        if not text:
            return None
        host, port = _parsed(text)
        directory = environment.get(CERTIFICATES)
        if not directory:
            needed = "a directory with ca.pem, cert.pem and key.pem"
            raise Problem(f"{HOST} needs {CERTIFICATES}, {needed}")
        return cls(host, port, Path(directory))

    def connection(self, timeout: float) -> http.client.HTTPSConnection:
        """One that is yet to be made; `timeout` is in seconds. Raises Problem."""
        return http.client.HTTPSConnection(
            self.host, self.port, timeout=timeout, context=self._context()
        )

    def _context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_verify_locations(self.certificates / "ca.pem")
            context.load_cert_chain(self.certificates / "cert.pem", self.certificates / "key.pem")
        except OSError as error:
            raise Problem(
                f"{CERTIFICATES}: {self.certificates} has no ca.pem, cert.pem and key.pem that "
                f"can be used: {error.strerror or error}"
            ) from error
        return context

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def _parsed(text: str) -> tuple[str, int]:
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        parts, host, port = SplitResult("", "", "", "", ""), None, None
    if parts.scheme != "tcp" or not host or not port or parts.path:
        raise Problem(f'{HOST}: found "{text}": allowed is tcp://HOST:PORT')
    return host, port
