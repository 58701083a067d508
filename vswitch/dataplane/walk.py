"""One frame on its way through the stages.

A `Walk` carries what every stage needs: the frame, where and when it came in, the trail of
findings where somebody listens, and whether this is for real. With `commit` false a stage decides
the same and changes nothing, which is how a hypothetical frame is traced.
"""

from __future__ import annotations

from copy import copy
from random import Random

from vswitch.dataplane.conntrack import Connection
from vswitch.dataplane.drops import Reason
from vswitch.dataplane.topology import Network, Port
from vswitch.dataplane.verdict import Delivery, Expected, Fate, Finding, Stage, Verdict
from vswitch.fastpath.program import Output, Program
from vswitch.units import Nanoseconds
from vswitch.wire.buffer import MutableBuffer
from vswitch.wire.ethernet import Ethernet


class Walk:
    """The state of one decision."""

    __slots__ = (
        "_released",
        "_trail",
        "commit",
        "connection",
        "ethernet",
        "evicted",
        "frame",
        "invalidates",
        "is_heard",
        "network",
        "now",
        "port",
        "random",
    )

    def __init__(
        self,
        ethernet: Ethernet,
        frame: MutableBuffer,
        port: Port,
        network: Network,
        now: Nanoseconds,
        random: Random,
        *,
        commit: bool,
        is_heard: bool,
    ) -> None:
        self.ethernet = ethernet
        self.frame = frame
        self.port = port
        self.network = network
        self.now = now
        self.random = random if commit else copy(random)
        self.commit = commit
        self.connection: Connection | None = None
        """What the frame has turned out to be part of."""
        self.evicted: Connection | None = None
        """What has to go to make room for it."""
        self.invalidates = False
        """Something moved that cached programs may rest on."""
        self.is_heard = is_heard
        """Somebody wants the trail: without that, nothing is found worth noting."""
        self._trail: list[Finding] = []
        self._released: list[Delivery] = []

    def found(self, stage: Stage, words: str, *arguments: object) -> None:
        """Add to the trail; `words` is a format string for the arguments."""
        if self.is_heard:
            self._trail.append(Finding(stage, words, arguments))

    def detail(self, stage: Stage, words: str, *arguments: object) -> None:
        """Add to the trail of a frame that is only asked about: what was looked up on the way and
        did not end it."""
        if not self.commit:
            self.found(stage, words, *arguments)

    def release(self, delivery: Delivery) -> None:
        """Send an earlier frame, which had to wait for what this one brought."""
        self._released.append(delivery)

    def drop(self, reason: Reason, *answers: Delivery) -> Verdict:
        """End here, possibly telling the sender."""
        return self._verdict(Fate.DROPPED, answers, reason)

    def conclude(self, fate: Fate, *deliveries: Delivery) -> Verdict:
        """End here."""
        return self._verdict(fate, deliveries, None)

    def begin(self, first: Delivery, expected: Expected | None) -> Verdict:
        """End here, with the first frame of a connection forwarded."""
        return self._verdict(Fate.FORWARDED, (first,), None, expected)

    def with_frame(self, frame: MutableBuffer, ethernet: Ethernet) -> Walk:
        """The same walk, on its way with the datagram that its frame has completed."""
        other = copy(self)
        other.frame, other.ethernet = frame, ethernet
        return other

    def answer(self, frame: MutableBuffer) -> Delivery:
        """A frame of the switch's own, sent back by the port that this one came in by; what is too
        long for the network is cut."""
        return Delivery.by(Program((Output(self.port.number),)), frame, cut=self.network.mtu)

    def _verdict(
        self,
        fate: Fate,
        deliveries: tuple[Delivery, ...],
        reason: Reason | None,
        expected: Expected | None = None,
    ) -> Verdict:
        return Verdict(
            fate,
            (*deliveries, *self._released),
            reason,
            tuple(self._trail),
            self.invalidates,
            self.connection,
            self.evicted,
            expected,
        )
