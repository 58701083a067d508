"""Where the demo plays: a network world of its own, with an outside, a switch, and two servers.

Theory of operation. The process moves into a fresh network namespace and a mount namespace, and
lays an empty /run/netns over the host's: from there it can not touch the host's links, and the
names that it gives to namespaces are seen by nobody else and end with it. In this world it makes
`outside`, a namespace behind a veth pair, and starts `vswitch up` with the other end as its uplink,
as a user would; the switch makes the namespaces of `web` and `app`.

      this namespace: up0, vswitch up
        up0 ----- eth0 in outside      TAP ----- eth0 in app      veth ----- eth0 in web

Everything started here ends with this process, however that ends (setpriv(1), --pdeathsig), and
`close` takes away in order what is left. What the switch could not take away itself is in its
journal, and swept from there.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from vswitch.cli.calls import running_switches
from vswitch.cli.client import Client
from vswitch.cli.problem import Problem
from vswitch.daemon.kernel import netns, unsharing
from vswitch.daemon.kernel.journal import Journal
from vswitch.daemon.kernel.netns import NamespaceError
from vswitch.daemon.messages import FdbRow, FlowRow, StatusRow
from vswitch.daemon.messages.stopping import StopSwitchBody
from vswitch.daemon.process.rundir import RUN
from vswitch.daemon.resolving.files.resolvconffiles import ETC_NETNS

OUTSIDE_ADDRESS = "198.51.100.1"
UPLINK_ADDRESS = "198.51.100.2"
"""The outside and the switch there: TEST-NET-2 (RFC 5737), which is nobody's."""

SUBNET = "172.18.0.0/16"
GATEWAY_ADDRESS = "172.18.0.1"
WEB_ADDRESS = "172.18.0.2"
APP_ADDRESS = "172.18.0.3"
"""What Docker gives to the first network that a user makes, and to its first two containers."""

RESOLVER_ADDRESS = "127.0.0.11"

WEB_PORT = 80
PUBLISHED_PORT = 8080
UNPUBLISHED_PORT = 8081

UPLINK = "up0"

CONFIGURATION = f"""\
name = "{{switch}}"
state_directory = "{{directory}}"

[uplink]
interface = "{UPLINK}"
address = "{UPLINK_ADDRESS}/24"
gateway = "{OUTSIDE_ADDRESS}"

[networks.front]
subnet = "{SUBNET}"

[endpoints.web]
network = "front"
kind = "veth"
namespace = "{{web}}"
address = "{WEB_ADDRESS}"
publish = ["{PUBLISHED_PORT}:{WEB_PORT}"]

[endpoints.app]
network = "front"
kind = "tap"
namespace = "{{app}}"
address = "{APP_ADDRESS}"
"""

START_SECONDS = 20.0
"""How long the switch or a server may take to come up: ten times what a slow machine needs."""

STOP_SECONDS = 10.0
"""How long the switch may take to go down before it is killed."""

COMMAND_SECONDS = 10.0
"""How long a command may take; each has a shorter limit of its own where it can have one."""

POLL_SECONDS = 0.02

SNAP_LENGTH = "256"
"""Bytes of a frame in the capture, as an option: its headers, and the beginning of a page."""

LOG_LINES = 20
"""Of the switch's log, where something went wrong."""

_TOOLS = {"ip": "iproute2", "ping": "iputils-ping", "setpriv": "util-linux", "mount": "mount"}
"""What the demo can not do without, with Debian's package. curl, iperf3, tshark it can."""

TUN = Path("/dev/net/tun")

PEER = Path(__file__).with_name("peer.py")

_VSWITCH = (sys.executable, "-P", "-c", "from vswitch.cli import main; main()")
"""The `vswitch` of this very installation, whatever the search path says."""


class Place(Enum):
    """Where a command runs. The value is what a person reads."""

    OUTSIDE = "outside"
    WEB = "web"
    APP = "app"


