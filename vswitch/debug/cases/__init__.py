"""Replays: frames in, a virtual clock, frames out, and what is expected of them.

`case` is what a case says, `replay` runs it, `difference` compares, `trial` does all of that for
one case; `making` is what the generators in `pcaps/` are written with.
"""
