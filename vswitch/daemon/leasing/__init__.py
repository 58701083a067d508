"""Addresses that are leased, as the daemon has them: `leases` is where to begin."""
