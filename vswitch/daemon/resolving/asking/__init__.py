"""Asking servers outside: which ones (`routes`), once for all who want to know (`forwarding`), and
how a query gets there (`carriers`, `by_datagram`, `by_stream`).

Begin with `forwarding`. What is decided meanwhile is in `dataplane.responders.dns.outside`.
"""
