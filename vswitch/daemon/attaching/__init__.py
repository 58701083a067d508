"""Endpoints: how they are attached and taken over, what they have in the system, and how they go.

Begin with `endpoints` for who comes and goes, and with `attachment` for the steps of one.
"""
