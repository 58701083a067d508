"""A virtual machine for a test: a kernel, a busybox, and a story that it tells on its console.

Theory of operation. The machine is QEMU's, emulated (a machine that tests run on seldom lets others
have its processor's help). Its kernel and the modules of its network card are those that
`.ci/setup` has fetched into `.guest`; its whole system is a busybox and a script, in an initramfs
that is made here. The script says each stage that it reaches in a line of its own, and turns the
machine off. So what a test asserts is what the guest has seen. A machine that hangs is killed, also
where nobody waits for it any more, and what it has said until then is told.

The kernel's documentation, buffer-format.rst, says what an initramfs is.
"""

from __future__ import annotations

import gzip
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

KERNEL = Path(__file__).parents[2] / ".guest"
"""The kernel, `vmlinuz`, and the modules that it needs for its card."""

MODULES = (
    *("virtio_ring", "virtio", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci"),
    *("failover", "net_failover", "virtio_net"),
)
"""In the order in which they are loaded."""

PATIENCE_SECONDS = 180
"""For all of a guest's life: a few seconds, but many times that where the machine is busy."""

QEMU = "qemu-system-x86_64"
BUSYBOX = "busybox"

LEASED = """#!/bin/sh
# What udhcpc calls with what it has been leased (busybox, networking/udhcp).
[ "$1" = bound ] || exit 0
ip address add "$ip/$mask" dev "$interface"
[ -z "$router" ] || ip route add default via "$router"
for server in $dns; do echo "nameserver $server"; done >/etc/resolv.conf
[ -z "$search$domain" ] || echo "search ${search:-$domain}" >>/etc/resolv.conf
echo "STAGE leased $ip/$mask router=$router dns=$dns domain=$domain mtu=$mtu lease=$lease"
"""

_BEGIN = """#!/bin/sh
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for module in {modules}; do insmod /$module.ko; done
ip link set lo up
ip link set eth0 up
echo "STAGE booted"
"""

_END = """
echo "STAGE done"
poweroff -f
"""


def require() -> None:
    """Skip where there is nothing to make a guest of; in CI that is a failure."""
    missing = [] if (KERNEL / "vmlinuz").exists() else ["a kernel in .guest"]
    require_programs(QEMU, BUSYBOX, also=missing)


def require_programs(*names: str, also: Sequence[str] = ()) -> None:
    """The same where a program is missing, or what else is said."""
    missing = [*(each for each in names if shutil.which(each) is None), *also]
    if not missing:
        return
    reason = f"missing: {', '.join(missing)}: .ci/setup test brings it"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def initramfs(story: str) -> bytes:
    """The system of a guest that does what the shell commands of `story` say when it is up."""
    busybox = shutil.which(BUSYBOX)
    assert busybox is not None
    files = {
        "init": (_BEGIN.format(modules=" ".join(MODULES)) + story + _END).encode(),
        "leased": LEASED.encode(),
        "bin/busybox": Path(busybox).read_bytes(),
        **{f"{each}.ko": (KERNEL / f"{each}.ko").read_bytes() for each in MODULES},
    }
    applets = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True)
    links = {f"bin/{each}": "busybox" for each in applets.stdout.split() if each != "busybox"}
    return gzip.compress(b"".join(_archive(files, links)), compresslevel=1)


def command(directory: Path, story: str, *network: str) -> list[str]:
    """What runs a guest to its end, or kills it after `PATIENCE_SECONDS`, with its console as the
    output.

    `network` are QEMU's words for its card, which is a virtio one.
    """
    image = directory / "initramfs"
    image.write_bytes(initramfs(story))
    return [
        *("timeout", "--signal=KILL", str(PATIENCE_SECONDS)),
        *(QEMU, "-accel", "tcg", "-machine", "q35", "-cpu", "max", "-m", "128M", "-smp", "1"),
        *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
        *("-serial", "stdio"),
        *("-kernel", str(KERNEL / "vmlinuz"), "-initrd", str(image)),
        *("-append", "console=ttyS0 quiet panic=-1"),
        *network,
    ]


def stages(console: str) -> dict[str, str]:
    """What a guest has reached, in order: the word of each stage, and what it says there."""
    said = [line.partition("STAGE ")[2] for line in console.splitlines() if "STAGE " in line]
    return {stage.partition(" ")[0]: stage.partition(" ")[2].strip() for stage in said}


def _archive(files: Mapping[str, bytes], links: Mapping[str, str]) -> Iterator[bytes]:
    """The files as a cpio archive of the kernel's form ("newc"), all of them executable."""
    for directory in ("bin", "dev", "proc", "sys", "etc"):
        yield _entry(directory, stat.S_IFDIR | 0o755, b"")
    for name, content in files.items():
        yield _entry(name, stat.S_IFREG | 0o755, content)
    for name, target in links.items():
        yield _entry(name, stat.S_IFLNK | 0o777, target.encode())
    yield _entry("TRAILER!!!", 0, b"")


def _entry(name: str, mode: int, content: bytes) -> bytes:
    named = name.encode() + b"\0"
    fields = (0, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(named), 0)
    head = b"070701" + b"".join(b"%08x" % each for each in fields) + named
    return _padded(head) + _padded(content)


def _padded(octets: bytes) -> bytes:
    return octets + bytes(-len(octets) % 4)
