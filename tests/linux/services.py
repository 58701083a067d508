"""Servers for the tests of a whole switch: each in a thread of its own, on a socket given to it.

The socket says in which namespace a server is, and shutting it down ends the server. A server
answers what a test wants to know: who the client was, and what arrived.
"""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial

import dns.message
import dns.rcode
import dns.rrset

CHUNK = 256 * 1024
"""Bytes for each call of send or recv: enough for the kernel to make super-frames of."""


def serve_http(listening: socket.socket) -> None:
    """Answer every HTTP request with the client's address."""
    _answer_requests(listening, lambda _, client: client.encode())


def serve_files(listening: socket.socket, files: Mapping[str, bytes]) -> None:
    """Answer every HTTP request with the file of its path."""
    _answer_requests(listening, lambda path, _: files[path])


def serve_text(listening: socket.socket, text: str) -> None:
    """Say `text` to every client."""
    _accept(listening, lambda connection, _: connection.sendall(text.encode()))


def serve_hash(listening: socket.socket) -> None:
    """Answer what a client sends until it ends its side with the SHA-256 of it, in hex."""

    def answer(connection: socket.socket, _: str) -> None:
        connection.sendall(digest_of(connection).encode())

    _accept(listening, answer)


def serve_bulk(listening: socket.socket, data: bytes) -> None:
    """Send `data` to every client."""
    _accept(listening, lambda connection, _: connection.sendall(data))


def serve_udp_echo(bound: socket.socket) -> None:
    """Answer every datagram with the client's address, a space, and the datagram."""

    _answer_datagrams(bound, lambda datagram, client: client.encode() + b" " + datagram)


def serve_names(bound: socket.socket, names: dict[str, str]) -> None:
    """A name server that knows `names` (absolute, with the dot) and no other."""

    def answer(wire: bytes, _: str) -> bytes:
        query = dns.message.from_wire(wire)
        reply = dns.message.make_response(query)
        question = query.question[0]
        address = names.get(question.name.to_text().lower())
        if address is None:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        else:
            reply.answer.append(dns.rrset.from_text(question.name, 60, "IN", "A", address))
        return reply.to_wire()

    _answer_datagrams(bound, answer)


def digest_of(connection: socket.socket) -> str:
    """The SHA-256 of all that comes until the other side ends, in hex."""
    digest = hashlib.sha256()
    while data := connection.recv(CHUNK):
        digest.update(data)
    return digest.hexdigest()


def _answer_requests(listening: socket.socket, body_of: Callable[[str, str], bytes]) -> None:
    def answer(connection: socket.socket, client: str) -> None:
        request = b""
        while b"\r\n\r\n" not in request:
            data = connection.recv(CHUNK)
            if not data:
                return  # without having asked
            request += data
        body = body_of(request.split()[1].decode(), client)
        head = f"HTTP/1.0 200 OK\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)

    _accept(listening, answer)


def _accept(listening: socket.socket, answer: Callable[[socket.socket, str], None]) -> None:
    patience = listening.gettimeout()
    listening.settimeout(None)

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, client = listening.accept()
                connection.settimeout(patience)
                _in_thread(partial(handle, connection, client[0]))

    def handle(connection: socket.socket, client: str) -> None:
        with suppress(OSError), connection:
            answer(connection, client)

    _in_thread(serve)


def _answer_datagrams(bound: socket.socket, answer: Callable[[bytes, str], bytes]) -> None:
    bound.settimeout(None)

    def serve() -> None:
        with suppress(OSError):
            while True:
                datagram, client = bound.recvfrom(CHUNK)
                if client is None:
                    return  # shut down
                bound.sendto(answer(datagram, client[0]), client)

    _in_thread(serve)


def _in_thread(function: Callable[[], None]) -> None:
    threading.Thread(target=function, daemon=True).start()
