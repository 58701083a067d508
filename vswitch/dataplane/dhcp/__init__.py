"""The DHCP client of an uplink that learns its address (RFC 2131): `client` is where to begin."""
