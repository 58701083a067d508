"""A switch on another host, as the environment names it."""

from __future__ import annotations

import shutil
import socketserver
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import StubSwitch, Switches, Vswitch

CERTIFICATES = Path(__file__).parents[1] / "certificates"
LOOPBACK = "127.0.0.1"


@pytest.fixture
def elsewhere(switches: Switches, monkeypatch: pytest.MonkeyPatch) -> Iterator[StubSwitch]:
    """A switch that answers over TLS to who has a certificate, and the environment names it."""
    stub = switches("elsewhere")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / "server/cert.pem", CERTIFICATES / "server/key.pem")
    context.load_verify_locations(CERTIFICATES / "server/ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    server = socketserver.ThreadingTCPServer((LOOPBACK, 0), stub.handler())
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    monkeypatch.setenv("VSWITCH_HOST", f"tcp://{LOOPBACK}:{server.server_address[1]}")
    monkeypatch.setenv("VSWITCH_CERT_PATH", str(CERTIFICATES / "client"))
    yield stub
    server.shutdown()
    thread.join()
    server.server_close()


def test_switch_that_the_environment_names_is_asked(
    vswitch: Vswitch, elsewhere: StubSwitch
) -> None:
    outcome = vswitch("flows")
    assert (outcome.status, outcome.err) == (0, "")
    assert elsewhere.heard == ["GET /v1/flows"]


def test_switch_that_is_named_by_hand_goes_first(
    vswitch: Vswitch, elsewhere: StubSwitch, switches: Switches
) -> None:
    lab = switches("lab")
    assert vswitch("flows", "--switch", "lab").status == 0
    assert (lab.heard, elsewhere.heard) == (["GET /v1/flows"], [])


def test_switch_whose_certificate_nobody_vouches_for_is_not_spoken_to(
    vswitch: Vswitch, elsewhere: StubSwitch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = shutil.copytree(CERTIFICATES / "client", tmp_path / "client")
    shutil.copy(CERTIFICATES / "stranger/cert.pem", files / "ca.pem")
    monkeypatch.setenv("VSWITCH_CERT_PATH", str(files))
    outcome = vswitch("flows")
    assert (outcome.status, outcome.out, elsewhere.heard) == (1, "", [])
    assert "CERTIFICATE_VERIFY_FAILED" in outcome.err
    assert outcome.err.count("\n") == 1


def test_command_that_runs_here_is_not_put_on_a_switch_elsewhere(
    vswitch: Vswitch, elsewhere: StubSwitch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    outcome = vswitch("run", "--", "true")
    assert (outcome.status, elsewhere.heard) == (1, [])
    assert outcome.err.startswith("vswitch: this takes a switch on this host, and VSWITCH_HOST ")


@pytest.mark.parametrize(
    "host", ["127.0.0.1:2377", "tcp://127.0.0.1", "http://lab:1", "tcp://:1", "tcp://lab:99999"]
)
def test_other_words_for_a_host_are_refused(
    vswitch: Vswitch, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setenv("VSWITCH_HOST", host)
    outcome = vswitch("flows")
    assert (outcome.status, outcome.err) == (
        1,
        f'vswitch: VSWITCH_HOST: found "{host}": allowed is tcp://HOST:PORT\n',
    )


def test_certificates_have_to_be_there(
    vswitch: Vswitch, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VSWITCH_HOST", "tcp://127.0.0.1:2377")
    monkeypatch.delenv("VSWITCH_CERT_PATH", raising=False)
    assert vswitch("flows").err == (
        "vswitch: VSWITCH_HOST needs VSWITCH_CERT_PATH, "
        "a directory with ca.pem, cert.pem and key.pem\n"
    )
    monkeypatch.setenv("VSWITCH_CERT_PATH", str(tmp_path))
    assert vswitch("flows").err == (
        f"vswitch: VSWITCH_CERT_PATH: {tmp_path} has no ca.pem, cert.pem and key.pem "
        "that can be used: No such file or directory\n"
    )
