"""What a user talks about: networks, endpoints, publications, and the file that describes them.

Pure values and bookkeeping. This room opens no socket and reads no clock, and the one file it
reads is the configuration (`config.load`). `inventory.Inventory` is what the daemon keeps while
the switch runs.
"""
