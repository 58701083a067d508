"""From the keys of `[api]` to who may ask the daemon.

Theory of operation. A door to other machines takes four keys or none: where it listens, the
server's certificate and key, and the authority that signs the clients' certificates. There is no
such door without certificates.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from vswitch.network.configuration.mistakes import Mistake
from vswitch.network.configuration.schema import ApiTable
from vswitch.network.model import ApiSettings, RemoteDoor

_TOGETHER = ("listen", "certificate", "key", "client_ca")


def read(table: ApiTable) -> ApiSettings:
    """What the keys say; a door to other machines only where all of it is said."""
    match table.listen, table.certificate, table.key, table.client_ca:
        case (address, port), str(certificate), str(key), str(client_ca):
            remote = RemoteDoor(address, port, certificate, key, client_ca)
            return ApiSettings(table.group, remote)
    return ApiSettings(table.group)


def incomplete(written: Collection[str]) -> Iterator[Mistake]:
    """The keys that are missing beside those of `[api]` that are written."""
    there = [key for key in _TOGETHER if key in written]
    for key in _TOGETHER:
        if there and key not in written:
            yield Mistake(("api", key), f"missing: {there[0]} needs it")
