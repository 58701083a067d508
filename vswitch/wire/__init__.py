"""The wire: bytes to values and values to bytes, with no state, no clock and no I/O.

Theory of operation. A frame in memory is one contiguous buffer: a 10 byte virtio-net header
(`offload`), which says what is unfinished about the frame, directly followed by the Ethernet frame.
So a device reads and writes both with one system call, and nobody carries the two apart. Every
offset that a view answers with is an absolute index into that buffer.

A *view* (`ethernet.Ethernet`, `ipv4.Ipv4`, ...) is a buffer and an offset. Its `parse` is the only
place where lengths are checked: it answers with the view, and its docstring says what is guaranteed
from then on, or with a member of `malformed.Malformed`, which says in words how the bytes lie. No
`parse` raises on any bytes. Fields are read when they are asked for; a view never copies the frame,
never writes to it, and must not outlive it. Writing is done by whoever rewrites, at the named
offsets of each module (`ipv4.TTL`, `tcp.FLAGS`), which are relative to the start of their header.

`checksum` has the arithmetic of RFC 1071 and RFC 1624. Whether a transport checksum is finished or
holds only the pseudo header's sum is in the offload header; `adapt` is the one place where a
frame is changed to fit a device that does not take its offloads, by `segment` or by completing the
checksum. `text` prints whatever is there, cut off or not.

What this room never does: decide. Whether a malformed frame is dropped, and under which reason, is
the dataplane's business.
"""
