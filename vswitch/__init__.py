"""A userspace virtual switch and NAT for Linux.

Start with `ARCHITECTURE.md` for the rooms and the frame walk. In code, the shortest way in is
`vswitch.dataplane.switch` (the switch itself, with no I/O) and `vswitch.daemon` (what gives it
devices, time and a control socket).
"""

__version__ = "0.1.0"
