"""What the resolver reads from the host's resolv.conf, and what an endpoint finds in its own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vswitch.daemon.resolving.files.resolvconf import ResolvConf, endpoints_own, read, text
from vswitch.naming import Server
from vswitch.wire.values import IpAddress


def found(host: str, search: tuple[str, ...] = (), options: tuple[str, ...] = ()) -> str:
    return text(endpoints_own(read(host), search, options))


@pytest.mark.parametrize(
    ("host", "endpoint"),
    [
        ("", "nameserver 127.0.0.11\noptions ndots:0\n"),
        (
            "# made by hand\nnameserver 192.0.2.1\nsearch example.org lab\noptions edns0\n",
            "nameserver 127.0.0.11\nsearch example.org lab\noptions edns0 ndots:0\n",
        ),
        (
            "domain old.example\nsearch new.example\noptions rotate ndots:2\noptions timeout:1",
            "nameserver 127.0.0.11\nsearch new.example\noptions rotate ndots:2 timeout:1\n",
        ),
        ("search one\ndomain two\n", "nameserver 127.0.0.11\nsearch two\noptions ndots:0\n"),
        ("search\n", "nameserver 127.0.0.11\noptions ndots:0\n"),
        ("search .\n", "nameserver 127.0.0.11\noptions ndots:0\n"),
        ("search lab # home\n;search x\n", "nameserver 127.0.0.11\nsearch lab\noptions ndots:0\n"),
        ("sortlist 10.0.0.0\nlookup file\n", "nameserver 127.0.0.11\noptions ndots:0\n"),
    ],
)
def test_endpoint_asks_us_and_keeps_the_hosts_search_list_and_options(
    host: str, endpoint: str
) -> None:
    assert found(host) == endpoint


@pytest.mark.parametrize(
    ("search", "options", "lines"),
    [
        (("corp.example",), (), ["search corp.example", "options edns0 ndots:2"]),
        ((".",), (), ["options edns0 ndots:2"]),
        ((), ("ndots:5",), ["search lab", "options edns0 ndots:5"]),
        ((), ("timeout:2", "timeout:3"), ["search lab", "options edns0 ndots:2 timeout:3"]),
    ],
)
def test_what_an_endpoint_wants_itself_goes_before_the_hosts(
    search: tuple[str, ...], options: tuple[str, ...], lines: list[str]
) -> None:
    host = "search lab\noptions edns0 ndots:2\n"
    assert found(host, search, options).splitlines() == ["nameserver 127.0.0.11", *lines]


def test_hosts_servers_are_in_their_order_and_never_ourselves() -> None:
    host = (
        "search lab\nnameserver 127.0.0.53\nnameserver 127.0.0.11\n"
        "nameserver 2001:db8::1\nnameserver fe80::1%eth0\n#nameserver 192.0.2.9\nnameserver\n"
    )
    assert read(host).servers == (
        Server(IpAddress.parse("127.0.0.53")),
        Server(IpAddress.parse("2001:db8::1")),
    )


lines = st.lists(
    st.one_of(
        st.builds(
            lambda key, words: f"{key} {' '.join(words)}",
            st.sampled_from(["nameserver", "search", "domain", "options", "sortlist", "#", ""]),
            st.lists(st.sampled_from(["10.0.0.1", "::1", "a.example", "ndots:1", ".", "#x"])),
        ),
        st.text(max_size=20),
    ),
    max_size=6,
)


@given(lines)
def test_any_file_is_read_and_what_is_written_of_it_says_the_same(said: list[str]) -> None:
    own = endpoints_own(read("\n".join(said)))
    assert read(text(own)) == ResolvConf((), own.search, own.options)
    assert text(own).startswith("nameserver 127.0.0.11\n")
