"""`vswitch top`: what passes a running switch, as it passes.

`snapshot` reads the counters of a switch at one moment, `rates` makes rates of two such moments,
`view` makes tables of these, `keys` reads the keyboard, and `watching` goes round.
"""
