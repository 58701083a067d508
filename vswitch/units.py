"""Units that the whole house counts in: nanoseconds for time, bytes for size.

Time is always an argument called `now`, an integer number of nanoseconds on a monotonic clock
whose zero means nothing. No module but `daemon` reads a clock.
"""

from typing import TypeAlias

Nanoseconds: TypeAlias = int

MICROSECOND: Nanoseconds = 1_000
MILLISECOND: Nanoseconds = 1_000 * MICROSECOND
SECOND: Nanoseconds = 1_000 * MILLISECOND
MINUTE: Nanoseconds = 60 * SECOND
HOUR: Nanoseconds = 60 * MINUTE
DAY: Nanoseconds = 24 * HOUR

KIBIBYTE = 1024
MEBIBYTE = 1024 * KIBIBYTE
