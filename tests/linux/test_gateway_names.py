"""Names at the gateway's port 53, as a virtual machine asks for them, and whoever else is there.

The virtual machine is the stand-in of `test_vm_taps`: a guest with a kernel of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress

import dns.flags
import dns.message
import dns.query
import dns.rrset
import pytest

from tests.linux.lab import DNS_PORT, GATEWAY, OUTSIDE, WEB, Lab
from tests.linux.test_vm_taps import VM, virtual_machine

pytestmark = pytest.mark.linux

FAR_AWAY = "192.0.2.80"
HOST_PORT = 5354
LONG = tuple(f'"{number:04} {"x" * 240}"' for number in range(160))
"""Texts of a name outside: 40 KB."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """`web` lives in a namespace, `vm1` is a virtual machine, and `guest` is what runs in it."""
    with Lab(tmp_path_factory.mktemp("gateway")) as lab:
        lab.add_endpoint("web", aliases=["www"])
        lab.add_machine("vm1", address=VM)
        lab.add_network("quiet", subnet="172.19.0.0/16", dns={"at_gateway": False})
        lab.add_endpoint("db", network="quiet")
        lab.dns["listen"] = f"127.0.0.1:{HOST_PORT}"
        serve_names(lab)
        lab.up()
        lab.create("guest")
        (mac,) = (row["mac"] for row in lab.table("endpoints") if row["name"] == "vm1")
        with virtual_machine(lab, "vm1", mac):
            yield lab


def serve_names(lab: Lab) -> None:
    """A server outside, which knows a short answer and one that is too long for a datagram."""
    by_datagram, by_stream = (make("out", OUTSIDE, DNS_PORT) for make in (lab.bind, lab.listen))

    def serve_datagrams() -> None:
        with suppress(OSError):
            while True:
                octets, client = by_datagram.recvfrom(4096)
                by_datagram.sendto(answer(octets, is_cut=True), client)

    def serve_streams() -> None:
        with suppress(OSError, EOFError):
            while True:
                connection, _ = by_stream.accept()
                with connection:
                    query, _ = dns.query.receive_tcp(connection)
                    dns.query.send_tcp(connection, answer(query.to_wire(), is_cut=False))

    for serve in (serve_datagrams, serve_streams):
        threading.Thread(target=serve, daemon=True).start()


def answer(query: bytes, *, is_cut: bool) -> bytes:
    reply = dns.message.make_response(dns.message.from_wire(query))
    name = reply.question[0].name
    if str(name).lower().startswith("far."):
        reply.answer.append(dns.rrset.from_text(name, 60, "IN", "A", FAR_AWAY))
    elif is_cut:
        reply.flags |= dns.flags.TC
    else:
        reply.answer.append(dns.rrset.from_text(name, 60, "IN", "TXT", *LONG))
    return reply.to_wire(max_size=65_535)


def dig(lab: Lab, role: str, *question: str) -> str:
    return lab.run(role, "dig", f"@{GATEWAY}", "+time=5", "+tries=1", *question).stdout


@pytest.mark.parametrize("role", ["guest", "web"])
@pytest.mark.parametrize("transport", ["+notcp", "+tcp"])
def test_gateway_answers_for_names_inside_and_outside(lab: Lab, role: str, transport: str) -> None:
    assert dig(lab, role, transport, "+short", "www.front") == f"{WEB}\n"
    assert dig(lab, role, transport, "+short", "-x", VM) == "vm1.front.\n"
    assert dig(lab, role, "+notcp", "+short", "far.example") == f"{FAR_AWAY}\n"
    said = dig(lab, role, transport, "web", "AAAA")
    assert "status: NOERROR" in said
    assert "ANSWER: 0" in said


def test_long_answer_comes_whole_by_tcp(lab: Lab) -> None:
    said = dig(lab, "guest", "+tcp", "+short", "long.example", "TXT")
    assert sorted(said.splitlines()) == sorted(LONG)


def test_what_listens_is_nothing_that_anybody_sees(lab: Lab) -> None:
    dig(lab, "guest", "+tcp", "web")
    assert lab.namespaces() == {"host", "out", "web", "db", "guest"}
    links = lab.run("host", "ip", "-brief", "link").stdout
    assert "names" not in links
    assert lab.run("host", "ss", "-Hltn", "sport = 53").stdout == ""


def test_gateway_that_is_to_answer_nobody_refuses(lab: Lab) -> None:
    asked = ("dig", "@172.19.0.1", "+time=2", "+tries=1", "web")
    for transport in ("+notcp", "+tcp"):
        refused = lab.run("db", *asked, transport, check=False)
        assert "connection refused" in refused.stdout


@pytest.mark.parametrize("transport", ["+notcp", "+tcp"])
def test_host_is_answered_where_the_user_wants_it(lab: Lab, transport: str) -> None:
    def dig(*question: str) -> str:
        where = ("dig", "@127.0.0.1", "-p", str(HOST_PORT), "+time=5", "+tries=1", transport)
        return lab.run("host", *where, *question).stdout

    assert dig("+short", "web.front") == f"{WEB}\n"
    assert dig("+short", "db.quiet", "vm1.front") == f"172.19.0.2\n{VM}\n"
    assert dig("+short", "-x", VM) == "vm1.front.\n"
    assert "status: NXDOMAIN" in dig("nobody.front")
    assert "status: REFUSED" in dig("far.example")


def test_trace_says_what_would_be_said_to_a_query(lab: Lab) -> None:
    said = lab.vswitch("trace", "vm1", "dns", "www.front").stdout
    assert "a query for www.front A, answered from names" in said
    said = lab.vswitch("trace", "vm1", "dns", "new.example").stdout
    assert "a query for new.example A, asked of servers" in said
