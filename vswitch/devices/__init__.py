"""Where frames come from and go to: one Protocol (`base`) and the devices that keep it.

A device moves bytes and answers for what became of them. It never looks into a frame further than
its medium asks (a VLAN tag that the kernel has put aside), and it never decides anything.
"""
