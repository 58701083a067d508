"""A whole switch for a test: an outside, a host that the daemon runs on, endpoints, real tools.

`Lab` makes three kinds of namespaces, all called after itself: `out` stands for the rest of the
world, `host` is what the daemon takes for the machine's own network, and each endpoint has one that
the daemon makes. So nothing of the real machine's network is ever touched. `host` and `out` are
joined by a veth pair, `up0` and `eth0`; on the same wire `host` has an address of its own, from
which the daemon asks its name servers. A test may add further wires, each to a world of its own.

The daemon is `vswitch up` as a process of its own, with a configuration in the test's directory.
Only its network namespace is another one, not its mount namespace: what it binds under /run/netns
has to be seen here. Every wait has an end, and `close` takes all of it away in any state.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import quote

import pytest
from pyroute2 import netns

VSWITCH = str(Path(sys.executable).with_name("vswitch"))

OUTSIDE = "198.51.100.1"
UPLINK = "198.51.100.2"
HOST = "198.51.100.3"
SUBNET = "172.18.0.0/16"
GATEWAY = "172.18.0.1"
WEB = "172.18.0.2"
APP = "172.18.0.3"
"""The addresses of every lab; endpoints get theirs in the order in which they are added."""

DNS_PORT = 5353
"""Where an outside name server is looked for, on OUTSIDE."""

ORDINARY_USER = (
    "setpriv",
    "--reuid=65534",
    "--clear-groups",
    "--inh-caps=-all,+dac_read_search",
    "--ambient-caps=+dac_read_search",
)
"""Runs a command as Debian's nobody, who may read all that root may: pytest's directories are
root's own, and so may be the one that the project is in."""

PATIENCE = 45.0
"""Seconds for one command or one event: far beyond what any should take."""

POLL_SECONDS = 0.02

Result = TypeVar("Result")
Done = subprocess.CompletedProcess[str]

_numbers = itertools.count()


