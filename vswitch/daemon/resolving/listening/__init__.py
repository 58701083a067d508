"""Where queries come in: at 127.0.0.11 (`listeners`, `datagrams`, `conversations`), as frames to a
gateway (`gateways`, `owntcp`), and from the host (`hostnames`, `hostanswering`).

Begin with `listeners`. What becomes of a query is the business of `answering`, one floor up.
"""
