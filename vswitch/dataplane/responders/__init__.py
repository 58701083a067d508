"""Answers in the switch's own name: a frame or message in, an answer out, no state."""
