"""The daemon as a process: its start and end, its rights, its doors and who may come in by them.

Begin with `service`.
"""
