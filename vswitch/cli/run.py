"""`vswitch run`: a command in a fresh namespace that is attached to the running switch.

Theory of operation. The child enters a new network and mount namespace and waits. Meanwhile this
process asks the switch to attach an endpoint to the child's namespace, by its process id; then the
child lays the endpoint's resolv.conf and its hosts (`hosts`) over its own and becomes the command.
The endpoint lives as long as the child: the switch watches the process and takes the endpoint away
when it ends, however it ends. Whether the child has become the command is seen by a pipe that exec
closes.

In the foreground, signals that reach this process are passed on, its exit status is the command's,
and where it is killed itself, the kernel kills the child. In the background the child is a session
of its own with its output in a file, and this process ends when the command runs.

On network `host` the child enters no network namespace, on `none` there is nothing to attach.

Somebody waits for the command, so nothing is loaded here that takes longer than it takes to attach
an endpoint: bodies and answers are plain JSON, which the switch checks.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple, NoReturn

from vswitch.cli import hosts
from vswitch.cli.calls import Caller
from vswitch.cli.exits import Exit
from vswitch.cli.hosts import AddedHost
from vswitch.cli.problem import Problem, require_root
from vswitch.cli.straight import Line
from vswitch.daemon.kernel import unsharing
from vswitch.daemon.kernel.unsharing import NamespaceError
from vswitch.daemon.process.rundir import log_path
from vswitch.network.unswitched import Unswitched

_PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)

_TYPED = (signal.SIGINT, signal.SIGQUIT)
"""A terminal sends these to every process in the foreground: the command has had them already."""

_IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)
"""What is ignored stays ignored over exec: commands expect to be ended by these."""

_PR_SET_PDEATHSIG = 1
"""prctl(2), <linux/prctl.h>: the signal that the kernel sends when the parent ends."""


class _Pipes(NamedTuple):
    """Between this process and the child; each end is closed where it is not used."""

    ready: tuple[int, int]
    """The child says that its namespace is there."""
    go: tuple[int, int]
    """It is told its endpoint, as JSON; the end without that means that there is none."""
    failed: tuple[int, int]
    """It says why it could not become the command: exit status, space, text."""

    @classmethod
    def open(cls) -> _Pipes:
        return cls(os.pipe(), os.pipe(), os.pipe())


class _Endpoint(NamedTuple):
    """What `run` has to know of an endpoint, of all that `messages.endpoints` tells."""

    name: str
    resolv_conf_file: str
    address: str
    gateway: str


def run(line: Line) -> int:
    """Run a command and return its exit status; in the background, 0 when it runs."""
    require_root("vswitch run")
    added = [hosts.parse(spec) for spec in line.added_hosts]
    if added and _network(line.wish) is Unswitched.HOST:
        raise Problem("conflicting options: custom host-to-IP mapping and the network mode")
    caller = Caller.of(line.switch)
    directory = caller.directory
    _warn_of_what_is_discarded(line.wish)
    pipes = _Pipes.open()
    child = os.fork()
    if child == 0:
        for ours in (pipes.ready[0], pipes.go[1], pipes.failed[0]):
            os.close(ours)
        _become(line, added, pipes, directory if line.in_background else None)
    for theirs in (pipes.ready[1], pipes.go[0], pipes.failed[1]):
        os.close(theirs)
    name = ""
    try:
        if os.read(pipes.ready[0], 1):
            endpoint = _attach(caller, child, line.wish)
            name = endpoint.name
            _pass_signals_on(child)
            os.write(pipes.go[1], json.dumps(endpoint).encode())
    finally:
        os.close(pipes.go[1])
    with os.fdopen(pipes.failed[0]) as stream:
        failure = stream.read()
    if failure:
        status, _, text = failure.partition(" ")
        print(f"vswitch: {text}", file=sys.stderr)
        os.waitpid(child, 0)
        return int(status)
    if line.in_background:
        print(name)
        return 0
    _, status_word = os.waitpid(child, 0)
    return _exit_status(status_word)


def _warn_of_what_is_discarded(wish: Mapping[str, Any]) -> None:
    network = _network(wish)
    if network is not None and (wish.get("publish") or wish.get("publish_all")):
        warning = f"Published ports are discarded when using {network.value} network mode"
        print(f"WARNING: {warning}", file=sys.stderr)


def _network(wish: Mapping[str, Any]) -> Unswitched | None:
    """The network that is wished for, where it is none of the switch's."""
    return Unswitched.called(wish.get("network", ""))


