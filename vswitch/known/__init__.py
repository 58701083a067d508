"""Who is known to whom by name: what a party may ask for, made of what the inventory knows.

A running switch and a replayed one have it from here. What is answered with it is
`dataplane.responders.dns`'s.
"""
