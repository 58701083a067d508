"""What is seen of names: queries and what became of them (`querylog`, `frequent`), in rows
(`shown`) and in numbers (`metrics`).
"""
