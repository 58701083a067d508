"""Replaying: the same seed, frames and times give the same bytes, in any process."""

from __future__ import annotations

import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

from tests.dataplane.corpus import Sample, feed, samples, warm_lab
from tests.harness import Lab
from vswitch.units import SECOND

ROOT = Path(__file__).parents[2]


def replay(seed: int) -> str:
    """A digest of everything that comes out of a busy lab, port by port and in order."""
    lab = warm_lab(seed=seed)
    digest = sha256()
    for round_ in range(3):
        for sample in samples() + _clashes(lab):
            feed(lab, sample)
            lab.pass_time(round_ * SECOND // 10)
        for name, host in lab.hosts.items():
            digest.update(name.encode())
            for raw in host.device.take():
                digest.update(len(raw).to_bytes(4, "big") + raw)
        lab.pass_time(200 * SECOND)
    drops = sorted((reason.name, count) for reason, count in lab.drops.items())
    digest.update(repr(drops).encode())
    return digest.hexdigest()


def _clashes(lab: Lab) -> list[Sample]:
    """The samples of a once more, sent by b: their ports are taken."""
    return [
        Sample("b", sample.raw.replace(b"\x0a\x00\x00\x02", b"\x0a\x00\x00\x03"))
        for sample in samples()
        if sample.host == "a"
    ]


def test_same_seed_and_frames_give_the_same_bytes() -> None:
    assert replay(7) == replay(7)


def test_another_seed_gives_other_ports() -> None:
    def clashing_port(seed: int) -> bytes:
        lab = warm_lab(seed=seed)
        raw = samples()[4].raw.replace(b"\x0a\x00\x00\x02", b"\x0a\x00\x00\x03")
        feed(lab, Sample("b", _with_right_checksum(raw)))
        (sent,) = lab.outside.device.take()
        return sent[44:46]

    assert len({clashing_port(seed) for seed in range(4)}) > 1


def _with_right_checksum(raw: bytes) -> bytes:
    frame = bytearray(raw)
    frame[34:36] = b"\0\0"
    frame[34:36] = (0xFFFF - int.from_bytes(frame[24:44], "big") % 0xFFFF).to_bytes(2, "big")
    return bytes(frame)


def test_order_of_hashes_has_no_say() -> None:
    code = "from tests.dataplane.test_determinism import replay; print(replay(7))"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
        )
        for seed in ("1", "2")
    ]
    digests = {process.communicate()[0] for process in processes}
    assert [process.returncode for process in processes] == [0, 0]
    assert len(digests) == 1
