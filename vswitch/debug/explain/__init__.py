"""Words for people: what would become of a frame, why a flow is as it is, a capture as text."""
