"""What servers have said: what of it is believed, for how long it is told again, in which octets.

Begin with `cache`.
"""
