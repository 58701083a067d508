"""Networks and endpoints of any kind, for tests that keep them."""

from __future__ import annotations

from hypothesis import strategies as st

from vswitch.daemon.kernel.processes import Birth
from vswitch.daemon.store.kept import Home, KeptEndpoint, KeptFilter, KeptFilters, KeptLease
from vswitch.impairment import Impairment, Impairments
from vswitch.leasing import Boot, Leasing
from vswitch.network.model import (
    Endpoint,
    EndpointKind,
    EndpointRequest,
    Membership,
    MembershipRequest,
    Network,
)
from vswitch.network.ports import PortRange, Publication, PublicationRequest, StaticMapping
from vswitch.policy import Action, Filter
from vswitch.translation import Filtering, Quotas, Refresh, Timeouts, Translation
from vswitch.wire.values import IpAddress, IpNetwork, MacAddress, Protocol

NAMES = ("web", "app", "db", "ünï", "a b")

_ports = st.integers(1, 65535)
_ranges = st.tuples(_ports, _ports).map(lambda both: PortRange(min(both), max(both)))
_protocols = st.sampled_from([Protocol.TCP, Protocol.UDP])
_addresses = st.binary(min_size=4, max_size=4).map(IpAddress) | st.binary(
    min_size=16, max_size=16
).map(IpAddress)
_macs = st.binary(min_size=6, max_size=6).map(MacAddress)
_nanoseconds = st.integers(0, 2**62)


@st.composite
def subnets(draw: st.DrawFn) -> IpNetwork:
    length = draw(st.integers(0, 32))
    prefix = draw(st.integers(0, 2**32 - 1)) >> (32 - length) << (32 - length)
    return IpNetwork(IpAddress(prefix.to_bytes(4, "big")), length)


_translations = st.builds(
    Translation,
    filtering=st.sampled_from(Filtering),
    refresh=st.sampled_from(Refresh),
    timeouts=st.builds(Timeouts, udp=_nanoseconds, tcp_reset=_nanoseconds),
    quotas=st.builds(Quotas, mappings=st.integers(0, 2**31)),
    window_tracking=st.booleans(),
    external=st.none() | _addresses,
    untranslated=st.lists(subnets(), max_size=2).map(tuple),
)


def networks() -> st.SearchStrategy[Network]:
    return st.builds(
        Network,
        name=st.sampled_from(NAMES),
        subnet=subnets(),
        gateway=_addresses,
        mtu=st.integers(68, 65535),
        predefined=st.booleans(),
        mac=st.none() | _macs,
        uplink=st.sampled_from(NAMES),
        translation=_translations,
        leasing=st.none()
        | st.builds(
            Leasing,
            takes_guests=st.booleans(),
            lease_time=_nanoseconds,
            leased=st.none() | subnets(),
            domain=st.none() | st.sampled_from(NAMES),
            routes=st.lists(st.tuples(subnets(), _addresses), max_size=2).map(tuple),
            boot=st.none() | st.builds(Boot, st.sampled_from(NAMES), st.sampled_from(NAMES)),
        ),
    )


def kept_leases() -> st.SearchStrategy[KeptLease]:
    return st.builds(
        KeptLease,
        network=st.sampled_from(NAMES),
        address=_addresses,
        station=_macs,
        identifier=st.binary(max_size=8).map(bytes.hex),
        hostname=st.none() | st.sampled_from(NAMES),
        ends_at=_nanoseconds,
        written_at=_nanoseconds,
        endpoint=st.none() | st.sampled_from(NAMES),
    )


def kept_endpoints() -> st.SearchStrategy[KeptEndpoint]:
    births = st.builds(Birth, st.integers(1, 2**22), _nanoseconds, st.sampled_from(NAMES))
    homes = st.builds(Home, st.none() | st.sampled_from(NAMES), st.none() | births)
    requests = st.builds(
        EndpointRequest,
        name=st.sampled_from(NAMES),
        network=st.sampled_from(NAMES),
        address=st.none() | _addresses,
        publish=st.lists(
            st.builds(
                PublicationRequest, _protocols, st.none() | _addresses, st.none() | _ranges, _ranges
            ),
            max_size=2,
        ).map(tuple),
        also=st.lists(st.builds(MembershipRequest, st.sampled_from(NAMES)), max_size=2).map(tuple),
    )
    return st.builds(KeptEndpoint, requests, endpoints(), st.none() | homes)


def kept_filters() -> st.SearchStrategy[KeptFilters]:
    ports = st.lists(_ports.map(lambda port: range(port, port + 1)), max_size=2).map(tuple)
    filters = st.builds(
        Filter,
        st.sampled_from(Action),
        source=st.lists(subnets(), max_size=2).map(tuple),
        protocol=st.none() | st.integers(0, 255),
        ports=ports,
        arrives=st.none() | st.sampled_from(NAMES),
    )
    kept = st.builds(KeptFilter, st.integers(1, 9), filters, st.booleans())
    some = st.lists(filters, max_size=2).map(tuple), st.lists(kept, max_size=3).map(tuple)
    return st.builds(KeptFilters, *some)


def endpoints() -> st.SearchStrategy[Endpoint]:
    return st.builds(
        Endpoint,
        name=st.sampled_from(NAMES),
        kind=st.sampled_from(EndpointKind),
        namespace=st.none() | st.sampled_from(NAMES),
        memberships=st.lists(
            st.builds(
                Membership,
                st.sampled_from(NAMES),
                _addresses,
                _macs,
                st.lists(st.sampled_from(NAMES), max_size=2).map(tuple),
                st.integers(0, 9),
                st.integers(-9, 9),
            ),
            min_size=1,
            max_size=3,
        ).map(tuple),
        publications=st.lists(
            st.builds(Publication, _protocols, st.none() | _addresses, _ranges, _ranges),
            max_size=2,
        ).map(tuple),
        impairments=st.builds(
            Impairments, st.builds(Impairment, delay=_nanoseconds), seed=st.integers(0, 2**32)
        ),
        external=st.none() | _addresses,
        mappings=st.lists(st.builds(StaticMapping, _protocols, _ranges, _ranges), max_size=2).map(
            tuple
        ),
    )
