"""Capture files: written and read, cut out of a stream, rotated, filtered."""
