"""What the verbs are about, as `vswitch --help` groups them."""

THE_SWITCH = "The switch"
ENDPOINTS = "Endpoints"
NETWORKS = "Networks, ports and rules"
LOOK = "Look at what is so"
FRAMES = "Frames: what becomes of them, and why"
