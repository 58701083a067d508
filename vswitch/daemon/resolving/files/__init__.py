"""resolv.conf(5): what one says (`resolvconf`), the host's, which is followed (`hostfile`), and
those of endpoints, which are written (`resolvconffiles`).
"""
