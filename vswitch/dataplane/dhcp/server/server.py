"""The DHCP server of one network: who gets which address, for how long, and what is said about it?

Theory of operation. `rule` says what is to be done about a client's message and changes nothing;
`carry_out` does it. What else comes in is somebody's ARP (`hear_arp`) and time (`tick`). What comes
out is a `Step`: messages and questions to send, and news. Who has what stands in `bindings`, which
address a client is to get is `choice`'s business, what else it is told is `parameters`'.

The messages mean what RFC 2131, 4.3, says. A REQUEST is told by table 4: with a server's identifier
it chooses between offers, with an address that it asks for it comes from a client that has started
anew, with one that it has from one that wants more time. The last is answered although nothing is
known of the client where the address is free, because nobody else leases here; to a client that
starts anew with an address of which nothing is known, the server says nothing, as it must.

Before an address is offered that a client did not have before, the network is asked whether
somebody has it (2.2, 4.3.1): by ARP, and for `PROBE_WAIT`. Who answers spoils the address for a
while, as a client's DECLINE does. Where nothing else is left, a spoilt one is asked for anew. So
the network is where one station asks for an endpoint's address that another one had (`contests`).

Whoever is behind a port can invent clients as fast as he likes, and answer for every address:
`is_heard` bounds how often an address is looked for behind one port, and `choice` how many are
given there.

What the server never does: serve relay agents (its caller refuses them), keep anything over a
restart (`restore` is told), or decide whose an endpoint's address is.

Read first: RFC 2131 sections 3 and 4.3; RFC 4039 (rapid commit), RFC 6842 (client identifier).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from vswitch.dataplane.dhcp.server.bindings import Bindings, Client, Lease, Offer, client_of
from vswitch.dataplane.dhcp.server.book import Addresses, Grant, Terms
from vswitch.dataplane.dhcp.server.choice import Caller, Choice, Chosen
from vswitch.dataplane.dhcp.server.contests import Contest, Contests
from vswitch.dataplane.dhcp.server.news import (
    Crowded,
    End,
    Ended,
    Exhausted,
    Granted,
    InUse,
    Renewed,
)
from vswitch.dataplane.dhcp.server.parameters import Parameters
from vswitch.dataplane.dhcp.server.ruling import Act, Ruling
from vswitch.dataplane.dhcp.server.step import NOTHING, Answer, Step
from vswitch.dataplane.rate import Rate
from vswitch.dataplane.topology import Interface
from vswitch.units import MILLISECOND, MINUTE, SECOND, Nanoseconds
from vswitch.wire import dhcp_service
from vswitch.wire.dhcp import UNSPECIFIED, MessageType, Option
from vswitch.wire.dhcp_service import NOWHERE, Request
from vswitch.wire.values import IpAddress, MacAddress

OFFER_TIME: Nanoseconds = 30 * SECOND
"""For how long an address is held for who was offered it: three requests of a client that hears no
answer (RFC 2131, 4.1)."""

PROBE_WAIT: Nanoseconds = 200 * MILLISECOND
"""For an answer by ARP. RFC 5227, 1.1, waits longer, for links that are coming up; this one has
just carried the client's message, and the client asks again after four seconds."""

SPOILT_TIME: Nanoseconds = 10 * MINUTE
"""For how long nobody is given an address that somebody was seen with."""

SHORTEST_LEASE: Nanoseconds = 1 * MINUTE
"""A client that asks for less is not to ask for more all the time."""

MESSAGES_PER_SECOND = 50
"""Of those behind one port that are heard. To find an address, to ask the network about it and to
have it written down takes the switch's time and everybody's: some hundred stations that begin at
once have their addresses when they have asked a second time."""

LOOKING_PAUSE: Nanoseconds = 1 * SECOND
"""Between two looks at all of a pool that is exhausted."""

_HEADERS = 28  # bytes of IPv4's and UDP's, in front of a message


_ANSWERS = {
    Act.OFFER: MessageType.OFFER,
    Act.COMMIT: MessageType.ACK,
    Act.GIVE: MessageType.ACK,
    Act.TELL: MessageType.ACK,
    Act.REFUSE: MessageType.NAK,
}


