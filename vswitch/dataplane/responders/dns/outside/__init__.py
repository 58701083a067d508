"""Servers outside: whom to ask, how long to wait, and what a reply is worth.

Begin with `searching`. Nothing here has a socket: who carries the queries is `daemon.resolving`'s.
"""
