"""Every resolver that people have: what each makes of our answers in an endpoint's namespace.

A resolver of a C library asks for both families at once and believes one "there is no such name"
about both (musl does), asks again where it does not understand, and gives up after some seconds;
tools ask in their own ways. Each has to find what is there, and to say at once what is not.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import dns.flags
import dns.message
import dns.query
import dns.rcode
import pytest

from tests.linux import services
from tests.linux.lab import APP, DNS_PORT, OUTSIDE, WEB, Done, Lab, execute

pytestmark = pytest.mark.linux

FAR_AWAY = "192.0.2.80"
"""What the outside name server says about far.example."""

PYTHON = """
import socket, sys
try:
    found = socket.getaddrinfo(sys.argv[1], None, socket.AF_INET, socket.SOCK_STREAM)
except socket.gaierror as error:
    sys.exit(str(error))
print(*(each[4][0] for each in found))
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    directory = tmp_path_factory.mktemp("clients")
    source = Path(__file__).with_name("resolve.c")
    execute("musl-gcc", "-static", "-O1", "-o", str(directory / "musl"), str(source))
    execute("cc", "-O1", "-o", str(directory / "glibc"), str(source))
    with Lab(directory) as lab:
        lab.add_endpoint("web", kind="veth", aliases=["www"])
        lab.add_endpoint("app", kind="tap")
        server = lab.bind("out", OUTSIDE, DNS_PORT)
        services.serve_names(server, {"far.example.": FAR_AWAY})
        lab.up()
        yield lab


CLIENTS: dict[str, Callable[[str, str], tuple[str, ...]]] = {
    "dig": lambda _, name: ("dig", "+short", "+search", "+time=5", "+tries=1", name),
    "host": lambda _, name: ("host", "-t", "A", name),
    "getent": lambda _, name: ("getent", "ahostsv4", name),
    "glibc": lambda where, name: (f"{where}/glibc", name),
    "musl": lambda where, name: (f"{where}/musl", name),
    "nslookup": lambda _, name: ("nslookup", name),
    "busybox nslookup": lambda _, name: ("busybox", "nslookup", name),
    "python": lambda _, name: (sys.executable, "-c", PYTHON, name),
}
"""What each of them is started with, in the directory of what was compiled."""


def ask(lab: Lab, client: str, name: str) -> Done:
    """One run of a client in the namespace of `app`, which finds its server by itself."""
    return lab.run("app", *CLIENTS[client](str(lab.directory), name), check=False, timeout=10)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(
    ("name", "address"), [("web", WEB), ("WWW", WEB), ("web.front", WEB), ("far.example", FAR_AWAY)]
)
def test_name_is_found(lab: Lab, client: str, name: str, address: str) -> None:
    found = ask(lab, client, name)
    assert found.returncode == 0, found
    assert address in found.stdout.split(), found


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("name", ["nobody", "nobody.front", "nobody.example"])
def test_name_that_is_nobodys_is_not_found(lab: Lab, client: str, name: str) -> None:
    found = ask(lab, client, name)
    assert {WEB, APP, FAR_AWAY}.isdisjoint(found.stdout.split())
    said_so = {"dig": 0, "getent": 2}
    assert found.returncode == said_so.get(client, 1), found


@pytest.mark.parametrize("library", ["glibc", "musl"])
def test_name_without_an_ipv6_address_has_its_ipv4_address_alone(lab: Lab, library: str) -> None:
    program = str(lab.directory / library)
    assert lab.run("app", program, "web").stdout == f"{WEB}\n"
    assert lab.run("app", program, "web", "4").stdout == f"{WEB}\n"
    assert lab.run("app", program, "web", "6", check=False).returncode == 1


def test_stub_resolver_that_asks_with_all_that_there_is_keeps_its_level(lab: Lab) -> None:
    """As systemd-resolved does: both families at once by one socket, with EDNS, DO and a large
    size, and types that a validating resolver wants. What it does not get an answer with OPT to, it
    asks again with less, and remembers the server as a poor one."""
    kinds = ["A", "AAAA", "DS", "DNSKEY", "SOA", "HTTPS", "SRV", "MX", "TXT"]
    with lab.open_socket("app", socket.SOCK_DGRAM) as asking:
        asking.connect(("127.0.0.11", 53))
        asked = {}
        for kind in kinds:
            query = dns.message.make_query("web", kind, want_dnssec=True, payload=65494)
            asking.send(query.to_wire())
            asked[query.id] = query
        for _ in kinds:
            reply = dns.message.from_wire(asking.recv(65535))
            assert asked.pop(reply.id).is_response(reply)
            assert (reply.rcode(), reply.edns) == (dns.rcode.NOERROR, 0)
    assert asked == {}


def test_many_queries_of_one_connection_are_answered(lab: Lab) -> None:
    with lab.connect("app", "127.0.0.11", 53) as asking:
        queries = [dns.message.make_query("web", "A") for _ in range(50)]
        for query in queries:
            dns.query.send_tcp(asking, query)
        replies = {dns.query.receive_tcp(asking)[0].id for _ in queries}
    assert replies == {query.id for query in queries}
