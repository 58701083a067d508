"""Names as a program in an endpoint's namespace sees them: through resolv.conf and 127.0.0.11."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.linux import services
from tests.linux.lab import APP, DNS_PORT, OUTSIDE, WEB, Lab

pytestmark = pytest.mark.linux

FAR_AWAY = "192.0.2.80"
"""What the outside name server says about far.example."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(tmp_path_factory.mktemp("names")) as lab:
        lab.add_endpoint("web", kind="veth", aliases=["www"])
        lab.add_endpoint("app", kind="tap")
        server = lab.bind("out", OUTSIDE, DNS_PORT)
        services.serve_names(server, {"far.example.": FAR_AWAY})
        lab.up()
        yield lab


def _dig(lab: Lab, role: str, *question: str) -> str:
    return lab.run(role, "dig", "@127.0.0.11", "+time=5", "+tries=1", *question).stdout


@pytest.mark.parametrize("name", ["web", "www", "WEB", "web.front"])
def test_endpoint_is_found_by_name_and_alias(lab: Lab, name: str) -> None:
    assert _dig(lab, "app", "+short", name) == f"{WEB}\n"


def test_both_kinds_of_endpoint_have_a_resolver(lab: Lab) -> None:
    assert _dig(lab, "web", "+short", "app") == f"{APP}\n"


def test_address_is_found_backwards(lab: Lab) -> None:
    assert _dig(lab, "app", "+short", "-x", WEB) == "web.front.\n"


def test_name_of_an_endpoint_has_no_ipv6_address_and_exists(lab: Lab) -> None:
    answer = _dig(lab, "app", "web", "AAAA")
    assert "status: NOERROR" in answer
    assert "ANSWER: 0" in answer


def test_other_names_are_forwarded(lab: Lab) -> None:
    assert _dig(lab, "app", "+short", "far.example") == f"{FAR_AWAY}\n"


def test_name_that_nobody_knows_does_not_exist(lab: Lab) -> None:
    assert "status: NXDOMAIN" in _dig(lab, "app", "nobody.example")


def test_programs_find_the_resolver_by_resolv_conf(lab: Lab) -> None:
    assert "nameserver 127.0.0.11\n" in lab.run("app", "cat", "/etc/resolv.conf").stdout
    assert lab.run("app", "getent", "ahostsv4", "www").stdout.split()[0] == WEB


def test_program_fetches_by_name(lab: Lab) -> None:
    services.serve_text(lab.listen("web", WEB, 7), "hello\n")
    assert lab.run("app", "curl", "-sS", "--max-time", "5", "telnet://www:7").stdout == "hello\n"


def test_garbage_at_the_resolver_does_not_end_it(lab: Lab) -> None:
    with lab.open_socket("app", socket.SOCK_DGRAM) as client:
        for garbage in (b"", b"\0", b"\xff" * 12, b"\0" * 12 + b"\xc0\x0c" * 40):
            client.sendto(garbage, ("127.0.0.11", 53))
    assert _dig(lab, "app", "+short", "web") == f"{WEB}\n"
    assert "Traceback" not in lab.log()
