"""What the resolver reads from and writes into resolv.conf."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from vswitch.daemon.kernel.journal import Journal, Written
from vswitch.daemon.kernel.made import Undone
from vswitch.daemon.resolving.resolvconf import host_upstreams, install, remove, render
from vswitch.naming import Server
from vswitch.wire.values import IpAddress


@pytest.mark.parametrize(
    ("host", "endpoint"),
    [
        ("", "nameserver 127.0.0.11\noptions ndots:0\n"),
        (
            "# made by hand\nnameserver 192.0.2.1\nsearch example.org lab\noptions edns0 use-vc\n",
            "nameserver 127.0.0.11\nsearch example.org lab\noptions ndots:0\n",
        ),
        (
            "domain old.example\nsearch new.example\noptions rotate ndots:2\n",
            "nameserver 127.0.0.11\nsearch new.example\noptions ndots:2\n",
        ),
        ("search one\ndomain two\n", "nameserver 127.0.0.11\nsearch two\noptions ndots:0\n"),
        ("search\n", "nameserver 127.0.0.11\noptions ndots:0\n"),
    ],
)
def test_endpoint_asks_us_and_keeps_the_hosts_search_list(host: str, endpoint: str) -> None:
    assert render(host) == endpoint


def test_hosts_servers_are_asked_in_their_order_and_never_ourselves() -> None:
    text = (
        "search lab\nnameserver 127.0.0.53\nnameserver 127.0.0.11\n"
        "nameserver 2001:db8::1\nnameserver fe80::1%eth0\n#nameserver 192.0.2.9\nnameserver\n"
    )
    assert host_upstreams(text) == (
        Server(IpAddress.parse("127.0.0.53")),
        Server(IpAddress.parse("2001:db8::1")),
    )


def test_resolv_conf_lies_where_ip_netns_looks_and_goes_again(tmp_path: Path) -> None:
    etc = tmp_path / "netns"
    with closing(Journal.open("lab", tmp_path / "run")) as journal:
        assert install("web", "ours\n", journal, etc) is Written.WRITTEN
        assert (etc / "web" / "resolv.conf").read_text() == "ours\n"
        assert remove("web", journal, etc) is Undone.REMOVED
    assert not etc.exists()


def test_resolv_conf_of_the_user_stays(tmp_path: Path) -> None:
    theirs = tmp_path / "web" / "resolv.conf"
    theirs.parent.mkdir()
    theirs.write_text("nameserver 192.0.2.1\n")
    with closing(Journal.open("lab", tmp_path / "run")) as journal:
        assert install("web", "ours\n", journal, tmp_path) is Written.KEPT
        assert remove("web", journal, tmp_path) is Undone.KEPT
    assert theirs.read_text() == "nameserver 192.0.2.1\n"
