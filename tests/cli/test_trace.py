"""`vswitch trace` and `vswitch flows --why`, answered by a real dataplane behind a socket."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from tests.cli.conftest import StubSwitch, Vswitch
from tests.harness import IP, TCP, UPLINK_ADDRESS, Lab
from vswitch.cli import trace
from vswitch.cli.problem import Problem
from vswitch.daemon import messages, views
from vswitch.debug.explain.describing import DescriptionError
from vswitch.debug.files.pcapng import PcapngWriter
from vswitch.debug.sight import Direction
from vswitch.network.model import Endpoint, EndpointKind, Membership
from vswitch.units import SECOND
from vswitch.wire.offload import HEADER_LENGTH
from vswitch.wire.values import IpAddress, MacAddress

OUTSIDE = "198.51.100.7"
SYN = f"a tcp 10.0.0.2:40000 > {OUTSIDE}:443 syn"


class LabSwitch(StubSwitch):
    """A switch's control socket in front of a `Lab`."""

    def __init__(self, run_directory: Path) -> None:
        self.lab = Lab().meet_everyone()
        a = self.lab.a
        address, mac = IpAddress.parse(a.ip), MacAddress.parse(a.mac)
        membership = Membership("front", address, mac)
        self.endpoints = [Endpoint("a", EndpointKind.TAP, None, (membership,))]
        super().__init__(run_directory, "lab")

    def trace(self, body: bytes) -> BaseModel:
        asked = messages.TraceBody.model_validate_json(body)
        return views.trace(self.lab.switch, asked, self.endpoints, self.lab.now)

    def why(self, path: str) -> BaseModel:
        number = int(path.rpartition("/")[2])
        row = views.why(self.lab.switch, number, self.endpoints, self.lab.now)
        if row is None:
            raise DescriptionError("flow not found")
        return row

    def handler(self) -> type[BaseHTTPRequestHandler]:
        lab = self

        class Handler(super().handler()):  # type: ignore[misc]
            def do_POST(self) -> None:  # noqa: N802
                self.answer(lab.trace, self.rfile.read(int(self.headers["Content-Length"])))

            def do_GET(self) -> None:  # noqa: N802
                self.answer(lab.why, self.path)

            def answer(self, call, argument) -> None:  # type: ignore[no-untyped-def]
                lab.status = 200
                try:
                    row = call(argument)
                except (DescriptionError, ValidationError) as error:
                    lab.status, row = 400, messages.Problem(error=str(error))
                lab.content = row.model_dump_json().encode()
                super().do_GET()

        return Handler


@pytest.fixture
def lab_switch(run_directory: Path) -> Iterator[LabSwitch]:
    switch = LabSwitch(run_directory)
    yield switch
    switch.die()


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    """A frame that came in by `a`, the same as it left, and one that was cut off."""
    file = tmp_path / "some.pcapng"
    lab = Lab()
    packet = IP(src="10.0.0.2", dst=OUTSIDE) / TCP(sport=40000, dport=443)
    frame = bytes(HEADER_LENGTH) + bytes(lab.routed(lab.a, packet / (b"x" * 100)))
    with file.open("wb") as stream:
        writer = PcapngWriter(stream)
        a, outside = writer.add_interface("a"), writer.add_interface("outside")
        writer.write(a, Direction.RECEIVED, frame, SECOND)
        writer.write(outside, Direction.SENT, frame, SECOND)
        length = len(frame) - HEADER_LENGTH
        writer.write(a, Direction.RECEIVED, frame[:70], SECOND, original_length=length)
    return file


def test_description_becomes_a_tree_from_the_port_to_the_ports(
    vswitch: Vswitch, lab_switch: LabSwitch
) -> None:
    shown = vswitch("trace", *SYN.split())
    assert (shown.status, shown.err) == (0, "")
    lines = shown.out.splitlines()
    assert lines[0] == f"a on front: IPv4 10.0.0.2:40000 > {OUTSIDE}:443 TCP SYN seq 1 win 65535"
    for told in (
        "fast path  no program is kept for frames like this one",
        "learn      02:00:00:00:01:10 is known on port a",
        f"10.0.0.2 port 40000 is {UPLINK_ADDRESS} port 40000 outside",
        "forwarded: it leaves by the port of its destination",
        "the frame leaves by outside",
        f"IPv4 {UPLINK_ADDRESS} > {OUTSIDE} ttl 63",
    ):
        assert told in shown.out
    assert "\x1b" not in shown.out


def test_drop_is_told_with_its_reason(vswitch: Vswitch, lab_switch: LabSwitch) -> None:
    shown = vswitch("trace", "a icmp echo 10.0.0.2 to 10.1.0.2")
    assert "dropped networks_isolated: networks are isolated from each other" in shown.out
    assert "what tells the sender leaves by a" in shown.out


def test_json_is_the_whole_answer(vswitch: Vswitch, lab_switch: LabSwitch) -> None:
    shown = vswitch("trace", "--json", SYN)
    row = json.loads(shown.out)
    assert (row["port"], row["fate"], row["reason"]) == ("a", "forwarded", None)
    assert [each["ports"] for each in row["leaving"]] == [["outside"]]
    assert bytes.fromhex(row["leaving"][0]["frame"])[:6].hex(":") == lab_switch.lab.outside.mac
    assert {"stage", "words"} == set(row["steps"][0])


