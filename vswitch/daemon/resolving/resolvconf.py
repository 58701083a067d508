"""resolv.conf(5): what the host's says, and what an endpoint finds in its own.

`install` makes `ip netns exec NAME` use the resolver at 127.0.0.11: it binds the files under
/etc/netns/NAME over those of /etc. A file that somebody put there is never replaced.
"""

from __future__ import annotations

from pathlib import Path

from vswitch.daemon.kernel.journal import NOBODY, Journal, Written
from vswitch.daemon.kernel.made import Undone
from vswitch.naming import Server
from vswitch.wire.values import IpAddress

ADDRESS = "127.0.0.11"
"""Where the C library of a container looks for Docker's resolver."""

ETC_NETNS = Path("/etc/netns")
"""Where ip-netns(8) looks for files to bind over those of /etc."""


def host_upstreams(resolv_conf: str) -> tuple[Server, ...]:
    """The servers that a resolv.conf(5) names, in its order, without an address of our own.

    A line that names no address (one with a zone, say) is passed over.
    """
    upstreams = []
    for line in resolv_conf.splitlines():
        match line.split():
            case ["nameserver", text, *_] if text != ADDRESS:
                try:
                    upstreams.append(Server(IpAddress.parse(text)))
                except ValueError:
                    continue
    return tuple(upstreams)


def render(host: str) -> str:
    """The resolv.conf(5) of an endpoint, made from the text of the host's.

    Its search list is kept, and so is `ndots` where it is set. `ndots:0` is Docker's default: a
    name without a dot is asked for as it is. The host's other options were chosen for its own
    servers and go.
    """
    search: list[str] = []
    ndots = "ndots:0"
    for line in host.splitlines():
        match line.split():
            case ["search" | "domain", *domains]:
                search = domains
            case ["options", *options]:
                ndots = next((each for each in options if each.startswith("ndots:")), ndots)
    lines = [f"nameserver {ADDRESS}"]
    if search:
        lines.append(f"search {' '.join(search)}")
    lines.append(f"options {ndots}")
    return "\n".join(lines) + "\n"


def install(
    name: str, text: str, journal: Journal, directory: Path = ETC_NETNS, *, of: str = NOBODY
) -> Written:
    """Let `ip netns exec NAME` see `text` as its resolv.conf, for endpoint `of`. Raises OSError.

    Written.KEPT: somebody's own file is there and stays.
    """
    return journal.write_file(directory / name / "resolv.conf", text, of)


def remove(name: str, journal: Journal, directory: Path = ETC_NETNS) -> Undone:
    """Take back what `install` wrote, and nothing else."""
    return journal.remove_file(directory / name / "resolv.conf")
