from __future__ import annotations

import errno

import pytest

from vswitch.devices.base import Sent, sent_by_error


@pytest.mark.parametrize(
    ("number", "sent"),
    [
        (errno.EAGAIN, Sent.FULL),
        (errno.ENOBUFS, Sent.FULL),
        (errno.ENETDOWN, Sent.DOWN),
        (errno.EIO, Sent.DOWN),
        (errno.EMSGSIZE, Sent.TOO_BIG),
        (errno.EINVAL, Sent.REFUSED),
        (errno.EPERM, Sent.REFUSED),
        (errno.EBADFD, Sent.GONE),
        (errno.ENXIO, Sent.GONE),
    ],
)
def test_each_error_of_the_kernel_has_a_meaning_for_the_frame(number: int, sent: Sent) -> None:
    assert sent_by_error(OSError(number, "")) is sent
