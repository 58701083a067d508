"""Ports that are published and withdrawn while clients outside are there: curl, and the kernel."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.linux import services
from tests.linux.lab import HOST, OUTSIDE, UPLINK, VSWITCH, Done, Lab, eventually

pytestmark = pytest.mark.linux

STRANGER = "198.51.100.77"
"""A second address of the world outside."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(tmp_path_factory.mktemp("publish")) as lab:
        lab.run("out", "ip", "address", "add", f"{STRANGER}/32", "dev", "lo")
        for setting in ("port_range=40000 40999", "reserved_ports=40000-40004"):
            lab.run("host", "sysctl", "-qw", f"net.ipv4.ip_local_{setting}")
        lab.uplink["unsolicited"] = "drop"
        lab.add_endpoint("web")
        lab.add_endpoint("db")
        lab.up()
        for role in ("web", "db"):
            services.serve_http(lab.listen(role, "0.0.0.0", 80))
            services.serve_bulk(lab.listen(role, "0.0.0.0", 5002), b"x" * 1024)
        yield lab


@pytest.fixture(autouse=True)
def nothing_published(lab: Lab) -> Iterator[None]:
    """Each test begins and ends with nothing published."""
    yield
    for row in lab.table("publications"):
        ports = "-".join(map(str, sorted(set(row["host_ports"]))))
        lab.withdraw(row["endpoint"], f"{ports}/{row['protocol']}")
    assert lab.table("publications") == []


def publish(lab: Lab, verb: str, *words: str, check: bool = True) -> Done:
    return lab.run("host", VSWITCH, "publish", verb, "--switch", lab.name, *words, check=check)


def fetch(lab: Lab, port: int, source: str = OUTSIDE, address: str = UPLINK) -> str:
    """Which client a server sees; empty where none is reached."""
    options = ("--interface", source, "-sm2")
    return lab.run("out", "curl", *options, f"http://{address}:{port}/", check=False).stdout


def test_port_is_open_from_the_moment_it_is_published_until_it_is_withdrawn(lab: Lab) -> None:
    assert fetch(lab, 8080) == ""
    assert publish(lab, "add", "web", "8080:80").stdout == "0.0.0.0:8080->80/tcp\n"
    assert fetch(lab, 8080) == OUTSIDE
    publish(lab, "rm", "web", "8080")
    assert fetch(lab, 8080) == ""


def test_connection_ends_with_its_port(lab: Lab) -> None:
    lab.publish("web", "8080:80")
    with lab.connect("out", UPLINK, 8080) as client:
        eventually(lambda: len(lab.table("flows")) > 0, "the connection is known")
        lab.withdraw("web", "8080")
        assert [row for row in lab.table("flows") if "8080" in row["original"]] == []
        client.settimeout(1)
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        with pytest.raises(TimeoutError):
            client.recv(10)


def test_random_port_is_the_first_of_the_hosts_range_that_it_does_not_reserve(lab: Lab) -> None:
    assert publish(lab, "add", "web", "80").stdout == "0.0.0.0:40005->80/tcp\n"
    assert fetch(lab, 40005) == OUTSIDE


def test_only_allowed_clients_come_in_and_others_are_counted(lab: Lab) -> None:
    publish(lab, "add", "web", "8080:80", "--from", f"{OUTSIDE}/32")
    lab.run("out", "ip", "route", "replace", "198.51.100.0/24", "dev", "eth0")
    assert fetch(lab, 8080) == OUTSIDE
    assert fetch(lab, 8080, STRANGER) == ""
    assert lab.port("uplink")["drops"]["source_not_allowed"] > 0


def test_port_closes_when_its_time_is_over(lab: Lab) -> None:
    lab.publish("web", "8080:80 for=3s")
    assert fetch(lab, 8080) == OUTSIDE
    lab.wait_for_log("no longer publishes 0.0.0.0:8080->80/tcp: it has come to its end")
    assert fetch(lab, 8080) == ""
    lab.publish("db", "8080:80")
    assert fetch(lab, 8080) == OUTSIDE


