"""Endpoints as they are wished for, and as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from vswitch.daemon.messages.base import Message
from vswitch.daemon.messages.leases import LeaseRow
from vswitch.network.kinds import DEFAULT_NETWORK_NAME, LARGEST_PRIORITY, EndpointKind
from vswitch.policy import PortRole

HIGHEST_PID = 2**22
"""proc(5), pid_max: the kernel gives no process a higher number."""

HIGHEST_UID = 2**32 - 2
"""The kernel's own -1 means "nobody said"."""

LONGEST_STOP_SECONDS = 20
"""How long a command may take to end by itself before it is killed."""


class MembershipBody(Message):
    """A network as an endpoint is to be on it."""

    network: str = DEFAULT_NETWORK_NAME
    address: str | None = None
    mac: str | None = None
    aliases: tuple[str, ...] = ()
    gateway_priority: int = Field(default=0, ge=-LARGEST_PRIORITY, le=LARGEST_PRIORITY)
    """The network of the highest leads out: the default route and what is published go there."""


class Wish(MembershipBody):
    """What an endpoint is to be, wherever it lives; addresses and ports in Docker's spelling.

    The fields of a membership are of the network that it is on first, as its eth0.
    """

    name: str | None = None
    also: tuple[MembershipBody, ...] = ()
    """Further networks, in the order of its further interfaces."""
    publish: tuple[str, ...] = ()
    expose: tuple[str, ...] = ()
    publish_all: bool = False
    """Publish every exposed port at a host port of the switch's choice."""
    links: tuple[str, ...] = ()
    """Endpoints that it is linked to, each as `name[:alias]`."""
    role: PortRole = PortRole.COMMUNITY
    """Whom it reaches within its network."""
    dns: tuple[str, ...] = ()
    """Name servers that are asked for it alone, each as the configuration has it."""
    dns_search: tuple[str, ...] = ()
    """Domains in which it looks for short names; none: the host's; `.` alone: really none."""
    dns_options: tuple[str, ...] = ()
    """Of its resolv.conf, beside the host's."""
    hostname: str | None = None
    domainname: str | None = None


class EndpointWish(Wish):
    """What an endpoint with a namespace is to be, whichever that is."""

    kind: EndpointKind = EndpointKind.TAP


class EndpointBody(EndpointWish):
    """A wish for an endpoint in a namespace that exists: a process's, or the one at a path.

    That of a process is attached for as long as the process lives.
    """

    pid: int | None = Field(default=None, gt=0, le=HIGHEST_PID)
    path: str | None = Field(default=None, pattern="^/")

    @model_validator(mode="after")
    def _lives_in_one_namespace(self) -> Self:
        if (self.pid is None) == (self.path is None):
            raise ValueError("allowed is either the pid of a process, or the path of a namespace")
        if self.kind is EndpointKind.VM:
            raise ValueError("a virtual machine lives in no namespace: ask /v1/taps for its TAP")
        return self

    @property
    def namespace_path(self) -> Path:
        """What opens the namespace."""
        return Path(self.path or f"/proc/{self.pid}/ns/net")


class TapBody(Wish):
    """A wish for a TAP in the host's namespace, which a virtual machine opens by its name."""

    name: str
    owner: int | None = Field(default=None, ge=0, le=HIGHEST_UID)


class StopBody(Message):
    """A wish that an endpoint's command ends, by SIGKILL where it has not after so long."""

    seconds: float = Field(default=10, ge=0, le=LONGEST_STOP_SECONDS)


class MembershipRow(Message):
    """An endpoint on one of its networks."""

    network: str
    address: str
    mac: str
    aliases: tuple[str, ...]
    interface: str
    """What it finds it as in its namespace."""
    gateway_priority: int


class EndpointRow(Message):
    """An endpoint as it is. On networks `host` and `none` there is no address and no gateway, on
    an internal one no gateway.

    `network`, `address`, `mac` and `aliases` are of the network that leads out, the first of
    `networks`.
    """

    name: str
    network: str
    kind: EndpointKind | None
    namespace: str
    """Its name under /run/netns, or its path; empty for a virtual machine."""
    pid: int | None
    """The process that it lives and ends with."""
    address: str
    gateway: str
    mac: str
    aliases: tuple[str, ...]
    networks: tuple[MembershipRow, ...]
    hostname: str | None
    domainname: str | None
    published: tuple[str, ...]
    exposed: tuple[str, ...]
    dns: tuple[str, ...]
    dns_search: tuple[str, ...]
    dns_options: tuple[str, ...]
    links: tuple[str, ...]
    role: PortRole | None
    """None on networks `host` and `none`."""
    lease: LeaseRow | None
    """What it has been leased; None until it asks."""
    by_dhcp: bool
    """Whether it has to ask by DHCP for its address, and gets it."""
    resolv_conf: str
    """What its resolv.conf says, unless somebody has edited that; empty for a virtual machine,
    which has one of its own making."""
    resolv_conf_file: str
    """Where that lies, to be bound over /etc/resolv.conf; empty where it has none."""
