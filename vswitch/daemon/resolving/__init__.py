"""Names in the daemon: who asks (`parties`, `limits`), and what becomes of it (`answering`).

In its rooms is what that rests on: where queries come in (`listening`), who is asked outside
(`asking`), the host's resolv.conf and those of endpoints (`files`), and what is seen of it all
(`showing`). Who gets no answer is seen by `selftest`. All but this is made and joined together by
`responder`.

What a query deserves, and which server is asked for it, is decided by `dataplane.responders.dns`,
which opens no socket.
"""
