"""The configuration file: its shape, its keys, and what they say. Begin with `config`."""
