"""Queries that wait, each for a name that nobody has asked for, as many at a time as there can be.

What is answered, be it that there are too many, is asked for anew, as another name; what found no
room in the server's socket is, too. Ends when it is told to.

python -m bench.tools.waiting SERVER MANY
"""

from __future__ import annotations

import select
import socket
import sys
import time
from pathlib import Path

import dns.message

LABEL = b"n0000000"
QUERY = dns.message.make_query(f"{LABEL.decode()}.dead.example.", "A", id=1).to_wire()
"""As answers are only counted, all queries have one identifier."""

PORT = 53
BURST = 50
PAUSE = 0.01
"""Seconds between two bursts: a server that is up to 5,000 queries a second loses none."""

SETTLED = 1.0
"""Seconds in which no more than before wait: as many as there can be."""

LONGEST = 4096


class Asking:
    """One who asks, and what it waits for."""

    def __init__(self, server: str) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.connect((server, PORT))
        self._socket.setblocking(False)
        self._sent = 0
        self._answered = 0
        self._lost_before = _lost()

    @property
    def waiting(self) -> int:
        """Queries that are neither answered nor lost."""
        return self._sent - self._answered - (_lost() - self._lost_before)

    def ask(self, many: int) -> None:
        """Send so many queries."""
        for _ in range(many):
            self._socket.send(QUERY.replace(LABEL, b"n%07d" % self._sent))
            self._sent += 1

    def hear(self, seconds: float) -> None:
        """Take what is answered meanwhile."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if select.select([self._socket], [], [], left)[0]:
                self._socket.recv(LONGEST)
                self._answered += 1


def wait(server: str, many: int) -> None:
    """Have so many wait, or as many as there can be; say how many once, and keep them so many."""
    asking = Asking(server)
    most, since, is_said = 0, time.monotonic(), False
    while True:
        asking.ask(min(BURST, max(0, many - asking.waiting)))
        asking.hear(PAUSE)
        if asking.waiting > most:
            most, since = asking.waiting, time.monotonic()
        if not is_said and (most >= many or time.monotonic() > since + SETTLED):
            print(f"waiting: {most}", flush=True)
            many, is_said = most, True


def _lost() -> int:
    """Datagrams that found no room in a socket here (proc_net_udp(5))."""
    lines = Path("/proc/net/udp").read_text().splitlines()[1:]
    return sum(int(line.split()[-1]) for line in lines)


if __name__ == "__main__":
    wait(sys.argv[1], int(sys.argv[2]))
