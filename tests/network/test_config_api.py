"""`[api]` of a configuration: who may ask the daemon, and its mistakes."""

from __future__ import annotations

import pytest

from vswitch.network.configuration import config
from vswitch.network.configuration.config import ConfigurationError
from vswitch.network.model import ApiSettings, RemoteDoor
from vswitch.wire.values import IpAddress

FILES = 'certificate = "/etc/vswitch/cert.pem"\nkey = "/etc/vswitch/key.pem"\n'
REMOTE = f'listen = "127.0.0.1:2377"\n{FILES}client_ca = "/etc/vswitch/ca.pem"\n'


def parsed(keys: str) -> ApiSettings:
    return config.parse(f'name = "lab"\n[api]\n{keys}', "lab.toml").api


def mistakes(keys: str) -> list[str]:
    with pytest.raises(ConfigurationError) as refused:
        parsed(keys)
    return [line.removeprefix("lab.toml: api.") for line in refused.value.lines]


def test_without_being_mentioned_root_alone_may_ask() -> None:
    assert config.parse('name = "lab"', "lab.toml").api == ApiSettings(None, None)


def test_every_key_is_read() -> None:
    assert parsed(f'group = "vswitch"\n{REMOTE}') == ApiSettings(
        "vswitch",
        RemoteDoor(
            IpAddress.parse("127.0.0.1"),
            2377,
            "/etc/vswitch/cert.pem",
            "/etc/vswitch/key.pem",
            "/etc/vswitch/ca.pem",
        ),
    )


@pytest.mark.parametrize(("listen", "address"), [("[::1]:2377", "::1"), ("0.0.0.0:1", "0.0.0.0")])
def test_it_may_be_any_address_with_a_port(listen: str, address: str) -> None:
    remote = parsed(REMOTE.replace("127.0.0.1:2377", listen)).remote
    assert remote is not None
    assert remote.address == IpAddress.parse(address)


def test_there_is_no_door_to_other_machines_without_certificates() -> None:
    assert mistakes('listen = "127.0.0.1:2377"') == [
        "certificate: missing: listen needs it",
        "key: missing: listen needs it",
        "client_ca: missing: listen needs it",
    ]
    assert mistakes(FILES) == [
        "listen: missing: certificate needs it",
        "client_ca: missing: certificate needs it",
    ]


LISTEN = 'allowed is an IP address with a port, like "127.0.0.1:2377"'


@pytest.mark.parametrize("listen", ["127.0.0.1", "localhost:2377", "127.0.0.1:0", "224.0.0.1:80"])
def test_what_is_no_place_to_listen_is_refused(listen: str) -> None:
    assert mistakes(REMOTE.replace("127.0.0.1:2377", listen)) == [
        f'listen: found "{listen}": {LISTEN}'
    ]


def test_files_are_named_by_absolute_paths() -> None:
    assert mistakes(REMOTE.replace("/etc/vswitch/key.pem", "key.pem")) == [
        'key: found "key.pem": allowed is the absolute path of a file in PEM'
    ]
