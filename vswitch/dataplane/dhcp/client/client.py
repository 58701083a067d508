"""The DHCP client of an uplink: which address may we have, for how long, and is it still ours?

Theory of operation. The client is the state machine of the table `states.TRANSITIONS`. What comes
in is a frame (`hear`), somebody's ARP (`hear_arp`) or a deadline (`tick`); what comes out is a
`Step`: frames to send, and news of the lease. Entering a state asks its question. SELECTING asks
all servers for an offer and takes the first that is of use, REQUESTING asks for that very one,
PROBING asks the link whether somebody has it, RENEWING asks the server that gave the lease,
REBINDING any, and REBOOTING whether an address of an earlier life is still ours. A question is
repeated until there is an answer or the state's patience is at an end, under the same transaction
number: a late answer is as good as an early one.

A request to renew goes to the one server, by the station that its last frame came from. Whether
that is the server's or a router's, it is the way to the server, and no address has to be resolved.

What the client never does: configure anything. Its user gives the uplink the address at `Bound`,
announces it (RFC 5227, 2.3) and answers ARP for it, and takes it away at `Lost`. Nor does it keep a
lease over a restart: who remembers the address gives it to `start`.

Read first: RFC 2131 sections 3.1, 4.1 and 4.4; RFC 5227 section 2.1 for the probe.
"""

from __future__ import annotations

from random import Random

from vswitch.dataplane.dhcp.client import frames
from vswitch.dataplane.dhcp.client.lease import Lease, lease_of
from vswitch.dataplane.dhcp.client.outcome import Bound, Changed, Ignored, Lost, News, Reason, Step
from vswitch.dataplane.dhcp.client.states import (
    HOLDING,
    PATIENCE,
    PAUSE_AFTER_DECLINE,
    PAUSE_AFTER_NAK,
    RENEWAL_INTERVAL,
    TRANSITIONS,
    Cause,
    State,
)
from vswitch.units import SECOND, Nanoseconds
from vswitch.wire import arp, dhcp, ethernet
from vswitch.wire.arp import Operation
from vswitch.wire.buffer import Buffer
from vswitch.wire.dhcp import UNSPECIFIED, MessageType, Option, Reply
from vswitch.wire.values import BROADCAST, EtherType, IpAddress, MacAddress

_CAUSES = {
    MessageType.OFFER: Cause.OFFER,
    MessageType.ACK: Cause.ACK,
    MessageType.NAK: Cause.NAK,
}

_UNKNOWN = MacAddress(bytes(6))
_LONGEST_SECONDS = 0xFFFF  # what the message's field holds
_PARAMETERS = bytes(
    (
        Option.SUBNET_MASK,
        Option.ROUTERS,
        Option.NAME_SERVERS,
        Option.DOMAIN_NAME,
        Option.INTERFACE_MTU,
        Option.RENEWAL_TIME,
        Option.REBINDING_TIME,
    )
)