class SceneryError(Exception):
    """The scenery can not be set up. `log` is what the switch said, where it said something."""

    def __init__(self, text: str, log: Sequence[str] = ()) -> None:
        super().__init__(text)
        self.log = tuple(log)


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that has run."""

    place: Place
    command: str
    """As a person would type it."""
    status: int
    output: str
    """What it printed; where it printed nothing, what it complained about."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """How the switch went down."""

    status: int
    seconds: float
    left: tuple[str, ...]
    """The namespaces, links and files that it has made and not taken away."""


def require_what_it_takes() -> None:
    """Raise `Problem` where the machine lacks what the demo can not do without. Changes nothing."""
    for tool, package in _TOOLS.items():
        if shutil.which(tool) is None:
            raise Problem(f"vswitch demo needs the command {tool} (apt-get install {package})")
    try:
        os.close(os.open(TUN, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        raise Problem(
            f"vswitch demo needs {TUN}: {error.strerror} (try modprobe tun; for a container,"
            f" --device {TUN} --cap-add NET_ADMIN --cap-add SYS_ADMIN)"
        ) from error


def enter_world_of_its_own() -> None:
    """Move this process into fresh namespaces, for good. Raises `Problem`."""
    try:
        unsharing.unshare_network()
        netns.NAMED.mkdir(mode=0o755, exist_ok=True)
        _execute("mount", "-n", "-t", "tmpfs", "-o", "mode=0755", "vsdemo", str(netns.NAMED))
        _execute("ip", "link", "set", "lo", "up")
    except (NamespaceError, SceneryError) as error:
        raise Problem(
            f"vswitch demo needs a network namespace of its own: {error} (a container must have"
            " the capabilities SYS_ADMIN and NET_ADMIN)"
        ) from error


class Scenery:
    """Everything that the demo plays with. Call `close` whatever `build` did."""

    def __init__(self, directory: Path) -> None:
        """`directory` is a temporary one, for the configuration and the log."""
        self.switch = f"demo-{os.getpid()}"
        self._configuration = directory / "demo.toml"
        self._log = directory / "vswitch.log"
        self._namespaces = {each: f"vsdemo-{os.getpid()}-{each.value}" for each in Place}
        self._started: list[subprocess.Popen[str]] = []
        self._daemon: subprocess.Popen[str] | None = None
        self._capture: subprocess.Popen[str] | None = None
        self._environment = _plain_environment()

    def start_switch(self) -> StatusRow:
        """Make the outside and start the switch. Raises SceneryError."""
        self._make_outside()
        self._configuration.write_text(
            CONFIGURATION.format(
                switch=self.switch,
                directory=self._configuration.parent,
                web=self._namespaces[Place.WEB],
                app=self._namespaces[Place.APP],
            )
        )
        with self._log.open("w") as log:
            self._daemon = subprocess.Popen(
                [*_ending_with_us("TERM"), *_VSWITCH, "up", "--rm", "-c", str(self._configuration)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        return self._wait_for_switch(self._daemon)

    def start_servers(self) -> None:
        """Start a web server outside and one in `web`. Raises SceneryError."""
        for place in (Place.OUTSIDE, Place.WEB):
            self.start(place, *peer("serve", place.value, WEB_PORT), awaiting="listening")

    def run(self, place: Place, *command: str, shown: str = "") -> Ran:
        """Run a command to its end. `shown` is how a person reads it, where it differs."""
        inside = [*self._entering(place), *command]
        try:
            done = subprocess.run(
                inside,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=COMMAND_SECONDS,
                env=self._environment,
            )
        except subprocess.TimeoutExpired:
            problem = f"no end after {COMMAND_SECONDS:.0f} s"
            return Ran(place, shown or " ".join(command), 124, problem)
        output = done.stdout.strip() or done.stderr.strip()
        return Ran(place, shown or " ".join(command), done.returncode, output)

    def fetch(self, place: Place, url: str, seconds: int = 3) -> Ran:
        """Fetch a page, with curl where there is one."""
        if shutil.which("curl"):
            limit = str(seconds)
            return self.run(place, "curl", "-sS", "-m", limit, url, shown=f"curl {url}")
        return self.run(place, *peer("fetch", url, seconds), shown=f"python urllib {url}")

    def start(self, place: Place, *command: str, awaiting: str) -> None:
        """Start a command and wait until it prints a line with `awaiting`. Raises SceneryError."""
        process = self.spawn(place, *command)
        said = []
        for line in lines_of(process, START_SECONDS):
            if awaiting in line:
                return
            said.append(line)
        raise SceneryError(f"{command[0]} in {place.value} did not start", said)

    def spawn(self, place: Place, *command: str) -> subprocess.Popen[str]:
        """Start a command whose output is read through a pipe. It ends with the scenery."""
        process = subprocess.Popen(
            [*_ending_with_us("KILL"), *self._entering(place), *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self._environment,
            start_new_session=True,
        )
        self._started.append(process)
        return process

    def flows(self) -> list[FlowRow]:
        """The switch's connections. This and the next ones raise `Problem`."""
        return self._client().rows("flows", FlowRow)

    def fdb(self) -> list[FdbRow]:
        """The switch's stations."""
        return self._client().rows("fdb", FdbRow)

    def begin_capture(self, file: Path) -> None:
        """Capture every port into `file`, as a user would."""
        file.unlink(missing_ok=True)
        of_this_switch = ("--switch", self.switch, "--snaplen", SNAP_LENGTH, "-w", str(file))
        capture = subprocess.Popen(
            [*_ending_with_us("KILL"), *_VSWITCH, "capture", *of_this_switch],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self._environment,
            start_new_session=True,
        )
        self._capture = capture
        deadline = time.monotonic() + START_SECONDS
        while not (file.exists() and file.stat().st_size):
            if capture.poll() is not None or time.monotonic() > deadline:
                capture.kill()
                self._capture = None
                raise Problem(_last_words(capture))
            time.sleep(POLL_SECONDS)

    def end_capture(self) -> int:
        """End the capture; the answer is the number of its frames."""
        capture, self._capture = self._capture, None
        if capture is None:
            raise Problem("no capture runs")
        capture.send_signal(signal.SIGINT)
        timer = threading.Timer(STOP_SECONDS, capture.kill)
        timer.start()
        said = _last_words(capture)
        timer.cancel()
        if capture.returncode != 0:
            raise Problem(said)
        return int(said.split()[0])

    def log(self) -> list[str]:
        """The last lines that the switch logged."""
        try:
            return self._log.read_text(errors="replace").splitlines()[-LOG_LINES:]
        except FileNotFoundError:
            return []

    def stop_switch(self) -> Stopped:
        """Tell the switch to leave nothing and wait until it has; kill it where it does not."""
        begun = time.monotonic()
        with suppress(Problem):
            self._client().do("POST", "stop", StopSwitchBody(remove=True))
        status = self._end_daemon()
        return Stopped(status, time.monotonic() - begun, self._left())

    def close(self) -> None:
        """Take everything away, whatever state it is in."""
        with ExitStack() as undo:
            for name in self._namespaces.values():
                undo.callback(netns.remove, name)
            undo.callback(self._sweep)
            undo.callback(self._end_daemon)
            if self._capture is not None:
                self._started.append(self._capture)
            for process in self._started:
                undo.callback(process.communicate)
                undo.callback(process.kill)

    def _make_outside(self) -> None:
        outside = self._namespaces[Place.OUTSIDE]
        inside = ("ip", "-n", outside)
        _execute("ip", "netns", "add", outside)
        _execute("ip", "link", "add", UPLINK, "type", "veth", "peer", "eth0", "netns", outside)
        _execute("ip", "link", "set", UPLINK, "up")
        _execute(*inside, "address", "add", f"{OUTSIDE_ADDRESS}/24", "dev", "eth0")
        _execute(*inside, "link", "set", "eth0", "up")
        _execute(*inside, "link", "set", "lo", "up")

    def _wait_for_switch(self, daemon: subprocess.Popen[str]) -> StatusRow:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if daemon.poll() is not None:
                break
            if self.switch in running_switches():
                with suppress(Problem):
                    return self._client().row("GET", "status", StatusRow)
            time.sleep(POLL_SECONDS)
        how = "is not up yet" if daemon.poll() is None else f"ended with status {daemon.returncode}"
        raise SceneryError(f"vswitch up {how}; it said:", self.log())

    def _client(self) -> Client:
        return Client.of(self.switch)

    def _entering(self, place: Place) -> tuple[str, ...]:
        return ("ip", "netns", "exec", self._namespaces[place])

    def _end_daemon(self) -> int:
        """Its exit status, 0 where none was started."""
        if self._daemon is None:
            return 0
        self._daemon.terminate()
        try:
            return self._daemon.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._daemon.kill()
            return self._daemon.wait()

    def _left(self) -> tuple[str, ...]:
        paths = [RUN / self.switch]
        for place in (Place.WEB, Place.APP):
            name = self._namespaces[place]
            paths += [netns.NAMED / name, ETC_NETNS / name]
        links = {name for _, name in socket.if_nameindex()} - {"lo", UPLINK}
        return (*(str(path) for path in paths if path.exists()), *sorted(links))

    def _sweep(self) -> None:
        """What the next `vswitch up` of this name would do, if there were one."""
        if (RUN / self.switch).exists():
            journal = Journal.open(self.switch)
            journal.sweep()
            journal.close()


def peer(*arguments: object) -> tuple[str, ...]:
    """The command line of one of the demo's own programs."""
    return (sys.executable, "-I", str(PEER), *map(str, arguments))


def lines_of(process: subprocess.Popen[str], seconds: float) -> Iterator[str]:
    """What `process` prints, as it comes. It is killed where it has not ended after `seconds`."""
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    try:
        for line in process.stdout or ():
            yield line.rstrip("\n")
    finally:
        timer.cancel()


def _last_words(process: subprocess.Popen[str]) -> str:
    """Wait for the end of `process`; the last line that it said, without its name before it."""
    lines = process.communicate()[0].strip().splitlines() or ["it said nothing"]
    return lines[-1].removeprefix("vswitch: ")


def _plain_environment() -> dict[str, str]:
    """Ours without proxies, which are out of reach in here, and with messages in English."""
    kept = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    return kept | {"LC_ALL": "C"}


def _ending_with_us(signal_name: str) -> tuple[str, ...]:
    return ("setpriv", "--pdeathsig", signal_name, "--")


def _execute(*command: str) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise SceneryError(f"{' '.join(command)}: {done.stderr.strip()}")
