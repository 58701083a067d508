"""The one place where a frame is made to fit the device that is to carry it.

Theory of operation. Frames keep their offloads from one end of the switch to the other; a device
says what it takes, and what it does not take is done here, just before it. The common case, a
device that takes the frame as it is, costs one table look-up.

The frame that comes in is never changed: a flood hands the same bytes to other devices too.
"""

from __future__ import annotations

from collections.abc import Sequence

from vswitch.wire.buffer import Buffer, MutableBuffer
from vswitch.wire.malformed import Malformed
from vswitch.wire.offload import GSO_NONE, GSO_TYPE, Offloads, complete_checksum, required
from vswitch.wire.segment import segment


def adapt(frame: MutableBuffer, takes: Offloads) -> Sequence[Buffer] | Malformed:
    """The frames that carry what `frame` carries, in order, to a device that takes `takes`.

    That is `frame` itself where the device takes it as it is; a copy with a finished checksum; or
    its segments. A frame whose offload header lies, or names a GSO type that nobody takes, answers
    with what is wrong.
    """
    # `_value_` because `&` between members of a Flag costs a microsecond.
    if not required(frame)._value_ & ~takes._value_:
        return (frame,)
    if frame[GSO_TYPE] != GSO_NONE:
        return segment(frame)
    copy = bytearray(frame)
    return complete_checksum(copy) or (copy,)
