"""The configuration file: TOML in, a `Configuration` that can be honoured out.

Theory of operation. Three readers look at the file, each at what the one before let through:

1. TOML itself, whose mistakes have a line number;
2. `schema`, which knows the keys and what each may hold;
3. `uplinks`, `networks` and `inventory`, the very code that the running switch uses, which know
   what the parts must agree on: names, addresses, subnets and host ports.

All mistakes are told at once. So what the second reader refuses is cut out, and the third judges
the rest; where that rest says nothing without the part cut out (the endpoints of a network whose
subnet is not known, or all that names an uplink while one is mistaken), it is not judged, rather
than reported for a mistake that is not its own.

Nothing but the file is touched, so `vswitch up --check` is `load` and no more.
"""

from __future__ import annotations

import copy
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from vswitch.naming import NameSettings
from vswitch.network import linking, networks, uplinks
from vswitch.network.configuration import (
    doors,
    leasekeys,
    namekeys,
    policies,
    schema,
    shaping,
    translations,
)
from vswitch.network.configuration.mistakes import ConfigurationError, Mistake, lines, quote
from vswitch.network.configuration.schema import Document, EndpointTable, UplinkTable
from vswitch.network.errors import KeyPath
from vswitch.network.inventory import Inventory
from vswitch.network.ipam import PREDEFINED_POOLS, Pool
from vswitch.network.model import (
    DEFAULT_NETWORK,
    DEFAULT_UPLINK,
    AuxiliaryAddress,
    Configuration,
    EndpointKind,
    EndpointRequest,
    LearntAddress,
    MembershipRequest,
    Network,
    NetworkRequest,
    RecorderSettings,
    Uplink,
)
from vswitch.network.networks import NOTHING_STANDS, Resolved
from vswitch.policy import NetworkPolicy
from vswitch.translation import Limits, Outside
from vswitch.wire.values import IpAddress, IpNetwork

__all__ = ["ConfigurationError", "load", "parse"]

