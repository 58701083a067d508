"""What a DHCP server tells beside the address, and what it keeps to itself."""

from __future__ import annotations

from typing import Any

import pytest
from scapy.packet import Packet

from tests.dataplane.dhcp_guests import BOOTP, GATEWAY, GuestLab, client, ip, options
from vswitch.leasing import Boot, Leasing
from vswitch.units import HOUR
from vswitch.wire.values import IpNetwork

NTP = (ip("10.0.0.123"), ip("192.0.2.123"))
ROUTES = ((IpNetwork.parse("10.8.0.0/16"), ip("10.0.0.8")),)
EVERYTHING = Leasing(
    lease_time=2 * HOUR,
    search=("front.example", "example"),
    routes=ROUTES,
    boot=Boot("10.0.0.69", "pxe/kernel"),
    ntp=NTP,
)
SEARCH = 119
ALL = [121, 3, 6, 12, 15, 26, 28, 42, 66, 67, 119, 1]


def offer(lab: GuestLab, **said: Any) -> Packet:
    answer = lab.ask(lab.g, client(lab.g.mac, "discover", **said))
    assert answer is not None
    return answer


def codes(message: Packet) -> list[str]:
    return list(options(message))


def test_who_asks_for_nothing_is_told_what_an_ordinary_host_needs() -> None:
    told = options(offer(GuestLab(EVERYTHING)))
    assert told["subnet_mask"] == "255.255.0.0"
    assert (told["router"], told["name_server"], told["domain"]) == (GATEWAY, GATEWAY, b"front")
    assert (told["interface-mtu"], told["broadcast_address"]) == (1500, "10.0.255.255")
    assert "NTP_server" not in told


def test_client_gets_what_it_asks_for_in_its_order_and_the_mask_first() -> None:
    message = offer(GuestLab(EVERYTHING), param_req_list=[6, 42, 3, 1, 200])
    wanted = [code for code in codes(message) if code not in WHOSE]
    assert wanted == ["subnet_mask", "name_server", "NTP_server", "router"]


WHOSE = {"message-type", "server_id", "lease_time", "renewal_time", "rebinding_time"}


def test_all_of_it_is_told_to_who_asks() -> None:
    lab = GuestLab(EVERYTHING, name_servers=(ip("192.0.2.53"), ip("192.0.2.54")))
    told = options(offer(lab, param_req_list=ALL, max_dhcp_size=1500))
    assert list(told["NTP_server"]) == list(map(str, NTP))
    assert list(told["name_server"]) == ["192.0.2.53", "192.0.2.54"]
    assert (told["tftp_server_name"], told["boot-file-name"]) == (b"10.0.0.69", b"pxe/kernel")
    assert told["lease_time"] == 7200


def test_routes_are_told_with_the_default_route_and_only_to_who_asks() -> None:
    """RFC 3442: who takes these takes no other router."""
    lab = GuestLab(EVERYTHING)
    told = options(offer(lab, param_req_list=[121, 3]))
    assert list(told["classless_static_routes"]) == ["10.8.0.0/16:10.0.0.8", "0.0.0.0/0:10.0.0.1"]
    assert told["router"] == GATEWAY
    assert "classless_static_routes" not in options(offer(lab))


def test_network_that_leads_nowhere_tells_of_no_router() -> None:
    lab = GuestLab(EVERYTHING, router=None)
    told = options(offer(lab, param_req_list=[121, 3]))
    assert "router" not in told
    assert told["classless_static_routes"] == ["10.8.0.0/16:10.0.0.8"]


def test_network_without_routes_of_its_own_is_content_with_a_router() -> None:
    told = options(offer(GuestLab(), param_req_list=[121, 3]))
    assert "classless_static_routes" not in told
    assert told["router"] == GATEWAY


def test_search_list_is_told_as_dns_writes_names() -> None:
    told = options(offer(GuestLab(EVERYTHING), param_req_list=[119]))
    assert told[SEARCH] == b"\5front\7example\0\xc0\6"


def test_endpoint_is_told_what_it_is_called_and_a_guest_is_not() -> None:
    lab = GuestLab()
    lab.inventory.names["10.0.0.7"] = "machine"
    answer = lab.ask(lab.vm, client(lab.vm.mac, "discover"))
    assert answer is not None
    assert options(answer)["hostname"] == b"machine"
    assert "hostname" not in options(offer(lab))


def test_header_says_where_to_boot_from() -> None:
    header = offer(GuestLab(EVERYTHING))[BOOTP]
    assert (header.siaddr, header.file.rstrip(b"\0")) == ("10.0.0.69", b"pxe/kernel")
    named = Leasing(boot=Boot("boot.example", "kernel"))
    header = offer(GuestLab(named))[BOOTP]
    assert (header.siaddr, header.sname.rstrip(b"\0")) == ("0.0.0.0", b"boot.example")


def test_answer_is_no_longer_than_the_client_takes() -> None:
    search = tuple(f"{'x' * 50}{number}.example" for number in range(20))
    lab = GuestLab(Leasing(search=search, boot=Boot("boot.example", "kernel")))
    short = offer(lab, param_req_list=[3, 6, 119])
    assert len(short["UDP"].payload) <= 548
    assert options(short)["router"] == GATEWAY
    assert SEARCH not in options(short)
    long = offer(lab, param_req_list=[3, 6, 119], max_dhcp_size=1500)
    assert SEARCH in options(long)


def test_other_terms_hold_from_the_next_answer_on() -> None:
    lab = GuestLab()
    lab.bind(lab.g)
    lab.lease(EVERYTHING, domain="elsewhere")
    assert options(offer(lab))["domain"] == b"elsewhere"
    assert lab.grants == {lab.g.mac: "10.0.9.0"}


def test_search_list_of_what_is_no_domain_is_refused_and_the_terms_stay() -> None:
    lab = GuestLab()
    with pytest.raises(ValueError, match="is not a domain"):
        lab.lease(Leasing(search=("a..b",)), domain="other")
    assert options(offer(lab))["domain"] == b"front"
