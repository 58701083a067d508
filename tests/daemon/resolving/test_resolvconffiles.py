"""The resolv.conf of endpoints: where it lies, what follows, and what is somebody else's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from vswitch.daemon.kernel.journal import Journal
from vswitch.daemon.kernel.netns import Namespace
from vswitch.daemon.resolving.files.resolvconf import ResolvConf
from vswitch.daemon.resolving.files.resolvconffiles import ResolvConfFiles
from vswitch.network.inventory import Inventory
from vswitch.network.model import DEFAULT_NETWORK, EndpointRequest

NAMED = Namespace.named("home")
OF_A_PROCESS = Namespace.of_process(1)


class Lab:
    """The files of a switch with an endpoint called web."""

    def __init__(self, tmp_path: Path) -> None:
        self.etc = tmp_path / "netns"
        self.run = tmp_path / "run"
        self.inventory = Inventory((DEFAULT_NETWORK,), (), Random(1))
        self.inventory.add_endpoint(EndpointRequest("web"))
        self.begin()

    def begin(self) -> None:
        self.journal = Journal.open("lab", self.run)
        host = ResolvConf(search=("one",))
        self.files = ResolvConfFiles(self.inventory, self.journal, host, self.etc)

    def install(self, namespace: Namespace, *, was_left: bool = False) -> Path:
        self.files.install("web", namespace, was_left=was_left)
        self.journal.finish("web")
        path = self.files.path("web")
        assert path is not None
        return path


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(tmp_path)
    yield lab
    lab.journal.close()


def said(search: str) -> str:
    return f"nameserver 127.0.0.11\nsearch {search}\noptions ndots:0\n"


def test_it_lies_where_ip_netns_looks_or_in_the_switchs_directory(lab: Lab) -> None:
    assert lab.install(NAMED) == lab.etc / "home" / "resolv.conf"
    lab.files.remove("web")
    assert lab.install(OF_A_PROCESS) == lab.run / "lab" / "resolv.conf" / "web"
    lab.files.remove("web")
    assert not lab.etc.exists()
    assert not (lab.run / "lab" / "resolv.conf").exists()


@pytest.mark.parametrize("namespace", [NAMED, OF_A_PROCESS])
def test_it_follows_the_host_and_what_the_endpoint_wants_in_the_same_file(
    lab: Lab, namespace: Namespace
) -> None:
    path = lab.install(namespace)
    with path.open() as bound:
        assert bound.read() == said("one")
        lab.files.follow_host(ResolvConf(search=("two",)))
        assert path.read_text() == said("two")
        lab.inventory.change_endpoint(EndpointRequest("web", dns_search=("own",)))
        lab.files.follow("web")
        bound.seek(0)
        assert bound.read() == said("own")
    assert lab.journal.is_whole("web")
    lab.files.remove("web")
    assert not path.exists()


@pytest.mark.parametrize("namespace", [NAMED, OF_A_PROCESS])
def test_one_that_was_edited_stays_and_that_is_told_once(
    lab: Lab, namespace: Namespace, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    path = lab.install(namespace)
    path.write_text("nameserver 192.0.2.1\n")
    for search in ("two", "three"):
        lab.files.follow_host(ResolvConf(search=(search,)))
    assert path.read_text() == "nameserver 192.0.2.1\n"
    assert caplog.text.count("is somebody's own and stays as it is") == 1
    assert lab.journal.is_whole("web")
    lab.files.remove("web")
    assert path.exists() is (namespace is NAMED)


def test_one_that_somebody_put_there_is_never_touched(lab: Lab) -> None:
    theirs = lab.etc / "home" / "resolv.conf"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("nameserver 192.0.2.1\n")
    assert lab.install(NAMED) == theirs
    lab.files.follow_host(ResolvConf(search=("two",)))
    lab.files.remove("web")
    assert theirs.read_text() == "nameserver 192.0.2.1\n"


@pytest.mark.parametrize("edit", [None, "nameserver 192.0.2.1\n"])
def test_next_daemon_goes_on_with_it_as_it_is(lab: Lab, edit: str | None) -> None:
    path = lab.install(OF_A_PROCESS)
    if edit:
        path.write_text(edit)
    lab.files.remove("web", stays=True)
    lab.journal.close()
    lab.begin()
    lab.install(OF_A_PROCESS, was_left=True)
    lab.files.follow_host(ResolvConf(search=("two",)))
    assert path.read_text() == (edit or said("two"))


def test_edited_one_of_an_endpoint_that_is_gone_is_not_the_next_ones(lab: Lab) -> None:
    path = lab.install(OF_A_PROCESS)
    path.write_text("nameserver 192.0.2.1\n")
    lab.files.remove("web", stays=True)
    lab.install(OF_A_PROCESS)
    assert path.read_text() == said("one")
