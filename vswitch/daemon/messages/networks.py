"""Networks over the control socket.

What is asked for has our own names. What is answered is Docker's, name by name, so that what was
written for `docker network inspect` goes on working (Docker Engine API, "Inspect a network").
"""

from __future__ import annotations

from typing import Any

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from vswitch.daemon.messages.base import Message
from vswitch.network.model import LARGEST_PRIORITY

BRIDGE = "bridge"
"""Docker's name for the driver whose networks are the switch's own."""


class NetworkBody(Message):
    """A wish for a network; what is not said is for the switch to choose."""

    name: str
    driver: str = BRIDGE
    subnet: str | None = None
    gateway: str | None = None
    ip_range: str | None = None
    aux_addresses: dict[str, str] = Field(default_factory=dict)
    uplink: str | None = None
    internal: bool = False
    ipv6: bool = False
    options: dict[str, str] = Field(default_factory=dict)
    labels: dict[str, str] = Field(default_factory=dict)


class CreatedNetwork(Message):
    """A network that was made; `Warning` is about what was said and has no effect."""

    Id: str
    Warning: str = ""


class ConnectBody(Message):
    """A wish for an endpoint to be on a network, too."""

    endpoint: str
    address: str | None = None
    mac: str | None = None
    aliases: tuple[str, ...] = ()
    gateway_priority: int = Field(default=0, ge=-LARGEST_PRIORITY, le=LARGEST_PRIORITY)


class DisconnectBody(Message):
    """A wish for an endpoint to be on a network no longer."""

    endpoint: str


class PrunedNetworks(Message):
    """The names of those that nobody used."""

    NetworksDeleted: tuple[str, ...]


class IpamConfig(Message):
    """The addresses of a network. Auxiliary ones are left out where there are none."""

    Subnet: str
    IPRange: str
    Gateway: str
    AuxiliaryAddresses: dict[str, str] = Field(default_factory=dict)

    @model_serializer(mode="wrap")
    def _without_nothing(self, whole: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = whole(self)
        if not self.AuxiliaryAddresses:
            fields.pop("AuxiliaryAddresses", None)
        return fields


class Ipam(Message):
    """Who gives the addresses out: always we. `Config` is None for what has none."""

    Driver: str = "default"
    Options: dict[str, str] | None = None
    Config: tuple[IpamConfig, ...] | None = None


class Origin(Message):
    """The network whose configuration this one has; with us, never any."""

    Network: str = ""


class Member(Message):
    """An endpoint of a network."""

    Name: str
    EndpointID: str
    MacAddress: str
    IPv4Address: str
    IPv6Address: str = ""


class Leased(Message):
    """A station that has been leased an address."""

    MacAddress: str
    Name: str
    """What it says that it is called; empty where it does not."""


class NetworkObject(Message):
    """A network as `docker network inspect` shows it, and what it has leased, by address, which is
    left out where that is nothing."""

    Name: str
    Id: str
    Created: str
    Scope: str = "local"
    Driver: str = BRIDGE
    EnableIPv4: bool = True
    EnableIPv6: bool = False
    IPAM: Ipam
    Internal: bool = False
    Attachable: bool = False
    Ingress: bool = False
    ConfigFrom: Origin = Origin()
    ConfigOnly: bool = False
    Containers: dict[str, Member] = Field(default_factory=dict)
    Leases: dict[str, Leased] = Field(default_factory=dict)
    Options: dict[str, str] = Field(default_factory=dict)
    Labels: dict[str, str] = Field(default_factory=dict)

    @model_serializer(mode="wrap")
    def _without_nothing(self, whole: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = whole(self)
        if not self.Leases:
            fields.pop("Leases", None)
        return fields
