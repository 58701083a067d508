"""What gives the switch devices, time and names: the only room that touches the running system.

Everything below this room is told what happens; this room finds it out. It makes namespaces and
links (`netns`, `links`), remembers what it made so that a killed switch leaves nothing behind
(`journal`), and answers names inside the endpoints' namespaces (`resolver`). It is the only room
that imports asyncio, and nothing below it may import it.
"""
