from __future__ import annotations

import json

import pytest

from bench.topology import CommandError
from bench.workloads import bulk, dns, requests, small
from bench.workloads.workload import FRAMES, GIGABITS, Load, Sample

DNSPERF = """\
Statistics:

  Queries sent:         24251
  Queries completed:    24000 (98.97%)
  Queries lost:         251 (1.03%)

  Response codes:       {codes}
  Average packet size:  request 23, response 39
  Run time (s):         1.002100
  Queries per second:   23949.705618
"""
TAKEN = "".join(f"> NOERROR tap-b A 0.{number:06}\n" for number in range(200, 0, -1))


def test_bulk_is_what_the_receiver_got() -> None:
    end = {"sum_sent": {"bytes": 9e9, "seconds": 2.0}, "sum_received": {"bytes": 5e8, "seconds": 2}}
    assert bulk.read(json.dumps({"end": end})) == Load(rate=2.0, moved=4.0)


def test_a_failed_transfer_is_told_in_iperf3s_words() -> None:
    with pytest.raises(CommandError, match="unable to connect"):
        bulk.read(json.dumps({"end": {}, "error": "unable to connect to server"}))


def test_what_is_not_json_is_no_result() -> None:
    with pytest.raises(CommandError, match="not JSON"):
        bulk.read("iperf3: segmentation fault")


def test_dns_is_counted_by_what_was_answered() -> None:
    load = dns.read(TAKEN + DNSPERF.format(codes="NOERROR 24000 (100.00%)"))
    assert load.rate == pytest.approx(23.9497, abs=1e-4)
    assert load.moved == 24.0
    assert load.details == {"p99 us": pytest.approx(199), "lost": 251}


def test_answers_that_know_no_such_name_are_no_result() -> None:
    with pytest.raises(CommandError, match="NXDOMAIN 24000"):
        dns.read(DNSPERF.format(codes="NXDOMAIN 24000 (100.00%)"))
    with pytest.raises(CommandError, match="NXDOMAIN 1"):
        dns.read(DNSPERF.format(codes="NOERROR 239999 (100.00%), NXDOMAIN 1 (0.00%)"))


def test_requests_are_told_with_their_times() -> None:
    said = {"count": 5000, "failed": 2, "seconds": 2.5, "p50_us": 60.5, "p99_us": 120.0}
    load = requests.read(json.dumps(said))
    assert (load.rate, load.moved) == (2.0, 5.0)
    assert load.details == {"p50 us": 60.5, "p99 us": 120.0, "failed": 2}


def test_a_path_that_answers_nothing_has_no_result() -> None:
    said = {"count": 0, "failed": 5, "seconds": 1.0, "p50_us": 0.0, "p99_us": 0.0}
    with pytest.raises(CommandError, match="5 failed"):
        requests.read(json.dumps(said))


def test_loss_is_the_part_that_did_not_arrive() -> None:
    flood = small.Flood(sent=4000, received=3000, seconds=1.5)
    assert flood.rate == 2000
    assert flood.lost == 0.25


@pytest.mark.parametrize("carries", [30_000.0, 99_000.0, 150_000.0])
def test_the_highest_rate_without_loss_is_found_by_halving(carries: float) -> None:
    tried: list[float] = []

    def loses(rate: float) -> bool:
        tried.append(rate)
        return rate > carries

    found = small.highest(loses, 200_000, trials=6)
    assert carries - 200_000 / 2**6 <= found <= carries
    assert len(tried) == 6


def test_a_path_that_loses_at_every_rate_carries_none_without_loss() -> None:
    assert small.highest(lambda _: True, 200_000, trials=6) == 0


def test_cpu_time_is_told_by_what_was_moved() -> None:
    assert Sample(Load(2.0, 4.0), cpu_seconds=1.0).cpu_per(GIGABITS) == 0.25
    assert Sample(Load(100.0, 200.0), cpu_seconds=1.0).cpu_per(FRAMES) == 5.0


def test_nobody_knows_the_cpu_time_of_the_kernel_or_of_a_search() -> None:
    assert Sample(Load(2.0, 4.0), cpu_seconds=None).cpu_per(GIGABITS) is None
    assert Sample(Load(2.0, None), cpu_seconds=1.0).cpu_per(GIGABITS) is None
