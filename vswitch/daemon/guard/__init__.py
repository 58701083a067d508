"""Sharing the host's own address: the kernel stays silent on our ports, and nobody takes them.

`ways` chooses how, `holds` reserves single ports, `ports` finds a range that the host can spare,
and `address` says what the host has and when that changes. `socketfilter` says whom a socket hears.
Below them, `clsact` and `bpf` speak to
the kernel, `program` is what runs in it, and `instructions` assembles that.
"""
