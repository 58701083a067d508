"""Long and many: whole transfers over a bad line, and hundreds of downloads side by side."""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.linux import services
from tests.linux.lab import OUTSIDE, UPLINK, Lab

pytestmark = pytest.mark.linux

BULK = os.urandom(1024 * 1024) * 50
BULK_HASH = hashlib.sha256(BULK).hexdigest()

BAD_LINE = "delay=5ms loss=0.5% reorder=1% duplicate=0.1%"
"""Of the uplink, in both directions."""

LONG = pytest.mark.timeout(40)
"""Several times what a transfer over such a line takes."""

DOWNLOADS = {f"/{number}": os.urandom(20_000) for number in range(200)}

HTTP_PORT, BULK_PORT, HASH_PORT = 80, 5002, 5001
PUBLISHED_BULK = 8002


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(tmp_path_factory.mktemp("programs")) as lab:
        lab.add_endpoint("web", kind="veth", publish=[f"{PUBLISHED_BULK}:{BULK_PORT}"])
        lab.add_endpoint("app", kind="tap")
        lab.up()
        services.serve_files(lab.listen("out", OUTSIDE, HTTP_PORT), DOWNLOADS)
        services.serve_hash(lab.listen("out", OUTSIDE, HASH_PORT))
        for role in ("out", "web"):
            services.serve_bulk(lab.listen(role, "0.0.0.0", BULK_PORT), BULK)
        yield lab


@pytest.fixture
def bad_line(lab: Lab) -> Iterator[Lab]:
    lab.vswitch("impair", "uplink", BAD_LINE, "--seed", "4")
    yield lab
    lab.vswitch("impair", "uplink", "--clear")


@LONG
@pytest.mark.parametrize(
    ("role", "address", "port"),
    [
        pytest.param("app", OUTSIDE, BULK_PORT, id="out by NAPT"),
        pytest.param("out", UPLINK, PUBLISHED_BULK, id="in by a publication"),
    ],
)
def test_long_download_over_a_bad_line_arrives_whole(
    bad_line: Lab, role: str, address: str, port: int
) -> None:
    with bad_line.connect(role, address, port) as download:
        assert services.digest_of(download) == BULK_HASH
    _assert_line_was_bad(bad_line)


@LONG
def test_long_upload_over_a_bad_line_arrives_whole(bad_line: Lab) -> None:
    with bad_line.connect("app", OUTSIDE, HASH_PORT) as upload:
        upload.sendall(BULK)
        upload.shutdown(socket.SHUT_WR)
        assert upload.makefile().read() == BULK_HASH
    _assert_line_was_bad(bad_line)


@pytest.mark.parametrize("role", ["app", "web"])
def test_parallel_downloads_all_complete(lab: Lab, role: str, tmp_path: Path) -> None:
    wishes = tmp_path / "curlrc"
    wishes.write_text(
        "\n".join(
            f'url = "http://{OUTSIDE}{path}"\noutput = "{tmp_path}{path}"' for path in DOWNLOADS
        )
    )
    side_by_side = ("--parallel", "--parallel-immediate", "--parallel-max", str(len(DOWNLOADS)))
    shown = ("-w", "%{http_code} %{num_connects}\\n")
    done = lab.run(role, "curl", "-sS", "-K", str(wishes), *side_by_side, *shown, timeout=40)
    assert done.stdout.splitlines() == ["200 1"] * len(DOWNLOADS)
    got = {path: (tmp_path / path.removeprefix("/")).read_bytes() for path in DOWNLOADS}
    assert got == DOWNLOADS


def _assert_line_was_bad(lab: Lab) -> None:
    (row,) = lab.table("impairments")
    assert min(row[way]["lost"] for way in ("incoming", "outgoing")) > 0
