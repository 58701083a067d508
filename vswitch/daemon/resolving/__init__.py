"""Names in the daemon: where queries come in (`listeners`, `conversations`), what becomes of them
(`answering`), who is asked outside (`forwarding`), and what lies in resolv.conf (`resolvconf`).

What a query deserves is decided by `dataplane.responders.dns`, which opens no socket.
"""
