"""What is asked of the kernel: links, namespaces, processes; and the journal of what was made.

Nobody here knows of the switch's tables, nor of anything that a user calls by its name.
"""
