"""A DNS server that has an address for every name, and gives each an hour.

python -m bench.tools.authority ADDRESS
"""

from __future__ import annotations

import socket
import sys

import dns.message
import dns.rrset

PORT = 53
TTL = 3600
ADDRESS = "192.0.2.1"
LONGEST = 4096


def answer(query: bytes) -> bytes:
    """The answer to a query that is one."""
    asked = dns.message.from_wire(query)
    reply = dns.message.make_response(asked)
    reply.answer.append(dns.rrset.from_text(asked.question[0].name, TTL, "IN", "A", ADDRESS))
    return reply.to_wire()


def serve(address: str) -> None:
    """Answer for ever."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind((address, PORT))
        print("ready", flush=True)
        while True:
            query, client = listening.recvfrom(LONGEST)
            listening.sendto(answer(query), client)


if __name__ == "__main__":
    serve(sys.argv[1])