class DhcpServer:
    """The server of one network. Sans-I/O: messages and time come in as arguments."""

    def __init__(self, interface: Interface, mtu: int, terms: Terms, addresses: Addresses) -> None:
        """`interface` is the gateway's, `mtu` the network's in bytes. Raises ValueError where a
        domain of the search list is none."""
        self.interface = interface
        self.addresses = addresses
        self._mtu = mtu
        self._bindings = Bindings()
        self._contests = Contests()
        self._complaints = {each: Rate(1) for each in (Crowded, Exhausted, InUse)}
        self._heard: dict[int, Rate] = {}
        self._looked: tuple[int, Nanoseconds] | None = None
        """When all of the pool was looked at in vain, with the revision of the bindings."""
        self.follow(terms)

    def follow(self, terms: Terms) -> None:
        """Give and tell other things from now on; what is granted goes on. Raises ValueError where
        a domain of the search list is none."""
        self._parameters = Parameters(terms, self.interface, self._mtu)
        self.terms = terms
        self._choice = Choice(self.interface, terms, self.addresses, self._bindings)
        self._looked = None

    @property
    def grants(self) -> list[Grant]:
        """All that stand."""
        return [lease.grant for lease in self._bindings.leases]

    def restore(self, grants: Iterable[Grant], now: Nanoseconds) -> list[Grant]:
        """Let grants of an earlier life stand; returns those that do not: their time is over, or
        the address can not be a guest's. An endpoint's own is its own still."""
        lost = []
        for grant in grants:
            client = client_of(grant.identifier, grant.station)
            is_free = self._bindings.holder(grant.address) is None
            is_new = self._bindings.lease_of(client) is None
            if grant.until > now and is_free and is_new and self._choice.is_host(grant.address):
                is_own = self.addresses.is_taken(grant.address)
                self._bindings.grant(Lease(client, grant, is_own))
            else:
                lost.append(grant)
        return lost

    # What a message means

    def rule(self, request: Request, port: int, now: Nanoseconds) -> Ruling | None:
        """What is to be done about a message that came by a port; None where the server is not for
        whoever has sent it. Nothing is changed."""
        caller = Caller.of(request, port)
        if request.type is MessageType.DISCOVER:
            contested = self._choice.contested(caller)
            if contested is not None:
                return Ruling(Act.CONTEST, contested)
        return self._rule_uncontested(request, caller, now)

    def is_heard(self, request: Request, port: int, now: Nanoseconds) -> bool:
        """Count a message that came by a port, or is looked at once more; False where these are too
        many at once of what the server is for."""
        if not self.terms.leasing.takes_guests and not self._choice.own_of(
            Caller.of(request, port)
        ):
            return True
        return self._heard.setdefault(port, Rate(MESSAGES_PER_SECOND)).take(now)

    def _rule_uncontested(
        self, request: Request, caller: Caller, now: Nanoseconds
    ) -> Ruling | None:
        if not self.terms.leasing.takes_guests and self._choice.own(caller) is None:
            return None
        return self._rule(request, caller, now)

    def _rule(self, request: Request, caller: Caller, now: Nanoseconds) -> Ruling:
        match request.type:
            case MessageType.DISCOVER:
                return self._rule_discover(request, caller, now)
            case MessageType.REQUEST:
                return self._rule_request(request, caller, now)
            case MessageType.DECLINE:
                return self._rule_decline(request, caller)
            case MessageType.RELEASE:
                return self._rule_release(request, caller)
            case MessageType.INFORM:
                return self._rule_inform(request)
            case _:
                return Ruling(Act.IGNORE, why="only a server says that")

    def _rule_discover(self, request: Request, caller: Caller, now: Nanoseconds) -> Ruling:
        chosen = self._choose(caller, request.address_of(Option.REQUESTED_ADDRESS), now)
        if chosen is None:
            return Ruling(Act.CROWDED if self._choice.is_crowded(caller) else Act.EXHAUSTED)
        offer = self._bindings.offer_of(caller.client)
        is_asked = offer is not None and offer.is_probed and offer.address == chosen.address
        if is_asked or not chosen.is_known:
            return Ruling(Act.PROBE, chosen.address)
        return Ruling(_offering(request), chosen.address)

    def _rule_request(self, request: Request, caller: Caller, now: Nanoseconds) -> Ruling:
        """RFC 2131, 4.3.2 and table 4."""
        wanted = request.address_of(Option.REQUESTED_ADDRESS)
        has = None if request.address.is_unspecified else request.address
        if Option.SERVER_IDENTIFIER in request.options:
            if not self._is_meant(request):
                return Ruling(Act.WITHDRAW)
            if has is not None or wanted is None:
                return Ruling(
                    Act.IGNORE, why="a client that chooses names one address, as asked for"
                )
            return self._rule_selecting(caller, wanted, now)
        if has is not None:
            return self._rule_renewing(caller, has, now)
        if wanted is not None:
            return self._rule_rebooting(caller, wanted, now)
        return Ruling(Act.IGNORE, why="it names no address")

    def _rule_selecting(self, caller: Caller, wanted: IpAddress, now: Nanoseconds) -> Ruling:
        if wanted in self._known(caller) and self._choice.may_have(caller, wanted, now):
            return Ruling(Act.GIVE, wanted)
        return Ruling(Act.REFUSE, wanted, "that address was not offered, or not lately")

    def _rule_renewing(self, caller: Caller, has: IpAddress, now: Nanoseconds) -> Ruling:
        lease = self._bindings.lease_of(caller.client)
        if lease is not None and lease.grant.address != has:
            return Ruling(Act.REFUSE, has, f"{lease.grant.address} is the address that it has")
        if self._choice.may_have(caller, has, now):
            return Ruling(Act.GIVE, has)
        return Ruling(Act.REFUSE, has, "that address is not its own, or not any longer")

    def _rule_rebooting(self, caller: Caller, wanted: IpAddress, now: Nanoseconds) -> Ruling:
        if not self._choice.is_host(wanted):
            return Ruling(Act.REFUSE, wanted, "that address is none of this network")
        known = self._known(caller)
        if not known:
            return Ruling(Act.IGNORE, wanted, "nothing is known of the client (RFC 2131, 4.3.2)")
        if wanted in known and self._choice.may_have(caller, wanted, now):
            return Ruling(Act.GIVE, wanted)
        return Ruling(Act.REFUSE, wanted, "that address is not its own, or not any longer")

    def _rule_decline(self, request: Request, caller: Caller) -> Ruling:
        wanted, lease = request.address_of(Option.REQUESTED_ADDRESS), self._lease_of(caller)
        if not self._is_meant(request) or lease is None or wanted != lease.grant.address:
            return Ruling(Act.IGNORE, why="it does not have that address from here")
        return Ruling(Act.SPOIL, wanted)

    def _rule_release(self, request: Request, caller: Caller) -> Ruling:
        lease = self._lease_of(caller)
        if not self._is_meant(request) or lease is None or request.address != lease.grant.address:
            return Ruling(Act.IGNORE, why="it does not have that address from here")
        return Ruling(Act.TAKE_BACK, request.address)

    def _rule_inform(self, request: Request) -> Ruling:
        if not self._choice.is_host(request.address):
            return Ruling(Act.IGNORE, why="it has no address of this network")
        return Ruling(Act.TELL, request.address)

    # What is done about it

    def carry_out(self, request: Request, port: int, ruling: Ruling, now: Nanoseconds) -> Step:
        """Do what `rule` has said about a message; what is to be said is `answer`'s."""
        caller, address, step = Caller.of(request, port), ruling.address, NOTHING
        match ruling.act:
            case Act.OFFER if address is not None:
                step = self._hold(request, caller, address, now + OFFER_TIME)
            case Act.PROBE if address is not None:
                return self._probe(request, caller, address, now)
            case Act.CONTEST if address is not None:
                is_asked = self._contests.begin(address, request, port, now)
                return Step(probes=(address,)) if is_asked else NOTHING
            case Act.COMMIT | Act.GIVE if address is not None:
                step = self._give(request, caller, address, now)
            case Act.REFUSE:
                step = self._refuse(caller, address)
            case Act.TAKE_BACK:
                step = self._end(caller.client, End.RELEASED)
            case Act.SPOIL if address is not None:
                step = self._end(caller.client, End.DECLINED)
                step = step.then(self._spoil(address, caller.station, now))
            case Act.WITHDRAW:
                self._bindings.withdraw(caller.client)
            case Act.EXHAUSTED:
                self._looked = self._bindings.revision, now
                step = self._complain(Exhausted(caller.station), now)
            case Act.CROWDED:
                step = self._complain(Crowded(caller.station, port), now)
        answer = self.answer(request, port, ruling)
        return step if answer is None else replace(step, answers=(answer,))

    def answer(self, request: Request, port: int, ruling: Ruling) -> Answer | None:
        """What is said to a message about which `rule` has said that; None where nothing is."""
        kind = _ANSWERS.get(ruling.act)
        if kind is None:
            return None
        parameters, to = self._parameters, UNSPECIFIED
        if kind is MessageType.NAK:
            options = parameters.of_refusal(request, ruling.why)
        else:
            hostname = self.addresses.hostname(ruling.address) if ruling.address else None
            options = parameters.of_host(request, hostname)
            if ruling.act is not Act.TELL:
                to = ruling.address or UNSPECIFIED
                options = parameters.of_lease(request, self._time(request), hostname)
            if ruling.act is Act.COMMIT:
                options = {Option.RAPID_COMMIT: b"", **options}
        message = dhcp_service.build(
            kind,
            request,
            options,
            longest=min(request.longest_answer, self._mtu - _HEADERS),
            address=to,
            client_address=request.address if kind is MessageType.ACK else UNSPECIFIED,
            boot=NOWHERE if kind is MessageType.NAK else parameters.boot,
        )
        return Answer(message, kind, request, to, port)

    def hear_arp(
        self, sender_ip: IpAddress, sender_mac: MacAddress, port: int, now: Nanoseconds
    ) -> Step:
        """Take notice of who says, in an ARP request or reply by a port, that it has what."""
        contest = self._contests.at(sender_ip)
        if contest is not None and contest.is_lost_to(sender_mac, port):
            self._contests.end(sender_ip)
            return self._choose_another(contest, now)
        offer = self._bindings.offer_at(sender_ip)
        if offer is None or not offer.is_probed or offer.request.client == sender_mac:
            return NOTHING
        self._bindings.withdraw(offer.client)
        spoilt = self._spoil(sender_ip, sender_mac, now)
        if not self.is_heard(offer.request, offer.port, now):
            return spoilt
        return spoilt.then(self._choose_anew(offer, now))

    def next_deadline(self) -> Nanoseconds | None:
        """When `tick` has something to do; None while nothing can happen by itself."""
        deadlines = self._bindings.next_deadline(), self._contests.next_deadline()
        return min((each for each in deadlines if each is not None), default=None)

    def tick(self, now: Nanoseconds) -> list[Step]:
        """Let leases end; make the offers that nobody has objected to, and let others lapse."""
        offers, leases = self._bindings.due(now)
        ended = [self._end(lease.client, End.EXPIRED) for lease in leases]
        for offer in offers:
            self._bindings.withdraw(offer.client)
        made = [self._make(offer, now) for offer in offers if offer.is_probed]
        return [*ended, *made, *(self._hand_over(*each, now) for each in self._contests.due(now))]

    def forget_port(self, port: int) -> None:
        """A port is gone: nobody is there to hear of an offer. Guests may come back by another."""
        self._contests.forget_port(port)
        self._bindings.forget_port(port)
        self._heard.pop(port, None)

    def forget_address(self, address: IpAddress) -> Step:
        """Whoever had an address is gone, with all that he had begun."""
        lease = self._bindings.lease_at(address)
        step = NOTHING if lease is None else self._end(lease.client, End.LEFT)
        return replace(step, vacated=())

    def end(self, address: IpAddress) -> Lease | None:
        """Let nobody have an address who was leased it; who had it. It hears of that when it wants
        more time."""
        lease = self._bindings.lease_at(address)
        return None if lease is None else self._bindings.end(lease.client)

    # Offers

    def _choose(self, caller: Caller, wanted: IpAddress | None, now: Nanoseconds) -> Chosen | None:
        claimed = self._choice.claimed(caller, wanted, now)
        if claimed is not None:
            return claimed
        if self._looked is not None:
            revision, looked_at = self._looked
            if revision == self._bindings.revision and now - looked_at < LOOKING_PAUSE:
                return None
        return self._choice.unclaimed(caller, now)

    def _hold(
        self, request: Request, caller: Caller, address: IpAddress, until: Nanoseconds
    ) -> Step:
        step = self._clear(caller, address)
        is_own = address == self._choice.own_of(caller)
        self._bindings.offer(Offer(caller.client, address, request, caller.port, until, is_own))
        return step

    def _probe(
        self, request: Request, caller: Caller, address: IpAddress, now: Nanoseconds
    ) -> Step:
        """Keep an address for a client, and ask whether somebody has it, unless that is being
        asked."""
        before = self._bindings.offer_of(caller.client)
        if before is not None and before.is_probed and before.address == address:
            self._bindings.offer(replace(before, request=request, port=caller.port))
            return NOTHING
        until = now + PROBE_WAIT
        is_own = address == self._choice.own_of(caller)
        offer = Offer(caller.client, address, request, caller.port, until, is_own, is_probed=True)
        self._bindings.offer(offer)
        return Step(probes=(address,))

    def _make(self, offer: Offer, now: Nanoseconds) -> Step:
        """Nobody has answered for the address: let the client know of it, unless it has been given
        to somebody meanwhile."""
        if not self._choice.may_have(Caller.of(offer.request, offer.port), offer.address, now):
            return self._choose_anew(offer, now)
        ruling = Ruling(_offering(offer.request), offer.address)
        return self.carry_out(offer.request, offer.port, ruling, now)

    def _choose_anew(self, offer: Offer, now: Nanoseconds) -> Step:
        """The address is somebody else's."""
        ruling = self.rule(offer.request, offer.port, now)
        return self.carry_out(offer.request, offer.port, ruling, now) if ruling else NOTHING

    def _hand_over(self, address: IpAddress, contest: Contest, now: Nanoseconds) -> Step:
        """The station that had an endpoint's address is not there any more."""
        lease = self._bindings.lease_at(address)
        step = NOTHING if lease is None else self._end(lease.client, End.REPLACED)
        return step.then(self._choose_another(contest, now))

    def _choose_another(self, contest: Contest, now: Nanoseconds) -> Step:
        """What was asked for is free by now, or it is not and a second station asks."""
        request, port = contest.request, contest.port
        ruling = self._rule_uncontested(request, Caller.of(request, port), now)
        return self.carry_out(request, port, ruling, now) if ruling else NOTHING

    # Leases

    def _give(self, request: Request, caller: Caller, address: IpAddress, now: Nanoseconds) -> Step:
        step = self._clear(caller, address)
        before = self._bindings.lease_of(caller.client)
        if before is not None and before.grant.address != address:
            step = step.then(self._end(caller.client, End.REPLACED))
            before = None
        self._bindings.withdraw(caller.client)
        until = now + self._time(request)
        grant = Grant(address, caller.station, request.identifier, caller.hostname, until)
        is_own = address == self._choice.own_of(caller)
        self._bindings.grant(Lease(caller.client, grant, is_own, caller.port))
        turn = Granted(grant) if before is None else Renewed(grant)
        return step.then(Step(turns=(turn,)))

    def _refuse(self, caller: Caller, address: IpAddress | None) -> Step:
        """What a client has and may not have is somebody else's."""
        lease = self._bindings.lease_of(caller.client)
        if lease is None or lease.grant.address != address:
            return NOTHING
        return self._end(caller.client, End.TAKEN)

    def _end(self, client: Client, reason: End) -> Step:
        lease = self._bindings.end(client)
        if lease is None:
            return NOTHING
        vacated = () if lease.is_own else (lease.grant.address,)
        return Step(turns=(Ended(lease.grant, reason),), vacated=vacated)

    def _clear(self, caller: Caller, address: IpAddress) -> Step:
        """The station had the address under another name, and has it no longer under that."""
        holder = self._bindings.holder(address)
        if holder is None or holder == caller.client:
            return NOTHING
        self._bindings.withdraw(holder)
        return self._end(holder, End.REPLACED)

    def _spoil(self, address: IpAddress, station: MacAddress, now: Nanoseconds) -> Step:
        self._bindings.spoil(address, now + SPOILT_TIME)
        return self._complain(InUse(address, station), now)

    def _complain(self, complaint: Crowded | Exhausted | InUse, now: Nanoseconds) -> Step:
        is_told = self._complaints[type(complaint)].take(now)
        return Step(news=(complaint,)) if is_told else NOTHING

    def _time(self, request: Request) -> Nanoseconds:
        """What the client asks for where that is less than it could get."""
        longest = self.terms.leasing.lease_time
        asked = request.number_of(Option.LEASE_TIME, 4)
        if asked is None:
            return longest
        return min(longest, max(asked * SECOND, SHORTEST_LEASE))

    # What is known of a client

    def _known(self, caller: Caller) -> list[IpAddress]:
        """What it is to have, has, was offered, and had: no answer is given to who has none."""
        configured = self._choice.configured(caller)
        known = self._choice.known(caller)
        return known if configured is None else [configured, *known]

    def _lease_of(self, caller: Caller) -> Lease | None:
        """Its lease, if it is its own: a station does not give back what another has, nor what
        somebody behind another port has, in whose name anybody can speak."""
        lease = self._bindings.lease_of(caller.client)
        if lease is None or lease.grant.station != caller.station:
            return None
        return lease if lease.port in (None, caller.port) else None

    def _is_meant(self, request: Request) -> bool:
        server = request.address_of(Option.SERVER_IDENTIFIER)
        return server == self.interface.address.address


def _offering(request: Request) -> Act:
    """How an address is given to who looks for one."""
    return Act.COMMIT if Option.RAPID_COMMIT in request.options else Act.OFFER
