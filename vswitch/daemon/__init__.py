"""What gives the switch devices, time and names: the only room that touches the running system.

Everything below this room is told what happens; this room finds it out. It makes namespaces and
links, and remembers what it made, so that the next switch takes over what lives on and sweeps the
rest (`kernel`); it attaches endpoints (`attaching`) and answers names in their namespaces
(`resolver`). It is the only room that imports asyncio, and nothing below it may import it.
"""