class Lab:
    """One switch and the world around it. Use it in a `with`: its end removes everything."""

    def __init__(self, directory: Path) -> None:
        self.name = f"vst-{os.getpid()}l{next(_numbers)}"
        self.directory = directory
        self.run_directory = Path("/run/vswitch") / self.name
        self.daemon: subprocess.Popen[bytes] | None = None
        self.recorder: dict[str, object] = {}
        """The keys of the configuration's [recorder]."""
        self.uplink: dict[str, object] = {"address": f"{UPLINK}/24", "gateway": OUTSIDE}
        """The keys of the configuration's [uplink], but for its interface."""
        self.settings: dict[str, object] = {}
        """Of the switch as a whole."""
        self.front: dict[str, object] = {"subnet": SUBNET}
        """The keys of the configuration's [networks.front]."""
        self.api: dict[str, object] = {}
        """The keys of the configuration's [api]."""
        self.dns: dict[str, object] = {"upstream": [f"{OUTSIDE}:{DNS_PORT}"]}
        """The keys of the configuration's [dns]."""
        self.confinement: tuple[str, ...] = ()
        """Words before the daemon's own: a program that starts another one with fewer rights."""
        self._wires = {"up0": "out"}
        """The host's interfaces by name, each with the world that it leads to."""
        self._tables: dict[str, str] = {}
        self._endpoints: dict[str, str] = {}
        self._processes: list[subprocess.Popen[Any]] = []
        self._sockets: list[socket.socket] = []

    def __enter__(self) -> Lab:
        try:
            self._make_world()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # Namespaces

    def namespace(self, role: str) -> str:
        """The name under /run/netns of `host`, `out` or an endpoint's namespace."""
        return f"{self.name}-{role}"

    def create(self, role: str) -> None:
        """Make a namespace by hand, with its loopback up."""
        execute("ip", "netns", "add", self.namespace(role))
        self.run(role, "ip", "link", "set", "lo", "up")

    def delete(self, role: str) -> None:
        """Delete a namespace's name, as an administrator would."""
        execute("ip", "netns", "delete", self.namespace(role))

    def add_wire(self, link: str, world: str, address: str) -> None:
        """A further interface of the host, without an address, that leads to a world of its own.

        There it is `eth0` and has `address`, with its prefix length.
        """
        self.create(world)
        self._wires[link] = world
        self._lay_wire(link, world)
        self.run(world, "ip", "address", "add", address, "dev", "eth0")

    def namespaces(self) -> set[str]:
        """The roles whose namespaces exist by name."""
        names = [path.name for path in Path("/run/netns").glob(f"{self.name}-*")]
        return {name.removeprefix(f"{self.name}-") for name in names}

    # Commands and sockets in namespaces

    def run(self, role: str, *command: str, check: bool = True, timeout: float = PATIENCE) -> Done:
        """Run `command` inside to its end; with `check`, an exit status but 0 fails the test."""
        return execute(*self._enter(role), *command, check=check, timeout=timeout)

    def start(self, role: str, *command: str) -> subprocess.Popen[str]:
        """Start `command` inside, output piped; it is killed at the lab's end."""
        process = subprocess.Popen(
            [*self._enter(role), *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._processes.append(process)
        return process

    def call(self, role: str, function: Callable[[], Result]) -> Result:
        """Call `function` in a thread that is inside; sockets it makes stay there."""
        results: list[Result] = []
        errors: list[BaseException] = []

        def inside() -> None:
            try:
                netns.setns(self.namespace(role))
                results.append(function())
            except BaseException as error:
                errors.append(error)

        thread = threading.Thread(target=inside, daemon=True)
        thread.start()
        thread.join(PATIENCE)
        if errors:
            raise errors[0]
        assert results, f"a call in {role} takes more than {PATIENCE} s"
        return results[0]

    def open_socket(
        self, role: str, kind: int = socket.SOCK_STREAM, family: int = socket.AF_INET
    ) -> socket.socket:
        """A socket inside, for use from anywhere; closed at the lab's end at the latest."""
        made = self.call(role, lambda: socket.socket(family, kind))
        made.settimeout(PATIENCE)
        self._sockets.append(made)
        return made

    def listen(self, role: str, address: str, port: int) -> socket.socket:
        """A TCP socket inside that listens."""
        listening = self.open_socket(role)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((address, port))
        listening.listen()
        return listening

    def bind(self, role: str, address: str, port: int) -> socket.socket:
        """A UDP socket inside with an address and port."""
        bound = self.open_socket(role, socket.SOCK_DGRAM)
        bound.bind((address, port))
        return bound

    def connect(self, role: str, address: str, port: int) -> socket.socket:
        """A TCP connection from inside. Raises OSError."""
        connection = self.open_socket(role)
        connection.connect((address, port))
        return connection

    def ping(self, role: str, *arguments: str) -> bool:
        """Whether one echo request from inside is answered."""
        return self.run(role, "ping", "-c1", "-W2", *arguments, check=False).returncode == 0

    # The switch

    def add_endpoint(self, name: str, **keys: object) -> None:
        """Put an endpoint into the configuration: on `front`, unless `keys` say otherwise."""
        keys = {"network": "front", "namespace": self.namespace(name), **keys}
        self._endpoints[name] = _table(f"endpoints.{name}", keys)

    def drop_endpoint(self, name: str) -> None:
        """Take an endpoint out of the configuration again."""
        del self._endpoints[name]

    def add_machine(self, name: str, **keys: object) -> None:
        """Put a virtual machine into the configuration: on `front`, with a TAP of that name."""
        keys = {"network": "front", "kind": "vm", **keys}
        self._endpoints[name] = _table(f"endpoints.{name}", keys)

    def add_uplink(self, name: str, interface: str, **keys: object) -> None:
        """Put a further uplink into the configuration."""
        self._tables[name] = _table(f"uplinks.{name}", {"interface": interface, **keys})

    def add_network(self, name: str, **keys: object) -> None:
        """Put a network beside `front` into the configuration."""
        self._tables[name] = _table(f"networks.{name}", keys)

    def drop_tables(self, name: str) -> None:
        """Take a further network or uplink out of the configuration again."""
        del self._tables[name]

    def write_configuration(self, *, interface: str = "up0") -> Path:
        """The configuration file of this lab's switch."""
        settings = {"name": self.name, "state_directory": str(self.directory / "state")}
        parts = [
            *(f"{key} = {_value(value)}" for key, value in {**settings, **self.settings}.items()),
            _table("uplink", {"interface": interface, **self.uplink}),
            _table("networks.front", self.front),
            *self._tables.values(),
            *self._endpoints.values(),
            _table("recorder", self.recorder),
            _table("api", self.api),
            _table("dns", self.dns),
        ]
        path = self.directory / f"{self.name}.toml"
        path.write_text("\n\n".join(parts) + "\n")
        return path

    def up(self, *, interface: str = "up0") -> None:
        """Start the switch and wait until it is up."""
        self.daemon = self.start_daemon(interface=interface)
        eventually(
            lambda: " is up (pid " in self.log() or self._has_ended(self.daemon),
            f"the switch says that it is up:\n{self.log()}",
        )
        assert not self._has_ended(self.daemon), self.log()

    def start_daemon(self, *, interface: str = "up0") -> subprocess.Popen[bytes]:
        """Start `vswitch up`, with its output in a fresh log."""
        command = ["up", "-c", str(self.write_configuration(interface=interface))]
        with self._log_path.open("wb") as log:
            process = subprocess.Popen(
                [*self._enter("host"), *self.confinement, VSWITCH, *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._processes.append(process)
        return process

    def second_up(self, *prefix: str) -> Done:
        """Run `vswitch up` to its end, which should come at once."""
        path = self.write_configuration()
        return self.run("host", *prefix, VSWITCH, "up", "-c", str(path), check=False)

    def fail_to_start(self, *, interface: str = "up0") -> str:
        """Start a switch that cannot start; its last line, after which it is gone."""
        process = self.start_daemon(interface=interface)
        assert process.wait(PATIENCE) == 1, self.log()
        return self.log().splitlines()[-1]

    def down(self, number: int = signal.SIGTERM) -> int:
        """Tell the switch to stop and wait for it; its exit status."""
        assert self.daemon is not None
        self.daemon.send_signal(number)
        status = self.daemon.wait(PATIENCE)
        self.daemon = None
        return status

    def take_away(self) -> int:
        """Tell the switch to stop and to leave nothing, and wait for it; its exit status."""
        assert self.daemon is not None
        assert self.ask("POST", "stop", {"remove": True})[0] == 204
        status = self.daemon.wait(PATIENCE)
        self.daemon = None
        return status

    def log(self) -> str:
        """What the switch has said since it was started."""
        return self._log_path.read_text() if self._log_path.exists() else ""

    def log_lines(self, text: str) -> list[str]:
        """The lines of the log with `text` in them."""
        return [line for line in self.log().splitlines() if text in line]

    def wait_for_log(self, text: str) -> None:
        """Wait until the switch has said `text`."""
        eventually(lambda: text in self.log(), f"{text!r} in the log:\n{self.log()}")

    # The command line

    def vswitch(self, verb: str, *arguments: str, check: bool = True) -> Done:
        """A command about this lab's switch, in the host's namespace."""
        return self.run("host", *self.command(verb, *arguments), check=check)

    def guest(self, *options: str) -> tuple[str, ...]:
        """The words of `vswitch run` on network `front`, up to the command's own."""
        return self.command("run", "--network", "front", *options, "--")

    def command(self, verb: str, *arguments: str) -> tuple[str, ...]:
        """The words of a command about this lab's switch; `verb` may be two: `endpoint ls`."""
        return (VSWITCH, *verb.split(), "--switch", self.name, *arguments)

    # The control socket

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """One call of the switch's interface, spoken by hand: its status and its JSON."""
        content = b"" if body is None else json.dumps(body).encode()
        head = f"{method} /v1/{path} HTTP/1.0\r\nContent-Length: {len(content)}\r\n\r\n"
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(PATIENCE)
            client.connect(str(self.run_directory / "socket"))
            client.sendall(head.encode() + content)
            answer = client.makefile("rb").read()
        head_of_answer, _, text = answer.partition(b"\r\n\r\n")
        return int(head_of_answer.split()[1]), json.loads(text or b"null")

    def table(self, name: str) -> Any:
        """A table of the switch."""
        status, table = self.ask("GET", name)
        assert status == 200, table
        return table

    def publish(self, endpoint: str, *specs: str) -> None:
        """Publish ports of an endpoint, each as `-p` takes it."""
        self._told("POST", f"endpoints/{endpoint}/publications", {"publish": specs})

    def withdraw(self, endpoint: str, *ports: str) -> None:
        """End what is published at host ports: `8080`, `53/udp`."""
        for port in ports:
            self._told("DELETE", f"endpoints/{endpoint}/publications/{quote(port, safe='')}")

    def create_network(self, name: str, **keys: object) -> None:
        """Make a network while the switch runs; `keys` are what else is asked for."""
        self._told("POST", "networks", {"name": name, **keys})

    def remove_network(self, name: str) -> None:
        """Remove a network that was made while the switch ran."""
        self._told("DELETE", f"networks/{name}")

    def _told(self, method: str, path: str, body: object = None) -> None:
        status, answer = self.ask(method, path, body)
        assert status < 300, answer

    def port(self, name: str) -> dict[str, Any]:
        """The row of the port called `name`."""
        rows: list[dict[str, Any]] = self.table("ports")
        return next(row for row in rows if row["name"] == name)

    def endpoints(self) -> list[str]:
        """The endpoints that the switch has at present."""
        endpoints: list[str] = self.table("status")["endpoints"]
        return endpoints

    # What is left

    def leftovers(self) -> list[str]:
        """What a switch that ended has left in the system, in words."""
        ours = {"host", *self._wires.values()}
        left = [f"namespace {role}" for role in self.namespaces() - ours]
        left += [str(path) for path in Path("/etc/netns").glob(f"{self.name}*")]
        left += [str(path) for path in (self.run_directory,) if path.exists()]
        links = json.loads(self.run("host", "ip", "-json", "link").stdout)
        return left + [
            link["ifname"] for link in links if link["ifname"] not in ("lo", *self._wires)
        ]

    def close(self) -> None:
        """Remove everything, whatever state it is in."""
        for made in self._sockets:
            with suppress(OSError):
                made.shutdown(socket.SHUT_RDWR)
            made.close()
        for process in reversed(self._processes):
            process.kill()
            with suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=PATIENCE)
        for role in self.namespaces():
            execute("ip", "netns", "delete", self.namespace(role), check=False)
        for path in Path("/etc/netns").glob(f"{self.name}*"):
            shutil.rmtree(path, ignore_errors=True)
        shutil.rmtree(self.run_directory, ignore_errors=True)

    @property
    def _log_path(self) -> Path:
        return self.directory / f"{self.name}.log"

    @staticmethod
    def _has_ended(process: subprocess.Popen[bytes] | None) -> bool:
        return process is None or process.poll() is not None

    def _enter(self, role: str) -> tuple[str, ...]:
        """Endpoints as `ip netns exec` has them; the daemon must stay in our mount namespace."""
        if role == "host":
            return ("nsenter", f"--net=/run/netns/{self.namespace(role)}")
        return ("ip", "netns", "exec", self.namespace(role))

    def _make_world(self) -> None:
        for role in ("host", "out"):
            self.create(role)
        self._lay_wire("up0", "out")
        for role, link, address in (("host", "up0", HOST), ("out", "eth0", OUTSIDE)):
            self.run(role, "ip", "address", "add", f"{address}/24", "dev", link)

    def _lay_wire(self, link: str, world: str) -> None:
        peer = ("peer", "name", "eth0", "netns", self.namespace(world))
        self.run("host", "ip", "link", "add", link, "type", "veth", *peer)
        self.run("host", "ip", "link", "set", link, "up")
        self.run(world, "ip", "link", "set", "eth0", "up")


def _table(name: str, keys: Mapping[str, object]) -> str:
    """A table of a configuration, with tables of one level in it."""
    lines = [f"{key} = {_value(value)}" for key, value in keys.items()]
    return "\n".join([f"[{name}]", *lines])


def _value(value: object) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {json.dumps(each)}" for key, each in value.items()) + " }"
    return json.dumps(value)


def execute(*command: str, check: bool = True, timeout: float = PATIENCE) -> Done:
    """Run `command` to its end; with `check`, an exit status but 0 fails the test."""
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout
    )
    if check and done.returncode != 0:
        pytest.fail(f"{' '.join(command)}: status {done.returncode}: {done.stderr or done.stdout}")
    return done


def eventually(condition: Callable[[], bool], what: str, patience: float = PATIENCE) -> None:
    """Wait until `condition` holds; the test fails where it never does."""
    end = time.monotonic() + patience
    while not condition():
        if time.monotonic() > end:
            pytest.fail(f"waited {patience} s in vain until {what}")
        time.sleep(POLL_SECONDS)
