"""The classifier of an interface's ingress: a `clsact` qdisc, and a BPF filter of ours in it.

Theory of operation. A filter needs a qdisc to be in, and an interface has at most one for this, so
it may be there already and have other people's filters. Both are made exclusively, which tells what
is ours: `journal` records each before, and what was there is never taken over. Our filter has a
fixed place and a name; whatever else is found in that place is not removed.

Both outlive the process that made them, unlike a TCX link. They go with the interface.

Everything is rtnetlink, spoken by pyroute2 in the calling thread's namespace. An interface is named
by its index, which a rename does not change.

Read first: tc-bpf(8); for qdiscs of this kind, `net/sched/sch_ingress.c`.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from enum import Enum
from typing import Any, TypeVar

from vswitch.daemon.guard.bpf import NAME
from vswitch.daemon.kernel import netns
from vswitch.daemon.kernel.links import LinkError
from vswitch.daemon.kernel.netlink import IPRoute, NetlinkError

INGRESS = 0xFFFF_FFF2
EGRESS = 0xFFFF_FFF3
"""Where a clsact qdisc's filters are: TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS or _EGRESS)."""

PRIORITY = 1
"""Of our filter: the first, because a filter before it that says "pass" would end the matter. Where
one of another kind is in this place already, the kernel refuses ours."""

HANDLE = 0x7673
"""Of our filter within its priority: "vs", a number that the kernel would not come to by itself."""

Result = TypeVar("Result")


class Removed(Enum):
    """How removing ended."""

    REMOVED = "removed"
    ABSENT = "was gone already"
    KEPT = "kept: it is not ours, or others use it"


class QdiscExists(Exception):
    """The interface has a qdisc for filters at its ingress already."""


def make_qdisc(interface: int) -> None:
    """Give the interface its clsact qdisc. Raises QdiscExists, and LinkError."""

    def work(netlink: Any) -> None:
        try:
            netlink.tc("add", "clsact", interface)
        except NetlinkError as error:
            if error.code == errno.EEXIST:
                raise QdiscExists from None
            raise

    _with_netlink("make a clsact qdisc", work)


def has_qdisc(interface: int) -> bool:
    """Whether there is a qdisc for ingress filters, whoever made it. Raises LinkError."""
    return bool(_with_netlink("look for qdiscs", lambda netlink: _kinds(netlink, interface)))


def make_filter(interface: int, program: int) -> None:
    """Run the loaded program (a descriptor, which may be closed then) for what arrives.

    Raises LinkError, also where something has the filter's place.
    """

    def work(netlink: Any) -> None:
        netlink.tc(
            "add-filter",
            "bpf",
            interface,
            HANDLE,
            fd=program,
            name=NAME,
            parent=INGRESS,
            prio=PRIORITY,
            direct_action=True,
        )

    _with_netlink("make a BPF filter", work)


def remove_filter(interface: int) -> Removed:
    """Remove the filter that `make_filter` made, and nothing else. Raises LinkError."""

    def work(netlink: Any) -> Removed:
        found = [each for each in _filters(netlink, interface, INGRESS) if _is_in_our_place(each)]
        if not found:
            return Removed.ABSENT
        if not _is_ours(found[0]):
            return Removed.KEPT
        place = {"parent": INGRESS, "prio": PRIORITY}
        netlink.tc("del-filter", "bpf", interface, HANDLE, **place)
        return Removed.REMOVED

    return _with_netlink("remove the BPF filter", work)


def remove_qdisc(interface: int) -> Removed:
    """Remove the clsact qdisc, unless there are filters in it. Raises LinkError."""

    def work(netlink: Any) -> Removed:
        if "clsact" not in _kinds(netlink, interface):
            return Removed.ABSENT
        if any(_filters(netlink, interface, parent) for parent in (INGRESS, EGRESS)):
            return Removed.KEPT
        netlink.tc("del", "clsact", interface)
        return Removed.REMOVED

    return _with_netlink("remove the clsact qdisc", work)


def _kinds(netlink: Any, interface: int) -> set[str]:
    """Of the interface's qdisc for ingress filters, of which there is one at most."""
    kinds = {each.get_attr("TCA_KIND") for each in netlink.get_qdiscs(interface)}
    return kinds & {"clsact", "ingress"}


def _filters(netlink: Any, interface: int, parent: int) -> list[Any]:
    """None, too, where the qdisc or the whole interface is not there."""
    return list(netlink.get_filters(index=interface, parent=parent))


def _is_in_our_place(answer: Any) -> bool:
    return (answer["info"] >> 16, answer["handle"]) == (PRIORITY, HANDLE)


def _is_ours(answer: Any) -> bool:
    options = answer.get_attr("TCA_OPTIONS")
    return (
        answer.get_attr("TCA_KIND") == "bpf"
        and options is not None
        and options.get_attr("TCA_BPF_NAME") == NAME
    )


def _with_netlink(what: str, work: Callable[[Any], Result]) -> Result:
    def inside() -> Result:
        with IPRoute() as netlink:
            return work(netlink)

    try:
        return netns.run(inside, None)
    except NetlinkError as error:
        raise LinkError(f"cannot {what}: {os.strerror(error.code)}") from error
    except OSError as error:
        raise LinkError(f"cannot {what}: {error}") from error
