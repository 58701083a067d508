"""How tables look: columns in a pipe, the switch's own bytes with --json."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydantic import BaseModel

from vswitch.cli.show import octets
from vswitch.daemon.messages import (
    FdbRow,
    FlowRow,
    MappingRow,
    NeighbourRow,
    PortRow,
    StatusRow,
    UplinkRow,
)

if TYPE_CHECKING:
    from tests.cli.conftest import Switches, Vswitch

FLOW = FlowRow(
    flow=7,
    protocol="tcp",
    state="established",
    network="front",
    original="172.18.0.3:40000 > 198.51.100.1:80",
    reply="198.51.100.1:80 > 198.51.100.2:40000",
    translation="source 198.51.100.2:40000",
    frames=12,
    bytes=2048,
    idle_seconds=1.5,
    expires_in_seconds=299.7,
)
STATION = FdbRow(network="front", vlan=0, mac="02:00:00:00:00:01", port="web", recent=False)
NEIGHBOUR = NeighbourRow(
    network="front", address="172.18.0.2", mac=None, state="incomplete", waiting=3
)
PORT = PortRow(
    port=2,
    name="web",
    network="front",
    device="tap",
    offloads=("checksum",),
    received_frames=5,
    received_bytes=500,
    sent_frames=6,
    sent_bytes=6 * 1024 * 1024,
    wrong_checksums=0,
    lost={"full": 2},
    drops={"not_for_us": 1, "no_route": 4},
)
MAPPING = MappingRow(
    protocol="udp",
    network="front",
    inside="172.18.0.3:5000",
    outside="198.51.100.2:5000",
    connections=0,
    guests=0,
    is_static=False,
    expires_in_seconds=41.6,
)
UPLINK = UplinkRow(
    name="uplink",
    interface="eth0",
    device="packet",
    mac="02:00:00:00:00:fe",
    address="192.0.2.7/24",
    also=(),
    gateway="192.0.2.1",
    ports="61000-65535",
    guard="clsact",
    why_not=("tcx: this kernel is older than Linux 6.6",),
    dhcp=None,
    expires_in_seconds=None,
)
STATUS = StatusRow(
    name="lab",
    version="1.2.3",
    pid=4321,
    fastpath="reference",
    uplinks=(UPLINK,),
    networks=("bridge", "front"),
    endpoints=(),
    connections=8,
    connections_at_most=100,
    mappings=9,
    held_syns=0,
    incomplete_datagrams=0,
    errors_withheld=0,
    captures=0,
    name_servers=("198.51.100.53",),
    without_names={},
    silent_servers=(),
    drops={},
)


def _json(*rows: BaseModel) -> bytes:
    return f"[{','.join(row.model_dump_json() for row in rows)}]".encode()


@pytest.mark.parametrize(
    ("verb", "row", "header", "columns"),
    [
        (
            "flows",
            FLOW,
            "id protocol state original translation frames bytes left",
            "7 tcp established 172.18.0.3:40000 > 198.51.100.1:80 source 198.51.100.2:40000"
            " 12 2.0 KiB 300 s",
        ),
        (
            "mappings",
            MAPPING,
            "protocol network inside outside kept by",
            "udp front 172.18.0.3:5000 198.51.100.2:5000 nothing, for 42 s more",
        ),
        (
            "fdb",
            STATION,
            "network vlan station port seen",
            "front - 02:00:00:00:00:01 web a while ago",
        ),
        (
            "neighbours",
            NEIGHBOUR,
            "network address station state waiting",
            "front 172.18.0.2 - incomplete 3",
        ),
        (
            "ports",
            PORT,
            "port name network device received sent lost dropped",
            "2 web front tap 5 (500 B) 6 (6.0 MiB) full 2 not_for_us 1, no_route 4",
        ),
    ],
)
def test_row_is_one_line_of_columns(
    vswitch: Vswitch, switches: Switches, verb: str, row: BaseModel, header: str, columns: str
) -> None:
    switches("lab").content = _json(row, row)
    outcome = vswitch(verb)
    assert outcome.status == 0
    lines = [" ".join(line.split()) for line in outcome.out.splitlines()]
    assert lines == [header, columns, columns]


def test_status_is_one_line_for_each_fact(vswitch: Vswitch, switches: Switches) -> None:
    switches("lab").content = STATUS.model_dump_json().encode()
    lines = [" ".join(line.split()) for line in vswitch("status").out.splitlines()]
    assert lines[0] == "switch lab (vswitch 1.2.3, pid 4321)"
    assert "networks bridge, front" in lines
    assert "endpoints none" in lines
    assert "connections 8 of at most 100" in lines


def test_status_says_how_an_address_is_shared_with_the_host(
    vswitch: Vswitch, switches: Switches
) -> None:
    switches("lab").content = STATUS.model_dump_json().encode()
    lines = [" ".join(line.split()) for line in vswitch("status").out.splitlines()]
    assert "uplink 192.0.2.7/24 at eth0 (packet, 02:00:00:00:00:fe), gateway 192.0.2.1" in lines
    assert "shared with the host, guarded by clsact" in lines
    assert "not by tcx: this kernel is older than Linux 6.6" in lines


def test_status_says_how_long_a_lease_lasts(vswitch: Vswitch, switches: Switches) -> None:
    changes = {"guard": None, "why_not": (), "dhcp": "bound", "expires_in_seconds": 3599.6}
    leased = UPLINK.model_copy(update=changes)
    status = STATUS.model_copy(update={"uplinks": (leased,)})
    switches("lab").content = status.model_dump_json().encode()
    lines = [" ".join(line.split()) for line in vswitch("status").out.splitlines()]
    assert "by DHCP: bound, 3600 s left" in lines


def test_long_row_is_not_folded_in_a_pipe(vswitch: Vswitch, switches: Switches) -> None:
    drops = {f"reason_number_{number}": number for number in range(40)}
    switches("lab").content = _json(PORT.model_copy(update={"drops": drops}))
    assert len(vswitch("ports").out.splitlines()) == 2


def test_text_from_the_network_is_not_taken_for_markup(
    vswitch: Vswitch, switches: Switches
) -> None:
    switches("lab").content = _json(STATION.model_copy(update={"port": "[bold]web[/red]"}))
    assert "[bold]web[/red]" in vswitch("fdb").out


def test_station_is_not_taken_for_a_picture(vswitch: Vswitch, switches: Switches) -> None:
    """A colon, two letters and a colon may be the name of one."""
    switches("lab").content = _json(STATION.model_copy(update={"mac": "02:00:00:ab:00:01"}))
    assert "02:00:00:ab:00:01" in vswitch("fdb").out


@pytest.mark.parametrize("verb", ["flows", "mappings", "fdb", "neighbours", "ports", "status"])
def test_json_is_what_the_switch_sent(vswitch: Vswitch, switches: Switches, verb: str) -> None:
    switches("lab").content = b'[{"as": "it is"},\n 1]'
    outcome = vswitch(verb, "--json")
    assert (outcome.status, outcome.out) == (0, '[{"as": "it is"},\n 1]\n')


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (50 * 1024**2, "50.0 MiB"),
        (3 * 1024**3, "3.0 GiB"),
        (5000 * 1024**4, "5000.0 TiB"),
    ],
)
def test_octets_are_in_the_unit_that_a_person_would_use(count: int, text: str) -> None:
    assert octets(count) == text
