"""`vswitch run`: a command in a fresh namespace that is attached to the running switch.

Theory of operation. The child enters a new network and mount namespace and waits. Meanwhile this
process asks the switch to attach an endpoint to the child's namespace, by its process id; then the
child lays the endpoint's resolv.conf over its own and becomes the command. The endpoint lives as
long as the child: the switch watches the process and takes the endpoint away when it ends, however
it ends. Signals that reach this process are passed on, its exit status is the command's, and where
it is killed itself, the kernel kills the child.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from types import FrameType

from vswitch.cli.client import Client
from vswitch.cli.exits import Exit
from vswitch.cli.problem import require_root
from vswitch.daemon import netns
from vswitch.daemon.messages import EndpointBody, EndpointRow
from vswitch.daemon.netns import NamespaceError

_PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)

_TYPED = (signal.SIGINT, signal.SIGQUIT)
"""A terminal sends these to every process in the foreground: the command has had them already."""

_IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)
"""What is ignored stays ignored over exec: commands expect to be ended by these."""

_PR_SET_PDEATHSIG = 1
"""prctl(2), <linux/prctl.h>: the signal that the kernel sends when the parent ends."""


def run(
    command: list[str], network: str, name: str | None, publish: tuple[str, ...], switch: str | None
) -> int:
    """Run `command` and return its exit status."""
    require_root("vswitch run")
    client = Client.of(switch)
    ready, go = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        os.close(ready[0])
        os.close(go[1])
        _become(command, ready[1], go[0])
    os.close(ready[1])
    os.close(go[0])
    try:
        if os.read(ready[0], 1):
            body = EndpointBody(pid=child, name=name, network=network, publish=publish)
            endpoint = client.row("POST", "endpoints", EndpointRow, body)
            _pass_signals_on(child)
            os.write(go[1], endpoint.resolv_conf.encode())
    finally:
        os.close(go[1])
    _, status = os.waitpid(child, 0)
    return _exit_status(status)


def _become(command: list[str], ready: int, go: int) -> None:
    """The child's part: never returns."""
    _end_with_parent()
    for number in _IGNORED_BY_PYTHON:
        signal.signal(number, signal.SIG_DFL)
    try:
        netns.unshare_network()
        os.write(ready, b"r")
        with os.fdopen(go) as stream:
            resolv_conf = stream.read()
        if not resolv_conf:
            os._exit(Exit.NOT_PREPARED)
        netns.overlay_file(resolv_conf)
    except (NamespaceError, OSError) as error:
        print(f"vswitch: {error}", file=sys.stderr)
        os._exit(Exit.NOT_PREPARED)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        print(f"vswitch: {command[0]}: {error.strerror}", file=sys.stderr)
        os._exit(Exit.NOT_FOUND if isinstance(error, FileNotFoundError) else Exit.NOT_EXECUTABLE)


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
