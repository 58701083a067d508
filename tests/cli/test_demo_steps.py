"""What the demo's steps make of what the tools print."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from vswitch.cli.demo import steps
from vswitch.cli.demo.scenery import Place, Ran
from vswitch.cli.demo.steps import CHAPTERS, Finding, Stage
from vswitch.daemon.messages import FdbRow, FlowRow

PING = """\
PING 198.51.100.1 (198.51.100.1) 56(84) bytes of data.
64 bytes from 198.51.100.1: icmp_seq=1 ttl=63 time=1.46 ms

--- 198.51.100.1 ping statistics ---
3 packets transmitted, 3 received, 0% packet loss, time 402ms
rtt min/avg/max/mdev = 1.164/1.313/1.463/0.149 ms
"""

REFUSED = "curl: (7) Failed to connect to 198.51.100.2 port 8081 after 1 ms: Connection refused"
TIMED_OUT = "curl: (28) Connection timed out after 1001 milliseconds"


class CannedStage:
    """Answers each command, known by what a person reads of it, with a status and an output."""

    def __init__(self, answers: dict[str, tuple[int, str]]) -> None:
        self._answers = answers

    def run(self, place: Place, *command: str, shown: str = "") -> Ran:
        text = shown or " ".join(command)
        status, output = self._answers[f"{place.value}$ {text}"]
        return Ran(place, text, status, output)

    def fetch(self, place: Place, url: str, seconds: int = 3) -> Ran:
        return self.run(place, "curl", url)


NAMESERVER = {"app$ grep nameserver /etc/resolv.conf": (0, "nameserver 127.0.0.11")}

WELL: list[tuple[Callable[[Stage], Finding], dict[str, tuple[int, str]]]] = [
    (steps.resolve, NAMESERVER | {"app$ getent hosts web": (0, "172.18.0.2      web")}),
    (steps.fetch_by_name, {"app$ curl http://web/": (0, "I am web, you are 172.18.0.3")}),
    (
        steps.fetch_from_outside,
        {"app$ curl http://198.51.100.1/": (0, "I am outside, you are 198.51.100.2")},
    ),
    (steps.ping_outside, {"app$ ping -c 3 198.51.100.1": (0, PING)}),
    (
        steps.fetch_published,
        {"outside$ curl http://198.51.100.2:8080/": (0, "I am web, you are 198.51.100.1")},
    ),
    (steps.knock_at_unpublished, {"outside$ curl http://198.51.100.2:8081/": (7, REFUSED)}),
    (steps.knock_at_unpublished, {"outside$ curl http://198.51.100.2:8081/": (28, TIMED_OUT)}),
    (
        steps.fetch_hairpin,
        {"app$ curl http://198.51.100.2:8080/": (0, "I am web, you are 198.51.100.2")},
    ),
]

BADLY: list[tuple[Callable[[Stage], Finding], dict[str, tuple[int, str]]]] = [
    (steps.resolve, NAMESERVER | {"app$ getent hosts web": (2, "")}),
    (steps.resolve, NAMESERVER | {"app$ getent hosts web": (0, "172.18.0.20 web")}),
    (
        steps.resolve,
        {
            "app$ grep nameserver /etc/resolv.conf": (0, "nameserver 192.0.2.53"),
            "app$ getent hosts web": (0, "172.18.0.2 web"),
        },
    ),
    (steps.fetch_by_name, {"app$ curl http://web/": (6, "curl: (6) Could not resolve host: web")}),
    (steps.fetch_by_name, {"app$ curl http://web/": (0, "I am web, you are 172.18.0.1")}),
    (
        steps.fetch_from_outside,
        {"app$ curl http://198.51.100.1/": (0, "I am outside, you are 172.18.0.3")},
    ),
    (
        steps.ping_outside,
        {"app$ ping -c 3 198.51.100.1": (0, PING.replace("3 received, 0%", "2 received, 33%"))},
    ),
    (
        steps.ping_outside,
        {"app$ ping -c 3 198.51.100.1": (2, "ping: connect: Network is unreachable")},
    ),
    (
        steps.fetch_published,
        {"outside$ curl http://198.51.100.2:8080/": (0, "I am web, you are 198.51.100.2")},
    ),
    (
        steps.knock_at_unpublished,
        {"outside$ curl http://198.51.100.2:8081/": (0, "I am web, you are 198.51.100.1")},
    ),
    (steps.fetch_hairpin, {"app$ curl http://198.51.100.2:8080/": (28, TIMED_OUT)}),
    (
        steps.fetch_hairpin,
        {"app$ curl http://198.51.100.2:8080/": (0, "I am web, you are 172.18.0.3")},
    ),
]


@pytest.mark.parametrize(("step", "answers"), WELL)
def test_a_step_passes_on_what_it_claims(
    step: Callable[[Stage], Finding], answers: dict[str, tuple[int, str]]
) -> None:
    finding = step(CannedStage(answers))
    assert finding.passed
    assert [evidence.prompt for evidence in finding.evidence] == list(answers)


@pytest.mark.parametrize(("step", "answers"), BADLY)
def test_a_step_fails_on_anything_else(
    step: Callable[[Stage], Finding], answers: dict[str, tuple[int, str]]
) -> None:
    assert not step(CannedStage(answers)).passed


def test_every_step_is_shown_once() -> None:
    shown = [step.play for chapter in CHAPTERS for step in chapter.steps]
    assert len(set(shown)) == len(shown)
    assert set(shown) == {step for step, _ in WELL}


def test_the_evidence_of_a_failure_is_the_last_line_and_the_status() -> None:
    stage = CannedStage({"app$ curl http://web/": (52, "one thing\nanother   thing")})
    (evidence,) = steps.fetch_by_name(stage).evidence
    assert evidence.output == "another thing (exit status 52)"


def test_a_status_that_the_tool_tells_itself_is_not_repeated() -> None:
    stage = CannedStage({"outside$ curl http://198.51.100.2:8081/": (7, REFUSED)})
    (evidence,) = steps.knock_at_unpublished(stage).evidence
    assert evidence.output == REFUSED


def flow(translation: str) -> FlowRow:
    return FlowRow(
        flow=1,
        protocol="tcp",
        state="established",
        network="front",
        original="172.18.0.3:40000 > 198.51.100.1:80",
        reply="198.51.100.1:80 > 198.51.100.2:40000",
        translation=translation,
        frames=1,
        bytes=1,
        idle_seconds=0.0,
        expires_in_seconds=1.0,
    )


@pytest.mark.parametrize(
    ("translations", "passes"),
    [
        (["source 198.51.100.2:40000", "destination 172.18.0.2:80"], True),
        (["source 198.51.100.2:40000, destination 172.18.0.2:80"], True),
        (["source 198.51.100.2:40000"], False),
        (["destination 172.18.0.2:80"], False),
        (["source 198.51.100.22:40000", "destination 172.18.0.2:80"], False),
        ([], False),
    ],
)
def test_the_flow_table_must_tell_of_both_ways(translations: list[str], passes: bool) -> None:
    assert steps.judge_flows([flow(each) for each in translations]).passed is passes


@pytest.mark.parametrize(
    ("ports", "passes"), [(["web", "app"], True), (["web"], False), (["web", "web"], False)]
)
def test_each_endpoint_must_be_on_a_port_of_its_own(ports: list[str], passes: bool) -> None:
    rows = [
        FdbRow(network="front", vlan=0, mac=f"02:00:00:00:00:0{number}", port=port, recent=True)
        for number, port in enumerate(ports)
    ]
    assert steps.judge_fdb(rows).passed is passes