def test_tracing_leaves_the_tables_as_they_were(vswitch: Vswitch, lab_switch: LabSwitch) -> None:
    tables = lab_switch.lab.switch.tables
    before = len(tables.connections), len(tables.mappings), dict(lab_switch.lab.drops)
    vswitch("trace", SYN)
    assert (len(tables.connections), len(tables.mappings), lab_switch.lab.drops) == before
    assert lab_switch.lab.received(lab_switch.lab.outside) != []


@pytest.mark.parametrize("form", ["{}", "0x{}", "colons", "blanks"])
def test_bytes_are_taken_as_other_tools_print_them(
    vswitch: Vswitch, lab_switch: LabSwitch, form: str
) -> None:
    lab = lab_switch.lab
    data = bytes(lab.arp_request(lab.a, "10.0.0.1"))
    text = {"colons": data.hex(":"), "blanks": data.hex(" ", 2)}.get(form) or form.format(
        data.hex()
    )
    shown = vswitch("trace", "--port", "a", *text.split())
    assert "answered: it is for the switch itself, which answers" in shown.out


def test_packet_of_a_capture_comes_in_where_it_came_in(
    vswitch: Vswitch, lab_switch: LabSwitch, capture: Path
) -> None:
    shown = vswitch("trace", f"{capture}#1")
    assert shown.out.startswith(f"a on front: IPv4 10.0.0.2:40000 > {OUTSIDE}:443 TCP SYN")
    assert shown.err == ""
    elsewhere = vswitch("trace", f"{capture}#2", "--port", "b")
    assert elsewhere.out.startswith("b on front")


def test_what_a_capture_cut_off_is_zeros_and_said_so(
    vswitch: Vswitch, lab_switch: LabSwitch, capture: Path
) -> None:
    shown = vswitch("trace", f"{capture}#3")
    assert "forwarded" in shown.out
    assert shown.err == (
        f"vswitch: {capture}: packet 3: 94 bytes that the capture cut off are taken for zeros\n"
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["{capture}#2"], "packet 2 left by outside: say --port NAME"),
        (["{capture}#4"], "has no packet 4: there are 3"),
        (["{capture}#0"], "has no packet 0: packets are counted from 1"),
        (["/no/such.pcap#1"], "/no/such.pcap: cannot be read: No such file or directory"),
        (["0200"], "in hexadecimal has to come in somewhere: say --port NAME"),
        (["--port", "a", "020"], "the frame has 3 hexadecimal digits: a byte has two"),
        (["--port", "a", "ff" * 32_001], "the frame has 32001 bytes: at most 32000"),
        (["--port", "a", SYN], "--port: the first word of a description is the port, here 'a'"),
        (["a tcp 10.0.0.2 > 1.2.3.4:5"], "'10.0.0.2' has no port: allowed is ADDRESS:PORT"),
        (["web tcp 1.2.3.4:5 > 1.2.3.4:5"], "there is no port 'web': there is a, b, c, outside"),
        (["--port", "web", "0200"], "there is no port 'web'"),
    ],
)
def test_mistake_is_told_in_one_line(
    vswitch: Vswitch, lab_switch: LabSwitch, capture: Path, words: list[str], told: str
) -> None:
    shown = vswitch("trace", *(word.format(capture=capture) for word in words))
    assert (shown.status, shown.out, shown.err.count("\n")) == (1, "", 1)
    assert told in shown.err


def test_mistake_is_told_before_any_switch_is_asked() -> None:
    with pytest.raises(Problem, match="can not be described"):
        trace.wish(["app", "sctp"], None)


def test_reasons_of_a_flow_are_a_tree(vswitch: Vswitch, lab_switch: LabSwitch) -> None:
    lab = lab_switch.lab
    lab.exchange(lab.a, IP(src=lab.a.ip, dst=OUTSIDE) / TCP(sport=40000, dport=443, flags="S"))
    shown = vswitch("flows", "--why", "1")
    assert shown.out.startswith("flow 1 (tcp): opening, a SYN has come from the side that began\n")
    for told in (
        "by a (10.0.0.2 on front), 0 s ago",
        f"source 10.0.0.2:40000 becomes {UPLINK_ADDRESS}:40000",
        f"SYN from {OUTSIDE}: established",
        "in 240 s, if nothing more is seen of it",
        "reply direction, in by outside: frames 0, 0 B",
    ):
        assert told in shown.out
    row = json.loads(vswitch("flows", "--why", "1", "--json").out)
    assert (row["flow"], row["state"]) == (1, "opening")
    assert [each["direction"] for each in row["kept"]] == ["original", "reply"]


def test_flow_that_is_not_there_is_told(vswitch: Vswitch, lab_switch: LabSwitch) -> None:
    shown = vswitch("flows", "--why", "9")
    assert (shown.status, shown.err) == (1, "vswitch: flow not found\n")
