"""Numbers of bytes as people write them."""

from __future__ import annotations

import pytest

from vswitch.network import sizes


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1048576", 1_048_576),
        ("512KiB", 524_288),
        ("16 MiB", 16_777_216),
        ("1GiB", 1_073_741_824),
        ("7 B", 7),
        (" 1 KiB ", 1024),
    ],
)
def test_size_is_read_in_its_unit(text: str, size: int) -> None:
    assert sizes.parse(text) == size


@pytest.mark.parametrize("text", ["", "MiB", "-1", "1.5MiB", "1MB", "1 mib", "1  MiB", "١MiB"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no size: allowed is a number, like"):
        sizes.parse(text)


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (1000, "1000 B"), (65_536, "64 KiB"), (16_777_216, "16 MiB"), (2**30, "1 GiB")],
)
def test_size_is_told_in_the_largest_whole_unit(size: int, text: str) -> None:
    assert sizes.text(size) == text
    assert sizes.parse(text) == size
