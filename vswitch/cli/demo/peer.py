"""The programs that the demo runs in its namespaces: a web server, and stand-ins for missing tools.

Run as a script, with the standard library alone, so that it starts in no time:

    peer.py serve NAME PORT       an HTTP server that says who it is and whom it sees
    peer.py fetch URL SECONDS     what curl does: the body, or one line and curl's exit status
    peer.py sink PORT             what `iperf3 -s -1` does
    peer.py source HOST PORT SECONDS   what `iperf3 -c` does

The source reports in iperf3's words, so that one reader reads both.
"""

from __future__ import annotations

import socket
import sys
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer

BUFFER_BYTES = 1024 * 1024
"""One write or read of a bulk transfer: many super-frames, so that the program is not measured."""

REPORT_SECONDS = 0.25
"""Between two lines of a source."""

PATIENCE_SECONDS = 5.0
"""How long a transfer may stand still before the source gives up."""

COULD_NOT_CONNECT = 7
TIMED_OUT = 28
"""curl's exit statuses (curl(1), EXIT CODES)."""


class Server(ThreadingTCPServer):
    """Many clients at once. A plain TCP server: an HTTPServer would look up its own name first."""

    allow_reuse_address = True
    daemon_threads = True


def serve(name: str, port: int) -> int:
    """Answer every GET with one line: this server's name, and the address that it sees."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = f"I am {name}, you are {self.client_address[0]}\n".encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002, http.server's name
            """The answer says it all."""

    with Server(("", port), Answer) as server:
        print("listening", flush=True)
        server.serve_forever()
    return 0


def fetch(url: str, seconds: float) -> int:
    """Print what is at `url`."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=seconds) as answer:
            print(answer.read().decode(), end="")
    except OSError as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        print(f"urllib: {reason}", file=sys.stderr)
        return TIMED_OUT if isinstance(reason, TimeoutError) else COULD_NOT_CONNECT
    return 0


def sink(port: int) -> int:
    """Receive from one source, and tell it at the end how much has come."""
    with socket.create_server(("", port)) as listening:
        print("listening", flush=True)
        connection, _ = listening.accept()
    buffer, received = bytearray(BUFFER_BYTES), 0
    with connection:
        while count := connection.recv_into(buffer):
            received += count
        connection.sendall(received.to_bytes(8, "big"))
    return 0


def source(host: str, port: int, seconds: float) -> int:
    """Send for `seconds`, and report how fast it goes, at the end how fast it arrived."""
    buffer = bytes(BUFFER_BYTES)
    with socket.create_connection((host, port), timeout=PATIENCE_SECONDS) as connection:
        begun = reported_at = time.monotonic()
        sent = 0
        while (now := time.monotonic()) - begun < seconds:
            if now - reported_at >= REPORT_SECONDS:
                _report(reported_at - begun, now - begun, sent)
                sent, reported_at = 0, now
            connection.sendall(buffer)
            sent += len(buffer)
        connection.shutdown(socket.SHUT_WR)
        with connection.makefile("rb") as answer:
            received = int.from_bytes(answer.read(8), "big")
        _report(0.0, time.monotonic() - begun, received, "receiver")
    return 0


def _report(begin: float, end: float, octets: int, who: str = "") -> None:
    rate = octets * 8 / (end - begin) / 1e6
    transfer = f"{octets / 2**20:.0f} MBytes"
    print(f"[  1] {begin:6.2f}-{end:.2f} sec  {transfer}  {rate:.0f} Mbits/sec  {who}", flush=True)


def main(arguments: list[str]) -> int:
    """Do what the command line says."""
    match arguments:
        case ["serve", name, port]:
            return serve(name, int(port))
        case ["fetch", url, seconds]:
            return fetch(url, float(seconds))
        case ["sink", port]:
            return sink(int(port))
        case ["source", host, port, seconds]:
            return source(host, int(port), float(seconds))
    print("usage: see the head of this file", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
