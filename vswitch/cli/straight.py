"""`vswitch run` and `up` without typer, where the line says plainly what it wants.

Theory of operation. Somebody who runs a command waits for all that is loaded until it runs, and
typer, with what it checks options with, takes several times as long to load as everything else that
happens until then. A line whose options are all known and written in their plain form (`--name web`
or `--name=web`, each flag by itself) needs nothing checked: `read` takes it apart. About every
other line it says None, and typer reads it: help, mistakes, completion, values that begin with a
dash, flags that are written together, several networks, what is said in Docker's longer spelling.
So typer alone says what is wrong with a line.

The options of `run` are here, as far as reading takes; their words for people are in `endpoints`,
which takes the flags from here. That both read the same from a line is what the tests hold them to.

This module decides which of `vswitch`'s lines are read without typer, and loads nothing for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

VERB = "run"

KINDS = ("tap", "veth")
"""What carries the frames of an endpoint with a namespace."""

ROLES = ("community", "isolated", "promiscuous")
"""Whom an endpoint reaches within its network."""


class Option(NamedTuple):
    """An option whose value is text, and the last one counts."""

    field: str
    """Of `messages.endpoints.EndpointWish`, or of `Line`."""
    flags: tuple[str, ...]
    is_list: bool = False
    """It may be said several times, and all count."""
    is_switch: bool = False
    """It has no value: to say it is all."""
    choices: tuple[str, ...] | None = None


NETWORK = Option("network", ("--network", "--net"))
NAME = Option("name", ("--name",))
IP = Option("address", ("--ip",))
MAC = Option("mac", ("--mac-address", "--mac"))
ALIAS = Option("aliases", ("--network-alias", "--alias"), is_list=True)
PUBLISH = Option("publish", ("-p", "--publish"), is_list=True)
EXPOSE = Option("expose", ("--expose",), is_list=True)
PUBLISH_ALL = Option("publish_all", ("-P", "--publish-all"), is_switch=True)
KIND = Option("kind", ("--kind",), choices=KINDS)
HOSTNAME = Option("hostname", ("-h", "--hostname"))
DOMAINNAME = Option("domainname", ("--domainname",))
DNS = Option("dns", ("--dns",), is_list=True)
DNS_SEARCH = Option("dns_search", ("--dns-search",), is_list=True)
DNS_OPTION = Option("dns_options", ("--dns-option", "--dns-opt"), is_list=True)
LINK = Option("links", ("--link",), is_list=True)
ROLE = Option("role", ("--role",), choices=ROLES)
ADD_HOST = Option("added_hosts", ("--add-host",), is_list=True)
DETACH = Option("in_background", ("-d", "--detach"), is_switch=True)
RM = Option("rm", ("--rm",), is_switch=True)
SWITCH = Option("switch", ("--switch",))

OPTIONS = (
    *(NETWORK, NAME, IP, MAC, ALIAS, PUBLISH, EXPOSE, PUBLISH_ALL),
    *(LINK, ROLE, KIND, HOSTNAME, DOMAINNAME, DNS, DNS_SEARCH, DNS_OPTION),
    *(ADD_HOST, DETACH, RM, SWITCH),
)

_BY_FLAG = {flag: option for option in OPTIONS for flag in option.flags}


class Line(NamedTuple):
    """What `run` is asked for."""

    command: list[str]
    wish: dict[str, Any]
    """The fields of `messages.endpoints.EndpointWish` that were said, as JSON has them."""
    switch: str | None = None
    in_background: bool = False
    added_hosts: Sequence[str] = ()
    """Further lines of its /etc/hosts, each as `--add-host` has it."""


def configuration(words: Sequence[str]) -> str | None:
    """The file of a `vswitch up` that says nothing else, None of any other line."""
    match words:
        case ("up", "-c" | "--config", file) if not file.startswith("-"):
            return file
    return None


def read(words: Sequence[str]) -> Line | None:
    """What a line without its first word asks for; None where typer has to be asked."""
    if not words or words[0] != VERB:
        return None
    said: dict[str, Any] = {}
    left = list(reversed(words[1:]))
    while left and _is_option(left[-1]):
        flag, is_joined, value = left.pop().partition("=")
        option = _BY_FLAG.get(flag)
        if flag == "--" and not is_joined:
            break
        if option is None or (is_joined and (option.is_switch or not flag.startswith("--"))):
            return None
        if option.is_switch:
            said[option.field] = True
            continue
        if not is_joined:
            value = left.pop() if left else ""
        if not _is_plain(value, option) or (option is NETWORK and option.field in said):
            return None
        said[option.field] = [*said.get(option.field, ()), value] if option.is_list else value
    if not left:
        return None
    said.pop(RM.field, None)
    switch, in_background = said.pop(SWITCH.field, None), said.pop(DETACH.field, False)
    return Line(left[::-1], said, switch, in_background, said.pop(ADD_HOST.field, ()))


def _is_option(word: str) -> bool:
    return word.startswith("-") and word != "-"


def _is_plain(value: str, option: Option) -> bool:
    if option.choices is not None and value not in option.choices:
        return False
    if option is NETWORK and "=" in value:
        return False
    return value.isascii() and bool(value) and not value.startswith("-")
