"""Readers of what passes the switch; nothing in the dataplane depends on them.

`witness` reads along with a switch and tells what it has seen as a `sight`. `live` are those who
listen to it, `files` are captures on disk, `cases` replay them, `explain` finds the words.
"""
