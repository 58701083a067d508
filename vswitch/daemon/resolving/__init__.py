"""Names in the daemon: where queries come in (`listeners`, `conversations`; as frames `gateways`;
from the host `hostnames`), who asks (`parties`), what becomes of them (`answering`), who is asked
outside (`routes`, `forwarding`) and how that goes there (`carriers`). What the host's resolv.conf
says is followed (`hostfile`), and each endpoint has one of its own (`resolvconf`,
`resolvconffiles`). Who gets no answer is seen by `selftest`. All but this is made and joined
together by `responder`.

What a query deserves, and which server is asked for it, is decided by `dataplane.responders.dns`,
which opens no socket.
"""