def _attach(caller: Caller, child: int, wish: Mapping[str, Any]) -> _Endpoint:
    """Have the switch attach the child's namespace. Raises Problem."""
    row = caller.call("POST", "endpoints", json.dumps({"pid": child, **wish}))
    try:
        told = json.loads(row)
        return _Endpoint(*(told[field] for field in _Endpoint._fields))
    except (ValueError, KeyError, TypeError):
        raise caller.not_understood("endpoints") from None


def _become(
    line: Line, added_hosts: Sequence[AddedHost], pipes: _Pipes, background: Path | None
) -> NoReturn:
    """The child's part. `background` is the switch's directory where its output goes to a file."""
    command = line.command
    try:
        _prepare(line.wish, added_hosts, pipes, background)
    except (NamespaceError, Problem, OSError) as error:
        _fail(pipes, Exit.NOT_PREPARED, str(error))
    try:
        os.execvp(command[0], command)
    except OSError as error:
        _fail(pipes, Exit.of_refused_exec(error), f"{command[0]}: {error.strerror}")


def _prepare(
    wish: Mapping[str, Any],
    added_hosts: Sequence[AddedHost],
    pipes: _Pipes,
    background: Path | None,
) -> None:
    """Enter what the command is to be in, and wait for the endpoint; without one, end."""
    if background is None:
        _end_with_parent()
    for number in _IGNORED_BY_PYTHON:
        signal.signal(number, signal.SIG_DFL)
    if _network(wish) is not Unswitched.HOST:
        unsharing.unshare_network()
    hostname, domainname = wish.get("hostname"), wish.get("domainname")
    if hostname is not None or domainname is not None:
        unsharing.take_hostname(hostname or socket.gethostname())
    if domainname is not None:
        unsharing.take_domainname(domainname)
    os.write(pipes.ready[1], b"r")
    with os.fdopen(pipes.go[0]) as stream:
        told = stream.read()
    if not told:
        os._exit(Exit.NOT_PREPARED)
    endpoint = _Endpoint(*json.loads(told))
    if endpoint.resolv_conf_file:
        unsharing.bind_file(Path(endpoint.resolv_conf_file))
    if _network(wish) is not Unswitched.HOST:
        hostname = hosts.in_full(socket.gethostname(), wish.get("domainname"))
        own = hosts.Own(endpoint.name, hostname, endpoint.address, endpoint.gateway)
        unsharing.overlay_file(hosts.render(own, added_hosts), unsharing.HOSTS)
    if background is not None:
        _go_into_background(log_path(background, endpoint.name))


def _go_into_background(log: Path) -> None:
    """A session of its own, nothing to read, and its output in a file that begins anew."""
    os.setsid()
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, number in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, number)
    os.close(output)
    os.close(nothing)


def _fail(pipes: _Pipes, status: int, text: str) -> NoReturn:
    os.write(pipes.failed[1], f"{status} {text}".encode())
    os._exit(status)


def _end_with_parent() -> None:
    """A parent that has ended before this closed its pipe with that, which ends the child too."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _pass_signals_on(child: int) -> None:
    def pass_on(number: int, _: FrameType | None) -> None:
        if number in _TYPED and _is_in_foreground():
            return
        try:
            os.kill(child, number)
        except ProcessLookupError:
            return

    for number in _PASSED_ON:
        signal.signal(number, pass_on)


def _is_in_foreground() -> bool:
    """Whether what is typed at a terminal reaches this process, and with it the command."""
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError):
        return False


def _exit_status(status: int) -> int:
    """As shells say it: 128 and the signal for a command that a signal ended."""
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else Exit.SIGNALLED - code
