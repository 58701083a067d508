"""Namespaces, links and processes of one run, by their everyday tools.

Everything is made inside the world that `isolation` gives; `World.close` ends the processes so that
they can say goodbye, and the rest goes with that world.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from bench import tools

PATIENCE = 15.0
"""Seconds for a process to be ready, or for a command to end: far beyond what any takes."""

INTERVAL = 0.002
"""Seconds between two looks at something that is waited for: the time to be ready is measured."""


SETTINGS = {
    # Nothing is sent but the load.
    "net/ipv6/conf/all/disable_ipv6": "1",
    "net/ipv6/conf/default/disable_ipv6": "1",
    # A second of short connections takes more ports than the default has.
    "net/ipv4/ip_local_port_range": "1024 65535",
}
"""What is different in the namespaces, to be read under /proc/sys."""


class CommandError(Exception):
    """A command failed, or what was waited for did not come. The text says which, and why."""


class World:
    """What has been built. Leaving the `with` block ends every process that was started."""

    def __init__(self) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="vswitch-bench-")
        self.directory = Path(self._directory.name)
        self._logs: dict[subprocess.Popen[bytes], Path] = {}
        self._servers: dict[tuple[str, ...], subprocess.Popen[bytes]] = {}

    def __enter__(self) -> World:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def namespace(self, name: str) -> str:
        """A new namespace with its loopback up and without IPv6; the answer is its name."""
        self.run("ip", "netns", "add", name)
        self.run("ip", "-n", name, "link", "set", "lo", "up")
        for setting, value in SETTINGS.items():
            self.set(name, setting, value)
        return name

    def set(self, namespace: str, setting: str, value: str) -> None:
        """Write one of the settings under /proc/sys."""
        self.run("sh", "-c", f"echo {value} > /proc/sys/{setting}", within=namespace)

    def bridge(self, namespace: str) -> None:
        """A bridge of the kernel's, br0, that is up."""
        self.run("ip", "-n", namespace, "link", "add", "br0", "type", "bridge")
        self.run("ip", "-n", namespace, "link", "set", "br0", "up")

    def veth(self, name: str, namespace: str | None, peer: str, peer_namespace: str) -> None:
        """A veth pair; `name` is in `namespace`, or in the world's own where that is None."""
        place = ("netns", namespace) if namespace else ()
        ends = ("type", "veth", "peer", "name", peer, "netns", peer_namespace)
        self.run("ip", "link", "add", "name", name, *place, *ends)
        self.run("ip", *(("-n", namespace) if namespace else ()), "link", "set", name, "up")
        self.run("ip", "-n", peer_namespace, "link", "set", peer, "up")

    def address(self, namespace: str, interface: str, address: str) -> None:
        """Give an interface an address (with its prefix length) and set it up."""
        self.run("ip", "-n", namespace, "address", "add", address, "dev", interface)
        self.run("ip", "-n", namespace, "link", "set", interface, "up")

    def run(self, *command: str, within: str | None = None, stdin: str | None = None) -> str:
        """Run a command to its end and answer what it printed. Raises CommandError."""
        try:
            done = subprocess.run(
                _inside(within, command),
                input=stdin,
                stdin=subprocess.DEVNULL if stdin is None else None,
                capture_output=True,
                text=True,
                timeout=PATIENCE,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise CommandError(f"{' '.join(command)}: {error}") from error
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip()
            raise CommandError(f"{' '.join(command)}: {said or f'status {done.returncode}'}")
        return done.stdout

    def start(self, *command: str, within: str | None = None) -> subprocess.Popen[bytes]:
        """Start a process that lives until the end of the world, or until its stdin is closed."""
        log = self.directory / f"{len(self._logs)}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                _inside(within, command),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._logs[process] = log
        return process

    def start_once(self, *command: str, within: str) -> subprocess.Popen[bytes]:
        """The process that runs this command there, started when it is asked for first."""
        key = (within, *command)
        if key not in self._servers:
            self._servers[key] = self.start(*command, within=within)
        return self._servers[key]

    def tool(self, name: str) -> str:
        """Where one of `bench.tools` is; compiled when it is asked for first."""
        try:
            return str(tools.compile_into(self.directory, name))
        except tools.NotCompiledError as error:
            raise CommandError(str(error)) from error

    def wait_for(
        self, what: str, is_there: Callable[[], bool], process: subprocess.Popen[bytes] | None
    ) -> None:
        """Look until it is there. Raises CommandError, also where `process` has ended meanwhile."""
        end = time.monotonic() + PATIENCE
        while not is_there():
            if process is not None and process.poll() is not None:
                said = self.said(process).strip()
                raise CommandError(f"{what}: ended with {process.returncode}: {said}")
            if time.monotonic() > end:
                raise CommandError(f"{what}: not there after {PATIENCE:g} s")
            time.sleep(INTERVAL)

    def wait_until_reachable(
        self, namespace: str, address: str, process: subprocess.Popen[bytes] | None
    ) -> None:
        """Wait until a ping from `namespace` is answered, by way of `process`."""
        ping = _inside(namespace, ("ping", "-c", "1", "-W", "1", address))

        def is_reachable() -> bool:
            return subprocess.run(ping, capture_output=True).returncode == 0

        self.wait_for(f"{address}, seen from {namespace}", is_reachable, process)

    def has_link(self, name: str) -> bool:
        """Whether there is such an interface in the world's own namespace."""
        return subprocess.run(["ip", "link", "show", name], capture_output=True).returncode == 0

    def has_said(self, process: subprocess.Popen[bytes], words: str) -> bool:
        """Whether a process has printed these words."""
        return words in self.said(process)

    def said(self, process: subprocess.Popen[bytes]) -> str:
        """All that a process has printed."""
        return self._logs[process].read_text(errors="replace")

    def stop(self, process: subprocess.Popen[bytes]) -> None:
        """End a process, gently if it lets itself."""
        process.terminate()
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def close(self) -> None:
        """End the processes, the last one first."""
        for process in reversed(self._logs):
            self.stop(process)
        self._logs.clear()
        self._directory.cleanup()


def _inside(namespace: str | None, command: tuple[str, ...]) -> list[str]:
    return ["ip", "netns", "exec", namespace, *command] if namespace else list(command)
