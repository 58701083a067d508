"""What a frame is kept in: anything with bytes that can be indexed and sliced.

Memoryviews are one-dimensional and of single bytes (format `B`), as a device hands them out.
"""

from __future__ import annotations

from typing import TypeAlias

Buffer: TypeAlias = bytes | bytearray | memoryview
"""For whoever only reads."""

MutableBuffer: TypeAlias = bytearray | memoryview
"""For whoever writes in place. A memoryview must be one of writable memory."""
