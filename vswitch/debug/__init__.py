"""Readers of what passes the switch: capture files. Nothing in the dataplane depends on them."""
