"""A bulk transfer between two places, measured by iperf3, or by a stand-in where there is none.

Theory of operation. The receiving side is started and waited for; then the sending side runs for
some seconds and prints a line every quarter of a second, each of which becomes a `Sample`. Its last
line says what has arrived, and becomes the `Total`. Both programs print iperf3's words.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass

from vswitch.cli.demo.scenery import Place, Scenery, lines_of, peer

SECONDS = 3
"""Long enough for TCP to find its rate and for the eye to follow, short enough to wait for."""

PORT = 5201
"""iperf3's own."""

LIMIT_SECONDS = 10.0
"""A transfer that has not ended by then stands still, and is ended."""

_LINE = re.compile(
    r"(?P<begin>\d+\.\d+)-(?P<end>\d+\.\d+)\s+sec\s+\S+ \S+\s+(?P<rate>\d+(\.\d+)?) Mbits/sec"
    r"(?P<is_total>.*\breceiver)?"
)


@dataclass(frozen=True, slots=True)
class Sample:
    """How fast it went in an interval that ended `seconds` after the beginning."""

    seconds: float
    bits_per_second: float


@dataclass(frozen=True, slots=True)
class Total:
    """What has arrived."""

    seconds: float
    bits_per_second: float

    @property
    def octets(self) -> int:
        """How much, to the precision of a rate in Mbit/s."""
        return round(self.bits_per_second * self.seconds / 8)


@dataclass(frozen=True, slots=True)
class Failure:
    """It did not come to its end; the text is what the program said last."""

    text: str


def has_iperf3() -> bool:
    """Does iperf3 measure, or the stand-in?"""
    return shutil.which("iperf3") is not None


def shown(address: str) -> str:
    """The sending side's command as a person reads it."""
    return f"iperf3 -c {address}" if has_iperf3() else f"python sockets to {address}"


def transfer(
    scenery: Scenery, source: Place, sink: Place, address: str
) -> Iterator[Sample | Total | Failure]:
    """Samples as they come, then one Total or Failure. Raises SceneryError without a sink."""
    if has_iperf3():
        receive: tuple[str, ...] = ("iperf3", "-s", "-1", "-p", str(PORT), "--forceflush")
        send: tuple[str, ...] = ("iperf3", "-c", address, "-p", str(PORT), "-t", str(SECONDS))
        send += ("-i", "0.25", "-f", "m", "--forceflush")
    else:
        receive = peer("sink", PORT)
        send = peer("source", address, PORT, SECONDS)
    scenery.start(sink, *receive, awaiting="listening")
    sending = scenery.spawn(source, *send)
    said = "it said nothing"
    for line in lines_of(sending, LIMIT_SECONDS):
        said = line.strip() or said
        measured = read(line)
        if measured is not None:
            yield measured
        if isinstance(measured, Total):
            return
    yield Failure(said)


def read(line: str) -> Sample | Total | None:
    """One line of iperf3's, in Mbit/s; None for a line of another kind."""
    match = _LINE.search(line)
    if match is None or line.rstrip().endswith("sender"):
        return None
    end, rate = float(match["end"]), float(match["rate"]) * 1e6
    return Total(end, rate) if match["is_total"] else Sample(end, rate)
