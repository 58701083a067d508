"""What is done over the paths. There is one file per kind of load; `workload` says what one is."""

from __future__ import annotations

from bench.workloads import bulk, dns, requests, small
from bench.workloads.workload import Load, Sample, Unit, Workload

__all__ = ["WORKLOADS", "Load", "Sample", "Unit", "Workload"]

WORKLOADS = (*bulk.WORKLOADS, *small.WORKLOADS, *requests.WORKLOADS, *dns.WORKLOADS)
