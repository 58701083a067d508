"""The embedded DNS responder. Read `brain` first."""
