"""The compiler to the fast path: what happens to a frame, and why.

Everything here is sans-I/O: frames, time and randomness come in as arguments, frames go out as
values. `switch` is the way in, `pipeline` the order of the stages; each table has a module of its
own (`fdb`, `neighbours`, `conntrack`, `mappings`, `publications`), each stage too (`bridge`,
`router`, `nat`, `icmp_errors`), and `responders` answer for the switch itself.
"""