_TOML_POSITION = re.compile(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", re.DOTALL)
"""How tomllib ends its messages."""

_PLACEHOLDER_NAME = "unnamed"
"""Stands for a switch's name that is missing or not allowed, while the rest is checked."""

_DISPENSABLE: Mapping[str | int, tuple[str, ...]] = {
    "networks": (
        *("mtu", "mac", "uplink", "external", "untranslated", "filtering", "refresh"),
        *("window_tracking", "port_parity", "resets", "timeouts", "quotas"),
        *("aux_addresses", "labels", "dns", "dhcp"),
        *("internal", "icc", "gateway_mode", "isolated_ports", "spoof_guard"),
    ),
    "endpoints": (
        *("kind", "address", "mac", "aliases", "publish", "external", "mappings"),
        *("impair", "impair_in", "impair_out", "impair_seed", "gateway_priority", "networks"),
        *("dns", "dns_search", "dns_options", "hostname", "domainname"),
    ),
    "uplinks": (),
}
"""Keys of a table with a name of its own that the rest of it can be judged without."""


def load(path: Path, keep_clear: Iterable[IpNetwork] = ()) -> Configuration:
    """Read and check the file at `path`.

    Subnets that nobody chose do not overlap `keep_clear`.

    Raises:
        ConfigurationError: it cannot be read or honoured; every mistake in it is named.
    """
    return parse(read_text(path), str(path), keep_clear)


def read_text(path: Path) -> str:
    """The text of the file at `path`.

    Raises:
        ConfigurationError: it cannot be read, or is no UTF-8.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigurationError([f"{path}: cannot be read: {error.strerror}"]) from None
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        words = f"found the byte 0x{data[error.start]:02x}: allowed is text in UTF-8"
        raise ConfigurationError([f"{path}:{line}: {words}"]) from None


def parse(
    text: str,
    file: str,
    keep_clear: Iterable[IpNetwork] = (),
    standing: Mapping[str, IpNetwork] = NOTHING_STANDS,
) -> Configuration:
    """Check the configuration in `text`; `file` is what its mistakes are blamed on.

    Networks that ask for no subnet keep the `standing` one of their name. Other subnets that nobody
    chose overlap neither these nor `keep_clear`.

    Raises:
        ConfigurationError: it cannot be honoured; every mistake in it is named.
    """
    with nesting_refused(file):
        document = read_toml(text, file)
        configuration, mistakes = judge(document, keep_clear, standing)
        if mistakes:
            raise ConfigurationError(lines(file, document, mistakes))
    return configuration


@contextmanager
def nesting_refused(file: str) -> Iterator[None]:
    """Raise ConfigurationError where what is done in here meets values nested beyond reason."""
    try:
        yield
    except RecursionError:
        words = "found values nested too deeply to read: allowed is a list in a table in a table"
        raise ConfigurationError([f"{file}: {words}"]) from None


def read_toml(text: str, file: str) -> dict[str, Any]:
    """The document in `text`, whatever it holds.

    Raises:
        ConfigurationError: it is no TOML.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError([_syntax_mistake(text, file, str(error))]) from None


def judge(
    document: dict[str, Any],
    keep_clear: Iterable[IpNetwork] = (),
    standing: Mapping[str, IpNetwork] = NOTHING_STANDS,
) -> tuple[Configuration, list[Mistake]]:
    """The configuration that the tables of `document` ask for, and every mistake in them.

    Where there are mistakes, the configuration is that of the rest and not to be used.
    """
    mistakes, sound = _check_shape(document)
    configuration, disagreements = _agree(document, sound, tuple(keep_clear), standing)
    return configuration, mistakes + disagreements


def _syntax_mistake(text: str, file: str, message: str) -> str:
    at = _TOML_POSITION.fullmatch(message)
    reason = at[1] if at else message
    all_lines = text.rstrip().split("\n")
    line = int(at[2]) if at and at[2] else len(all_lines)
    column = f" (column {at[3]})" if at and at[3] else ""
    written = all_lines[line - 1].strip() if line <= len(all_lines) else ""
    found = f"found {quote(written)}: " if written else ""
    return f"{file}:{line}: {found}{reason}{column}"


def _check_shape(document: dict[str, Any]) -> tuple[list[Mistake], Document]:
    """Every mistake of shape, and the document without the parts that have one."""
    rest = copy.deepcopy(document)
    mistakes: list[Mistake] = []
    while True:
        found = shaping.check(rest)
        if isinstance(found, Document):
            return mistakes, found
        mistakes += found
        for mistake in found:
            _cut_out(rest, mistake)


def _cut_out(document: dict[str, Any], mistake: Mistake) -> None:
    """Remove the smallest part around a mistake that the rest makes sense without."""
    path = mistake.path
    if path == ("name",):
        document["name"] = _PLACEHOLDER_NAME
    elif not mistake.quotes_value:
        _remove(document, path)
    elif path[0] in _DISPENSABLE and len(path) > 2 and path[2] in _DISPENSABLE[path[0]]:
        _remove(document, path[:3])
    elif path[0] in _DISPENSABLE:
        _remove(document, path[:2])
    else:
        _remove(document, path[:1])


def _remove(document: dict[str, Any], path: KeyPath) -> None:
    *around, last = path
    table: Any = document
    for step in around:
        is_item = isinstance(step, int) and isinstance(table, list)
        table = table[step] if is_item else table.get(step, {})
    table.pop(last, None)


def _agree(
    document: dict[str, Any],
    sound: Document,
    keep_clear: tuple[IpNetwork, ...],
    standing: Mapping[str, IpNetwork],
) -> tuple[Configuration, list[Mistake]]:
    """What `sound` asks for as a whole, and every disagreement between its parts."""
    default, mistakes = _default_network(document, sound)
    pools, too_large = _pools(sound)
    outside, disagreements = _uplinks(document, sound, default)
    mistakes += [*too_large, *disagreements]
    dns = namekeys.settings(sound.dns)
    mistakes += namekeys.mistakes(sound.dns)
    resolved = networks.resolve(
        _network_requests(document, sound),
        outside=outside,
        default=default,
        pools=pools,
        keep_clear=(*networks.of_hosts(_servers(dns, sound)), *keep_clear),
        standing=standing,
    )
    for refusal in resolved.refusals:
        path = ("networks", refusal.name, *refusal.error.key)
        mistakes.append(Mistake(path, refusal.error.explained))
    for name, table in sound.networks.items():
        mistakes += translations.too_low(name, table)
        mistakes += policies.contradictions(name, table)
    for network in resolved.networks:
        if network.name in sound.networks:
            mistakes += leasekeys.disagreements(network, sound.networks[network.name].dhcp)
    inside = {DEFAULT_NETWORK.name, *_tables(document, "networks")}
    beside = {*_tables(document, "uplinks"), *({DEFAULT_UPLINK} & document.keys())}
    for at, rule in enumerate(sound.filters):
        for found in policies.unclear(rule, inside, beside):
            mistakes.append(replace(found, path=("filters", at, *found.path)))
    mistakes += doors.incomplete(_tables(document, "api"))
    requests = [_request(name, table) for name, table in sound.endpoints.items()]
    judged = _that_can_be_judged(requests, document, sound, resolved)
    refusals = Inventory(resolved.networks, outside, Random(0)).admit(judged)
    mistaken = _tables(document, "endpoints").keys() - sound.endpoints.keys()
    for refusal in (*refusals, *linking.mistakes(requests, resolved.networks, mistaken)):
        path = ("endpoints", refusal.name, *refusal.error.key)
        mistakes.append(Mistake(path, refusal.error.explained))
    configuration = Configuration(
        sound.name,
        outside,
        resolved.networks,
        tuple(requests),
        dns,
        _recorder(sound),
        _limits(sound),
        pools,
        tuple(map(policies.read, sound.filters)),
        sound.ip_forward,
        sound.state_directory,
        doors.read(sound.api),
    )
    return configuration, mistakes


def _default_network(
    document: dict[str, Any], sound: Document
) -> tuple[Network | None, list[Mistake]]:
    """The predefined network, where it is not configured as any other."""
    name, bip = DEFAULT_NETWORK.name, sound.bip
    if name in _tables(document, "networks"):
        where = f"not allowed with [networks.{name}], which has"
        said = [Mistake(("bip",), f"{where} a subnet and a gateway of its own")] if bip else []
        said += [] if sound.icc else [Mistake(("icc",), f"{where} a key of its own for that")]
        return None, said
    default = replace(DEFAULT_NETWORK, policy=NetworkPolicy(icc=sound.icc))
    if bip is not None:
        default = replace(default, subnet=bip.network, gateway=bip.address)
    return default, []


def _pools(sound: Document) -> tuple[tuple[Pool, ...], list[Mistake]]:
    """Where subnets come from, and each pool that is smaller than one of its parts."""
    pools = tuple(Pool(table.base, table.size) for table in sound.default_address_pools)
    mistakes = [
        Mistake(
            ("default_address_pools", i, "size"),
            f"allowed is a prefix length from {pool.base.prefix_length}, that of its base, to 32",
        )
        for i, pool in enumerate(pools)
        if pool.size < pool.base.prefix_length
    ]
    return PREDEFINED_POOLS if mistakes or not pools else pools, mistakes


def _uplinks(
    document: dict[str, Any], sound: Document, default: Network | None
) -> tuple[tuple[Uplink, ...], list[Mistake]]:
    """The uplinks, the default one first, and what speaks against them."""
    mistakes: list[Mistake] = []
    tables = dict(sound.uplinks)
    if DEFAULT_UPLINK in tables:
        words = "allowed is another name: that is the default one's, [uplink]"
        mistakes.append(Mistake(("uplinks", DEFAULT_UPLINK), words))
        del tables[DEFAULT_UPLINK]
    if sound.uplink is not None:
        tables = {DEFAULT_UPLINK: sound.uplink, **tables}
    elif DEFAULT_UPLINK not in document and tables:
        words = "allowed beside the default uplink, and there is no table [uplink]"
        mistakes.append(Mistake(("uplinks",), words))
    outside = tuple(_uplink(name, table) for name, table in tables.items())
    for refusal in uplinks.check(outside, default=default):
        table = ("uplink",) if refusal.name == DEFAULT_UPLINK else ("uplinks", refusal.name)
        mistakes.append(Mistake((*table, *refusal.error.key), refusal.error.explained))
    return outside, mistakes


def _uplink(name: str, table: UplinkTable) -> Uplink:
    ports: tuple[range, ...] | None
    if table.ports is not None:
        ports = tuple(table.ports)
    else:
        ports = None if table.address is LearntAddress.HOST else Outside().ports
    return Uplink(
        interface=table.interface,
        address=table.address,
        gateway=table.gateway,
        mac=table.mac,
        impairments=schema.impairments(table),
        name=name,
        also=tuple(table.addresses),
        device=table.device,
        ports=ports,
        unsolicited=table.unsolicited,
        clamps_mss=table.clamp_mss,
    )


def _network_requests(document: dict[str, Any], sound: Document) -> list[NetworkRequest]:
    """The networks, without what depends on an uplink where one is itself mistaken."""
    requests = [
        NetworkRequest(
            name,
            table.subnet,
            table.gateway,
            table.mtu,
            table.mac,
            table.uplink,
            translations.translation(table),
            ip_range=table.ip_range,
            auxiliary=tuple(AuxiliaryAddress(*each) for each in table.aux_addresses.items()),
            labels=tuple(table.labels.items()),
            policy=policies.policy(table),
            host=table.host,
            names=namekeys.of_network(table.dns),
            leasing=leasekeys.leasing(table.dhcp),
        )
        for name, table in sound.networks.items()
    ]
    if not _has_mistaken_uplink(document, sound):
        return requests
    return [
        replace(request, uplink=None, translation=replace(request.translation, external=None))
        for request in requests
    ]


def _has_mistaken_uplink(document: dict[str, Any], sound: Document) -> bool:
    if "uplink" in document and sound.uplink is None:
        return True
    written = document.get("uplinks", {})
    return not isinstance(written, dict) or written.keys() != sound.uplinks.keys()


def _servers(dns: NameSettings, sound: Document) -> Iterator[IpAddress]:
    """Whom the switch itself asks for names: they must not be hidden behind a network of ours."""
    for servers in (dns.servers, *(table.dns.servers for table in sound.networks.values())):
        yield from (each.address for each in servers)


def _recorder(sound: Document) -> RecorderSettings:
    table = sound.recorder
    return RecorderSettings(table.size, table.directory, table.keep, tuple(table.triggers))


def _limits(sound: Document) -> Limits:
    table = sound.limits
    return Limits(
        connections=table.connections,
        memory=table.memory,
        fragments=table.fragments,
        fragment_timeout=table.fragment_timeout,
        held_syns=table.held_syns,
        errors_per_second=table.errors_per_second,
    )


def _tables(document: dict[str, Any], key: str) -> dict[str, Any]:
    tables = document.get(key, {})
    return tables if isinstance(tables, dict) else {}


def _request(name: str, table: EndpointTable) -> EndpointRequest:
    own_namespace = None if table.kind is EndpointKind.VM else name
    return EndpointRequest(
        name=name,
        network=table.network,
        kind=table.kind,
        namespace=own_namespace if table.namespace is None else table.namespace,
        address=table.address,
        mac=table.mac,
        aliases=tuple(table.aliases),
        publish=tuple(table.publish),
        exposed=tuple(table.expose),
        links=tuple(table.links),
        role=table.role,
        impairments=schema.impairments(table),
        external=table.external,
        mappings=tuple(table.mappings),
        gateway_priority=table.gateway_priority,
        dns=tuple(table.dns),
        dns_search=tuple(table.dns_search),
        dns_options=tuple(table.dns_options),
        hostname=table.hostname,
        domainname=table.domainname,
        also=tuple(
            MembershipRequest(
                network, each.address, each.mac, tuple(each.aliases), each.gateway_priority
            )
            for network, each in table.networks.items()
        ),
    )


def _that_can_be_judged(
    requests: list[EndpointRequest],
    document: dict[str, Any],
    sound: Document,
    resolved: Resolved,
) -> list[EndpointRequest]:
    """The requests, without what depends on a network or an uplink that is itself mistaken."""
    if not isinstance(document.get("networks", {}), dict):
        return []
    mistaken = set(_tables(document, "networks")) - {network.name for network in resolved.networks}
    judged = [
        request
        for request in requests
        if mistaken.isdisjoint(each.network for each in request.memberships)
    ]
    if _has_mistaken_uplink(document, sound):
        return [replace(one, publish=(), external=None, mappings=()) for one in judged]
    return judged
