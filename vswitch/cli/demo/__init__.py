"""`vswitch demo`: the switch at work, with real tools, to be watched."""
