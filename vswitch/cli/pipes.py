"""Standard output as a pipe: a reader that goes away is the usual end of what never ends by itself.

`vswitch capture | head` and `vswitch events | grep -m1` leave while nothing may be happening on
the switch, so that no write would notice it.
"""

from __future__ import annotations

import os
import select
import threading

from vswitch.cli.client import Stream

STDOUT_DESCRIPTOR = 1


def watch_reader(stream: Stream) -> None:
    """Leave the stream when nobody reads standard output any more."""

    def watch() -> None:
        poll = select.poll()
        poll.register(STDOUT_DESCRIPTOR, 0)  # the kernel reports errors and hang-ups at any rate
        poll.poll()
        stream.leave()

    threading.Thread(target=watch, daemon=True).start()


def discard_stdout() -> None:
    """What is still buffered for a reader that left must not be a complaint at the end."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, STDOUT_DESCRIPTOR)
    os.close(null)
