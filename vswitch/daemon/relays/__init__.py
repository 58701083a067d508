"""From the host to an endpoint: what comes in at a port that the host is served at is led on.

`tcp` and `udp` each lead the clients of one port; `entrance` asks the terms of what is published
there, `silence` ends what nobody says anything by, and `refused` tells a client of UDP that nobody
listens. Who has which ports is `hostlistener`'s business.
"""