def test_port_for_one_closes_behind_the_first_client(lab: Lab) -> None:
    publish(lab, "add", "web", "8080:80", "--once")
    with lab.connect("out", UPLINK, 8080) as client:
        assert fetch(lab, 8080) == ""
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert OUTSIDE.encode() in client.recv(1000)
    (row,) = lab.table("publications")
    assert row["is_used_up"]


def test_rate_holds_new_connections_back(lab: Lab) -> None:
    publish(lab, "add", "web", "5002:5002", "--rate", "5/s")
    begun = 0
    for _ in range(20):
        client = lab.open_socket("out")
        client.settimeout(0.5)
        try:
            client.connect((UPLINK, 5002))
            begun += 1
        except TimeoutError:
            break
    assert 5 <= begun < 20
    assert lab.port("uplink")["drops"]["publication_rate"] > 0


def test_run_of_ten_thousand_ports_leads_to_the_same_ports(lab: Lab) -> None:
    lab.publish("web", "20000-29999:1-10000")
    assert fetch(lab, 20079) == OUTSIDE
    assert len(lab.table("publications")) == 1


def test_conflict_is_told_in_dockers_words(lab: Lab) -> None:
    lab.publish("db", "8080:80")
    refused = publish(lab, "add", "web", "9090:80", "8080:80", check=False)
    assert refused.returncode == 1
    text = "Bind for 0.0.0.0:8080 failed: port is already allocated (by endpoint db)"
    assert refused.stderr == f"vswitch: {text}\n"
    assert fetch(lab, 9090) == ""


def test_port_is_published_to_who_runs_and_ends_with_it(lab: Lab) -> None:
    guest = lab.start("host", *lab.guest("--name", "guest"), "sleep", "60")
    eventually(lambda: "guest" in lab.endpoints(), "the guest is attached")
    lab.publish("guest", "8081:80", "8082:80 for=1h")
    guest.kill()
    eventually(lambda: "guest" not in lab.endpoints(), "the guest is gone")
    lab.publish("web", "8081:80")
    assert fetch(lab, 8081) == OUTSIDE


# On the host's own address


@pytest.fixture
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(tmp_path_factory.mktemp("shared")) as lab:
        lab.uplink = {"address": "host", "unsolicited": "drop"}
        lab.add_endpoint("web")
        lab.up()
        services.serve_http(lab.listen("web", "0.0.0.0", 80))
        yield lab


def test_published_port_is_the_hosts_no_more_and_then_again(shared: Lab) -> None:
    shared.publish("web", f"8080:80 from={OUTSIDE}/32")
    assert fetch(shared, 8080, address=HOST) == OUTSIDE
    taken = shared.open_socket("host")
    with pytest.raises(OSError, match="Address already in use"):
        taken.bind((HOST, 8080))
    shared.withdraw("web", "8080")
    taken.bind((HOST, 8080))
    refused = publish(shared, "add", "web", "8080:80", check=False)
    text = "failed to bind host port 0.0.0.0:8080/tcp: address already in use"
    assert refused.stderr == f"vswitch: {text}\n"
    assert shared.table("publications") == []


def test_refusal_by_terms_is_counted_as_that_and_the_kernel_stays_silent(shared: Lab) -> None:
    shared.publish("web", "8080:80 from=192.0.2.0/24")
    client = shared.open_socket("out")
    client.settimeout(1)
    with pytest.raises(TimeoutError):
        client.connect((HOST, 8080))
    drops = shared.port("uplink")["drops"]
    assert drops["source_not_allowed"] > 0
    assert "for_the_host" not in drops


def test_random_port_is_none_that_a_program_of_the_host_has(shared: Lab) -> None:
    first = int(publish(shared, "add", "web", "80").stdout.split("->")[0].split(":")[1])
    taken = shared.open_socket("host", socket.SOCK_STREAM)
    taken.bind(("0.0.0.0", first + 1))
    printed = publish(shared, "add", "web", "80").stdout
    assert printed == f"0.0.0.0:{first + 2}->80/tcp\n"
