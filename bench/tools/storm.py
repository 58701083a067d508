"""A storm on the control socket: all flows and all endpoints, again and again, until it is ended.

python -m bench.tools.storm
"""

from __future__ import annotations

from vswitch.cli.client import Client

TABLES = ("flows", "endpoints")


def storm(client: Client) -> None:
    """Ask one question after another for ever."""
    print("begun", flush=True)
    while True:
        for table in TABLES:
            client.text(table)


if __name__ == "__main__":
    storm(Client.of("bench"))
