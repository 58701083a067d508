"""resolv.conf(5): what the host's says, and what an endpoint finds in its own.

An endpoint asks us, at 127.0.0.11, looks for short names where the host does unless it has a search
list of its own, and has the host's options with its own over them. `ndots:0` is Docker's default: a
name without a dot is asked for as it is.

Comments, what is not known and what means nothing are passed over. Where files lie and when they
are written is `resolvconffiles`'.
"""

from __future__ import annotations

from dataclasses import dataclass

from vswitch.naming import Server
from vswitch.network.namewords import NO_SEARCH, option_name, sets_ndots
from vswitch.wire.values import IpAddress

ADDRESS = "127.0.0.11"
"""Where the C library of a container looks for Docker's resolver."""

_NDOTS = "ndots:0"


@dataclass(frozen=True, slots=True)
class ResolvConf:
    """What a resolv.conf(5) says."""

    servers: tuple[Server, ...] = ()
    """In its order, without an address of our own, and without those that name no address by
    itself (one with a zone, say)."""
    search: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


def read(text: str) -> ResolvConf:
    """What `text` says: of servers and options all, of search lists the last."""
    servers: list[Server] = []
    search: tuple[str, ...] = ()
    options: list[str] = []
    for line in text.splitlines():
        match _words(line):
            case ["nameserver", address, *_] if address != ADDRESS:
                servers += _server(address)
            case ["search" | "domain", *domains]:
                search = tuple(domains)
            case ["options", *more]:
                options += more
    return ResolvConf(tuple(servers), search, tuple(options))


def endpoints_own(
    host: ResolvConf, search: tuple[str, ...] = (), options: tuple[str, ...] = ()
) -> ResolvConf:
    """What an endpoint finds that has this search list, or the host's, and these options."""
    domains = tuple(each for each in search or host.search if each != NO_SEARCH)
    merged = {option_name(each): each for each in (*host.options, *options)}
    chosen = tuple(merged.values())
    if not sets_ndots(chosen):
        chosen = (*chosen, _NDOTS)
    return ResolvConf((Server(IpAddress.parse(ADDRESS)),), domains, chosen)


def text(conf: ResolvConf) -> str:
    """A file that says so."""
    lines = [f"nameserver {each.address}" for each in conf.servers]
    if conf.search:
        lines.append(f"search {' '.join(conf.search)}")
    if conf.options:
        lines.append(f"options {' '.join(conf.options)}")
    return "".join(f"{line}\n" for line in lines)


def _words(line: str) -> list[str]:
    """Those of a line that say something: a word that begins with # or ; is the last."""
    words = line.split()
    for at, word in enumerate(words):
        if word[0] in "#;":
            return words[:at]
    return words


def _server(text: str) -> list[Server]:
    try:
        return [Server(IpAddress.parse(text))]
    except ValueError:
        return []
