"""DHCPv4 (RFC 2131) from both ends.

`client` is an uplink's: it learns the address that the switch has outside. `server` is that of a
network inside: it leases addresses to who is on it.
"""
