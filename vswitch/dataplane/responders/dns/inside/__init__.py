"""What we know ourselves: names of endpoints and stations, what is known by hand, and names that
never leave.

Begin with `local`, which answers; `names` is what one party may ask for.
"""
