"""The DHCP server of a network inside. Begin with `server`: what a message deserves."""
