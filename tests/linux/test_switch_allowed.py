"""A network that reaches outside what allowed names lead to, and what is told of its queries."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.linux import services
from tests.linux.lab import DNS_PORT, OUTSIDE, VSWITCH, Lab

pytestmark = pytest.mark.linux

MIRROR, OTHER = "198.51.100.80", "198.51.100.81"
NAMES = {"www.debian.org.": MIRROR, "other.example.": OTHER}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """`web` and `app`, who may ask for names below debian.org, and two servers outside."""
    with Lab(tmp_path_factory.mktemp("allowed")) as lab:
        lab.front |= {"dns": {"allow": ["*.debian.org"]}}
        lab.add_endpoint("web")
        lab.add_endpoint("app")
        for address in (MIRROR, OTHER):
            lab.run("out", "ip", "address", "add", f"{address}/24", "dev", "eth0")
        services.serve_names(lab.bind("out", OUTSIDE, DNS_PORT), NAMES)
        lab.up()
        for address in (MIRROR, OTHER):
            services.serve_text(lab.listen("out", address, 80), address)
        yield lab


def dns(lab: Lab, *words: str) -> str:
    """What a verb about names prints."""
    return lab.run("host", VSWITCH, "dns", *words, "--switch", lab.name).stdout


def heard(lab: Lab, role: str, address: str) -> str:
    """What a server says to who connects."""
    with lab.connect(role, address, 80) as connection:
        return connection.makefile().read()


def test_address_is_open_to_the_network_when_an_allowed_name_has_led_to_it(lab: Lab) -> None:
    with pytest.raises(OSError, match="No route to host"):
        lab.connect("app", MIRROR, 80)
    assert MIRROR in lab.run("app", "getent", "ahostsv4", "www.debian.org").stdout
    assert heard(lab, "app", MIRROR) == heard(lab, "web", MIRROR) == MIRROR
    assert "www.debian.org has led to" in lab.vswitch(
        *("trace", "app", "tcp", "172.18.0.3:9", "to", f"{MIRROR}:80", "syn"),
    ).stdout  # fmt: skip


def test_other_name_is_not_found_and_its_address_not_reached(lab: Lab) -> None:
    assert lab.run("app", "getent", "ahostsv4", "other.example", check=False).returncode == 2
    with pytest.raises(OSError, match="No route to host"):
        lab.connect("app", OTHER, 80)
    asked = lab.run("app", "dig", f"@{OUTSIDE}", "-p", str(DNS_PORT), "other.example", check=False)
    assert OTHER not in asked.stdout
    assert lab.table("status")["drops"]["name_not_allowed"] >= 3


def test_queries_are_told_of_and_what_is_kept_of_them(lab: Lab) -> None:
    lab.run("app", "getent", "ahostsv4", "www.debian.org")
    lab.run("app", "getent", "ahostsv4", "web")
    lab.run("app", "getent", "ahostsv4", "other.example", check=False)
    log = dns(lab, "log")
    assert f"app (front): A www.debian.org: from {OUTSIDE}:{DNS_PORT} (" in log
    assert "app (front): A web: from names" in log
    assert "app (front): A other.example: refused: its network does not allow this name" in log
    top = dns(lab, "top")
    assert "other.example" in top
    assert "refused: its network does not allow this name" in top
    assert dns(lab, "cache", "--flush", "www.debian.org") == "forgotten: 1 answer\n"
    assert "www.debian.org" not in dns(lab, "cache")
