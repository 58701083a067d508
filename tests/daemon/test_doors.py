"""Where the daemon is asked: the control socket, its own or a passed one, and TCP with TLS."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.test_api import PATIENCE, Served
from vswitch.daemon.process.doors import DoorError, Keys, opened
from vswitch.network.model import ApiSettings, RemoteDoor
from vswitch.wire.values import IpAddress

CERTIFICATES = Path(__file__).parents[1] / "certificates"
LOOPBACK = "127.0.0.1"
STATUS = b"GET /v1/status HTTP/1.1\r\nHost: switch\r\nConnection: close\r\n\r\n"


@pytest.fixture
def server(tmp_path: Path) -> Path:
    """The server's certificates, for a test to spoil."""
    return Path(shutil.copytree(CERTIFICATES / "server", tmp_path / "server"))


def remote(files: Path, port: int = 2377) -> ApiSettings:
    certificate, key, authority = (str(files / name) for name in ("cert.pem", "key.pem", "ca.pem"))
    address = IpAddress.parse(LOOPBACK)
    return ApiSettings(remote=RemoteDoor(address, port, certificate, key, authority))


def trouble(settings: ApiSettings) -> str:
    with pytest.raises(DoorError) as refused:
        Keys.of(settings)
    assert "\n" not in str(refused.value)
    return str(refused.value)


# The control socket


def test_control_socket_is_its_owners_alone_and_nobody_listens_yet(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with opened(ApiSettings(), path) as doors, socket.socket(socket.AF_UNIX) as client:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with pytest.raises(ConnectionRefusedError):
            client.connect(str(path))
        doors.listen()
        client.connect(str(path))
    assert not path.exists()


def test_control_socket_is_also_the_groups_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "chown", lambda _, user, group: given.append((user, group)))
    path = tmp_path / "socket"
    with opened(ApiSettings(group="daemon"), path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        assert given == [(-1, 1)]


def test_socket_that_is_passed_is_served_and_left_where_it_is(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as passed:
        passed.bind(str(path))
        path.chmod(0o666)
        passed.listen()
        with opened(ApiSettings(), path, [passed.detach()]) as doors:
            assert doors.control.getsockname() == str(path)
            assert not doors.control.get_inheritable()
    assert stat.S_IMODE(path.stat().st_mode) == 0o666


@pytest.mark.parametrize(
    ("kind", "place", "told"),
    [
        (socket.SOCK_DGRAM, "socket", "the socket that is passed is no unix stream socket"),
        (socket.SOCK_STREAM, "other", "at {0}/other: allowed is {0}/socket, where commands look"),
    ],
)
def test_other_sockets_than_the_control_socket_are_refused(
    tmp_path: Path, kind: socket.SocketKind, place: str, told: str
) -> None:
    with socket.socket(socket.AF_UNIX, kind) as passed:
        passed.bind(str(tmp_path / place))
        number = passed.detach()
    with (
        pytest.raises(DoorError, match=told.format(tmp_path)),
        opened(ApiSettings(), tmp_path / "socket", [number]),
    ):
        pass


def test_one_socket_is_passed_at_most(tmp_path: Path) -> None:
    with (
        pytest.raises(DoorError, match="2 sockets are passed: allowed is one"),
        opened(ApiSettings(), tmp_path / "socket", [3, 4]),
    ):
        pass


# TCP with TLS


@pytest.fixture
def door(tmp_path: Path) -> Iterator[tuple[Served, int]]:
    """A daemon that is served on TCP as well, and its port there."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port = probe.getsockname()[1]
    files = CERTIFICATES / "server"
    served = Served(
        tmp_path,
        f'[api]\nlisten = "{LOOPBACK}:{port}"\ncertificate = "{files / "cert.pem"}"\n'
        f'key = "{files / "key.pem"}"\nclient_ca = "{files / "ca.pem"}"\n',
    )
    yield served, port
    served.close()


def ask(port: int, certificates: str | None, newest: ssl.TLSVersion) -> bytes:
    """The first line of an answer. Raises OSError where the connection does not come about."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.maximum_version = newest
    context.load_verify_locations(CERTIFICATES / "client/ca.pem")
    if certificates is not None:
        own = CERTIFICATES / certificates
        context.load_cert_chain(own / "cert.pem", own / "key.pem")
    with (
        socket.create_connection((LOOPBACK, port), PATIENCE) as plain,
        context.wrap_socket(plain, server_hostname=LOOPBACK) as client,
    ):
        client.sendall(STATUS)
        line = client.makefile("rb").readline()
    if not line:
        raise ConnectionResetError("reset")
    return line


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_who_has_a_certificate_of_the_authority_is_answered(
    door: tuple[Served, int], newest: ssl.TLSVersion
) -> None:
    assert ask(door[1], "client", newest) == b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("certificates", [None, "stranger"])
def test_who_has_none_does_not_come_in(
    door: tuple[Served, int], certificates: str | None, newest: ssl.TLSVersion
) -> None:
    with pytest.raises(OSError, match=r"SSL|reset"):
        ask(door[1], certificates, newest)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tls_before_1_2_is_not_spoken(door: tuple[Served, int]) -> None:
    with pytest.raises(ssl.SSLError):
        ask(door[1], "client", ssl.TLSVersion.TLSv1_1)


def test_plain_http_is_not_spoken_on_tcp(door: tuple[Served, int]) -> None:
    with socket.create_connection((LOOPBACK, door[1]), PATIENCE) as client:
        client.sendall(STATUS)
        assert not client.makefile("rb").readline().startswith(b"HTTP")


def test_handshake_that_never_ends_keeps_nobody_waiting(door: tuple[Served, int]) -> None:
    served, port = door
    with socket.create_connection((LOOPBACK, port), PATIENCE):
        assert ask(port, "client", ssl.TLSVersion.TLSv1_3) == b"HTTP/1.1 200 OK\r\n"
        assert served.ask("GET", "/v1/status").status == 200


@pytest.mark.parametrize("name", ["cert", "key", "ca"])
def test_file_that_is_missing_is_named(server: Path, name: str) -> None:
    key = {"cert": "certificate", "key": "key", "ca": "client_ca"}[name]
    path = server / f"{name}.pem"
    path.unlink()
    told = trouble(remote(server))
    assert told == f"api.{key}: {path} can not be read: No such file or directory"


def test_key_of_another_certificate_is_told(server: Path) -> None:
    shutil.copy(CERTIFICATES / "client/key.pem", server / "key.pem")
    assert trouble(remote(server)).startswith(
        f"api.key: {server / 'key.pem'} is not the key of {server / 'cert.pem'}"
    )


def test_authority_without_a_certificate_is_told(server: Path) -> None:
    (server / "ca.pem").write_text("nothing\n")
    told = trouble(remote(server))
    assert told == f"api.client_ca: no certificate is in {server / 'ca.pem'}"


def test_place_that_is_taken_is_told(server: Path, tmp_path: Path) -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(DoorError) as refused,
            opened(remote(server, port), tmp_path / "socket"),
        ):
            pass
    assert str(refused.value) == (
        f"api.listen: cannot listen at {LOOPBACK}:{port}: Address already in use"
    )
    assert not (tmp_path / "socket").exists()