class DhcpClient:
    """The client for one station. Sans-I/O: frames, time and chance come in as arguments."""

    def __init__(self, mac: MacAddress, random: Random, *, hostname: str | None = None) -> None:
        """`hostname`, at most 63 ASCII characters, is told to the servers."""
        self.mac = mac
        self.state = State.STOPPED
        self._random = random
        self._granted: Lease | None = None
        """What a server has last offered or given; it counts while the state is HOLDING."""
        self._wanted = UNSPECIFIED
        """The address that is asked for, but in SELECTING."""
        self._server: IpAddress | None = None
        """The one server that is asked; None while any may answer."""
        self._station = BROADCAST
        """The way to the server that gave the lease."""
        self._transaction = 0
        self._times_asked = 0
        self._asking_since: Nanoseconds = 0
        self._asked_at: Nanoseconds = 0
        self._seconds = 0
        self._deadline: Nanoseconds | None = None
        self._identity = {Option.CLIENT_IDENTIFIER: bytes([dhcp.ETHERNET]) + mac}
        self._wishes = {
            Option.PARAMETER_REQUEST_LIST: _PARAMETERS,
            Option.MAXIMUM_MESSAGE_SIZE: dhcp.LONGEST.to_bytes(2, "big"),
        }
        if hostname is not None:
            self._wishes[Option.HOST_NAME] = hostname.encode("ascii")

    @property
    def lease(self) -> Lease | None:
        """The lease whose address may be used: from `Bound` to `Lost`, or to the release."""
        return self._granted if self.state in HOLDING else None

    def start(self, now: Nanoseconds, remembered: IpAddress | None = None) -> tuple[bytearray, ...]:
        """Begin, where the client is stopped; returns the frames to send.

        `remembered` is the IPv4 address of an earlier life, which is asked for before any other.
        """
        if self.state is not State.STOPPED:
            return ()
        if remembered is None:
            return self._go_on(Cause.START, now).frames
        self._wanted = remembered
        return self._go_on(Cause.REMEMBER, now).frames

    def is_for_client(self, frame: Buffer) -> bool:
        """Has `hear` to see this frame? At a glance: UDP to our port, to our station or to all."""
        return frames.is_dhcp(frame, self.mac)

    def hear(self, frame: Buffer, now: Nanoseconds) -> Step:
        """Take notice of a frame that came in by the uplink. Nothing in it makes this raise."""
        letter = frames.read(frame, self.mac)
        if isinstance(letter, Ignored):
            return Step(ignored=letter)
        cause = self._cause_of_reply(letter.reply)
        if isinstance(cause, Ignored):
            return Step(ignored=cause)
        if cause is Cause.NAK:
            return self._go_on(cause, now)
        lease = lease_of(letter.reply, letter.station, self._asked_at)
        if lease is None or lease.is_over(now):
            return Step(ignored=Ignored.UNUSABLE)
        return self._go_on(cause, now, lease)

    def hear_arp(self, sender_ip: IpAddress, sender_mac: MacAddress, now: Nanoseconds) -> Step:
        """Take notice of who says, in an ARP request or reply on the uplink, that it has what."""
        if self.state is not State.PROBING or sender_ip != self._wanted or sender_mac == self.mac:
            return Step()
        return self._go_on(Cause.CONFLICT, now)

    def next_deadline(self) -> Nanoseconds | None:
        """When `tick` has something to do; None while nothing can happen by itself."""
        return self._deadline

    def tick(self, now: Nanoseconds) -> Step:
        """Do what it is time for: ask again, give up, renew, let a lease end."""
        sent: tuple[bytearray, ...] = ()
        news: News | None = None
        while self._deadline is not None and self._deadline <= now:
            cause = self._cause_of_time(now)
            step = Step((self._ask(now),)) if cause is None else self._go_on(cause, now)
            sent += step.frames
            news = step.news or news
        return Step(sent, news)

    def release(self) -> tuple[bytearray, ...]:
        """Stop, and give back the lease where there is one; returns the frames to send."""
        if self.state is State.STOPPED:
            return ()
        lease = self.lease
        self.state = TRANSITIONS[self.state, Cause.RELEASE]
        self._deadline = None
        return () if lease is None else (self._return(lease),)

    # What things mean

    def _cause_of_reply(self, reply: Reply) -> Cause | Ignored:
        cause = _CAUSES.get(reply.type)
        if cause is None or (self.state, cause) not in TRANSITIONS:
            return Ignored.NOT_ASKED
        if reply.transaction != self._transaction:
            return Ignored.NOT_ASKED
        server = reply.address_of(Option.SERVER_IDENTIFIER)
        if server is None:
            return Ignored.UNUSABLE
        if self._server is not None and server != self._server:
            return Ignored.OTHER_SERVER
        if cause is Cause.ACK and reply.address != self._wanted:
            return Ignored.OTHER_ADDRESS
        return cause

    def _cause_of_time(self, now: Nanoseconds) -> Cause | None:
        """What the deadline was; None where it is time to ask once more."""
        for cause, moment in self._ends().items():
            if moment <= now:
                return cause
        if self.state is State.INIT:
            return Cause.BEGIN
        patience = PATIENCE.get(self.state)
        if patience is None or self._times_asked < len(patience.waits):
            return None
        return patience.then

    def _ends(self) -> dict[Cause, Nanoseconds]:
        """The moments of the lease at which the state goes on, the last of them first."""
        lease = self._granted
        if lease is None:
            return {}
        moments = {
            Cause.EXPIRED: lease.expires_at,
            Cause.T2: lease.rebind_at,
            Cause.T1: lease.renew_at,
        }
        return {
            cause: moment
            for cause, moment in moments.items()
            if moment is not None and (self.state, cause) in TRANSITIONS
        }

    # What is done about them

    def _go_on(self, cause: Cause, now: Nanoseconds, granted: Lease | None = None) -> Step:
        """Change the state, and do what it begins with. `granted` comes with OFFER and ACK."""
        before = self.lease
        self.state = TRANSITIONS[self.state, cause]
        if granted is not None:
            self._take(granted)
        sent: tuple[bytearray, ...] = ()
        match self.state:
            case State.INIT:
                sent = self._give_up(cause, now)
            case State.BOUND:
                self._deadline = min(self._ends().values(), default=None)
            case State.REQUESTING | State.PROBING:
                sent = (self._ask_first(now),)
            case _:
                self._open_transaction(now)
                sent = (self._ask_first(now),)
        return Step(sent, _news(before, self.lease, cause))

    def _take(self, lease: Lease) -> None:
        self._granted = lease
        self._wanted = lease.address.address
        self._server, self._station = lease.server, lease.server_station

    def _give_up(self, cause: Cause, now: Nanoseconds) -> tuple[bytearray, ...]:
        """Nothing is ours any longer. How soon to begin anew depends on why."""
        self._deadline = now
        if cause is Cause.NAK:
            self._deadline += self._random.randint(*PAUSE_AFTER_NAK)
        if cause is Cause.CONFLICT:
            self._deadline += PAUSE_AFTER_DECLINE
            return (self._decline(),)
        return ()

    def _open_transaction(self, now: Nanoseconds) -> None:
        self._transaction = self._random.getrandbits(32)
        self._asking_since = now
        if self.state is not State.RENEWING:
            self._server = None

    # How questions are asked

    def _ask_first(self, now: Nanoseconds) -> bytearray:
        self._times_asked = 0
        return self._ask(now)

    def _ask(self, now: Nanoseconds) -> bytearray:
        """The state's question. The deadline is when to ask it again, or the lease's before."""
        self._times_asked += 1
        end = min(self._ends().values(), default=None)
        again = now + self._wait(None if end is None else end - now)
        self._deadline = again if end is None else min(again, end)
        if self.state is State.PROBING:
            return self._probe()
        self._asked_at = now
        if self.state is not State.REQUESTING:  # its seconds are those of the DISCOVER, by 3.1
            self._seconds = min((now - self._asking_since) // SECOND, _LONGEST_SECONDS)
        return self._question()

    def _wait(self, remaining: Nanoseconds | None) -> Nanoseconds:
        """For how long to wait for an answer, with so much left of the state's time."""
        patience = PATIENCE.get(self.state)
        if patience is None:
            return max(RENEWAL_INTERVAL, (remaining or 0) // 2)
        wait = patience.waits[min(self._times_asked, len(patience.waits)) - 1]
        return wait + self._random.randint(-patience.fuzz, patience.fuzz)

    def _probe(self) -> bytearray:
        """RFC 5227, 2.1.1: without a sender's address, so that it changes nobody's cache."""
        message = arp.build(Operation.REQUEST, self.mac, UNSPECIFIED, _UNKNOWN, self._wanted)
        return ethernet.build(BROADCAST, self.mac, EtherType.ARP, message)

    def _question(self) -> bytearray:
        """RFC 2131, tables 4 and 5: what is said of the address depends on whether we have it."""
        if self.state is State.SELECTING:
            return frames.broadcast(self._message(MessageType.DISCOVER, {}), self.mac)
        if self.state not in HOLDING:
            return frames.broadcast(self._message(MessageType.REQUEST, self._choice()), self.mac)
        message = self._message(MessageType.REQUEST, {}, client_address=self._wanted)
        if self._server is None:
            return frames.broadcast(message, self.mac, self._wanted)
        return frames.unicast(message, self.mac, self._wanted, self._station, self._server)

    def _message(
        self,
        kind: MessageType,
        choice: dict[Option, bytes],
        *,
        client_address: IpAddress = UNSPECIFIED,
    ) -> bytes:
        return dhcp.build(
            kind,
            self._transaction,
            self.mac,
            {**choice, **self._identity, **self._wishes},
            seconds=self._seconds,
            client_address=client_address,
        )

    def _choice(self) -> dict[Option, bytes]:
        """The address that is meant, and whose it is, where that is known."""
        choice: dict[Option, bytes] = {Option.REQUESTED_ADDRESS: self._wanted}
        if self._server is not None:
            choice[Option.SERVER_IDENTIFIER] = self._server
        return choice

    def _decline(self) -> bytearray:
        """Tell the server that somebody has the address already."""
        message = dhcp.build(
            MessageType.DECLINE,
            self._random.getrandbits(32),
            self.mac,
            {**self._choice(), **self._identity},
        )
        return frames.broadcast(message, self.mac)

    def _return(self, lease: Lease) -> bytearray:
        """Tell the server that the address is free."""
        address = lease.address.address
        message = dhcp.build(
            MessageType.RELEASE,
            self._random.getrandbits(32),
            self.mac,
            {Option.SERVER_IDENTIFIER: lease.server, **self._identity},
            client_address=address,
        )
        return frames.unicast(message, self.mac, address, lease.server_station, lease.server)


def _news(before: Lease | None, after: Lease | None, cause: Cause) -> News | None:
    if before is None:
        return None if after is None else Bound(after)
    if after is None:
        return Lost(before, Reason.REFUSED if cause is Cause.NAK else Reason.EXPIRED)
    return None if after.tells_the_same(before) else Changed(after)
