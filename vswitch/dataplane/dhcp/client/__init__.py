"""The DHCP client of an uplink that learns its address. Begin with `client`."""
